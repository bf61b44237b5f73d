//! Writes what is missing or different, and nothing else.

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use serde_json::{Value, json};

use super::current::{difference, without_additions};
use super::observe::{Live, Observed, SecretState};
use super::ownership::{Identity, Owner};
use super::{Progress, Reason, migrate, scale, secret_values, validate};
use crate::build::secrets::Generated;
use crate::build::{self, Child, Gate, Inputs, Part, Scale, Upkeep};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::fingerprint::fingerprint;
use crate::names::{FIELD_MANAGER, INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, RENDERED, SCALE_MANAGER};
use crate::resolve::Platform;

/// What came of writing.
#[derive(Debug, Default)]
pub struct Applied {
    /// What has to happen before the rest can be written.
    pub waiting: Vec<(Part, Reason, String)>,
    /// What was refused. The other objects were written.
    pub refused: Vec<(Part, Error)>,
    /// What did not become what was written, and where.
    pub contested: Vec<(Part, String)>,
}

/// Makes the Secrets with generated data that are absent. Their content is in the pods' annotations, so they come first.
pub async fn secrets(cluster: &Cluster, observed: &mut Observed, platform: &Platform, children: &[Child]) -> Result<Applied, Error> {
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    let mut applied = Applied::default();
    for child in children.iter().filter(|child| child.upkeep == Upkeep::CreateOnce) {
        let name = child.object.name_any();
        match observed.secrets.get(&name).map(|secret| identity.owner_of_data(&secret.metadata)) {
            Some(Owner::Ours) => {}
            Some(Owner::Somebody) => {
                applied.refused.push((child.part, Error::NameConflict { kind: child.resource.kind.clone(), name }));
            }
            Some(Owner::Terminating | Owner::Predecessor) => applied.waiting.push(removal(child)),
            None => match create_secret(cluster, platform, child).await {
                Ok(secret) => {
                    observed.secrets.insert(name, secret);
                }
                Err(error) if error.is_refusal() => applied.refused.push((child.part, error)),
                Err(error) => return Err(error),
            },
        }
    }
    Ok(applied)
}

async fn create_secret(cluster: &Cluster, platform: &Platform, child: &Child) -> Result<SecretState, Error> {
    let mut object = child.object.clone();
    let generated = Generated::ALL.into_iter().find(|secret| secret.name(platform) == child.object.name_any());
    if let (Some(generated), Value::Object(content)) = (generated, &mut object.data) {
        content.insert("stringData".to_owned(), json!(generated.data(random)));
    }
    let formats = generated.map(secret_values::of_generated).unwrap_or_default();
    cluster.create(&child.resource, &object).await.map(|secret| SecretState::of(secret, formats))
}

/// That many random bytes, in hex.
fn random(count: usize) -> String {
    use std::fmt::Write as _;
    (0..count).fold(String::new(), |mut text, _| {
        let _ = write!(text, "{:02x}", rand::random::<u8>());
        text
    })
}

/// The versions of a platform.
#[derive(Clone, Copy)]
pub struct Versions<'a> {
    /// What the resource asks for.
    pub wanted: &'a Platform,
    /// What served before, where that is known.
    pub served: Option<&'a Platform>,
}

/// Writes every other child that may be written. While the migration has not completed, that is the version which served before
/// in place of what waits for the schema, with the number of pods that the resource asks for now.
pub async fn children(
    cluster: &Cluster,
    observed: &mut Observed,
    versions: Versions<'_>,
    children: &[Child],
    migration: &migrate::State,
    applied: &mut Applied,
) -> Result<(), Error> {
    let Versions { wanted, served } = versions;
    let identity = Identity { name: &wanted.name, uid: &wanted.uid };
    let open = |child: &Child| child.gate == Gate::None || *migration == migrate::State::Complete;
    for child in children.iter().filter(|child| child.upkeep == Upkeep::Apply) {
        if open(child) && !lacks_secret(child, wanted, observed) {
            write_child(cluster, observed, identity, child, applied).await?;
        } else if open(child) || served.is_none() {
            scale_what_serves(cluster, observed, child, identity).await?;
        }
    }
    let Some(served) = served.filter(|_| *migration != migrate::State::Complete) else { return Ok(()) };
    for mut child in build::children(&Inputs { platform: served, secret_versions: &observed.secret_versions() }) {
        let successor = children.iter().find(|other| is_same(other, &child));
        if child.upkeep != Upkeep::Apply || successor.is_some_and(&open) {
            continue;
        }
        child.scale = served_scale(child.scale, successor.and_then(|successor| successor.scale));
        if lacks_secret(&child, served, observed) {
            scale_what_serves(cluster, observed, &child, identity).await?;
        } else {
            write_child(cluster, observed, identity, &child, applied).await?;
        }
    }
    Ok(())
}

fn is_same(one: &Child, other: &Child) -> bool {
    one.resource == other.resource && one.object.metadata.name == other.object.metadata.name
}

/// The number of pods of the version that served before. It follows the resource, unless an autoscaler of that version decides.
fn served_scale(served: Option<Scale>, wanted: Option<Scale>) -> Option<Scale> {
    match served {
        Some(Scale::Fixed(_)) => wanted.or(served),
        Some(Scale::Autoscaled(_)) | None => served,
    }
}

/// Whether the child's pods could not mount a Secret. They would stand in the way of those that serve, and be slow to notice that it
/// has come.
fn lacks_secret(child: &Child, platform: &Platform, observed: &Observed) -> bool {
    child.scale.is_some() && validate::named_secret(child.part, platform, observed).is_some()
}

async fn write_child(
    cluster: &Cluster,
    observed: &mut Observed,
    identity: Identity<'_>,
    child: &Child,
    applied: &mut Applied,
) -> Result<(), Error> {
    match observed.find(child).map(|live| identity.owner(&live.metadata)) {
        Some(Owner::Somebody) => {
            let conflict = Error::NameConflict { kind: child.resource.kind.clone(), name: child.object.name_any() };
            applied.refused.push((child.part, conflict));
            return Ok(());
        }
        Some(Owner::Terminating | Owner::Predecessor) => {
            applied.waiting.push(removal(child));
            return Ok(());
        }
        Some(Owner::Ours) | None => {}
    }
    match one(cluster, observed, child).await {
        Ok(None) => {}
        Ok(Some(field)) => {
            let name = child.object.name_any();
            applied.contested.push((child.part, format!("{} {name} does not keep {field}", child.resource.kind)));
        }
        // The same request would be refused again, and the other objects do not wait for it.
        Err(error) if error.is_refusal() => applied.refused.push((child.part, error)),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The version that serves while the next one waits has as many pods as the resource says.
async fn scale_what_serves(cluster: &Cluster, observed: &mut Observed, child: &Child, identity: Identity<'_>) -> Result<(), Error> {
    let Some(live) = observed.find(child).filter(|live| identity.owner(&live.metadata) == Owner::Ours).cloned() else { return Ok(()) };
    // An autoscaler that is no longer asked for goes together with the version that it scales.
    let is_autoscaled = observed
        .objects()
        .any(|other| other.resource.kind == "HorizontalPodAutoscaler" && other.object.metadata.name == live.metadata.name);
    let Some(scale) = child.scale.filter(|_| !is_autoscaled) else { return Ok(()) };
    scaled(cluster, observed, child, scale, live, false).await.map(|_| ())
}

async fn scaled(
    cluster: &Cluster,
    observed: &mut Observed,
    child: &Child,
    scale: Scale,
    live: DynamicObject,
    created: bool,
) -> Result<DynamicObject, Error> {
    let Some(replicas) = scale::wanted(scale, scale::replicas(&live), created) else { return Ok(live) };
    let patch = scale::patch(&live, &child.resource, replicas);
    let answer = cluster.apply(&child.resource, &patch, SCALE_MANAGER, true).await?;
    Ok(remember(observed, &child.resource, answer))
}

pub(super) fn removal(child: &Child) -> (Part, Reason, String) {
    let message = format!("{} {} is being removed; it is made anew when it is gone", child.resource.kind, child.object.name_any());
    (child.part, Reason::WaitingForRemoval, message)
}

/// Brings one object to what was rendered. Returns the field in which it did not come to that.
async fn one(cluster: &Cluster, observed: &mut Observed, child: &Child) -> Result<Option<String>, Error> {
    let desired = stamped(&child.object)?;
    let live = observed.find(child).cloned();
    let created = live.is_none();
    let mut now = match live {
        None => {
            // Not forced: an object that somebody made in this moment is not taken over.
            let made = cluster.apply(&child.resource, &desired, FIELD_MANAGER, false).await?;
            remember(observed, &child.resource, made)
        }
        Some(live) => repair(cluster, observed, &child.resource, desired.clone(), live).await?,
    };
    if let Some(scale) = child.scale {
        now = scaled(cluster, observed, child, scale, now, created).await?;
    }
    let contested = difference(&value(&child.resource, &desired)?, &value(&child.resource, &now)?);
    cluster.came_to(&now, contested.as_ref().map(|_| stamp(&desired)));
    Ok(contested)
}

async fn repair(
    cluster: &Cluster,
    observed: &mut Observed,
    resource: &ApiResource,
    mut desired: DynamicObject,
    live: DynamicObject,
) -> Result<DynamicObject, Error> {
    let wanted = value(resource, &desired)?;
    let Some(path) = difference(&wanted, &value(resource, &live)?) else {
        return Ok(live);
    };
    if cluster.is_standoff(&live, stamp(&desired)) {
        return Ok(live);
    }
    tracing::info!(object = live.name_any(), kind = resource.kind, field = path, "differs from what was rendered");
    // The UID keeps a patch meant for this object from making another one, should this one be gone.
    desired.metadata.uid.clone_from(&live.metadata.uid);
    let after = match cluster.apply(resource, &desired, FIELD_MANAGER, true).await {
        Ok(object) => object,
        // Somebody froze it, which only its removal ends.
        Err(error) if error.is_unprocessable() && live.data.get("immutable") == Some(&Value::Bool(true)) => {
            cluster.delete(resource, &live).await?;
            observed.forget(resource, &live);
            desired.metadata.uid = None;
            cluster.apply(resource, &desired, FIELD_MANAGER, false).await?
        }
        // Somebody exchanged one member of a union for another, and both together are invalid.
        Err(error) if error.is_unprocessable() => {
            let overwritten = overwritten(resource, &desired, &live)?;
            match cluster.replace(resource, &overwritten).await {
                Ok(object) => object,
                // The first answer names the rendered field; this one might name what was kept, or a right that is not there.
                Err(again) if again.is_refusal() => return Err(error),
                Err(again) => return Err(again),
            }
        }
        Err(error) => return Err(error),
    };
    let after = remember(observed, resource, after);
    let found = value(resource, &after)?;
    let Some(cleaned) = without_additions(&wanted, &found) else {
        if let Some(path) = difference(&wanted, &found) {
            tracing::warn!(
                object = after.name_any(),
                kind = resource.kind,
                field = path,
                "the API server keeps another value than was rendered"
            );
        }
        return Ok(after);
    };
    tracing::info!(object = after.name_any(), kind = resource.kind, "has elements that were not rendered");
    let replaced = cluster.replace(resource, &object(resource, &after, cleaned)?).await?;
    Ok(remember(observed, resource, replaced))
}

fn remember(observed: &mut Observed, resource: &ApiResource, object: DynamicObject) -> DynamicObject {
    observed.put(Live { resource: resource.clone(), object: object.clone() });
    object
}

/// The object with the hash of what was rendered.
fn stamped(object: &DynamicObject) -> Result<DynamicObject, Error> {
    let rendered =
        serde_json::to_value(object).map_err(|source| malformed(&object.types.clone().unwrap_or_default().kind, object, source))?;
    let mut stamped = object.clone();
    stamped.metadata.annotations.get_or_insert_default().insert(RENDERED.to_owned(), fingerprint(&rendered));
    Ok(stamped)
}

/// The hash of what was rendered.
fn stamp(object: &DynamicObject) -> &str {
    object.annotations().get(RENDERED).map(String::as_str).unwrap_or_default()
}

/// The object as JSON, without what a list leaves out of its elements.
fn value(resource: &ApiResource, object: &DynamicObject) -> Result<Value, Error> {
    let mut value = serde_json::to_value(object).map_err(|source| malformed(&resource.kind, object, source))?;
    if let Value::Object(map) = &mut value {
        map.insert("apiVersion".to_owned(), resource.api_version.clone().into());
        map.insert("kind".to_owned(), resource.kind.clone().into());
    }
    Ok(value)
}

fn object(resource: &ApiResource, like: &DynamicObject, value: Value) -> Result<DynamicObject, Error> {
    serde_json::from_value(value).map_err(|source| malformed(&resource.kind, like, source))
}

fn malformed(kind: &str, object: &DynamicObject, source: serde_json::Error) -> Error {
    Error::Malformed { kind: kind.to_owned(), name: object.name_any(), source: Box::new(source) }
}

/// `live` with the content of `desired` in place of its own; the number of pods and others' labels and annotations stay.
fn overwritten(resource: &ApiResource, desired: &DynamicObject, live: &DynamicObject) -> Result<DynamicObject, Error> {
    let (desired, live_value) = (value(resource, desired)?, value(resource, live)?);
    let mut result = live_value.clone();
    if let (Value::Object(result), Value::Object(desired)) = (&mut result, desired) {
        for (key, content) in desired {
            if key != "metadata" && key != "status" {
                result.insert(key, content);
            }
        }
    }
    if let (Some(replicas), Some(Value::Object(spec))) = (live_value.pointer("/spec/replicas"), result.get_mut("spec")) {
        spec.insert("replicas".to_owned(), replicas.clone());
    }
    object(resource, live, result)
}

/// Progress of a part whose objects could not all be written.
pub fn progress(applied: &Applied, part: Part) -> Option<Progress> {
    let refused = applied.refused.iter().find(|(other, _)| *other == part).map(|(_, error)| Progress::Waiting {
        reason: if matches!(error, Error::NameConflict { .. }) { Reason::NameConflict } else { Reason::Refused },
        message: refusal(error),
    });
    refused.or_else(|| {
        let (_, reason, message) = applied.waiting.iter().find(|(other, ..)| *other == part)?;
        Some(Progress::Waiting { reason: *reason, message: message.clone() })
    })
}

/// The first child that is kept by writing it and is not as it was rendered.
pub fn pending<'a>(cluster: &Cluster, observed: &Observed, children: &'a [Child]) -> Result<Option<&'a Child>, Error> {
    for child in children.iter().filter(|child| child.upkeep == Upkeep::Apply) {
        let current = match observed.find(child) {
            Some(live) => {
                let desired = stamped(&child.object)?;
                let wanted = value(&child.resource, &desired)?;
                let replicas = child.scale.is_none_or(|scale| scale::wanted(scale, scale::replicas(live), false).is_none());
                let kept = cluster.is_standoff(live, stamp(&desired));
                replicas && (kept || difference(&wanted, &value(&child.resource, live)?).is_none())
            }
            None => false,
        };
        if !current {
            return Ok(Some(child));
        }
    }
    Ok(None)
}

/// What a person reads of a refusal.
pub fn refusal(error: &Error) -> String {
    match error {
        Error::NameConflict { kind, .. } if kind == "Secret" => format!(
            "{error}: if it is this platform's own, from a backup, label it {MANAGED_BY_LABEL}={MANAGED_BY} and {INSTANCE_LABEL} with the \
             platform's name; else delete or rename it, or give the DonationPlatform another name"
        ),
        Error::NameConflict { .. } => format!("{error}: delete or rename it, or give the DonationPlatform another name"),
        other => crate::telemetry::chain(other),
    }
}

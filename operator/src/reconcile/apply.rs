//! Writes what is missing or different, and nothing else.

use std::time::Duration;

use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::observe::{Observed, SecretState};
use super::outcome::Progress;
use super::ownership::{Identity, Ownership};
use super::pass::Pass;
use super::reason::Reason;
use super::writer::{Writer, is_current};
use super::{secret_values, validate};
use crate::build::secrets::GeneratedSecret;
use crate::build::{ApplyPolicy, Child, Part, Scale, WaitsFor};
use crate::client::ApiClient;
use crate::error::Error;
use crate::names::{INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL};
use crate::resolve::Platform;
use crate::telemetry::chain;

/// The result of one step of writing: what could not be written as rendered, by part.
#[derive(Debug, Default)]
pub struct Applied {
    /// Objects that cannot be written before their removal has ended, with the reason and a sentence for the status.
    pub waiting: Vec<(Part, Reason, String)>,
    /// Objects that the API server refused or that belong to somebody else. They do not keep the other objects from being written.
    pub refused: Vec<(Part, Error)>,
    /// Objects that something else changes each time they are written, with a sentence that names the field.
    pub contested: Vec<(Part, String)>,
}

/// The results of all steps of writing.
#[derive(Debug, Default)]
pub struct Written {
    /// The result for the Secrets with generated data.
    pub secrets: Applied,
    /// The result for the certificate that the operator signs.
    pub certificate: Applied,
    /// The result for the migration's Job.
    pub migration: Applied,
    /// The result for all other objects.
    pub children: Applied,
    /// Time until a failed migration is tried again; `None` if it has not failed.
    pub retry: Option<Duration>,
}

impl Written {
    /// The results, in the order of writing.
    pub fn steps(&self) -> [&Applied; 4] {
        let Self { secrets, certificate, migration, children, retry: _ } = self;
        [secrets, certificate, migration, children]
    }

    /// Everything that was refused, in the order of writing.
    pub fn into_refused(self) -> Vec<(Part, Error)> {
        let Self { secrets, certificate, migration, children, retry: _ } = self;
        [secrets, certificate, migration, children].into_iter().flat_map(|applied| applied.refused).collect()
    }
}

/// Makes the Secrets with generated data that are absent. Their content is in the pods' annotations, so they come first.
pub async fn secrets(pass: &mut Pass<'_>) -> Result<Applied, Error> {
    let mut applied = Applied::default();
    let Pass { client, platform, observed, children, .. } = pass;
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    for child in children.iter().filter(|child| child.policy == ApplyPolicy::CreateOnce) {
        let name = child.object.name_any();
        match observed.secrets.get(&name).map(|secret| identity.ownership_of_data(&secret.metadata)) {
            Some(Ownership::Ours) => {}
            Some(Ownership::Foreign) => {
                applied.refused.push((child.part, Error::NameConflict { kind: child.resource.kind.clone(), name }));
            }
            Some(Ownership::Terminating | Ownership::Predecessor) => applied.waiting.push(waiting_for_removal(child)),
            None => match create_secret(client, platform, child).await {
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

async fn create_secret(client: &ApiClient, platform: &Platform, child: &Child) -> Result<SecretState, Error> {
    let mut object = child.object.clone();
    let generated = GeneratedSecret::ALL.into_iter().find(|secret| secret.name(platform) == child.object.name_any());
    if let (Some(generated), Value::Object(content)) = (generated, &mut object.data) {
        content.insert("stringData".to_owned(), json!(generated.data(random_hex)));
    }
    let formats = generated.map(secret_values::of_generated).unwrap_or_default();
    client.create(&child.resource, &object).await.map(|secret| SecretState::of(secret, formats))
}

/// `count` random bytes as hexadecimal text.
fn random_hex(count: usize) -> String {
    hex::encode((0..count).map(|_| rand::random::<u8>()).collect::<Vec<u8>>())
}

/// Writes every other child that may be written. Until the migration has completed, the objects that wait for the schema stay in
/// the version that served before, with the number of pods that the resource asks for now.
pub async fn children(pass: &mut Pass<'_>, applied: &mut Applied) -> Result<(), Error> {
    let is_migrated = pass.is_migrated();
    let served = if is_migrated { None } else { served_children(pass) };
    let Pass { client, platform, observed, children, .. } = pass;
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    let mut writer = Writer { client, observed };
    for child in children.iter().filter(|child| child.policy == ApplyPolicy::Apply) {
        let may_write = child.waits_for == WaitsFor::Nothing || is_migrated;
        if may_write && !lacks_secret(child, platform, writer.observed) {
            write(&mut writer, identity, child, applied).await?;
        } else if may_write || served.is_none() {
            scale(&mut writer, identity, child).await?;
        }
    }
    for (child, lacks_secret) in served.iter().flatten() {
        if *lacks_secret {
            scale(&mut writer, identity, child).await?;
        } else {
            write(&mut writer, identity, child, applied).await?;
        }
    }
    Ok(())
}

/// The objects of the version that served before, as far as their successors wait for the schema, each with whether its pods could
/// not mount a Secret. `None` if that version is not known.
fn served_children(pass: &Pass<'_>) -> Option<Vec<(Child, bool)>> {
    let (platform, served) = pass.served_children()?;
    let mut children = Vec::new();
    for mut child in served.into_iter().filter(|child| child.policy == ApplyPolicy::Apply) {
        let successor = pass.children.iter().find(|other| other.is_same_object(&child));
        if successor.is_some_and(|successor| successor.waits_for == WaitsFor::Nothing) {
            continue;
        }
        child.scale = served_scale(child.scale, successor.and_then(|successor| successor.scale));
        let lacks_secret = lacks_secret(&child, platform, &pass.observed);
        children.push((child, lacks_secret));
    }
    Some(children)
}

/// The source of the number of pods of the version that served before: the resource as it is now, unless that version has an
/// autoscaler.
fn served_scale(served: Option<Scale>, wanted: Option<Scale>) -> Option<Scale> {
    match served {
        Some(Scale::Fixed(_)) => wanted.or(served),
        Some(Scale::Autoscaled(_)) | None => served,
    }
}

/// Whether the child's pods could not use a Secret that they need. Such pods would take the place of pods that serve, and would
/// notice only slowly that the Secret has come.
fn lacks_secret(child: &Child, platform: &Platform, observed: &Observed) -> bool {
    child.scale.is_some() && validate::named_secret(child.part, platform, observed).is_some()
}

/// Writes one object, unless it belongs to somebody else or is being removed; `applied` notes what kept it from being written.
async fn write(writer: &mut Writer<'_>, identity: Identity<'_>, child: &Child, applied: &mut Applied) -> Result<(), Error> {
    match writer.observed.find(child).map(|live| identity.ownership(&live.metadata)) {
        Some(Ownership::Foreign) => {
            let conflict = Error::NameConflict { kind: child.resource.kind.clone(), name: child.object.name_any() };
            applied.refused.push((child.part, conflict));
            return Ok(());
        }
        Some(Ownership::Terminating | Ownership::Predecessor) => {
            applied.waiting.push(waiting_for_removal(child));
            return Ok(());
        }
        Some(Ownership::Ours) | None => {}
    }
    match writer.apply(child).await {
        Ok(None) => {}
        Ok(Some(field)) => {
            let name = child.object.name_any();
            applied.contested.push((child.part, format!("{} {name} does not keep {field}", child.resource.kind)));
        }
        // A further try would be refused as well, and the other objects do not depend on this one.
        Err(error) if error.is_refusal() => applied.refused.push((child.part, error)),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Gives a workload whose successor waits the number of pods that the resource asks for, and changes nothing else of it.
async fn scale(writer: &mut Writer<'_>, identity: Identity<'_>, child: &Child) -> Result<(), Error> {
    let live = writer.observed.find(child).filter(|live| identity.ownership(&live.metadata) == Ownership::Ours).cloned();
    let Some(live) = live else { return Ok(()) };
    // An autoscaler that the resource no longer asks for stays until the version that it scales is replaced.
    let is_autoscaled = writer
        .observed
        .objects()
        .any(|other| other.resource.kind == "HorizontalPodAutoscaler" && other.object.metadata.name == live.metadata.name);
    if !is_autoscaled {
        writer.scale(child, live, false).await?;
    }
    Ok(())
}

pub(super) fn waiting_for_removal(child: &Child) -> (Part, Reason, String) {
    let message = format!("{} {} is being removed; it is made again when it is gone", child.resource.kind, child.object.name_any());
    (child.part, Reason::WaitingForRemoval, message)
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
pub fn pending<'a>(pass: &'a Pass<'_>) -> Result<Option<&'a Child>, Error> {
    for child in pass.children.iter().filter(|child| child.policy == ApplyPolicy::Apply) {
        let is_current = match pass.observed.find(child) {
            Some(live) => is_current(pass.client, child, live)?,
            None => false,
        };
        if !is_current {
            return Ok(Some(child));
        }
    }
    Ok(None)
}

/// The sentence for the status about an object that could not be written, with what to do about a conflict of names.
pub fn refusal(error: &Error) -> String {
    match error {
        Error::NameConflict { kind, .. } if kind == "Secret" => format!(
            "{error}: if it is this platform's own, from a backup, label it {MANAGED_BY_LABEL}={MANAGED_BY} and {INSTANCE_LABEL} with the \
             platform's name; else delete or rename it, or give the DonationPlatform another name"
        ),
        Error::NameConflict { .. } => format!("{error}: delete or rename it, or give the DonationPlatform another name"),
        other => chain(other),
    }
}

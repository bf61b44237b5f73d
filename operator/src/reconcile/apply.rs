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

/// Result of one step of writing.
#[derive(Debug, Default)]
pub struct Applied {
    /// Removals that must end before the rest can be written.
    pub waiting: Vec<(Part, Reason, String)>,
    /// Requests that the API server refused. The other objects were written.
    pub refused: Vec<(Part, Error)>,
    /// Objects that something else changes each time they are written, with the field.
    pub contested: Vec<(Part, String)>,
}

/// Results of all steps of writing.
#[derive(Debug, Default)]
pub struct Written {
    /// Of the generated Secrets.
    pub secrets: Applied,
    /// Of the certificate that the operator signs.
    pub certificate: Applied,
    /// Of the migration's Job.
    pub migration: Applied,
    /// Of all other objects.
    pub children: Applied,
    /// Time until a failed migration is tried again.
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

/// Writes every other child that may be written. While the migration has not completed, that is the version which served before
/// in place of what waits for the schema, with the number of pods that the resource asks for now.
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

/// The objects of the version that served before and whose successors wait, where that version is known; and of each whether its
/// pods could not mount a Secret.
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

/// Writes one object, unless it is of anybody else or being removed.
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
        // The same request would be refused again, and the other objects do not wait for it.
        Err(error) if error.is_refusal() => applied.refused.push((child.part, error)),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Gives what serves while its successor waits as many pods as the resource says, and changes nothing else of it.
async fn scale(writer: &mut Writer<'_>, identity: Identity<'_>, child: &Child) -> Result<(), Error> {
    let live = writer.observed.find(child).filter(|live| identity.ownership(&live.metadata) == Ownership::Ours).cloned();
    let Some(live) = live else { return Ok(()) };
    // An autoscaler that is no longer asked for goes together with the version that it scales.
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

/// The text of a refusal for the status.
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

//! One look at one platform: observe, validate, build, apply, prune, report.
//!
//! Waiting is data ([`Progress`], [`Hold`]), failing is an [`error::Error`] with a class. Nothing is written when everything is
//! as it shall be, and nothing that is somebody else's is written at all.

pub mod apply;
pub mod causes;
pub mod current;
pub mod error;
pub mod events;
pub mod migrate;
pub mod observe;
pub mod ownership;
pub mod progress;
pub mod prune;
pub mod retention;
pub mod scale;
pub mod status;
pub mod validate;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::events::Reporter;

use self::apply::Applied;
use self::error::Error;
use self::observe::Observed;
use crate::build::{self, Child, Inputs, Part};
use crate::cluster::Cluster;
use crate::crd::DonationPlatform;
use crate::resolve::{Platform, resolve};

/// How far something is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// It is there.
    Ready {
        /// In one word.
        reason: Reason,
        /// In a sentence.
        message: String,
    },
    /// Something has to happen first.
    Waiting {
        /// In one word.
        reason: Reason,
        /// In a sentence.
        message: String,
    },
}

/// Why nothing is written at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    /// In one word.
    pub reason: Reason,
    /// What it is and how to end it.
    pub message: String,
    /// Whether it ends by itself.
    pub waiting: bool,
}

/// Reasons of conditions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// It is not paused.
    Active,
    /// An autoscaler decides on the number of pods.
    AutoscalerDecides,
    /// It answers.
    Available,
    /// It is being made.
    Creating,
    /// It answers, with a pod less.
    Degraded,
    /// The resource decides on the number of pods.
    FixedReplicas,
    /// A node cannot get an image.
    ImagePullFailed,
    /// A Secret with keys, or one of its keys, is missing.
    KeysMissing,
    /// The migration has completed.
    Migrated,
    /// The migration runs.
    Migrating,
    /// The migration failed.
    MigrationFailed,
    /// An object of that name is somebody else's.
    NameConflict,
    /// No object of somebody else is in the way.
    NoConflict,
    /// The resource asks for being left alone.
    Paused,
    /// A container fails or does not start.
    PodFailing,
    /// A quota or policy keeps pods from being made.
    PodsRefused,
    /// The API server refuses an object.
    Refused,
    /// Pods are being replaced.
    RollingOut,
    /// A generated Secret lost a key.
    SecretIncomplete,
    /// The certificate's Secret does not exist or is no certificate.
    TlsSecretMissing,
    /// No node takes a pod.
    Unschedulable,
    /// The volume is not there yet.
    VolumePending,
    /// The database does not answer yet.
    WaitingForDatabase,
    /// Something of the same name is being removed.
    WaitingForRemoval,
    /// The migration has not completed yet.
    WaitingForSchema,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 25] = [
        Self::Active,
        Self::AutoscalerDecides,
        Self::Available,
        Self::Creating,
        Self::Degraded,
        Self::FixedReplicas,
        Self::ImagePullFailed,
        Self::KeysMissing,
        Self::Migrated,
        Self::Migrating,
        Self::MigrationFailed,
        Self::NameConflict,
        Self::NoConflict,
        Self::Paused,
        Self::PodFailing,
        Self::PodsRefused,
        Self::Refused,
        Self::RollingOut,
        Self::SecretIncomplete,
        Self::TlsSecretMissing,
        Self::Unschedulable,
        Self::VolumePending,
        Self::WaitingForDatabase,
        Self::WaitingForRemoval,
        Self::WaitingForSchema,
    ];

    /// The condition's `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::AutoscalerDecides => "AutoscalerDecides",
            Self::Available => "Available",
            Self::Creating => "Creating",
            Self::Degraded => "Degraded",
            Self::FixedReplicas => "FixedReplicas",
            Self::ImagePullFailed => "ImagePullFailed",
            Self::KeysMissing => "KeysMissing",
            Self::Migrated => "Migrated",
            Self::Migrating => "Migrating",
            Self::MigrationFailed => "MigrationFailed",
            Self::NameConflict => "NameConflict",
            Self::NoConflict => "NoConflict",
            Self::Paused => "Paused",
            Self::PodFailing => "PodFailing",
            Self::PodsRefused => "PodsRefused",
            Self::Refused => "Refused",
            Self::RollingOut => "RollingOut",
            Self::SecretIncomplete => "SecretIncomplete",
            Self::TlsSecretMissing => "TlsSecretMissing",
            Self::Unschedulable => "Unschedulable",
            Self::VolumePending => "VolumePending",
            Self::WaitingForDatabase => "WaitingForDatabase",
            Self::WaitingForRemoval => "WaitingForRemoval",
            Self::WaitingForSchema => "WaitingForSchema",
        }
    }

    /// The reason of that text.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether it stays as it is until somebody does something.
    pub const fn needs_somebody(self) -> bool {
        match self {
            Self::Degraded
            | Self::ImagePullFailed
            | Self::KeysMissing
            | Self::MigrationFailed
            | Self::NameConflict
            | Self::PodFailing
            | Self::PodsRefused
            | Self::Refused
            | Self::SecretIncomplete
            | Self::TlsSecretMissing
            | Self::Unschedulable => true,
            Self::Active
            | Self::AutoscalerDecides
            | Self::Available
            | Self::Creating
            | Self::FixedReplicas
            | Self::Migrated
            | Self::Migrating
            | Self::NoConflict
            | Self::Paused
            | Self::RollingOut
            | Self::VolumePending
            | Self::WaitingForDatabase
            | Self::WaitingForRemoval
            | Self::WaitingForSchema => false,
        }
    }
}

/// What a reconcile works with.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub cluster: Cluster,
    /// Who reports Events.
    pub reporter: Reporter,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything is as it shall be; changes wake the next look.
    Settled,
    /// Something has to happen in the cluster first; look again after this at the latest.
    Waiting(Duration),
}

/// How soon to look again at what is not watched, such as Events that say why a volume is missing.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The same for what the garbage collector removes.
const LOOK_AGAIN_SOON: Duration = Duration::from_secs(1);

/// Brings one platform closer to what its resource says.
pub async fn reconcile(context: &Context, resource: &DonationPlatform, now: Timestamp) -> Result<Outcome, Error> {
    // The garbage collector removes what is owned, and the rest is to stay.
    if resource.metadata.deletion_timestamp.is_some() {
        return Ok(Outcome::Settled);
    }
    let cluster = &context.cluster;
    let platform = resolve(resource);
    let mut observed = Observed::fetch(cluster, &platform).await?;
    let first = rendered(&platform, &observed);
    observed.fetch_unlabelled(cluster, &first).await?;
    let hold = validate::hold(&platform, &observed, resource.status.as_ref(), &first);
    if hold.is_some() || platform.spec.paused {
        let state = migrate::state(&platform, &observed, &first);
        return report(context, resource, &platform, &first, &observed, &state, Vec::new(), hold.as_ref(), None, now).await;
    }
    let mut applied = vec![apply::secrets(cluster, &mut observed, &platform, &first).await?];
    retention::apply(cluster, &mut observed, &platform).await?;
    // Now that the Secrets exist, so do the hashes of their content in the pods' annotations.
    let children = rendered(&platform, &observed);
    let database_ready = is_ready(resource, Part::Postgres, &children, &observed);
    let mut migration = migrate::state(&platform, &observed, &children);
    let retry = migrate::run(cluster, &mut observed, &children, &migration, database_ready, now).await?;
    applied.push(apply::children(cluster, &mut observed, &platform, &children, &migration).await?);
    migration = migrate::state(&platform, &observed, &children);
    prune::prune(cluster, &mut observed, &platform, &children, &migration).await?;
    let retry = retry.and_then(|left| Duration::try_from(left).ok());
    report(context, resource, &platform, &children, &observed, &migration, applied, None, retry, now).await
}

fn rendered(platform: &Platform, observed: &Observed) -> Vec<Child> {
    build::children(&Inputs { platform, secret_versions: &observed.secret_versions() })
}

fn is_ready(resource: &DonationPlatform, part: Part, children: &[Child], observed: &Observed) -> bool {
    let was_ready = status::was_true(resource, part.condition());
    // A platform without a database of its own waits for none.
    progress::of_part(part, children, observed, &migrate::State::Absent, was_ready)
        .is_none_or(|progress| matches!(progress, Progress::Ready { .. }))
}

/// Writes the status if it differs, and an Event for each condition that changed.
#[expect(clippy::too_many_arguments, reason = "the status is what all of the look came to")]
async fn report(
    context: &Context,
    resource: &DonationPlatform,
    platform: &Platform,
    children: &[Child],
    observed: &Observed,
    migration: &migrate::State,
    applied: Vec<Applied>,
    hold: Option<&Hold>,
    retry: Option<Duration>,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let mut parts = parts(resource, platform, children, observed, migration, &applied);
    explain(&context.cluster, platform, children, observed, &mut parts).await?;
    let mut refused: Vec<(Part, Error)> = applied.into_iter().flat_map(|applied| applied.refused).collect();
    let conflicts: Vec<String> = refused
        .iter()
        .filter(|(_, error)| matches!(error, Error::NameConflict { .. }))
        .map(|(_, error)| apply::refusal(error))
        .chain((*migration == migrate::State::Foreign).then(|| "the migration's Job is somebody else's".to_owned()))
        .collect();
    let ready = status::ready(&parts, hold);
    let settled = ready.status == Some(true);
    let mut wanted = vec![ready];
    wanted.extend(status::parts(&parts));
    wanted.extend([status::autoscaled(platform), status::name_conflict(&conflicts), status::paused(platform)]);
    let before = resource.status.clone().unwrap_or_default();
    let mut after = status::facts(resource, platform, children, observed, migration);
    after.conditions = status::conditions(&before.conditions, &wanted, resource.metadata.generation, now);
    if after != before {
        context.cluster.apply_status(resource, &after).await?;
        events::publish(&context.cluster, &context.reporter, resource, &status::changed(&before.conditions, &after.conditions)).await;
    }
    // What was refused is tried again with the wait of its class; the status has said it.
    if !refused.is_empty() {
        return Err(refused.swap_remove(0).1);
    }
    Ok(match hold {
        Some(hold) if hold.waiting => Outcome::Waiting(LOOK_AGAIN_SOON),
        Some(_) => Outcome::Waiting(LOOK_AGAIN),
        None if platform.spec.paused || settled => Outcome::Settled,
        None => Outcome::Waiting(retry.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)),
    })
}

fn parts(
    resource: &DonationPlatform,
    platform: &Platform,
    children: &[Child],
    observed: &Observed,
    migration: &migrate::State,
    applied: &[Applied],
) -> Vec<(Part, Progress)> {
    let database_ready = is_ready(resource, Part::Postgres, children, observed);
    let certificate = validate::certificate(platform, observed);
    let mut parts = Vec::new();
    for part in Part::ALL {
        let was_ready = status::was_true(resource, part.condition());
        let found = match part {
            Part::Migrate => progress::of_migration(children, observed, migration, database_ready),
            _ => progress::of_part(part, children, observed, migration, was_ready),
        };
        let written = applied.iter().find_map(|applied| apply::progress(applied, part));
        let certificate = (part == Part::Edge).then(|| certificate.clone()).flatten();
        if let Some(progress) = written.or(certificate).or(found) {
            parts.push((part, progress));
        }
    }
    parts
}

/// Adds what only Events tell: why a `StatefulSet` has no pod and a claim no volume.
async fn explain(
    cluster: &Cluster,
    platform: &Platform,
    children: &[Child],
    observed: &Observed,
    parts: &mut [(Part, Progress)],
) -> Result<(), Error> {
    let mut found: BTreeMap<Part, (Reason, String)> = BTreeMap::new();
    for (part, progress) in parts.iter() {
        let Progress::Waiting { reason, .. } = progress else { continue };
        let (kind, name, reason) = match reason {
            Reason::VolumePending => match causes::pending_claim(&observed.claims) {
                Some(claim) => ("PersistentVolumeClaim", claim.name_any(), Reason::VolumePending),
                None => continue,
            },
            Reason::Creating => match children.iter().find(|child| child.part == *part && child.resource.kind == "StatefulSet") {
                Some(child) if observed.find(child).is_some() => ("StatefulSet", child.object.name_any(), Reason::PodsRefused),
                _ => continue,
            },
            _ => continue,
        };
        if let Some(message) = progress::warning(cluster, &platform.namespace, kind, &name).await? {
            found.insert(*part, (reason, format!("{kind} {name}: {message}")));
        }
    }
    for (part, progress) in parts {
        if let Some((reason, message)) = found.remove(part) {
            *progress = Progress::Waiting { reason, message };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_word_and_no_two_are_alike() {
        let texts: std::collections::BTreeSet<&str> = Reason::ALL.into_iter().map(Reason::as_str).collect();
        assert_eq!(texts.len(), Reason::ALL.len());
        assert!(texts.iter().all(|text| text.chars().all(char::is_alphabetic)));
        for reason in Reason::ALL {
            assert_eq!(Reason::from_text(reason.as_str()), Some(reason));
        }
    }
}

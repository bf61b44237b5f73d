//! Says what a look came to: the status if it differs, and an Event for each condition that changed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::apply::Applied;
use super::observe::Observed;
use super::status::ConditionType;
use super::{Context, Hold, Outcome, Progress, Reason, apply, causes, events, is_ready, migrate, progress, prune, status, validate};
use crate::build::{Child, Part};
use crate::cluster::Cluster;
use crate::crd::DonationPlatform;
use crate::error::{Class, Error};
use crate::resolve::Platform;
use crate::telemetry::chain;

/// How soon to look again at what is not watched, such as Events that say why a volume is missing.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The same for what the garbage collector removes.
const LOOK_AGAIN_SOON: Duration = Duration::from_secs(1);

/// What a look came to.
pub struct Look<'a> {
    /// The resource.
    pub resource: &'a DonationPlatform,
    /// The same with every default.
    pub platform: &'a Platform,
    /// What was rendered.
    pub children: &'a [Child],
    /// What is in the cluster after the writes.
    pub observed: &'a Observed,
    /// State of the migration.
    pub migration: migrate::State,
    /// What came of the writes.
    pub applied: Vec<Applied>,
    /// Why nothing was written, if so.
    pub hold: Option<Hold>,
    /// How long until a failed migration is tried again.
    pub retry: Option<Duration>,
    /// What ended the writes early.
    pub failed: Option<Error>,
}

/// Writes the status if it differs, and an Event for each condition that changed.
pub async fn report(context: &Context, mut look: Look<'_>, now: Timestamp) -> Result<Outcome, Error> {
    let failed = match look.failed.take() {
        // Somebody else was faster; the next look sees what came of it.
        Some(error) if error.class() == Class::Conflict => return Err(error),
        failed => failed,
    };
    let mut parts = parts(&look);
    explain(&context.cluster, &look, &mut parts).await;
    let Look { resource, platform, children, observed, migration, applied, hold, retry, failed: _ } = look;
    // Nothing was written after the Secrets if these are not complete.
    let secrets = applied.first().and_then(|secrets| Part::ALL.into_iter().find_map(|part| apply::progress(secrets, part)));
    let mut refused: Vec<(Part, Error)> = applied.into_iter().flat_map(|applied| applied.refused).collect();
    let conflicts: Vec<String> = refused
        .iter()
        .filter(|(_, error)| matches!(error, Error::NameConflict { .. }))
        .map(|(_, error)| apply::refusal(error))
        .chain((migration == migrate::State::Foreign).then(|| "the migration's Job is somebody else's".to_owned()))
        .collect();
    let pending = if platform.spec.paused && hold.is_none() {
        let surplus = prune::surplus(observed, platform, children, &migration, migrate::recorded(resource));
        let changed = apply::pending(&context.cluster, observed, children)?.map(|child| (&child.resource, &child.object));
        let pending = changed.or_else(|| surplus.first().map(|(resource, object)| (resource, object)));
        pending.map(|(resource, object)| format!("{} {}", resource.kind, object.name_any()))
    } else {
        None
    };
    let ready = match (&failed, secrets, pending) {
        // Of a platform that was ready, its parts tell whether the request that failed leaves it without something.
        (Some(error), ..) if !status::was_true(resource, ConditionType::Ready) => status::failed(error),
        (_, Some(secrets), _) => status::blocked(&secrets),
        (_, None, Some(object)) => status::waits_for_the_end_of_the_pause(&object),
        (_, None, None) => status::ready(&parts, hold.as_ref()),
    };
    let settled = ready.status == Some(true);
    let mut wanted = vec![ready];
    wanted.extend(status::parts(&parts));
    wanted.extend([
        status::autoscaled(platform, children, observed, now),
        status::name_conflict(&conflicts),
        status::paused(platform),
        status::backups(platform),
    ]);
    let mut before = resource.status.clone().unwrap_or_default();
    before.conditions.retain(ConditionType::is_ours);
    let mut after = status::facts(resource, platform, children, observed, &migration, hold.is_none() && !platform.spec.paused);
    after.conditions = status::conditions(&before.conditions, &wanted, resource.metadata.generation, now);
    if after != before {
        context.cluster.apply_status(resource, &after).await?;
        events::publish(&context.cluster, &context.reporter, resource, &status::changed(&before.conditions, &after.conditions)).await;
    }
    if let Some(error) = failed {
        return Err(error);
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

fn parts(look: &Look<'_>) -> Vec<(Part, Progress)> {
    let Look { resource, children, observed, migration, applied, .. } = look;
    let database_ready = is_ready(resource, Part::Postgres, children, observed);
    let mut parts = Vec::new();
    for part in Part::ALL {
        let was_ready = status::was_true(resource, part.condition());
        let found = match part {
            Part::Migrate => progress::of_migration(children, observed, migration, database_ready),
            _ => progress::of_part(part, children, observed, migration, was_ready),
        };
        let written = applied.iter().find_map(|applied| apply::progress(applied, part));
        let found = found.map(|found| contested(found, part, applied));
        // Nobody reads the first administrator's password once the migration has completed.
        let is_read = part != Part::Migrate || *migration != migrate::State::Complete;
        let secret = is_read.then(|| validate::named_secret(part, look.platform, observed)).flatten();
        if let Some(progress) = written.or(secret).or(found) {
            parts.push((part, progress));
        }
    }
    parts
}

/// A part that answers, but something else changes its objects each time they are written.
fn contested(progress: Progress, part: Part, applied: &[Applied]) -> Progress {
    let field = applied.iter().flat_map(|applied| &applied.contested).find(|(other, _)| *other == part);
    match (progress, field) {
        (Progress::Ready { message, .. }, Some((_, field))) => Progress::Ready {
            reason: Reason::Contested,
            message: format!(
                "{message}; {field}: something changes it on its way, such as a webhook, and it is left so until it is changed again"
            ),
        },
        (progress, _) => progress,
    }
}

/// Adds what only Events tell: why a `StatefulSet` or a Job has no pod, and a claim no volume.
async fn explain(cluster: &Cluster, look: &Look<'_>, parts: &mut [(Part, Progress)]) {
    let Look { platform, children, observed, .. } = look;
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
            Reason::Migrating => match migrate::job(children) {
                Some(child) if migrate::has_no_pod(child, observed) => ("Job", child.object.name_any(), Reason::PodsRefused),
                _ => continue,
            },
            _ => continue,
        };
        match progress::warning(cluster, &platform.namespace, kind, &name).await {
            Ok(Some(message)) => {
                found.insert(*part, (reason, format!("{kind} {name}: {message}")));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(error = chain(&error), "Events could not be read"),
        }
    }
    for (part, progress) in parts {
        if let Some((reason, message)) = found.remove(part) {
            *progress = Progress::Waiting { reason, message };
        }
    }
}

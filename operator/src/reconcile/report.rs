//! Reports the result of a pass: the status if it differs, and an Event for each condition that changed.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt as _;

use super::apply::{self, Written};
use super::condition::{ConditionType, was_true};
use super::context::Context;
use super::migration::{self, MigrationState};
use super::outcome::{Blocker, Outcome, Progress};
use super::pass::Pass;
use super::reason::Reason;
use super::{causes, events, progress, prune, status, validate};
use crate::build::Part;
use crate::error::{Error, ErrorClass};
use crate::telemetry::chain;

/// Time until the next pass while the platform waits for something that is not watched, such as Events that say why a volume is
/// missing.
const RECHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Time until the next pass while the garbage collector removes something.
const REMOVAL_RECHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Writes the status if it differs, and an Event for each condition that changed. `blocker` is why nothing was written, `failed`
/// the error that ended the writes early. Returns `failed` or the first refusal as the error, after it has been reported.
pub async fn report(
    context: &Context,
    pass: &Pass<'_>,
    written: Written,
    blocker: Option<Blocker>,
    failed: Option<Error>,
) -> Result<Outcome, Error> {
    let failed = match failed {
        // Somebody else wrote at the same time, so what was read is out of date; the next pass reads it again.
        Some(error) if error.class() == ErrorClass::Conflict => return Err(error),
        failed => failed,
    };
    let Pass { resource, platform, children, observed, now, .. } = pass;
    let mut parts = parts(pass, &written);
    explain(pass, &mut parts).await;
    let conflicts = conflicts(pass, &written);
    let ready = match (&failed, incomplete_secrets(&written), pending(pass, blocker.as_ref())?) {
        // Of a platform that was ready, its parts tell whether the request that failed leaves it without something.
        (Some(error), ..) if !was_true(resource, ConditionType::Ready) => status::failed(error),
        (_, Some(secrets), _) => status::blocked(&secrets),
        (_, None, Some(object)) => status::paused_with_changes(&object),
        (_, None, None) => status::ready(&parts, blocker.as_ref()),
    };
    let is_settled = ready.status == Some(true);
    let mut wanted = vec![ready];
    wanted.extend(status::parts(&parts));
    wanted.extend([
        status::autoscaled(platform, children, observed, *now),
        status::name_conflict(&conflicts),
        status::paused(platform),
        status::backups(platform),
    ]);
    let mut before = resource.status.clone().unwrap_or_default();
    before.conditions.retain(ConditionType::is_ours);
    let mut after = status::observed(pass, blocker.is_none() && !platform.spec.paused);
    after.conditions = status::conditions(&before.conditions, &wanted, resource.metadata.generation, *now);
    if after != before {
        context.client.apply_status(resource, &after).await?;
        events::publish(&context.client, &context.reporter, resource, &status::changed(&before.conditions, &after.conditions)).await;
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let retry = written.retry;
    // What was refused is tried again with the wait of its class; the status has said it.
    if let Some((_, error)) = written.into_refused().into_iter().next() {
        return Err(error);
    }
    Ok(match blocker {
        Some(blocker) if blocker.ends_by_itself => Outcome::Waiting(REMOVAL_RECHECK_INTERVAL),
        Some(_) => Outcome::Waiting(RECHECK_INTERVAL),
        None if platform.spec.paused || is_settled => Outcome::Settled,
        None => Outcome::Waiting(retry.unwrap_or(RECHECK_INTERVAL).min(RECHECK_INTERVAL)),
    })
}

/// Why a generated Secret could not be made. Then nothing else was written, except if only the first administrator's Secret is
/// missing.
fn incomplete_secrets(written: &Written) -> Option<Progress> {
    Part::ALL.into_iter().find_map(|part| apply::progress(&written.secrets, part))
}

/// A sentence for each object of others that is in the way of a rendered one.
fn conflicts(pass: &Pass<'_>, written: &Written) -> Vec<String> {
    let refused = written.steps().into_iter().flat_map(|applied| &applied.refused);
    refused
        .filter(|(_, error)| matches!(error, Error::NameConflict { .. }))
        .map(|(_, error)| apply::refusal(error))
        .chain((pass.migration == MigrationState::Foreign).then(|| "the migration's Job is somebody else's".to_owned()))
        .collect()
}

/// The first object of a paused platform that is not as the resource says; `None` if there is none or the platform is not paused.
fn pending(pass: &Pass<'_>, blocker: Option<&Blocker>) -> Result<Option<String>, Error> {
    if !pass.platform.spec.paused || blocker.is_some() {
        return Ok(None);
    }
    let surplus = prune::surplus(pass);
    let changed = apply::pending(pass)?.map(|child| (&child.resource, &child.object));
    let pending = changed.or_else(|| surplus.first().map(|(resource, object)| (resource, object)));
    Ok(pending.map(|(resource, object)| format!("{} {}", resource.kind, object.name_any())))
}

fn parts(pass: &Pass<'_>, written: &Written) -> Vec<(Part, Progress)> {
    let Pass { resource, platform, children, observed, migration, .. } = pass;
    let database_ready = progress::is_ready(resource, Part::Postgres, children, observed);
    let mut parts = Vec::new();
    for part in Part::ALL {
        let was_ready = was_true(resource, part.condition());
        let found = match part {
            Part::Migrate => progress::of_migration(children, observed, migration, database_ready),
            _ => progress::of_part(part, children, observed, migration, was_ready),
        };
        let unwritten = written.steps().into_iter().find_map(|applied| apply::progress(applied, part));
        let found = found.map(|found| contested(found, part, written));
        // Once the migration has completed, nothing reads the first administrator's password.
        let reads_secret = part != Part::Migrate || !pass.is_migrated();
        let secret = reads_secret.then(|| validate::named_secret(part, platform, observed)).flatten();
        if let Some(progress) = unwritten.or(secret).or(found) {
            parts.push((part, progress));
        }
    }
    parts
}

/// A part that answers, but something else changes its objects each time they are written.
fn contested(progress: Progress, part: Part, written: &Written) -> Progress {
    let field = written.steps().into_iter().flat_map(|applied| &applied.contested).find(|(other, _)| *other == part);
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
async fn explain(pass: &Pass<'_>, parts: &mut [(Part, Progress)]) {
    let Pass { client, platform, children, observed, .. } = pass;
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
            Reason::Migrating => match migration::job(children) {
                Some(child) if migration::has_no_pod(child, observed) => ("Job", child.object.name_any(), Reason::PodsRefused),
                _ => continue,
            },
            _ => continue,
        };
        match progress::warning(client, &platform.namespace, kind, &name).await {
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

//! Runs the schema migration: makes its Job, and makes it again after a failure.

use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::migration::{MigrationState, job, volume_of};
use super::observe::LiveObject;
use super::pass::Pass;
use super::progress;
use crate::build::{Child, Part};
use crate::error::Error;
use crate::names::{ATTEMPT_ANNOTATION, LAST_FAILURE_ANNOTATION, VOLUME_ANNOTATION};
use crate::telemetry::chain;

/// Longest text of the failed attempt that the next one's Job carries, in characters.
const LAST_FAILURE_MAX_CHARS: usize = 512;

/// The wait after the `attempt`-th failure, from 1: it doubles from ten seconds to ten minutes.
pub fn retry_delay(attempt: u32) -> SignedDuration {
    let doubled = 10_i64.saturating_mul(2_i64.saturating_pow(attempt.saturating_sub(1).min(16)));
    SignedDuration::from_secs(doubled.min(600))
}

/// The failed attempt that the next one follows.
struct FailedAttempt {
    /// Number of the failed attempt, from 1.
    number: u32,
    message: String,
}

/// Makes the migration's Job if it is absent, and makes it again once the wait after a failure is over. Returns the rest of that
/// wait, if there is one. Does nothing while the database is not ready.
pub async fn run(pass: &mut Pass<'_>) -> Result<Option<Duration>, Error> {
    let Some(child) = job(&pass.children).cloned() else { return Ok(None) };
    // Before the database answers, the Job would use up its attempts.
    let database_ready = progress::is_ready(pass.resource, Part::Postgres, &pass.children, &pass.observed);
    match pass.migration.clone() {
        MigrationState::Absent if database_ready => create(pass, &child, None).await.map(|()| None),
        MigrationState::Outdated if database_ready => replace(pass, &child, None).await.map(|()| None),
        MigrationState::Failed { attempt, at, message } => {
            let due = at.unwrap_or(pass.now).saturating_add(retry_delay(attempt)).unwrap_or(pass.now);
            let left = pass.now.duration_until(due);
            // A database that comes back starts the next pass by itself.
            if left.is_positive() || !database_ready {
                return Ok(Duration::try_from(left).ok().filter(|left| !left.is_zero()));
            }
            replace(pass, &child, Some(FailedAttempt { number: attempt, message })).await.map(|()| None)
        }
        MigrationState::Absent
        | MigrationState::Outdated
        | MigrationState::Running { .. }
        | MigrationState::Complete
        | MigrationState::Foreign
        | MigrationState::Removed => Ok(None),
    }
}

/// Deletes the Job and makes the next one, which carries the number and the message of the failed attempt.
async fn replace(pass: &mut Pass<'_>, child: &Child, failed: Option<FailedAttempt>) -> Result<(), Error> {
    if let Some(before) = pass.observed.find(child).cloned() {
        pass.client.delete(&child.resource, &before).await?;
        pass.observed.forget(&child.resource, &before);
        pass.migration = MigrationState::Absent;
    }
    create(pass, child, failed).await
}

async fn create(pass: &mut Pass<'_>, child: &Child, failed: Option<FailedAttempt>) -> Result<(), Error> {
    let mut object = child.object.clone();
    let annotations = object.metadata.annotations.get_or_insert_default();
    if let Some(volume) = volume_of(&child.object, &pass.observed) {
        annotations.insert(VOLUME_ANNOTATION.to_owned(), volume);
    }
    if let Some(FailedAttempt { number, message }) = failed {
        annotations.insert(ATTEMPT_ANNOTATION.to_owned(), number.saturating_add(1).to_string());
        annotations.insert(LAST_FAILURE_ANNOTATION.to_owned(), message.chars().take(LAST_FAILURE_MAX_CHARS).collect());
    }
    match pass.client.create(&child.resource, &object).await {
        Ok(job) => {
            pass.migration = MigrationState::Running { failure: job.annotations().get(LAST_FAILURE_ANNOTATION).cloned() };
            pass.observed.put(LiveObject { resource: child.resource.clone(), object: job });
        }
        // The one that was deleted is not gone yet, or another one appeared in this moment: the next pass sees it.
        Err(error) if error.is_already_exists() => tracing::info!(error = chain(&error), "the migration's Job exists already"),
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_between_attempts_doubles_up_to_ten_minutes() {
        let seconds: Vec<i64> = (1..=9).map(|attempt| retry_delay(attempt).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(retry_delay(u32::MAX).as_secs(), 600);
    }
}

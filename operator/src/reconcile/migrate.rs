//! The schema migration: a Job for each image. The API's new pods wait for it; a failed one is tried again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::Value;

use super::observe::{Live, Observed};
use super::ownership::{Identity, Owner};
use crate::build::{Child, Upkeep, postgres};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::names::{ATTEMPT, INSTANCE_LABEL, LAST_FAILURE, VOLUME};
use crate::resolve::Platform;
use crate::telemetry::chain;

/// Revision that is reported when a migration succeeded without saying what it reached.
pub const UNKNOWN_REVISION: &str = "unknown";

/// State of the migration that the rendered image asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// Its Job does not exist.
    Absent,
    /// It runs. `failure`: how the attempt before failed.
    Running {
        /// How the attempt before this one failed.
        failure: Option<String>,
    },
    /// It succeeded: the image may run.
    Complete,
    /// It succeeded on a volume that is there no more.
    Outdated,
    /// It failed, or somebody suspended it, so that it would never end.
    Failed {
        /// Number of the attempt, from 1.
        attempt: u32,
        /// When.
        at: Option<Timestamp>,
        /// How.
        message: String,
    },
    /// An object of its name is somebody else's.
    Foreign,
    /// It is being removed.
    Removed,
}

/// What a migration writes to its termination log.
#[derive(Debug, Deserialize)]
struct Termination {
    schema: String,
}

/// The Job among the children.
pub fn job(children: &[Child]) -> Option<&Child> {
    children.iter().find(|child| child.upkeep == Upkeep::Job)
}

/// The migration's state.
pub fn state(platform: &Platform, observed: &Observed, children: &[Child]) -> State {
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    // Without a migration nothing waits for one.
    let Some(child) = job(children) else { return State::Complete };
    let Some(job) = observed.find(child) else { return State::Absent };
    match identity.owner(&job.metadata) {
        Owner::Somebody => State::Foreign,
        Owner::Terminating | Owner::Predecessor => State::Removed,
        Owner::Ours => match of_job(job, observed) {
            State::Complete if is_of_another_volume(job, observed) => State::Outdated,
            state => state,
        },
    }
}

/// Whether the Job migrated a database whose volume has gone.
fn is_of_another_volume(job: &DynamicObject, observed: &Observed) -> bool {
    let volume = job.annotations().get(VOLUME);
    volume.zip(volume_of(job, observed)).is_some_and(|(before, now)| *before != now)
}

/// UID of the claim for the volume of the database that the Job migrates.
fn volume_of(job: &DynamicObject, observed: &Observed) -> Option<String> {
    let name = postgres::claim_name(job.labels().get(INSTANCE_LABEL)?);
    let claim = observed.claims.iter().find(|claim| claim.name_any() == name)?;
    claim.metadata.uid.clone().filter(|_| claim.metadata.deletion_timestamp.is_none())
}

/// Whether the Job has succeeded.
pub fn is_complete(job: &DynamicObject) -> bool {
    has_condition(&status_of(job), "Complete")
}

fn status_of(job: &DynamicObject) -> JobStatus {
    job.data.get("status").and_then(|status| serde_json::from_value(status.clone()).ok()).unwrap_or_default()
}

fn has_condition(status: &JobStatus, name: &str) -> bool {
    condition(status, name).is_some()
}

/// The condition of that type, if it is True.
fn condition<'a>(status: &'a JobStatus, name: &str) -> Option<&'a JobCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == name && condition.status == "True")
}

fn of_job(job: &DynamicObject, observed: &Observed) -> State {
    let status = status_of(job);
    if has_condition(&status, "Complete") {
        return State::Complete;
    }
    let attempt = job.annotations().get(ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1);
    let Some(failed) = condition(&status, "Failed") else {
        if job.data.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
            let since = condition(&status, "Suspended").and_then(|condition| condition.last_transition_time.as_ref());
            return State::Failed {
                attempt,
                at: since.or(job.metadata.creation_timestamp.as_ref()).map(|time| time.0),
                message: "somebody suspended the Job".to_owned(),
            };
        }
        return State::Running { failure: job.annotations().get(LAST_FAILURE).cloned() };
    };
    let said = pods(job, observed).filter_map(termination_message).next_back();
    State::Failed {
        attempt,
        at: failed.last_transition_time.as_ref().map(|time| time.0),
        message: said
            .or_else(|| failed.message.clone())
            .or_else(|| failed.reason.clone())
            .unwrap_or_else(|| "the Job failed without a message".to_owned()),
    }
}

/// The Job's pods, oldest first.
fn pods<'a>(job: &DynamicObject, observed: &'a Observed) -> impl DoubleEndedIterator<Item = &'a Pod> + use<'a> {
    let uid = job.uid();
    let mut pods: Vec<&Pod> = observed
        .pods
        .iter()
        .filter(|pod| uid.is_some() && pod.metadata.owner_references.iter().flatten().any(|owner| Some(&owner.uid) == uid.as_ref()))
        .collect();
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    pods.into_iter()
}

/// Whether the Job is there and none of its pods is.
pub fn has_no_pod(child: &Child, observed: &Observed) -> bool {
    observed.find(child).is_some_and(|job| pods(job, observed).next().is_none())
}

fn termination_message(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.iter().flatten();
    let terminated = statuses.into_iter().find_map(|status| status.state.as_ref()?.terminated.as_ref())?;
    terminated.message.clone().filter(|message| !message.trim().is_empty()).map(|message| message.trim().to_owned())
}

/// The schema revision that the completed migration reported.
pub fn revision(observed: &Observed, children: &[Child]) -> Option<String> {
    let job = observed.find(job(children)?)?;
    pods(job, observed)
        .filter_map(termination_message)
        .filter_map(|message| serde_json::from_str::<Termination>(&message).ok())
        .next_back()
        .map(|termination| termination.schema)
}

/// How long to wait after the `attempt`-th failure, from 1.
pub fn delay(attempt: u32) -> SignedDuration {
    let doubled = 10_i64.saturating_mul(2_i64.saturating_pow(attempt.saturating_sub(1).min(16)));
    SignedDuration::from_secs(doubled.min(600))
}

/// Starts the migration when it is absent, or again when the wait after its failure is over. Returns how long to wait for that.
pub async fn run(
    cluster: &Cluster,
    observed: &mut Observed,
    children: &[Child],
    state: &State,
    database_ready: bool,
    now: Timestamp,
) -> Result<Option<Duration>, Error> {
    let Some(child) = job(children) else { return Ok(None) };
    match state {
        // Before the database answers, the Job would use up its attempts.
        State::Absent if database_ready => create(cluster, observed, child, None).await.map(|()| None),
        State::Failed { attempt, at, message } => {
            let due = at.unwrap_or(now).saturating_add(delay(*attempt)).unwrap_or(now);
            let left = now.duration_until(due);
            // A database that comes back wakes the next look by itself.
            if left.is_positive() || !database_ready {
                return Ok(Duration::try_from(left).ok().filter(|left| !left.is_zero()));
            }
            again(cluster, observed, child, Some((*attempt, message))).await.map(|()| None)
        }
        State::Outdated if database_ready => again(cluster, observed, child, None).await.map(|()| None),
        State::Absent | State::Outdated | State::Running { .. } | State::Complete | State::Foreign | State::Removed => Ok(None),
    }
}

/// Makes the Job anew.
async fn again(cluster: &Cluster, observed: &mut Observed, child: &Child, failed: Option<(u32, &String)>) -> Result<(), Error> {
    if let Some(before) = observed.find(child).cloned() {
        cluster.delete(&child.resource, &before).await?;
        observed.forget(&child.resource, &before);
    }
    create(cluster, observed, child, failed).await
}

async fn create(cluster: &Cluster, observed: &mut Observed, child: &Child, failed: Option<(u32, &String)>) -> Result<(), Error> {
    let mut object = child.object.clone();
    if let Some(volume) = volume_of(&object, observed) {
        object.metadata.annotations.get_or_insert_default().insert(VOLUME.to_owned(), volume);
    }
    if let Some((attempt, message)) = failed {
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(ATTEMPT.to_owned(), attempt.saturating_add(1).to_string());
        annotations.insert(LAST_FAILURE.to_owned(), message.chars().take(512).collect());
    }
    match cluster.create(&child.resource, &object).await {
        Ok(job) => observed.put(Live { resource: child.resource.clone(), object: job }),
        // The one that was deleted is not gone yet, or one appeared in this moment: the next look tells.
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
        let seconds: Vec<i64> = (1..=9).map(|attempt| delay(attempt).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(delay(u32::MAX).as_secs(), 600);
    }
}

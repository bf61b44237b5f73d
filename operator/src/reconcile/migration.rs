//! Judges the schema migration. It is a Job for each image, and the new version's pods wait for it.
//!
//! That a migration completed is recorded in the status, because its Job may go away: a policy gives it a time to live, or somebody
//! deletes it. The record is for one image, what the image was told to do, and one volume. Without a record the migration runs
//! again, which changes nothing in a database that has been migrated.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::observe::Observed;
use super::ownership::{Identity, Ownership};
use crate::build::{ApplyPolicy, Child, postgres};
use crate::crd::{DonationPlatform, MigrationStatus};
use crate::fingerprint::fingerprint;
use crate::names::{ATTEMPT_ANNOTATION, INSTANCE_LABEL, LAST_FAILURE_ANNOTATION, VOLUME_ANNOTATION};
use crate::resolve::Platform;

/// Revision that is reported when a migration succeeded without saying what it reached.
pub const UNKNOWN_REVISION: &str = "unknown";

/// State of the migration that the rendered image needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MigrationState {
    /// The Job does not exist.
    Absent,
    /// The Job runs or waits for its pod.
    Running {
        /// Message of the attempt before this one; `None` for the first attempt.
        failure: Option<String>,
    },
    /// The migration succeeded, or there is none, so the image may run.
    Complete,
    /// The migration succeeded on a volume that has been replaced, so it must run again.
    Outdated,
    /// The Job failed, or somebody suspended it, so that it would never end.
    Failed {
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Time of the failure, if the Job tells it.
        at: Option<Timestamp>,
        /// What the last pod wrote before it ended, or else what the Job says.
        message: String,
    },
    /// A Job of this name belongs to somebody else.
    Foreign,
    /// The Job, or that of a deleted platform of the same name, is being removed, and it has no success that counts.
    Removed,
}

/// The text that a migration writes to its termination log.
#[derive(Debug, Deserialize)]
struct Termination {
    schema: String,
}

/// The migration's Job among the rendered objects; `None` if there is no migration.
pub fn job(children: &[Child]) -> Option<&Child> {
    children.iter().find(|child| child.policy == ApplyPolicy::Job)
}

/// The last migration that completed, as the status says. Without the revision that it reached, it does not count.
pub fn recorded(resource: &DonationPlatform) -> Option<&MigrationStatus> {
    let status = resource.status.as_ref()?;
    status.migration.as_ref().filter(|_| status.schema_revision.is_some())
}

/// The state of the migration. `record` is the last migration that completed, as the status says.
pub fn state(platform: &Platform, observed: &Observed, children: &[Child], record: Option<&MigrationStatus>) -> MigrationState {
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    // Without a migration nothing waits for one.
    let Some(child) = job(children) else { return MigrationState::Complete };
    if record.is_some_and(|record| is_recorded(record, child, observed)) {
        return MigrationState::Complete;
    }
    let Some(job) = observed.find(child) else { return MigrationState::Absent };
    match identity.ownership(&job.metadata) {
        Ownership::Foreign => MigrationState::Foreign,
        // The removal of the Job does not undo the migration.
        Ownership::Terminating if is_complete(job) && !is_of_another_volume(job, observed) => MigrationState::Complete,
        Ownership::Terminating | Ownership::Predecessor => MigrationState::Removed,
        Ownership::Ours => match of_job(job, observed) {
            MigrationState::Complete if is_of_another_volume(job, observed) => MigrationState::Outdated,
            state => state,
        },
    }
}

/// Whether `record` is of the migration that `child` would run: the same image, settings and volume.
pub fn is_recorded(record: &MigrationStatus, child: &Child, observed: &Observed) -> bool {
    let (image, settings) = task(&child.object);
    record.image == image && record.settings == settings && is_of_this_volume(record, &child.object, observed)
}

/// Whether `record` is of the volume of the database that `job` migrates. True while there is no volume: a new one will have
/// another UID, and only then the record no longer counts.
pub fn is_of_this_volume(record: &MigrationStatus, job: &DynamicObject, observed: &Observed) -> bool {
    match (&record.volume, volume_of(job, observed)) {
        (Some(before), Some(now)) => *before == now,
        (None, Some(_)) => false,
        (_, None) => true,
    }
}

/// The record for the status of the migration that has completed; `before`, if it is of the same migration. `None` if its Job does
/// not exist.
pub fn record(observed: &Observed, children: &[Child], before: Option<&MigrationStatus>) -> Option<MigrationStatus> {
    let child = job(children)?;
    if let Some(before) = before.filter(|before| is_recorded(before, child, observed)) {
        return Some(before.clone());
    }
    let job = observed.find(child)?;
    let (image, settings) = task(&child.object);
    Some(MigrationStatus { job: child.object.name_any(), image, settings, volume: job.annotations().get(VOLUME_ANNOTATION).cloned() })
}

/// The image of a migration, and a hash of its arguments and environment. Placement and resources of its pod do not count.
fn task(job: &DynamicObject) -> (String, String) {
    let container = job.data.pointer("/spec/template/spec/containers/0");
    let field = |name: &str| container.and_then(|container| container.get(name));
    let image = field("image").and_then(Value::as_str).unwrap_or_default().to_owned();
    (image, fingerprint(&json!([field("args"), field("env")])))
}

/// Whether the Job was made for another volume than the present one.
fn is_of_another_volume(job: &DynamicObject, observed: &Observed) -> bool {
    let volume = job.annotations().get(VOLUME_ANNOTATION);
    volume.zip(volume_of(job, observed)).is_some_and(|(before, now)| *before != now)
}

/// UID of the claim for the volume of the database that the Job migrates; `None` if there is no claim or it is being removed.
pub fn volume_of(job: &DynamicObject, observed: &Observed) -> Option<String> {
    let name = postgres::claim_name(job.labels().get(INSTANCE_LABEL)?);
    // The database also uses a claim whose labels somebody removed.
    let claim = observed.claims.iter().chain(&observed.unlabelled_claim).find(|claim| claim.name_any() == name)?;
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

/// The Job's condition of the type `name`, if it is True.
fn condition<'a>(status: &'a JobStatus, name: &str) -> Option<&'a JobCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == name && condition.status == "True")
}

fn of_job(job: &DynamicObject, observed: &Observed) -> MigrationState {
    let status = status_of(job);
    if has_condition(&status, "Complete") {
        return MigrationState::Complete;
    }
    let attempt = job.annotations().get(ATTEMPT_ANNOTATION).and_then(|text| text.parse().ok()).unwrap_or(1);
    let Some(failed) = condition(&status, "Failed") else {
        if job.data.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
            let since = condition(&status, "Suspended").and_then(|condition| condition.last_transition_time.as_ref());
            return MigrationState::Failed {
                attempt,
                at: since.or(job.metadata.creation_timestamp.as_ref()).map(|time| time.0),
                message: "somebody suspended the Job".to_owned(),
            };
        }
        return MigrationState::Running { failure: job.annotations().get(LAST_FAILURE_ANNOTATION).cloned() };
    };
    let said = pods(job, observed).filter_map(termination_message).next_back();
    MigrationState::Failed {
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

/// Whether the Job exists and has no pod.
pub fn has_no_pod(child: &Child, observed: &Observed) -> bool {
    observed.find(child).is_some_and(|job| pods(job, observed).next().is_none())
}

fn termination_message(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.iter().flatten();
    let terminated = statuses.into_iter().find_map(|status| status.state.as_ref()?.terminated.as_ref())?;
    terminated.message.clone().filter(|message| !message.trim().is_empty()).map(|message| message.trim().to_owned())
}

/// The schema revision that the newest pod of the Job has reported; `None` if none has.
pub fn revision(observed: &Observed, children: &[Child]) -> Option<String> {
    let job = observed.find(job(children)?)?;
    pods(job, observed)
        .filter_map(termination_message)
        .filter_map(|message| serde_json::from_str::<Termination>(&message).ok())
        .next_back()
        .map(|termination| termination.schema)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PersistentVolumeClaim;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::core::ObjectMeta;

    use super::super::observe::LiveObject;
    use super::*;
    use crate::build;
    use crate::resolve::resolve;

    /// A platform and its objects.
    fn rendered(spec: Value) -> (Platform, Vec<Child>) {
        let mut spec = spec;
        if let Some(spec) = spec.as_object_mut() {
            spec.entry("ingress").or_insert_with(|| json!({"host": "doe.example.org"}));
        }
        let resource = json!({
            "apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform",
            "metadata": {"name": "esperanca", "namespace": "doacoes", "uid": "platform"}, "spec": spec,
        });
        let Ok(resource) = serde_json::from_value(resource) else { unreachable!("it is a DonationPlatform") };
        let platform = resolve(&resource);
        let children = build::children(&platform);
        (platform, children)
    }

    /// The cluster with the claim of that UID.
    fn with_volume(uid: &str) -> Observed {
        let metadata = ObjectMeta { name: Some(postgres::claim_name("esperanca")), uid: Some(uid.to_owned()), ..ObjectMeta::default() };
        let mut observed = Observed::default();
        observed.claims.push(PersistentVolumeClaim { metadata, ..PersistentVolumeClaim::default() });
        observed
    }

    /// Puts the rendered Job into the cluster, made for the volume of that UID.
    fn put_job(observed: &mut Observed, children: &[Child], volume: &str, condition: Option<&str>) {
        let Some(child) = job(children) else { unreachable!("it has a Job") };
        let mut object = child.object.clone();
        object.metadata.annotations = Some([(VOLUME_ANNOTATION.to_owned(), volume.to_owned())].into());
        if let Some(status) = object.data.as_object_mut() {
            let conditions: Vec<Value> = condition.into_iter().map(|type_| json!({"type": type_, "status": "True"})).collect();
            status.insert("status".to_owned(), json!({"conditions": conditions}));
        }
        observed.put(LiveObject { resource: child.resource.clone(), object });
    }

    /// What is recorded once the smallest platform's Job has completed on the volume `first`.
    fn first_record() -> MigrationStatus {
        let (_, children) = rendered(json!({}));
        let mut observed = with_volume("first");
        put_job(&mut observed, &children, "first", Some("Complete"));
        let Some(record) = record(&observed, &children, None) else { unreachable!("it has completed") };
        record
    }

    #[test]
    fn a_recorded_migration_is_complete_whatever_became_of_its_job() {
        let (record, (platform, children)) = (first_record(), rendered(json!({})));
        assert_eq!(record.volume.as_deref(), Some("first"));
        let mut observed = with_volume("first");
        assert_eq!(state(&platform, &observed, &children, None), MigrationState::Absent, "without a record it runs again");
        assert_eq!(state(&platform, &observed, &children, Some(&record)), MigrationState::Complete);
        for condition in [None, Some("Failed")] {
            put_job(&mut observed, &children, "first", condition);
            assert_eq!(state(&platform, &observed, &children, Some(&record)), MigrationState::Complete, "{condition:?}");
        }
        // While there is no volume nothing is known of the next one.
        assert_eq!(state(&platform, &Observed::default(), &children, Some(&record)), MigrationState::Complete);
    }

    #[test]
    fn another_image_task_or_volume_is_another_migration_and_another_node_is_not() {
        let record = first_record();
        for (spec, expected) in [
            (json!({"image": {"tag": "9.9.9"}}), MigrationState::Absent),
            (json!({"firstAdmin": {"email": "admin@example.org"}}), MigrationState::Absent),
            (
                json!({"api": {"nodeSelector": {"pool": "b"}, "priorityClassName": "high", "extraEnv": [{"name": "A", "value": "b"}]}}),
                MigrationState::Complete,
            ),
            (json!({"imagePullSecrets": [{"name": "registry"}], "redis": {"managed": {"maxMemory": "2Gi"}}}), MigrationState::Complete),
        ] {
            let (platform, children) = rendered(spec.clone());
            assert_eq!(state(&platform, &with_volume("first"), &children, Some(&record)), expected, "{spec}");
        }
        let (platform, children) = rendered(json!({}));
        let mut observed = with_volume("second");
        assert_eq!(state(&platform, &observed, &children, Some(&record)), MigrationState::Absent);
        put_job(&mut observed, &children, "first", Some("Complete"));
        assert_eq!(state(&platform, &observed, &children, Some(&record)), MigrationState::Outdated);
        let unknown = MigrationStatus { volume: None, ..record };
        assert_eq!(state(&platform, &with_volume("first"), &children, Some(&unknown)), MigrationState::Absent, "of an unknown volume");
    }

    #[test]
    fn a_job_that_is_being_removed_counts_only_if_it_completed() {
        let (platform, children) = rendered(json!({}));
        for (condition, expected) in
            [(Some("Complete"), MigrationState::Complete), (Some("Failed"), MigrationState::Removed), (None, MigrationState::Removed)]
        {
            let mut observed = with_volume("first");
            put_job(&mut observed, &children, "first", condition);
            let Some(mut object) = job(&children).and_then(|child| observed.find(child)).cloned() else { unreachable!("it was put there") };
            object.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
            let Some(child) = job(&children) else { unreachable!("it has a Job") };
            observed.put(LiveObject { resource: child.resource.clone(), object });
            assert_eq!(state(&platform, &observed, &children, None), expected, "{condition:?}");
        }
    }

    #[test]
    fn a_record_stays_as_it_is_and_a_new_one_names_its_job() {
        let before = first_record();
        let (_, elsewhere) = rendered(json!({"api": {"nodeSelector": {"pool": "b"}}}));
        assert_eq!(record(&with_volume("first"), &elsewhere, Some(&before)), Some(before.clone()));
        let (_, next) = rendered(json!({"image": {"tag": "9.9.9"}}));
        let mut observed = with_volume("first");
        assert_eq!(record(&observed, &next, Some(&before)), None);
        put_job(&mut observed, &next, "first", Some("Complete"));
        let after = record(&observed, &next, Some(&before));
        assert_eq!(after.map(|record| (record.image, record.job == before.job)), Some(("localhost/doacoes/api:9.9.9".to_owned(), false)));
    }
}

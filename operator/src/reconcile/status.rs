//! The status: a condition for each part, and `Ready`, which names the part that is in the way.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use serde_json::Value;

use super::condition::ConditionType;
use super::migration;
use super::observe::Observed;
use super::outcome::{Blocker, Progress};
use super::pass::Pass;
use super::progress;
use super::reason::Reason;
use crate::build::{Child, Part};
use crate::crd::{ApiStatus, ConnectionsStatus, DatabaseStatus, DonationPlatformStatus, Profile};
use crate::error::Error;
use crate::resolve::Platform;

/// Time in which an autoscaler may measure nothing before the status says so.
const METRICS_GRACE_PERIOD: SignedDuration = SignedDuration::from_mins(2);
/// Longest message of a condition, in characters.
const CONDITION_MESSAGE_MAX_CHARS: usize = 1024;

/// A condition before it is compared with the one that was there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DesiredCondition {
    /// Its type.
    pub type_: ConditionType,
    /// Its status; none is `Unknown`.
    pub status: Option<bool>,
    /// Its reason.
    pub reason: Reason,
    /// Its message.
    pub message: String,
}

impl DesiredCondition {
    fn of(type_: ConditionType, progress: &Progress) -> Self {
        match progress {
            Progress::Ready { reason, message } => Self { type_, status: Some(true), reason: *reason, message: message.clone() },
            Progress::Waiting { reason, message } => Self { type_, status: Some(false), reason: *reason, message: message.clone() },
        }
    }

    fn status(&self) -> &'static str {
        match self.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }
}

/// `Ready`: the first part that is not, else True. For want of an address only it is True too: pods cannot give the site one, and
/// clusters without load balancers never do.
pub fn ready(parts: &[(Part, Progress)], blocker: Option<&Blocker>) -> DesiredCondition {
    let type_ = ConditionType::Ready;
    if let Some(blocker) = blocker {
        return DesiredCondition { type_, status: Some(false), reason: blocker.reason, message: blocker.message.clone() };
    }
    let blocking = parts.iter().find_map(|(part, progress)| match progress {
        Progress::Waiting { reason, message } => Some((part, reason, message)),
        Progress::Ready { .. } => None,
    });
    if let Some((part, reason, message)) = blocking {
        return DesiredCondition { type_, status: Some(false), reason: *reason, message: format!("{}: {message}", part.noun()) };
    }
    let unreachable = parts.iter().find_map(|(part, progress)| match progress {
        Progress::Ready { reason: Reason::WaitingForAddress, message } => Some(format!("{}: {message}", part.noun())),
        Progress::Ready { .. } | Progress::Waiting { .. } => None,
    });
    let reason = if unreachable.is_some() { Reason::WaitingForAddress } else { Reason::Available };
    DesiredCondition { type_, status: Some(true), reason, message: unreachable.unwrap_or_else(|| "donors can donate".to_owned()) }
}

/// The condition for backups. The operator makes none and does not know of others'.
pub fn backups(platform: &Platform) -> DesiredCondition {
    let message = "nothing is backed up by the operator: dump the database and keep the Secret with the keys, as operations.md says";
    let reason = match platform.spec.profile {
        Profile::Production => Reason::NoBackups,
        Profile::Development => Reason::NotBackedUp,
    };
    DesiredCondition { type_: ConditionType::BackupConfigured, status: Some(false), reason, message: message.to_owned() }
}

/// `Ready` where a request to the API server failed.
pub fn failed(error: &Error) -> DesiredCondition {
    DesiredCondition {
        type_: ConditionType::Ready,
        status: Some(false),
        reason: Reason::RequestFailed,
        message: format!("{}; it is tried again", error.summary()),
    }
}

/// `Ready` where one thing keeps everything else from being written.
pub fn blocked(progress: &Progress) -> DesiredCondition {
    DesiredCondition::of(ConditionType::Ready, progress)
}

/// `Ready` of a paused platform whose resource asks for something else than there is.
pub fn paused_with_changes(object: &str) -> DesiredCondition {
    let message = format!("spec.paused is true, and {object} is not as the resource says: it is brought to that when paused is false");
    DesiredCondition { type_: ConditionType::Ready, status: Some(false), reason: Reason::Paused, message }
}

/// A condition for each part.
pub fn parts(parts: &[(Part, Progress)]) -> Vec<DesiredCondition> {
    parts.iter().map(|(part, progress)| DesiredCondition::of(part.condition(), progress)).collect()
}

/// The condition for a paused resource.
pub fn paused(platform: &Platform) -> DesiredCondition {
    let type_ = ConditionType::Paused;
    if platform.spec.paused {
        let message = "nothing is changed while spec.paused is true; the site goes on answering".to_owned();
        return DesiredCondition { type_, status: Some(true), reason: Reason::Paused, message };
    }
    DesiredCondition { type_, status: Some(false), reason: Reason::Active, message: "spec.paused is false".to_owned() }
}

/// The condition for the source of the number of API pods.
pub fn autoscaled(platform: &Platform, children: &[Child], observed: &Observed, now: Timestamp) -> DesiredCondition {
    let type_ = ConditionType::Autoscaled;
    let scaler = children.iter().find(|child| child.resource.kind == "HorizontalPodAutoscaler");
    // Of pods that do not run there is nothing to measure.
    let runs = |child: &&Child| {
        let workload =
            observed.objects().find(|live| live.resource.kind == "Deployment" && live.object.metadata.name == child.object.metadata.name);
        workload.is_some_and(|live| live.object.data.pointer("/status/readyReplicas").and_then(Value::as_i64) > Some(0))
    };
    if let Some(message) = scaler.filter(runs).and_then(|child| observed.find(child)).and_then(|live| missing_metrics(&live.data, now)) {
        return DesiredCondition { type_, status: Some(false), reason: Reason::MetricsMissing, message };
    }
    match &platform.spec.api.autoscaling {
        Some(autoscaling) => DesiredCondition {
            type_,
            status: Some(true),
            reason: Reason::AutoscalerDecides,
            message: format!(
                "the autoscaler decides between {} and {} API pods; api.replicas is ignored",
                autoscaling.min_replicas, autoscaling.max_replicas
            ),
        },
        None => DesiredCondition { type_, status: Some(false), reason: Reason::FixedReplicas, message: "api.replicas decides".to_owned() },
    }
}

/// Why the autoscaler cannot measure, if that has lasted longer than [`METRICS_GRACE_PERIOD`]. While pods start, it cannot measure
/// either.
fn missing_metrics(scaler: &Value, now: Timestamp) -> Option<String> {
    let text = |condition: &Value, field: &str| condition.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let conditions = scaler.pointer("/status/conditions").and_then(Value::as_array)?;
    let blind = conditions.iter().find(|condition| text(condition, "type") == "ScalingActive" && text(condition, "status") == "False")?;
    let since: Timestamp = text(blind, "lastTransitionTime").parse().ok()?;
    (now.duration_since(since) > METRICS_GRACE_PERIOD).then(|| {
        format!("the autoscaler cannot measure, so the number of pods stays: {}; install or mend the metrics API", text(blind, "message"))
    })
}

/// Objects of others that are in the way.
pub fn name_conflict(conflicts: &[String]) -> DesiredCondition {
    let type_ = ConditionType::NameConflict;
    if conflicts.is_empty() {
        return DesiredCondition {
            type_,
            status: Some(false),
            reason: Reason::NoConflict,
            message: "no name is taken by somebody else".to_owned(),
        };
    }
    DesiredCondition { type_, status: Some(true), reason: Reason::NameConflict, message: conflicts.join("; ") }
}

/// The conditions to store. `lastTransitionTime` moves only when a status does. Those that are no longer wanted go.
pub fn conditions(previous: &[Condition], wanted: &[DesiredCondition], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    wanted
        .iter()
        .map(|wanted| {
            let before = previous.iter().find(|condition| condition.type_ == wanted.type_.as_str());
            let since = before.filter(|before| before.status == wanted.status()).map(|before| before.last_transition_time.clone());
            Condition {
                type_: wanted.type_.as_str().to_owned(),
                status: wanted.status().to_owned(),
                reason: wanted.reason.as_str().to_owned(),
                message: shortened(&wanted.message),
                observed_generation: generation,
                last_transition_time: since.unwrap_or_else(|| Time(to_seconds(now))),
            }
        })
        .collect()
}

/// As the API server stores it, or what was written would never be what is read.
fn to_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn shortened(message: &str) -> String {
    if message.chars().count() <= CONDITION_MESSAGE_MAX_CHARS {
        return message.to_owned();
    }
    format!("{}…", message.chars().take(CONDITION_MESSAGE_MAX_CHARS - 1).collect::<String>())
}

/// The conditions of `after` whose status or reason `before` did not have.
pub fn changed<'a>(before: &[Condition], after: &'a [Condition]) -> Vec<&'a Condition> {
    after
        .iter()
        .filter(|condition| {
            match before.iter().find(|other| other.type_ == condition.type_) {
                Some(other) => other.status != condition.status || other.reason != condition.reason,
                // At the first visit `Ready` says it all, but for what nobody would ask for.
                None => condition.type_ == ConditionType::Ready.as_str() || condition.reason == Reason::NoBackups.as_str(),
            }
        })
        .collect()
}

/// The whole status except for its conditions. `lets_in` says that objects are written in this pass, so that the present version
/// serves if its migration has completed.
pub fn observed(pass: &Pass<'_>, lets_in: bool) -> DonationPlatformStatus {
    let Pass { resource, platform, children, observed, .. } = pass;
    let previous = resource.status.clone().unwrap_or_default();
    let is_migrated = pass.is_migrated();
    let revision = if is_migrated && migration::job(children).is_some() {
        // The pod that reported the revision may be gone; then the recorded revision counts.
        migration::revision(observed, children).or(previous.schema_revision).or_else(|| Some(migration::UNKNOWN_REVISION.to_owned()))
    } else {
        previous.schema_revision
    };
    let record = is_migrated.then(|| migration::record(observed, children, previous.migration.as_ref())).flatten();
    let served_spec = (is_migrated && lets_in).then(|| serde_json::to_value(&resource.spec).ok()).flatten();
    let api = children.iter().find(|child| child.part == Part::Api && child.resource.kind == "Deployment");
    let live = api.and_then(|child| observed.find(child));
    let number = |path: &str| {
        let value = live.and_then(|live| live.data.pointer(path)).and_then(Value::as_i64).unwrap_or(0);
        i32::try_from(value).unwrap_or(i32::MAX)
    };
    DonationPlatformStatus {
        conditions: Vec::new(),
        observed_generation: resource.metadata.generation,
        migration: record.or(previous.migration),
        served_spec: served_spec.or(previous.served_spec),
        version: live.filter(|live| progress::is_rolled_out(live)).and_then(|live| tag(&live.data)).or(previous.version),
        schema_revision: revision,
        endpoint: Some(platform.public_url()),
        api: api.map(|child| ApiStatus {
            replicas: number("/status/replicas"),
            ready_replicas: number("/status/readyReplicas"),
            selector: selector(&child.object.data),
        }),
        connections: connections(platform),
        database: capacity(observed).map(|capacity| DatabaseStatus { capacity: Some(capacity) }).or(previous.database),
    }
}

/// Tag of the first container's image.
fn tag(deployment: &Value) -> Option<String> {
    let image = deployment.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str)?;
    let (_, last) = image.rsplit_once('/').unwrap_or(("", image));
    last.split_once(':').map(|(_, tag)| tag.to_owned())
}

/// The selector of the pods, as text.
fn selector(deployment: &Value) -> String {
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let mut pairs: Vec<String> =
        labels.into_iter().flatten().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    pairs.sort();
    pairs.join(",")
}

fn connections(platform: &Platform) -> Option<ConnectionsStatus> {
    let spec = &platform.spec;
    let pods = spec.api.autoscaling.as_ref().map_or(spec.api.replicas, |autoscaling| autoscaling.max_replicas);
    let share = spec.pooler.server_pool_size.checked_div(spec.pooler.replicas)?;
    Some(ConnectionsStatus {
        api_clients: pods.checked_mul(spec.api.database_pool_size)?,
        pooler_client_limit: spec.pooler.max_client_connections,
        pooler_servers: share.checked_mul(spec.pooler.replicas)?,
        database_limit: spec.database.managed.as_ref()?.max_connections,
    })
}

fn capacity(observed: &Observed) -> Option<String> {
    let claim = observed.claims.iter().min_by_key(|claim| claim.name_any())?;
    claim.status.as_ref()?.capacity.as_ref()?.get("storage").map(|quantity| quantity.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(reason: Reason, message: &str) -> Progress {
        Progress::Waiting { reason, message: message.to_owned() }
    }

    fn available() -> Progress {
        Progress::Ready { reason: Reason::Available, message: "1 of 1 pods answer".to_owned() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[test]
    fn ready_names_the_first_part_in_the_way() {
        let parts = [
            (Part::Postgres, available()),
            (Part::Migrate, waiting(Reason::MigrationFailed, "relation exists")),
            (Part::Api, waiting(Reason::RollingOut, "0 of 4 pods answer")),
        ];
        let ready = ready(&parts, None);
        assert_eq!((ready.status, ready.reason, ready.message.as_str()), (Some(false), Reason::MigrationFailed, "schema: relation exists"));
        let all = [(Part::Postgres, available()), (Part::Api, available())];
        assert_eq!(super::ready(&all, None).status, Some(true));
        let blocker = Blocker { reason: Reason::KeysMissing, message: "restore".to_owned(), ends_by_itself: false };
        assert_eq!(super::ready(&all, Some(&blocker)).reason, Reason::KeysMissing);
    }

    #[test]
    fn the_time_moves_only_with_the_status() {
        let wanted = |status, message: &str| DesiredCondition {
            type_: ConditionType::Ready,
            status: Some(status),
            reason: Reason::RollingOut,
            message: message.to_owned(),
        };
        let seen = |conditions: &[Condition]| {
            conditions.iter().map(|one| (one.message.clone(), one.observed_generation, one.last_transition_time.0)).collect::<Vec<_>>()
        };
        let first = conditions(&[], &[wanted(false, "a")], Some(1), at(100));
        let second = conditions(&first, &[wanted(false, "b")], Some(2), at(200));
        assert_eq!(seen(&second), [("b".to_owned(), Some(2), at(100))]);
        let third = conditions(&second, &[wanted(true, "c")], Some(2), at(300));
        assert_eq!(seen(&third), [("c".to_owned(), Some(2), at(300))]);
    }

    #[test]
    fn an_event_is_due_when_status_or_reason_change() {
        let wanted = |type_, reason, message: &str| DesiredCondition { type_, status: Some(false), reason, message: message.to_owned() };
        let first = conditions(
            &[],
            &[wanted(ConditionType::Ready, Reason::Creating, "a"), wanted(ConditionType::ApiReady, Reason::Creating, "a")],
            None,
            at(1),
        );
        assert_eq!(changed(&[], &first).len(), 1, "only Ready at the first visit");
        let message = conditions(&first, &[wanted(ConditionType::Ready, Reason::Creating, "b")], None, at(2));
        assert!(changed(&first, &message).is_empty(), "another message is no change");
        let reason = conditions(&first, &[wanted(ConditionType::ApiReady, Reason::ImagePullFailed, "b")], None, at(2));
        assert_eq!(changed(&first, &reason).len(), 1);
    }

    #[test]
    fn the_tag_is_not_taken_for_a_port() {
        let deployment = |image: &str| serde_json::json!({"spec": {"template": {"spec": {"containers": [{"image": image}]}}}});
        assert_eq!(tag(&deployment("localhost:5000/doacoes/api:0.1.0")).as_deref(), Some("0.1.0"));
        assert_eq!(tag(&deployment("localhost:5000/doacoes/api")), None);
    }
}

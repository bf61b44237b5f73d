//! The status: a condition for each part, and `Ready`, which names the part that is in the way.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use serde_json::Value;

use super::observe::Observed;
use super::{Hold, Progress, Reason, migrate, progress};
use crate::build::{Child, Part};
use crate::crd::{ApiStatus, ConnectionsStatus, DatabaseStatus, DonationPlatform, DonationPlatformStatus, Profile};
use crate::error::Error;
use crate::resolve::Platform;

/// How long an autoscaler may measure nothing before that is said.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// Longest message of a condition.
const MESSAGE: usize = 1024;

/// Conditions of the status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConditionType {
    /// Everything that was asked for is there, and donors can donate.
    Ready,
    /// PostgreSQL answers.
    DatabaseReady,
    /// `PgBouncer` answers.
    PoolerReady,
    /// Redis answers.
    RedisReady,
    /// The schema is what the image needs.
    SchemaReady,
    /// The API answers.
    ApiReady,
    /// Donors reach the API.
    EdgeReady,
    /// The resource asks for being left alone.
    Paused,
    /// An autoscaler decides on the number of API pods.
    Autoscaled,
    /// An object of somebody else is in the way.
    NameConflict,
    /// Backups are made.
    BackupConfigured,
}

impl ConditionType {
    /// Every condition that the operator writes.
    const ALL: [Self; 11] = [
        Self::Ready,
        Self::DatabaseReady,
        Self::PoolerReady,
        Self::RedisReady,
        Self::SchemaReady,
        Self::ApiReady,
        Self::EdgeReady,
        Self::Paused,
        Self::Autoscaled,
        Self::NameConflict,
        Self::BackupConfigured,
    ];

    /// Whether the operator writes the condition. Others may add theirs, which are not its business.
    pub fn is_ours(condition: &Condition) -> bool {
        Self::ALL.iter().any(|type_| type_.as_str() == condition.type_)
    }

    /// The condition's `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::DatabaseReady => "DatabaseReady",
            Self::PoolerReady => "PoolerReady",
            Self::RedisReady => "RedisReady",
            Self::SchemaReady => "SchemaReady",
            Self::ApiReady => "ApiReady",
            Self::EdgeReady => "EdgeReady",
            Self::Paused => "Paused",
            Self::Autoscaled => "Autoscaled",
            Self::NameConflict => "NameConflict",
            Self::BackupConfigured => "BackupConfigured",
        }
    }
}

impl Part {
    /// Every part, in the order in which one needs the other.
    pub const ALL: [Self; 6] = [Self::Postgres, Self::Redis, Self::Pooler, Self::Migrate, Self::Api, Self::Edge];

    /// The part's condition.
    pub const fn condition(self) -> ConditionType {
        match self {
            Self::Postgres => ConditionType::DatabaseReady,
            Self::Pooler => ConditionType::PoolerReady,
            Self::Redis => ConditionType::RedisReady,
            Self::Migrate => ConditionType::SchemaReady,
            Self::Api => ConditionType::ApiReady,
            Self::Edge => ConditionType::EdgeReady,
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Postgres => "database",
            Self::Pooler => "pooler",
            Self::Redis => "Redis",
            Self::Migrate => "schema",
            Self::Api => "API",
            Self::Edge => "edge",
        }
    }
}

/// A condition before it is compared with the one that was there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Its type.
    pub type_: ConditionType,
    /// Its status; none is `Unknown`.
    pub status: Option<bool>,
    /// Its reason.
    pub reason: Reason,
    /// Its message.
    pub message: String,
}

impl Wanted {
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
pub fn ready(parts: &[(Part, Progress)], hold: Option<&Hold>) -> Wanted {
    let type_ = ConditionType::Ready;
    if let Some(hold) = hold {
        return Wanted { type_, status: Some(false), reason: hold.reason, message: hold.message.clone() };
    }
    let blocking = parts.iter().find_map(|(part, progress)| match progress {
        Progress::Waiting { reason, message } => Some((part, reason, message)),
        Progress::Ready { .. } => None,
    });
    if let Some((part, reason, message)) = blocking {
        return Wanted { type_, status: Some(false), reason: *reason, message: format!("{}: {message}", part.noun()) };
    }
    let unreachable = parts.iter().find_map(|(part, progress)| match progress {
        Progress::Ready { reason: Reason::WaitingForAddress, message } => Some(format!("{}: {message}", part.noun())),
        Progress::Ready { .. } | Progress::Waiting { .. } => None,
    });
    let reason = if unreachable.is_some() { Reason::WaitingForAddress } else { Reason::Available };
    Wanted { type_, status: Some(true), reason, message: unreachable.unwrap_or_else(|| "donors can donate".to_owned()) }
}

/// Whether somebody makes backups. The operator does not; nor does it know who else does.
pub fn backups(platform: &Platform) -> Wanted {
    let message = "nothing is backed up by the operator: dump the database and keep the Secret with the keys, as operations.md says";
    let reason = match platform.spec.profile {
        Profile::Production => Reason::NoBackups,
        Profile::Development => Reason::NotBackedUp,
    };
    Wanted { type_: ConditionType::BackupConfigured, status: Some(false), reason, message: message.to_owned() }
}

/// `Ready` where a request to the API server failed.
pub fn failed(error: &Error) -> Wanted {
    Wanted {
        type_: ConditionType::Ready,
        status: Some(false),
        reason: Reason::RequestFailed,
        message: format!("{}; it is tried again", error.brief()),
    }
}

/// `Ready` where one thing keeps everything else from being written.
pub fn blocked(progress: &Progress) -> Wanted {
    Wanted::of(ConditionType::Ready, progress)
}

/// `Ready` of a paused platform whose resource asks for something else than there is.
pub fn waits_for_the_end_of_the_pause(object: &str) -> Wanted {
    let message = format!("spec.paused is true, and {object} is not as the resource says: it is brought to that when paused is false");
    Wanted { type_: ConditionType::Ready, status: Some(false), reason: Reason::Paused, message }
}

/// A condition for each part.
pub fn parts(parts: &[(Part, Progress)]) -> Vec<Wanted> {
    parts.iter().map(|(part, progress)| Wanted::of(part.condition(), progress)).collect()
}

/// Whether the resource is paused.
pub fn paused(platform: &Platform) -> Wanted {
    let type_ = ConditionType::Paused;
    if platform.spec.paused {
        let message = "nothing is changed while spec.paused is true; the site goes on answering".to_owned();
        return Wanted { type_, status: Some(true), reason: Reason::Paused, message };
    }
    Wanted { type_, status: Some(false), reason: Reason::Active, message: "spec.paused is false".to_owned() }
}

/// Who decides on the number of API pods.
pub fn autoscaled(platform: &Platform, children: &[Child], observed: &Observed, now: Timestamp) -> Wanted {
    let type_ = ConditionType::Autoscaled;
    let scaler = children.iter().find(|child| child.resource.kind == "HorizontalPodAutoscaler");
    // Of pods that do not run there is nothing to measure.
    let runs = |child: &&Child| {
        let workload =
            observed.objects().find(|live| live.resource.kind == "Deployment" && live.object.metadata.name == child.object.metadata.name);
        workload.is_some_and(|live| live.object.data.pointer("/status/readyReplicas").and_then(Value::as_i64) > Some(0))
    };
    if let Some(message) = scaler.filter(runs).and_then(|child| observed.find(child)).and_then(|live| blindness(&live.data, now)) {
        return Wanted { type_, status: Some(false), reason: Reason::MetricsMissing, message };
    }
    match &platform.spec.api.autoscaling {
        Some(autoscaling) => Wanted {
            type_,
            status: Some(true),
            reason: Reason::AutoscalerDecides,
            message: format!(
                "the autoscaler decides between {} and {} API pods; api.replicas is ignored",
                autoscaling.min_replicas, autoscaling.max_replicas
            ),
        },
        None => Wanted { type_, status: Some(false), reason: Reason::FixedReplicas, message: "api.replicas decides".to_owned() },
    }
}

/// Why an autoscaler has not been able to measure for minutes. At the start of its pods it cannot for a moment.
fn blindness(scaler: &Value, now: Timestamp) -> Option<String> {
    let text = |condition: &Value, field: &str| condition.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let conditions = scaler.pointer("/status/conditions").and_then(Value::as_array)?;
    let blind = conditions.iter().find(|condition| text(condition, "type") == "ScalingActive" && text(condition, "status") == "False")?;
    let since: Timestamp = text(blind, "lastTransitionTime").parse().ok()?;
    (now.duration_since(since) > PATIENCE).then(|| {
        format!("the autoscaler cannot measure, so the number of pods stays: {}; install or mend the metrics API", text(blind, "message"))
    })
}

/// Objects of others that are in the way.
pub fn name_conflict(conflicts: &[String]) -> Wanted {
    let type_ = ConditionType::NameConflict;
    if conflicts.is_empty() {
        return Wanted { type_, status: Some(false), reason: Reason::NoConflict, message: "no name is taken by somebody else".to_owned() };
    }
    Wanted { type_, status: Some(true), reason: Reason::NameConflict, message: conflicts.join("; ") }
}

/// The conditions to store. `lastTransitionTime` moves only when a status does. Those that are no longer wanted go.
pub fn conditions(previous: &[Condition], wanted: &[Wanted], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
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
    if message.chars().count() <= MESSAGE {
        return message.to_owned();
    }
    format!("{}…", message.chars().take(MESSAGE - 1).collect::<String>())
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

/// Whether the condition was True for this generation.
pub fn was_true(resource: &DonationPlatform, type_: ConditionType) -> bool {
    resource.status.as_ref().is_some_and(|status| {
        status.conditions.iter().any(|condition| {
            condition.type_ == type_.as_str() && condition.status == "True" && condition.observed_generation == resource.metadata.generation
        })
    })
}

/// The whole status but for its conditions.
pub fn facts(
    resource: &DonationPlatform,
    platform: &Platform,
    children: &[Child],
    observed: &Observed,
    migration: &migrate::State,
    writes: bool,
) -> DonationPlatformStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let revision = match migration {
        migrate::State::Complete if migrate::job(children).is_some() => {
            // The pod may be gone by now.
            migrate::revision(observed, children).or(previous.schema_revision).or_else(|| Some(migrate::UNKNOWN_REVISION.to_owned()))
        }
        _ => previous.schema_revision,
    };
    let api = children.iter().find(|child| child.part == Part::Api && child.resource.kind == "Deployment");
    let live = api.and_then(|child| observed.find(child));
    let number = |path: &str| {
        let value = live.and_then(|live| live.data.pointer(path)).and_then(Value::as_i64).unwrap_or(0);
        i32::try_from(value).unwrap_or(i32::MAX)
    };
    DonationPlatformStatus {
        conditions: Vec::new(),
        observed_generation: resource.metadata.generation,
        migration: match migration {
            migrate::State::Complete => migrate::record(observed, children, previous.migration.as_ref()).or(previous.migration),
            _ => previous.migration,
        },
        // While nothing is written, nothing is let in.
        served_spec: match migration {
            migrate::State::Complete if writes => serde_json::to_value(&resource.spec).ok(),
            _ => previous.served_spec,
        },
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
        let hold = Hold { reason: Reason::KeysMissing, message: "restore".to_owned(), waiting: false };
        assert_eq!(super::ready(&all, Some(&hold)).reason, Reason::KeysMissing);
    }

    #[test]
    fn the_time_moves_only_with_the_status() {
        let wanted = |status, message: &str| Wanted {
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
        let wanted = |type_, reason, message: &str| Wanted { type_, status: Some(false), reason, message: message.to_owned() };
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

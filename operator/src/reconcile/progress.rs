//! Judges the progress of each part.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use super::condition::was_true;
use super::migration::MigrationState;
use super::observe::Observed;
use super::outcome::Progress;
use super::reason::Reason;
use super::{causes, migration};
use crate::build::{Child, Part, Scale, WaitsFor, postgres};
use crate::client::ApiClient;
use crate::crd::DonationPlatform;
use crate::error::Error;
use crate::kinds;
use crate::names::INSTANCE_LABEL;
use crate::quantity::billionths;

/// Progress of a part that runs in pods, or that only has to exist.
///
/// `was_ready`: its condition was True. Then it stays so while one pod is missing, as during a drain of its node; it becomes so
/// only when all pods of the new version answer.
pub fn of_part(part: Part, children: &[Child], observed: &Observed, migration: &MigrationState, was_ready: bool) -> Option<Progress> {
    let (mut found, mut address) = (None, None);
    for child in children.iter().filter(|child| child.part == part) {
        let progress = match (&child.scale, observed.find(child)) {
            (Some(scale), Some(live)) => of_workload(child, *scale, live, observed, was_ready),
            (None, Some(live)) if waits_for_address(live) => {
                address = Some(Progress::Ready {
                    reason: Reason::WaitingForAddress,
                    message: format!(
                        "all its pods answer, and Service {} has no address yet: a load balancer of the cluster gives it one; where there \
                         is none, set ingress.managed.service.type to NodePort or ClusterIP",
                        live.name_any()
                    ),
                });
                continue;
            }
            // Secrets are not among the objects; without its Secret a pod says so.
            (None, found) if found.is_some() || child.resource == kinds::secret() => continue,
            (_, None) if child.waits_for == WaitsFor::Schema && *migration != MigrationState::Complete => Progress::Waiting {
                reason: Reason::WaitingForSchema,
                message: format!("{} {} is made when the schema is migrated", child.resource.kind, child.object.name_any()),
            },
            (_, _) => missing(child),
        };
        if matches!(progress, Progress::Waiting { .. }) {
            return Some(progress);
        }
        found = Some(progress);
    }
    address.or(found).or_else(|| {
        children.iter().any(|child| child.part == part).then(|| {
            let ingress = children.iter().any(|child| child.part == part && child.resource.kind == "Ingress");
            let message =
                if ingress { "the Ingress exists; whether a controller serves it is not known here" } else { "all its objects exist" };
            Progress::Ready { reason: Reason::Available, message: message.to_owned() }
        })
    })
}

/// Whether a part is ready, apart from the migration. True if the platform has no such part.
pub fn is_ready(resource: &DonationPlatform, part: Part, children: &[Child], observed: &Observed) -> bool {
    let was_ready = was_true(resource, part.condition());
    of_part(part, children, observed, &MigrationState::Absent, was_ready).is_none_or(|progress| matches!(progress, Progress::Ready { .. }))
}

/// Whether it is a Service that no load balancer has given an address.
fn waits_for_address(live: &DynamicObject) -> bool {
    live.data.pointer("/spec/type").and_then(Value::as_str) == Some("LoadBalancer")
        && live.data.pointer("/status/loadBalancer/ingress").and_then(Value::as_array).is_none_or(Vec::is_empty)
}

fn missing(child: &Child) -> Progress {
    Progress::Waiting {
        reason: Reason::Creating,
        message: format!("{} {} does not exist yet", child.resource.kind, child.object.name_any()),
    }
}

/// The numbers of a Deployment or `StatefulSet`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Rollout {
    /// Pods that are asked for.
    wanted: i64,
    /// Pods that exist.
    present: i64,
    /// Pods of the new version.
    updated: i64,
    /// Pods that answer.
    ready: i64,
    /// Whether the numbers are of the current spec.
    observed: bool,
}

impl Rollout {
    fn of(live: &DynamicObject) -> Self {
        let number = |path: &str| live.data.pointer(path).and_then(Value::as_i64).unwrap_or(0);
        Self {
            wanted: live.data.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1),
            present: number("/status/replicas"),
            updated: number("/status/updatedReplicas"),
            ready: number("/status/readyReplicas"),
            observed: live.metadata.generation.is_none_or(|generation| number("/status/observedGeneration") >= generation),
        }
    }

    fn rolled_out(&self) -> bool {
        self.observed && self.updated > 0 && self.updated == self.present
    }
}

/// Whether the workload runs nothing but the version that was asked for.
pub fn is_rolled_out(live: &DynamicObject) -> bool {
    let rollout = Rollout::of(live);
    rollout.rolled_out() && rollout.ready > 0
}

fn of_workload(child: &Child, scale: Scale, live: &DynamicObject, observed: &Observed, was_ready: bool) -> Progress {
    let rollout = Rollout::of(live);
    let wanted = match scale {
        Scale::Fixed(replicas) => i64::from(replicas),
        // More may be on their way for the load.
        Scale::Autoscaled(floor) => i64::from(floor),
    };
    let (ready, total) = (rollout.ready, rollout.wanted.max(wanted));
    // The message says so, because a reader of the status must know that there is no standby.
    let alone = if child.part == Part::Postgres {
        format!("; it is a single instance, without a standby{}", other_size(child, observed).unwrap_or_default())
    } else {
        String::new()
    };
    let enough = if was_ready { (wanted - 1).max(1) } else { wanted };
    let cause = causes::of_pods(pods(live, observed));
    if rollout.rolled_out() && ready >= enough {
        return match cause {
            Some((_, cause)) if ready < total => {
                Progress::Ready { reason: Reason::Degraded, message: format!("{ready} of {total} pods answer: {cause}") }
            }
            _ if ready < wanted => Progress::Ready { reason: Reason::Degraded, message: format!("{ready} of {total} pods answer") },
            _ => Progress::Ready { reason: Reason::Available, message: format!("{ready} of {total} pods answer{alone}") },
        };
    }
    let what = if rollout.rolled_out() || rollout.present == 0 {
        format!("{ready} of {total} pods answer")
    } else {
        format!("{} of {total} pods run the new version, {ready} answer", rollout.updated.min(total))
    };
    if let Some((reason, message)) = refused_pods(live).or(cause) {
        return Progress::Waiting { reason, message: format!("{message} ({what})") };
    }
    if child.part == Part::Postgres
        && let Some(claim) = causes::pending_claim(&observed.claims)
    {
        return Progress::Waiting {
            reason: Reason::VolumePending,
            message: format!("PersistentVolumeClaim {} has no volume yet", claim.name_any()),
        };
    }
    if is_stuck(live) {
        return Progress::Waiting {
            reason: Reason::RolloutStuck,
            message: format!("new pods do not become ready: {what}; their log says why"),
        };
    }
    let reason = if rollout.present == 0 { Reason::Creating } else { Reason::RollingOut };
    Progress::Waiting { reason, message: what }
}

/// Words for the message if the database's volume has another size than the resource asks for; `None` if the sizes agree.
fn other_size(child: &Child, observed: &Observed) -> Option<String> {
    let wanted = child.object.data.pointer("/spec/volumeClaimTemplates/0/spec/resources/requests/storage").and_then(Value::as_str)?;
    let name = postgres::claim_name(child.object.labels().get(INSTANCE_LABEL)?);
    let claim = observed.claims.iter().find(|claim| claim.name_any() == name)?;
    let there = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?;
    (billionths(&there.0) != billionths(wanted))
        .then(|| format!(", and its volume, which was there before, was made with {} and not with the {wanted} of storage.size", there.0))
}

/// A Deployment whose new pods have not become ready in time says so in a condition.
fn is_stuck(live: &DynamicObject) -> bool {
    live.data.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Progressing")
            && condition.get("reason").and_then(Value::as_str) == Some("ProgressDeadlineExceeded")
    })
}

/// A quota or a policy keeps pods from being made: a Deployment says so in a condition.
fn refused_pods(live: &DynamicObject) -> Option<(Reason, String)> {
    let conditions = live.data.pointer("/status/conditions").and_then(Value::as_array)?;
    let failure = conditions.iter().find(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("ReplicaFailure")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    })?;
    let message = failure.get("message").and_then(Value::as_str).unwrap_or("no reason was given");
    Some((Reason::PodsRefused, format!("pods cannot be made: {message}")))
}

/// The pods that a workload selects.
fn pods<'a>(live: &DynamicObject, observed: &'a Observed) -> Vec<&'a Pod> {
    let selector: BTreeMap<String, String> =
        live.data.pointer("/spec/selector/matchLabels").and_then(|labels| serde_json::from_value(labels.clone()).ok()).unwrap_or_default();
    if selector.is_empty() {
        return Vec::new();
    }
    observed.pods.iter().filter(|pod| selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value))).collect()
}

/// Progress of the migration.
pub fn of_migration(children: &[Child], observed: &Observed, state: &MigrationState, database_ready: bool) -> Option<Progress> {
    let child = migration::job(children)?;
    let name = child.object.name_any();
    let progress = match state {
        MigrationState::Complete => Progress::Ready { reason: Reason::Migrated, message: migrated(child) },
        MigrationState::Outdated if database_ready => Progress::Waiting {
            reason: Reason::Migrating,
            message: "the volume is another than the one that was migrated, so it is migrated too".to_owned(),
        },
        MigrationState::Absent | MigrationState::Removed if database_ready => missing(child),
        MigrationState::Absent | MigrationState::Removed | MigrationState::Outdated => {
            Progress::Waiting { reason: Reason::WaitingForDatabase, message: format!("Job {name} starts when the database answers") }
        }
        MigrationState::Foreign => {
            Progress::Waiting { reason: Reason::NameConflict, message: format!("Job {name} is somebody else's: delete it") }
        }
        MigrationState::Running { failure } => {
            let pods = observed.pods.iter().filter(|pod| pod.labels().get("batch.kubernetes.io/job-name") == Some(&name));
            match (causes::of_pods(pods), failure) {
                (_, Some(failure)) => Progress::Waiting {
                    reason: Reason::MigrationFailed,
                    message: format!("it is tried again; the attempt before failed: {failure}"),
                },
                (Some((reason, message)), None) => Progress::Waiting { reason, message },
                (None, None) => Progress::Waiting { reason: Reason::Migrating, message: format!("Job {name} is running") },
            }
        }
        MigrationState::Failed { attempt, message, .. } => {
            Progress::Waiting { reason: Reason::MigrationFailed, message: format!("attempt {attempt} failed: {message}") }
        }
    };
    let tries = matches!(state, MigrationState::Running { .. } | MigrationState::Failed { .. });
    let serves = tries
        && database_ready
        && children
            .iter()
            .filter(|child| child.part == Part::Api && child.scale.is_some())
            .any(|child| observed.find(child).is_some_and(|live| Rollout::of(live).ready > 0));
    Some(match progress {
        // Who reads that something is not ready thinks first that donors see it.
        Progress::Waiting { reason, message } if serves => {
            Progress::Waiting { reason, message: format!("{message}; the version before keeps serving") }
        }
        progress => progress,
    })
}

/// The message of a completed migration, which is the same whether its Job still exists or not.
fn migrated(job: &Child) -> String {
    let image = job.object.data.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str).unwrap_or_default();
    format!("the migration of {image} has completed")
}

/// The message of the last warning about an object, for cases where the object itself says nothing: a `StatefulSet` whose pods are refused, a
/// claim without a volume.
pub async fn warning(client: &ApiClient, namespace: &str, kind: &str, name: &str) -> Result<Option<String>, Error> {
    let params = ListParams::default().fields(&format!("involvedObject.kind={kind},involvedObject.name={name}"));
    let mut events = client.list_typed::<Event>(namespace, &params).await?;
    // A claim that waits for its pod says so in an event of type Normal, which is no cause.
    events.retain(|event| event.type_.as_deref() == Some("Warning"));
    events.sort_by_key(|event| {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        last.or_else(|| event.event_time.as_ref().map(|time| time.0))
    });
    Ok(events.pop().and_then(|event| event.message))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use kube::core::{ApiResource, ObjectMeta};
    use serde_json::json;

    use super::*;
    use crate::build::ApplyPolicy;

    fn workload(generation: i64, replicas: i64, status: &Value) -> DynamicObject {
        DynamicObject {
            types: None,
            metadata: ObjectMeta { name: Some("esperanca-api".into()), generation: Some(generation), ..ObjectMeta::default() },
            data: json!({"spec": {"replicas": replicas}, "status": status}),
        }
    }

    fn progress(live: &DynamicObject, scale: Scale, was_ready: bool) -> Progress {
        let child = Child {
            resource: ApiResource::erase::<Deployment>(&()),
            object: live.clone(),
            part: Part::Api,
            waits_for: WaitsFor::Nothing,
            policy: ApplyPolicy::Apply,
            scale: Some(scale),
        };
        of_workload(&child, scale, live, &Observed::default(), was_ready)
    }

    fn is_ready(progress: &Progress) -> bool {
        matches!(progress, Progress::Ready { .. })
    }

    #[test]
    fn all_pods_of_the_new_version_must_answer_first() {
        let status = |updated: i64, present: i64, ready: i64| {
            workload(2, 4, &json!({"observedGeneration": 2, "replicas": present, "updatedReplicas": updated, "readyReplicas": ready}))
        };
        assert!(is_ready(&progress(&status(4, 4, 4), Scale::Fixed(4), false)));
        assert!(!is_ready(&progress(&status(4, 4, 3), Scale::Fixed(4), false)));
        assert!(is_ready(&progress(&status(4, 4, 3), Scale::Fixed(4), true)), "one pod may be away");
        assert!(!is_ready(&progress(&status(4, 4, 2), Scale::Fixed(4), true)));
        assert!(!is_ready(&progress(&status(1, 5, 4), Scale::Fixed(4), true)), "old pods are left");
        assert!(!is_ready(&progress(&status(0, 0, 0), Scale::Fixed(1), true)));
    }

    #[test]
    fn numbers_of_an_older_spec_say_nothing() {
        let live = workload(3, 4, &json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 4, "readyReplicas": 4}));
        assert!(!is_ready(&progress(&live, Scale::Fixed(4), true)));
    }

    #[test]
    fn pods_that_an_autoscaler_adds_are_not_waited_for() {
        let live = workload(2, 12, &json!({"observedGeneration": 2, "replicas": 12, "updatedReplicas": 12, "readyReplicas": 5}));
        assert!(is_ready(&progress(&live, Scale::Autoscaled(4), true)));
        assert!(is_ready(&progress(&live, Scale::Autoscaled(4), false)));
    }

    #[test]
    fn a_quota_is_named() {
        let live = workload(
            1,
            4,
            &json!({"observedGeneration": 1, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods"}]}),
        );
        let Progress::Waiting { reason, message } = progress(&live, Scale::Fixed(4), false) else { unreachable!("no pods answer") };
        assert_eq!((reason, message.as_str()), (Reason::PodsRefused, "pods cannot be made: exceeded quota: pods (0 of 4 pods answer)"));
    }
}

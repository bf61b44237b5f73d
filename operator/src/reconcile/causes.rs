//! Finds the cause for which pods do not run, in words that say what to do next.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;

use super::reason::Reason;

/// Longest message of a container that the status repeats, in characters.
const CONTAINER_MESSAGE_MAX_CHARS: usize = 400;

/// The most telling trouble of `pods`, newest pods first.
pub fn of_pods<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<(Reason, String)> {
    let mut pods: Vec<&Pod> = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    pods.sort_by_key(|pod| (std::cmp::Reverse(pod.metadata.creation_timestamp.as_ref().map(|time| time.0)), pod.name_any()));
    // What became of a pod that has a successor is no cause any more.
    let failed = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed");
    pods.iter().enumerate().filter(|(index, pod)| *index == 0 || !failed(pod)).find_map(|(_, pod)| of_pod(pod))
}

fn of_pod(pod: &Pod) -> Option<(Reason, String)> {
    let name = pod.name_any();
    let status = pod.status.as_ref()?;
    if status.phase.as_deref() == Some("Succeeded") {
        return None;
    }
    let unscheduled =
        status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False").map(
            |condition| {
                let why = condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or("no reason was given");
                (Reason::Unschedulable, format!("pod {name} cannot be scheduled: {}", short(why)))
            },
        );
    if unscheduled.is_some() {
        return unscheduled;
    }
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    let found = containers.into_iter().find_map(|container| of_container(&name, container));
    found.or_else(|| {
        // An evicted pod, or one that its node refused.
        (status.phase.as_deref() == Some("Failed")).then(|| {
            let why = status.message.as_deref().or(status.reason.as_deref()).unwrap_or("no reason was given");
            (Reason::PodFailing, format!("pod {name} failed: {}", short(why)))
        })
    })
}

fn of_container(pod: &str, container: &ContainerStatus) -> Option<(Reason, String)> {
    let state = container.state.as_ref()?;
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or(reason);
        let name = &container.name;
        return match reason {
            "ContainerCreating" | "PodInitializing" | "" => None,
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
                let image = &container.image;
                Some((Reason::ImagePullFailed, format!("pod {pod} cannot pull image {image}: {}", short(message))))
            }
            "CrashLoopBackOff" => {
                let (why, said) =
                    last.map_or((String::new(), None), |last| (ended(last.reason.as_deref(), last.exit_code), last.message.as_deref()));
                Some((Reason::PodFailing, with_message(format!("container {name} of pod {pod} keeps failing{why}"), said)))
            }
            _ => Some((Reason::PodFailing, format!("container {name} of pod {pod} cannot start: {reason}: {}", short(message)))),
        };
    }
    // Between two failures it runs for a moment, which is no news.
    let tries_again = |last: &&ContainerStateTerminated| {
        state.running.is_some() && !container.ready && last.exit_code != 0 && (container.restart_count > 1 || last.message.is_some())
    };
    if let Some(last) = last.filter(tries_again) {
        let why = ended(last.reason.as_deref(), last.exit_code);
        let text = format!("container {} of pod {pod} failed{why} and was started again", container.name);
        return Some((Reason::PodFailing, with_message(text, last.message.as_deref())));
    }
    let terminated = state.terminated.as_ref().filter(|terminated| terminated.exit_code != 0)?;
    let why = ended(terminated.reason.as_deref(), terminated.exit_code);
    Some((
        Reason::PodFailing,
        with_message(format!("container {} of pod {pod} failed{why}", container.name), terminated.message.as_deref()),
    ))
}

fn ended(reason: Option<&str>, code: i32) -> String {
    match reason {
        Some("OOMKilled") => ": it used more memory than its limit".to_owned(),
        Some("Error") | None => format!(" with exit code {code}"),
        Some(reason) => format!(" with exit code {code}, {reason}"),
    }
}

fn with_message(text: String, said: Option<&str>) -> String {
    match said.map(str::trim).filter(|said| !said.is_empty()) {
        Some(said) => format!("{text}: {}", short(said)),
        None => text,
    }
}

fn short(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() <= CONTAINER_MESSAGE_MAX_CHARS {
        return text.to_owned();
    }
    // The end of a log says why; its start says what was tried.
    let skip = text.chars().count() - CONTAINER_MESSAGE_MAX_CHARS;
    format!("…{}", text.chars().skip(skip).collect::<String>())
}

/// The first claim that has no volume.
pub fn pending_claim(claims: &[PersistentVolumeClaim]) -> Option<&PersistentVolumeClaim> {
    claims.iter().find(|claim| claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Pending"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: &serde_json::Value) -> Pod {
        let object = json!({"metadata": {"name": "esperanca-api-1"}, "status": status});
        serde_json::from_value(object).unwrap_or_default()
    }

    fn cause(status: &serde_json::Value) -> Option<(Reason, String)> {
        of_pods([&pod(status)])
    }

    #[test]
    fn each_trouble_of_a_pod_is_named() {
        let container = |state: serde_json::Value, last: serde_json::Value| {
            json!({"phase": "Pending", "containerStatuses": [
                {"name": "api", "image": "doacoes/api:9", "imageID": "", "ready": false, "restartCount": 1, "state": state, "lastState": last},
            ]})
        };
        for (status, reason, text) in [
            (
                json!({"phase": "Pending", "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."},
                ]}),
                Reason::Unschedulable,
                "pod esperanca-api-1 cannot be scheduled: 0/3 nodes are available: 3 Insufficient cpu.",
            ),
            (
                container(json!({"waiting": {"reason": "ImagePullBackOff", "message": "manifest unknown"}}), json!({})),
                Reason::ImagePullFailed,
                "pod esperanca-api-1 cannot pull image doacoes/api:9: manifest unknown",
            ),
            (
                container(
                    json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}),
                    json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "keys are missing\n"}}),
                ),
                Reason::PodFailing,
                "container api of pod esperanca-api-1 keeps failing with exit code 1: keys are missing",
            ),
            (
                container(
                    json!({"waiting": {"reason": "CrashLoopBackOff"}}),
                    json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
                ),
                Reason::PodFailing,
                "container api of pod esperanca-api-1 keeps failing: it used more memory than its limit",
            ),
            (
                container(
                    json!({"running": {}}),
                    json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "the data is of PostgreSQL 16"}}),
                ),
                Reason::PodFailing,
                "container api of pod esperanca-api-1 failed with exit code 1 and was started again: the data is of PostgreSQL 16",
            ),
            (
                container(json!({"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"x\" not found"}}), json!({})),
                Reason::PodFailing,
                "container api of pod esperanca-api-1 cannot start: CreateContainerConfigError: secret \"x\" not found",
            ),
            (
                json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}),
                Reason::PodFailing,
                "pod esperanca-api-1 failed: The node was low on resource: memory.",
            ),
        ] {
            assert_eq!(cause(&status), Some((reason, text.to_owned())));
        }
    }

    #[test]
    fn a_pod_on_its_way_has_no_trouble() {
        assert_eq!(cause(&json!({"phase": "Pending"})), None);
        let creating = json!({"phase": "Pending", "containerStatuses": [
            {"name": "api", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}},
        ]});
        assert_eq!(cause(&creating), None);
    }

    #[test]
    fn a_container_that_was_started_again_once_and_said_nothing_is_on_its_way() {
        let restarted = |count: i32, ready: bool| {
            cause(&json!({"phase": "Running", "containerStatuses": [{
                "name": "api", "image": "i", "imageID": "", "ready": ready, "restartCount": count, "state": {"running": {}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "Error"}},
            }]}))
        };
        assert_eq!(restarted(1, false), None);
        assert_eq!(restarted(2, true), None);
        assert!(restarted(2, false).is_some());
    }

    #[test]
    fn a_long_message_keeps_its_end() {
        let text = format!("{}the cause", "x".repeat(1000));
        let shortened = short(&text);
        assert!(shortened.ends_with("the cause") && shortened.chars().count() == CONTAINER_MESSAGE_MAX_CHARS + 1, "{shortened}");
    }
}

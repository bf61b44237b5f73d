//! Events: one for each change of a condition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::condition::ConditionType;
use super::reason::Reason;
use crate::client::{ApiClient, REQUEST_TIMEOUT};
use crate::crd::DonationPlatform;
use crate::telemetry::chain;

/// Longest note of an Event, in bytes.
const EVENT_NOTE_MAX_BYTES: usize = 1000;

/// Reports the conditions that changed. A `Recorder` that lived longer would count a repeated reason and keep the first note,
/// while each change has something else to say. An Event that cannot be written is no reason to fail: the status says the same.
pub async fn publish(client: &ApiClient, reporter: &Reporter, resource: &DonationPlatform, changed: &[&Condition]) {
    let recorder = Recorder::new(client.client(), reporter.clone());
    let reference = resource.object_ref(&());
    for condition in changed {
        let event = Event {
            type_: if is_warning(condition) { EventType::Warning } else { EventType::Normal },
            reason: condition.reason.clone(),
            note: Some(note(condition)),
            action: condition.type_.clone(),
            secondary: None,
        };
        match tokio::time::timeout(REQUEST_TIMEOUT, recorder.publish(&event, &reference)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "an Event could not be written"),
            Err(_) => tracing::warn!(after = REQUEST_TIMEOUT.as_secs(), "an Event could not be written in time"),
        }
    }
}

fn is_warning(condition: &Condition) -> bool {
    Reason::from_text(&condition.reason).is_some_and(Reason::needs_action)
}

fn note(condition: &Condition) -> String {
    let mut text = if condition.type_ == ConditionType::Ready.as_str() {
        condition.message.clone()
    } else {
        format!("{} is {}: {}", condition.type_, condition.status, condition.message)
    };
    while text.len() > EVENT_NOTE_MAX_BYTES {
        text.pop();
    }
    text
}

//! The number of pods, in a patch of its own: an autoscaler takes it over by writing it, and nothing of ours takes it back.

use kube::api::DynamicObject;
use kube::core::{ApiResource, ObjectMeta};
use serde_json::{Value, json};

use crate::build::Scale;
use crate::client::patch_of;

/// The number to write, if the `live` one is not right. `created`: the workload was made just now and has the server's default.
pub fn wanted(scale: Scale, live: i64, created: bool) -> Option<i32> {
    match scale {
        Scale::Fixed(replicas) => (created || live != i64::from(replicas)).then_some(replicas),
        // An autoscaler leaves a workload with no pods alone. Any other number is its business; at the hand-over the live number
        // stays, and the autoscaler moves on from there.
        Scale::Autoscaled(floor) => (created || live == 0).then_some(floor),
    }
}

/// `spec.replicas` of a workload.
pub fn replicas(workload: &DynamicObject) -> i64 {
    workload.data.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

/// The patch that sets the number and nothing else, for this very object.
pub fn patch(workload: &DynamicObject, resource: &ApiResource, replicas: i32) -> DynamicObject {
    patch_of(resource, &workload.metadata, ObjectMeta::default(), json!({"spec": {"replicas": replicas}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_number_is_kept() {
        assert_eq!(wanted(Scale::Fixed(4), 1, true), Some(4));
        assert_eq!(wanted(Scale::Fixed(1), 1, true), Some(1), "written at creation, so that it is owned");
        assert_eq!(wanted(Scale::Fixed(4), 4, false), None);
        assert_eq!(wanted(Scale::Fixed(4), 7, false), Some(4));
        assert_eq!(wanted(Scale::Fixed(4), 0, false), Some(4));
    }

    #[test]
    fn an_autoscaler_starts_at_its_floor_and_is_left_alone() {
        assert_eq!(wanted(Scale::Autoscaled(4), 1, true), Some(4));
        assert_eq!(wanted(Scale::Autoscaled(4), 9, false), None, "its decision");
        assert_eq!(wanted(Scale::Autoscaled(4), 2, false), None, "the hand-over keeps the live number");
        assert_eq!(wanted(Scale::Autoscaled(4), 0, false), Some(4), "with no pods it does nothing");
    }
}

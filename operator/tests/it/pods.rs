//! Where rendered objects have their pods.

use serde_json::Value;

/// The template of an object's pods, wherever in the object it stands.
pub(crate) fn pod_template(object: &Value) -> Option<&Value> {
    if object.pointer("/spec/containers").is_some_and(Value::is_array) {
        return Some(object);
    }
    match object {
        Value::Object(fields) => fields.values().find_map(pod_template),
        Value::Array(items) => items.iter().find_map(pod_template),
        _ => None,
    }
}

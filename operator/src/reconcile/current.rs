//! Compares an object in the cluster with the rendered one, so that nothing is written when they agree.
//!
//! The API server fills in defaults, so an object is current when every rendered field is in it. Where the rendered value is a
//! list the whole list must agree, or an added container would go unnoticed.

use serde_json::{Map, Value};

use crate::quantity::billionths;

/// Maps in which a key that was not rendered changes what the object means.
const WHOLE_MAPS: [&str; 7] = ["binaryData", "data", "limits", "matchLabels", "namespaceSelector", "nodeSelector", "podSelector"];

/// Maps and fields whose values are quantities: `1` and `1000m` are the same.
const QUANTITIES: [&str; 5] = ["averageValue", "divisor", "limits", "requests", "sizeLimit"];

/// Maps of texts or quantities, which are left out when they are empty. Any other empty object means something: `emptyDir: {}` is
/// a kind of volume, and one that is missing was exchanged for another.
const PLAIN_MAPS: [&str; 8] = ["annotations", "binaryData", "data", "labels", "limits", "matchLabels", "nodeSelector", "requests"];

/// Lists whose elements are known by a key, so that server-side apply leaves elements of others in them.
const KEYED_LISTS: [(&str, &[&str]); 9] = [
    ("containers", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("ports", &["containerPort", "port", "protocol"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

/// The path of the first field of `desired` that is not in `live`; none when `live` is current.
pub fn difference(desired: &Value, live: &Value) -> Option<String> {
    Comparison::default().value(desired, Some(live))
}

#[derive(Default)]
struct Comparison {
    path: Vec<String>,
}

impl Comparison {
    fn value(&mut self, desired: &Value, live: Option<&Value>) -> Option<String> {
        // What is empty is left out when the object is stored.
        let Some(live) = live else {
            return if self.is_left_out(desired) { None } else { Some(self.path.join(".")) };
        };
        match (desired, live) {
            (Value::Object(desired), Value::Object(live)) => self.map(desired, live),
            (Value::Array(desired), Value::Array(live)) => self.list(desired, live),
            _ if desired == live || (self.holds_quantities() && same_quantity(desired, live)) => None,
            _ => Some(self.path.join(".")),
        }
    }

    fn map(&mut self, desired: &Map<String, Value>, live: &Map<String, Value>) -> Option<String> {
        if self.is_whole_map() && live.keys().any(|key| !desired.contains_key(key)) {
            return Some(self.path.join("."));
        }
        if let Some(key) = added_lists(&self.path, desired, live).next() {
            return Some(format!("{}.{key}", self.path.join(".")));
        }
        for (key, value) in desired {
            self.path.push(key.clone());
            let found = self.value(value, live.get(key));
            self.path.pop();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn list(&mut self, desired: &[Value], live: &[Value]) -> Option<String> {
        // Others may hold the object too, to keep it from being removed.
        if self.path.last().is_some_and(|key| key == "ownerReferences") {
            return desired.iter().any(|owner| !live.iter().any(|other| self.owner(owner, other))).then(|| self.path.join("."));
        }
        if desired.len() != live.len() {
            return Some(self.path.join("."));
        }
        for (index, (value, other)) in desired.iter().zip(live).enumerate() {
            self.path.push(index.to_string());
            let found = self.value(value, Some(other));
            self.path.pop();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn owner(&mut self, desired: &Value, live: &Value) -> bool {
        desired.get("uid") == live.get("uid") && self.value(desired, Some(live)).is_none()
    }

    /// Whether storing an object leaves out such a value here.
    fn is_left_out(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::Number(value) => value.as_f64() == Some(0.0),
            Value::String(value) => value.is_empty(),
            Value::Array(value) => value.is_empty(),
            Value::Object(value) => value.is_empty() && self.path.last().is_some_and(|key| PLAIN_MAPS.contains(&key.as_str())),
        }
    }

    fn is_whole_map(&self) -> bool {
        is_whole_map(&self.path)
    }

    fn holds_quantities(&self) -> bool {
        self.path.iter().rev().take(2).any(|key| QUANTITIES.contains(&key.as_str()))
    }
}

/// Lists of a container that others may add where the operator rendered none.
const LISTS_OF_CONTAINERS: [&str; 7] = ["args", "command", "env", "envFrom", "ports", "volumeDevices", "volumeMounts"];
/// Lists of a pod's spec that others may add where the operator rendered none.
const LISTS_OF_PODS: [&str; 6] =
    ["hostAliases", "imagePullSecrets", "initContainers", "tolerations", "topologySpreadConstraints", "volumes"];

/// Lists of a container or a pod's spec that are in `live` alone.
fn added_lists<'a>(
    path: &[String],
    desired: &'a Map<String, Value>,
    live: &'a Map<String, Value>,
) -> impl Iterator<Item = &'static str> + use<'a> {
    let in_template = path.iter().any(|key| key == "template");
    let lists: &'static [&'static str] = match path {
        [.., parent, _] if in_template && (parent == "containers" || parent == "initContainers") => &LISTS_OF_CONTAINERS,
        [.., parent, last] if parent == "template" && last == "spec" => &LISTS_OF_PODS,
        _ => &[],
    };
    let is_there = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    lists.iter().copied().filter(move |key| !desired.contains_key(*key) && live.get(*key).is_some_and(is_there))
}

fn is_whole_map(path: &[String]) -> bool {
    match path.last().map(String::as_str) {
        // A Service's selector; a Deployment's holds `matchLabels`.
        Some("selector") => path.first().is_some_and(|key| key == "spec") && path.len() == 2,
        Some(key) => WHOLE_MAPS.contains(&key),
        None => false,
    }
}

fn same_quantity(left: &Value, right: &Value) -> bool {
    match (quantity(left), quantity(right)) {
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

/// A quantity in billionths.
fn quantity(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => billionths(text),
        Value::Number(number) => billionths(&number.to_string()),
        _ => None,
    }
}

/// `live` without what others added to the lists and maps that `desired` holds, and with their elements in the order of
/// `desired`; none when there is nothing to take away.
pub fn without_additions(desired: &Value, live: &Value) -> Option<Value> {
    let mut cleaned = live.clone();
    clean(desired, &mut cleaned, &mut Vec::new());
    (cleaned != *live).then_some(cleaned)
}

fn clean(desired: &Value, live: &mut Value, path: &mut Vec<String>) {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => {
            if is_whole_map(path) {
                live.retain(|key, _| desired.contains_key(key));
            }
            let added: Vec<&str> = added_lists(path, desired, live).collect();
            for key in added {
                live.remove(key);
            }
            for (key, value) in desired {
                if let Some(other) = live.get_mut(key) {
                    path.push(key.clone());
                    clean(value, other, path);
                    path.pop();
                }
            }
        }
        (Value::Array(desired), Value::Array(live)) => {
            let Some(keys) = path.last().and_then(|name| KEYED_LISTS.iter().find(|(list, _)| list == name)).map(|(_, keys)| *keys) else {
                return;
            };
            let mut rest = std::mem::take(live);
            for value in desired {
                let Some(index) = rest.iter().position(|other| keys.iter().all(|key| same_key(key, value, other))) else {
                    continue;
                };
                let mut kept = rest.remove(index);
                path.push("*".to_owned());
                clean(value, &mut kept, path);
                path.pop();
                live.push(kept);
            }
        }
        _ => {}
    }
}

/// The protocol of a port is filled in when it is left out.
fn same_key(key: &str, desired: &Value, live: &Value) -> bool {
    match (desired.get(key), live.get(key)) {
        (None, Some(value)) if key == "protocol" => value == "TCP",
        // A Service's port has no containerPort, a container's no port.
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn desired() -> Value {
        json!({
            "metadata": {"name": "esperanca-api", "labels": {"app": "api"}, "ownerReferences": [{"uid": "1", "controller": true}]},
            "spec": {
                "selector": {"matchLabels": {"app": "api"}},
                "template": {"spec": {
                    "hostNetwork": false,
                    "containers": [{
                        "name": "api", "image": "doacoes/api:1", "command": [],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1.0"}],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "resources": {"limits": {"memory": "1Gi", "cpu": "1"}},
                    }],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                }},
            },
        })
    }

    /// What the API server makes of it.
    fn stored() -> Value {
        json!({
            "metadata": {
                "name": "esperanca-api", "uid": "2", "labels": {"app": "api", "team": "others"},
                "annotations": {"others": "too"},
                "ownerReferences": [{"uid": "9"}, {"uid": "1", "controller": true, "blockOwnerDeletion": true}],
            },
            "spec": {
                "replicas": 4,
                "selector": {"matchLabels": {"app": "api"}},
                "template": {"spec": {
                    "dnsPolicy": "ClusterFirst",
                    "containers": [{
                        "name": "api", "image": "doacoes/api:1", "terminationMessagePath": "/dev/termination-log",
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1.0"}],
                        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                        "resources": {"limits": {"memory": "1024Mi", "cpu": "1000m"}},
                    }],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                }},
            },
            "status": {"replicas": 4},
        })
    }

    fn changed(pointer: &str, value: Value) -> Value {
        let mut live = stored();
        let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        match live.pointer_mut(parent) {
            Some(Value::Object(map)) => {
                map.insert(key.to_owned(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            _ => unreachable!("{pointer} is in the object"),
        }
        live
    }

    #[test]
    fn defaults_of_the_server_and_labels_of_others_are_no_difference() {
        assert_eq!(difference(&desired(), &stored()), None);
        assert_eq!(without_additions(&desired(), &stored()), None);
    }

    #[test]
    fn every_changed_or_removed_field_is_found() {
        let container = "/spec/template/spec/containers/0";
        for (pointer, value, path) in [
            ("/metadata/labels/app", json!("web"), "metadata.labels.app"),
            ("/metadata/ownerReferences", json!([{"uid": "9"}]), "metadata.ownerReferences"),
            ("/spec/selector/matchLabels/extra", json!("x"), "spec.selector.matchLabels"),
            ("/spec/template/spec/hostNetwork", json!(true), "spec.template.spec.hostNetwork"),
            (&format!("{container}/image"), json!("doacoes/api:2"), "spec.template.spec.containers.0.image"),
            (&format!("{container}/env"), json!([{"name": "A", "value": "1"}]), "spec.template.spec.containers.0.env"),
            (&format!("{container}/command"), json!(["sh"]), "spec.template.spec.containers.0.command"),
            (
                &format!("{container}/resources/limits"),
                json!({"memory": "1025Mi", "cpu": "1"}),
                "spec.template.spec.containers.0.resources.limits.memory",
            ),
            ("/spec/template/spec/volumes", json!([{"name": "tmp", "hostPath": {"path": "/"}}]), "spec.template.spec.volumes.0.emptyDir"),
            ("/spec/template/spec/containers/-", json!({"name": "sidecar"}), "spec.template.spec.containers"),
            ("/spec/template/spec/volumes/-", json!({"name": "other", "emptyDir": {}}), "spec.template.spec.volumes"),
        ] {
            assert_eq!(difference(&desired(), &changed(pointer, value)).as_deref(), Some(path), "{pointer}");
        }
    }

    #[test]
    fn values_that_are_no_quantities_are_compared_as_text() {
        let live = changed("/spec/template/spec/containers/0/env", json!([{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]));
        assert_eq!(difference(&desired(), &live).as_deref(), Some("spec.template.spec.containers.0.env.1.value"));
    }

    #[test]
    fn what_others_added_to_our_lists_is_taken_away_and_the_rest_stays() {
        let mut live = changed("/spec/template/spec/containers/-", json!({"name": "sidecar"}));
        if let Some(Value::Array(env)) = live.pointer_mut("/spec/template/spec/containers/0/env") {
            env.insert(0, json!({"name": "LD_PRELOAD", "value": "x"}));
            env.swap(1, 2);
        }
        assert_eq!(without_additions(&desired(), &live), Some(stored()));
    }

    #[test]
    fn quantities_are_compared_by_value() {
        for (left, right) in [("1", "1000m"), ("1Gi", "1024Mi"), ("0.5", "500m"), ("1k", "1000"), ("1.5Gi", "1536Mi"), ("100n", "100n")] {
            let (left, right) = (json!({"requests": {"cpu": left}}), json!({"requests": {"cpu": right}}));
            assert_eq!(difference(&left, &right), None, "{left} {right}");
        }
        for (left, right) in [("1", "1001m"), ("1Gi", "1G"), ("1", "x"), ("1", "")] {
            let (left, right) = (json!({"requests": {"cpu": left}}), json!({"requests": {"cpu": right}}));
            assert!(difference(&left, &right).is_some(), "{left} {right}");
        }
    }
}

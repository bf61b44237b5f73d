//! Walks over the schema of the `CustomResourceDefinition`, so that a test covers fields that are added later.

use doacoes_operator::crd::DonationPlatform;
use kube::CustomResourceExt as _;
use serde_json::Value;

/// One node of the schema and where it is, such as `spec.ingress.host`; the root has an empty path.
pub(crate) struct Node {
    pub(crate) path: String,
    pub(crate) schema: Value,
}

/// The definition as JSON.
pub(crate) fn definition() -> Value {
    serde_json::to_value(DonationPlatform::crd()).unwrap()
}

/// The schema of the only version.
pub(crate) fn root() -> Value {
    definition().pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone()
}

/// Every node of the schema, the root first.
pub(crate) fn nodes() -> Vec<Node> {
    let mut found = Vec::new();
    collect(String::new(), root(), &mut found);
    found
}

/// The nodes of what users write.
pub(crate) fn spec_nodes() -> Vec<Node> {
    let nodes: Vec<Node> = nodes().into_iter().filter(|node| node.path == "spec" || node.path.starts_with("spec.")).collect();
    assert!(nodes.len() > 1, "the spec has no fields");
    nodes
}

/// Every rule as (path, rule, message).
pub(crate) fn rules() -> Vec<(String, String, String)> {
    let text = |rule: &Value, key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for node in nodes() {
        for rule in node.schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
            found.push((node.path.clone(), text(rule, "rule"), text(rule, "message")));
        }
    }
    found
}

fn collect(path: String, schema: Value, found: &mut Vec<Node>) {
    let mut children = Vec::new();
    for (name, child) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let child_path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        children.push((child_path, child.clone()));
    }
    if let Some(items) = schema.get("items") {
        children.push((format!("{path}[]"), items.clone()));
    }
    if let Some(values) = schema.get("additionalProperties").filter(|value| value.is_object()) {
        children.push((format!("{path}{{}}"), values.clone()));
    }
    found.push(Node { path, schema });
    for (child_path, child) in children {
        collect(child_path, child, found);
    }
}

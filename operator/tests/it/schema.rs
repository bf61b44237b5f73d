//! Walks over the schema of the `CustomResourceDefinition`, so that a test covers fields that are added later.

use doacoes_operator::crd::DonationPlatform;
use kube::CustomResourceExt as _;
use serde_json::Value;

/// One node of the schema and where it is, such as `spec.ingress.host`; the root has an empty path. Items of a list end with
/// `[]`, values of a map with `{}`.
pub(crate) struct Node {
    pub(crate) path: String,
    pub(crate) schema: Value,
}

impl Node {
    /// Whether it is what users write.
    pub(crate) fn is_of_spec(&self) -> bool {
        self.path == "spec" || self.path.starts_with("spec.")
    }
}

/// A rule and where it stands.
pub(crate) struct Rule {
    pub(crate) path: String,
    pub(crate) cel: String,
    pub(crate) message: String,
}

/// The definition as JSON.
pub(crate) fn definition() -> Value {
    serde_json::to_value(DonationPlatform::crd()).unwrap_or_default()
}

/// Every node of the schema of the only version, the root first.
pub(crate) fn nodes() -> Vec<Node> {
    let root = definition().pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default();
    let mut found = Vec::new();
    collect(String::new(), root, &mut found);
    assert!(found.len() > 100, "the definition has no schema");
    found
}

/// Every rule.
pub(crate) fn rules() -> Vec<Rule> {
    let text = |rule: &Value, key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for node in nodes() {
        for rule in node.schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
            found.push(Rule { path: node.path.clone(), cel: text(rule, "rule"), message: text(rule, "message") });
        }
    }
    assert!(!found.is_empty(), "the definition has no rules");
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

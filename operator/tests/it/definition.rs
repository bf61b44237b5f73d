//! What holds for every field of the resource, also for those that are added later.

use serde_json::{Value, json};

use super::schema::{definition, nodes, root, rules, spec_nodes};

#[test]
fn the_resource_has_its_names() {
    let spec = definition().pointer("/spec").unwrap().clone();
    assert_eq!(spec.pointer("/group"), Some(&json!("doacoes.dev")));
    assert_eq!(spec.pointer("/scope"), Some(&json!("Namespaced")));
    assert_eq!(
        spec.pointer("/names"),
        Some(&json!({
            "kind": "DonationPlatform",
            "plural": "donationplatforms",
            "singular": "donationplatform",
            "shortNames": ["dp"],
        }))
    );
}

#[test]
fn the_only_version_is_served_with_status_and_columns() {
    let versions = definition().pointer("/spec/versions").unwrap().clone();
    assert_eq!(versions.as_array().map(Vec::len), Some(1));
    let version = versions.pointer("/0").unwrap();
    assert_eq!(version.pointer("/name"), Some(&json!("v1alpha1")));
    assert_eq!(version.pointer("/served"), Some(&json!(true)));
    assert_eq!(version.pointer("/storage"), Some(&json!(true)));
    assert_eq!(version.pointer("/subresources"), Some(&json!({"status": {}})));
    let columns: Vec<&Value> = version
        .pointer("/additionalPrinterColumns")
        .and_then(Value::as_array)
        .unwrap()
        .iter()
        .filter_map(|column| column.get("name"))
        .collect();
    assert_eq!(columns, ["Ready", "Host", "Age"]);
}

#[test]
fn the_description_names_the_release_and_what_it_lacks() {
    let schema = root();
    let description = schema.get("description").and_then(Value::as_str).unwrap();
    let release = format!("API version v1alpha1, of release {}:", env!("CARGO_PKG_VERSION"));
    assert!(description.contains(&release), "{description}");
    assert!(description.contains("does not reconcile it yet"), "{description}");
}

#[test]
fn every_field_is_described() {
    let bare: Vec<String> = nodes()
        .into_iter()
        .filter(|node| node.schema.get("description").and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()))
        .map(|node| node.path)
        .collect();
    assert_eq!(bare, Vec::<String>::new());
}

#[test]
fn integers_have_a_format_that_kubernetes_knows() {
    let wrong: Vec<(String, Option<Value>)> = nodes()
        .into_iter()
        .filter(|node| node.schema.get("type") == Some(&json!("integer")))
        .map(|node| (node.path, node.schema.get("format").cloned()))
        .filter(|(_, format)| format.as_ref().is_none_or(|format| format != "int32" && format != "int64"))
        .collect();
    assert_eq!(wrong, []);
}

#[test]
fn everything_a_user_writes_is_bounded() {
    let unbounded: Vec<String> = spec_nodes()
        .into_iter()
        .filter(|node| {
            let has = |key: &str| node.schema.get(key).is_some();
            match node.schema.get("type").and_then(Value::as_str) {
                Some("integer" | "number") => !(has("minimum") && has("maximum")),
                Some("string") => !(has("enum") || has("maxLength")),
                Some("array") => !has("maxItems"),
                Some("object") => has("additionalProperties") && !has("maxProperties"),
                _ => false,
            }
        })
        .map(|node| node.path)
        .collect();
    assert_eq!(unbounded, Vec::<String>::new());
}

/// Else a rule that reads a nested field breaks on a resource that leaves the parent out.
#[test]
fn parents_without_required_members_are_defaulted() {
    let missing: Vec<String> = spec_nodes()
        .into_iter()
        .filter(|node| {
            node.path != "spec"
                && node.schema.get("properties").is_some()
                && node.schema.get("required").is_none()
                && node.schema.get("default") != Some(&json!({}))
        })
        .map(|node| node.path)
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn conditions_merge_by_type() {
    let schema = root();
    let conditions = schema.pointer("/properties/status/properties/conditions").unwrap();
    assert_eq!(conditions.get("x-kubernetes-list-type"), Some(&json!("map")));
    assert_eq!(conditions.get("x-kubernetes-list-map-keys"), Some(&json!(["type"])));
}

/// The API server shows the message instead of the rule, and refuses one with a line break.
#[test]
fn every_rule_has_a_message_of_one_line_that_names_its_field() {
    let rules = rules();
    assert!(!rules.is_empty());
    for (path, rule, message) in rules {
        let field = path.strip_prefix("spec.").unwrap_or("metadata.name");
        assert!(message.starts_with(field), "{rule}: {message}");
        assert!(!message.contains('\n'), "{rule}: {message}");
    }
}

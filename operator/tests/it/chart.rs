//! The chart against the operator.

use serde_json::{Value, json};

use super::manifest::{printed, repository_file};

/// YAML that this repository holds.
fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

#[test]
fn the_chart_holds_exactly_the_generated_definition() {
    assert!(
        repository_file("charts/doacoes/files/crd.yaml") == printed(),
        "the chart's definition is not current; run: cp manifests/crd.yaml charts/doacoes/files/crd.yaml"
    );
    assert!(repository_file("charts/doacoes/templates/crd.yaml").contains(r#".Files.Get "files/crd.yaml""#));
}

#[test]
fn the_chart_has_the_version_of_the_operator() {
    let chart = yaml(&repository_file("charts/doacoes/Chart.yaml"));
    let version = json!(env!("CARGO_PKG_VERSION"));
    assert_eq!(chart.get("version"), Some(&version));
    assert_eq!(chart.get("appVersion"), Some(&version));
}

#[test]
fn the_chart_refuses_unknown_values_and_documents_known_ones() {
    let schema: Value = serde_json::from_str(&repository_file("charts/doacoes/values.schema.json")).unwrap();
    let values = yaml(&repository_file("charts/doacoes/values.yaml"));
    let readme = repository_file("charts/doacoes/README.md");
    for (group, members) in values.as_object().unwrap() {
        assert_eq!(schema.get("additionalProperties"), Some(&json!(false)));
        let group_schema = schema.pointer(&format!("/properties/{group}")).unwrap();
        assert_eq!(group_schema.get("additionalProperties"), Some(&json!(false)));
        let known = group_schema.get("properties").and_then(Value::as_object).unwrap();
        let members = members.as_object().unwrap();
        assert!(known.keys().eq(members.keys()));
        for (name, value) in members {
            assert_eq!(known.get(name).and_then(|field| field.get("default")), Some(value));
            assert!(readme.contains(&format!("`{group}.{name}`")));
        }
    }
}

//! The chart against the operator.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::{
    manifest::{printed, repository_file},
    schema::definition,
};

/// YAML that this repository holds or that its own chart renders.
fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// The definition that the chart renders with these settings, if it renders one.
fn rendered(settings: &[&str]) -> Value {
    let mut helm = Command::new("helm");
    // Without a cluster Helm assumes a version that it was built with, which a build from source leaves at an old one.
    helm.args(["template", "site", "--kube-version", "1.35.0"]).arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../charts/doacoes"));
    for setting in settings {
        helm.args(["--set", setting]);
    }
    let output = helm.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    yaml(&String::from_utf8(output.stdout).unwrap())
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

#[test]
#[ignore = "needs helm on PATH"]
fn helm_renders_exactly_the_generated_definition() {
    for (setting, annotations) in [("crds.keep=true", json!({"helm.sh/resource-policy": "keep"})), ("crds.keep=false", Value::Null)] {
        let mut object = rendered(&[setting]);
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut).unwrap();
        assert_eq!(metadata.remove("annotations").unwrap_or_default(), annotations);
        assert!(metadata.remove("labels").is_some());
        assert_eq!(normal(object), normal(definition()));
    }
    assert_eq!(rendered(&["crds.install=false"]), Value::Null);
}

/// Helm writes 100.0 as 100; both are the same number to Kubernetes.
fn normal(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::Object(members) => members.into_iter().map(|(key, member)| (key, normal(member))).collect(),
        other => other,
    }
}

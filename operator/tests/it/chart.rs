//! The chart against the operator.

use serde_json::{Value, json};

use super::manifest::repository_file;

/// YAML that this repository holds.
fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

#[test]
fn the_chart_renders_the_generated_files() {
    for (template, file) in [("crd.yaml", "files/crd.yaml"), ("rbac.yaml", "files/role.yaml")] {
        let text = repository_file(&format!("charts/doacoes/templates/{template}"));
        assert!(text.contains(&format!(r#".Files.Get "{file}""#)), "{template}");
    }
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
    let mut schema: Value = serde_json::from_str(&repository_file("charts/doacoes/values.schema.json")).unwrap();
    let values = yaml(&repository_file("charts/doacoes/values.yaml"));
    let readme = repository_file("charts/doacoes/README.md");
    // Helm itself puts these there.
    schema.pointer_mut("/properties").and_then(Value::as_object_mut).unwrap().remove("global");
    documented("", &values, &schema, &readme);
}

/// `value` is the default of its schema and stands in the README, or, for a group, each of its members is and does.
fn documented(path: &str, value: &Value, schema: &Value, readme: &str) {
    let known = schema.get("properties").and_then(Value::as_object);
    if let (Some(known), Some(members)) = (known, value.as_object().filter(|members| !members.is_empty())) {
        assert_eq!(schema.get("additionalProperties"), Some(&json!(false)), "{path}");
        assert!(known.keys().eq(members.keys()), "{path}: {:?} and {:?}", known.keys(), members.keys());
        for ((name, member), schema) in members.iter().zip(known.values()) {
            let member_path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            documented(&member_path, member, schema, readme);
        }
    } else {
        assert_eq!(schema.get("default"), Some(value), "{path}");
        assert!(readme.contains(&format!("`{path}`")), "{path} is not in the README");
    }
}

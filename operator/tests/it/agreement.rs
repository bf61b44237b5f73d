//! What is written in two places and must be the same.

use std::collections::{BTreeMap, BTreeSet};

use doacoes_operator::{images, manifests};
use serde_json::{Value, json};

use super::manifest::repository_file;
use super::schema::nodes;

/// `hack/images` makes and loads what the operator starts.
#[test]
fn the_images_that_are_built_and_loaded_are_those_that_run() {
    let text = repository_file("images/defaults");
    let listed: BTreeMap<&str, &str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(char::is_whitespace))
        .map(|(name, reference)| (name, reference.trim()))
        .collect();
    let operator = manifests::IMAGE.strip_suffix(concat!(":", env!("CARGO_PKG_VERSION"))).unwrap();
    assert_eq!(
        listed,
        BTreeMap::from([
            ("api", images::API_REPOSITORY),
            ("nginx", images::NGINX),
            ("operator", operator),
            ("pgbouncer", images::PGBOUNCER),
            ("postgres", images::POSTGRESQL),
            ("redis", images::REDIS),
        ])
    );
}

/// The API refuses to start with a limit of a rule that it does not know. `api rate-limits` prints those that it knows.
#[test]
fn the_rules_that_a_resource_can_limit_are_those_of_the_api() {
    let printed: BTreeMap<String, Value> = serde_json::from_str(&repository_file("docs/rate-limits.json")).unwrap();
    let known: BTreeSet<&str> = printed.keys().map(String::as_str).collect();
    let offered = nodes().into_iter().find(|node| node.path == "spec.api.rateLimits[].rule").unwrap().schema;
    let mut offered: BTreeSet<&str> =
        offered.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(offered.remove("*"));
    assert!(!known.is_empty());
    assert_eq!(offered, known);
}

#[test]
fn the_description_names_the_release_whose_image_is_the_default() {
    let root = nodes().into_iter().next().unwrap().schema;
    let description = root.get("description").and_then(Value::as_str).unwrap();
    let release = format!("API version v1alpha1, of release {}.", env!("CARGO_PKG_VERSION"));
    assert!(description.ends_with(&release), "{description}");
    let tag = nodes().into_iter().find(|node| node.path == "spec.image.tag").unwrap().schema;
    assert_eq!(tag.get("default"), Some(&json!(env!("CARGO_PKG_VERSION"))));
}

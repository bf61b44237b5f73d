//! What the API server accepts, refuses and stores, with its rules and defaults evaluated here.
//!
//! Bounds such as `maximum` and `maxLength` are left to the API server.

use std::collections::BTreeSet;

use doacoes_operator::crd::{Api, DonationPlatform, DonationPlatformStatus, Image, Profile, PullPolicy};
use serde_json::{Value, json};

use super::schema::{root, rules};

/// A resource as a user writes it.
fn platform(name: &str, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "doacoes.dev/v1alpha1",
        "kind": "DonationPlatform",
        "metadata": {"name": name, "namespace": "fundraising"},
    });
    object.as_object_mut().unwrap().insert("spec".to_owned(), spec);
    object
}

fn with_host(host: &str) -> Value {
    platform("esperanca", json!({"ingress": {"host": host}}))
}

fn with_image(image: Value) -> Value {
    let mut object = with_host("doe.example.org");
    object.pointer_mut("/spec").and_then(Value::as_object_mut).unwrap().insert("image".to_owned(), image);
    object
}

/// The object as it is stored. The evaluator does not look into a default that it has just put in, the API server does;
/// hence the loop.
fn stored(object: &Value) -> Value {
    let schema = root();
    let mut current = object.clone();
    loop {
        let next = kube_cel::apply_defaults(&schema, &current);
        if next == current {
            return current;
        }
        current = next;
    }
}

/// Messages of the rules that the object breaks.
fn refusals(object: &Value) -> BTreeSet<String> {
    match kube_cel::Validator::new().validate(&root(), &stored(object), None) {
        Ok(()) => BTreeSet::new(),
        Err(errors) => errors
            .into_vec()
            .into_iter()
            .map(|error| {
                assert_eq!(error.kind, kube_cel::ErrorKind::ValidationFailure, "{error}");
                error.message
            })
            .collect(),
    }
}

fn accepted() -> Vec<Value> {
    let mut objects = vec![
        platform("e", json!({"ingress": {"host": "localhost"}})),
        platform(&"e".repeat(40), json!({"ingress": {"host": "doe.localhost"}})),
        platform("casa-2", json!({"ingress": {"host": "doe.example.org"}})),
        platform(
            "esperanca",
            json!({
                "profile": "Development",
                "image": {"repository": "example.org:5000/ngo/doacoes__api", "tag": "v1.4.0-rc.1", "pullPolicy": "Never"},
                "api": {"replicas": 1, "databasePoolSize": 2},
                "ingress": {"host": "doe.xn--esperana-j4a.example"},
            }),
        ),
    ];
    objects.extend(
        ["api", "doacoes/api", "localhost/doacoes/api", "a.b-c/d_e"].map(|repository| with_image(json!({"repository": repository}))),
    );
    objects.extend(["0.1.0", "1", "Latest", "_x", "sha-0123abc"].map(|tag| with_image(json!({"tag": tag}))));
    let longest_label = format!("{}.example.org", "d".repeat(63));
    objects.extend(["a", "0.example", "d-o-e.example.org", &longest_label].map(with_host));
    objects
}

fn refused() -> Vec<Value> {
    let spec = json!({"ingress": {"host": "doe.example.org"}});
    let mut objects = vec![platform(&"e".repeat(41), spec.clone())];
    objects.extend(["1a", "-a", "a-", "a.b", "A", "á"].map(|name| platform(name, spec.clone())));
    objects.extend(
        ["", "Api", "api:1.0", "doacoes/api:1.0", "api@sha256:0", "/api", "api/", "a//b", "a b"]
            .map(|repository| with_image(json!({"repository": repository}))),
    );
    objects.extend(["", "latest", "-a", ".a", "a b", "a:b", "a/b"].map(|tag| with_image(json!({"tag": tag}))));
    let long_label = format!("{}.example.org", "d".repeat(64));
    objects.extend(
        [
            "",
            "Doe.example.org",
            "doe.example.org.",
            ".example.org",
            "doe..example.org",
            "-doe.example.org",
            "doe-.example.org",
            "doe_1.example.org",
            "*.example.org",
            "https://doe.example.org",
            "doe.example.org:8443",
            "doe.example.org/",
            "192.0.2.1",
            "2001:db8::1",
            "doe.example.org\n",
            "doação.example.org",
            &long_label,
        ]
        .map(with_host),
    );
    objects
}

#[test]
fn sound_resources_are_accepted() {
    for object in accepted() {
        assert_eq!(refusals(&object), BTreeSet::new(), "{object}");
    }
}

#[test]
fn each_unsound_resource_is_refused() {
    for object in refused() {
        assert!(!refusals(&object).is_empty(), "{object}");
    }
}

#[test]
fn every_rule_refuses_some_resource() {
    let seen: BTreeSet<String> = refused().iter().flat_map(refusals).collect();
    let all: BTreeSet<String> = rules().into_iter().map(|(_, _, message)| message).collect();
    assert_eq!(seen, all);
}

#[test]
fn the_smallest_resource_gets_all_defaults() {
    assert_eq!(
        stored(&with_host("doe.example.org")).pointer("/spec"),
        Some(&json!({
            "profile": "Production",
            "image": {
                "repository": "localhost/doacoes/api",
                "tag": env!("CARGO_PKG_VERSION"),
                "pullPolicy": "IfNotPresent",
            },
            "api": {"replicas": 4, "databasePoolSize": 12},
            "ingress": {"host": "doe.example.org"},
        }))
    );
}

/// The operator must read a resource that was written before a field existed as the API server would default it.
#[test]
fn the_types_have_the_defaults_of_the_schema() {
    for object in accepted() {
        let read: DonationPlatform = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), stored(&object), "{object}");
    }
    assert_eq!(Profile::default(), Profile::Production);
    assert_eq!(PullPolicy::default(), PullPolicy::IfNotPresent);
    assert_eq!(serde_json::from_value::<Image>(json!({})).unwrap(), Image::default());
    assert_eq!(serde_json::from_value::<Api>(json!({})).unwrap(), Api::default());
}

#[test]
fn a_resource_survives_reading_and_writing() {
    let mut object = stored(&with_host("doe.example.org"));
    let status = json!({
        "observedGeneration": 7,
        "conditions": [{
            "type": "Ready",
            "status": "False",
            "reason": "WaitingForDatabase",
            "message": "the database's volume is pending",
            "observedGeneration": 7,
            "lastTransitionTime": "2026-12-24T10:00:00Z",
        }],
    });
    object.as_object_mut().unwrap().insert("status".to_owned(), status);
    let read: DonationPlatform = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), object);
}

#[test]
fn an_empty_status_is_written_as_nothing() {
    assert_eq!(serde_json::to_value(DonationPlatformStatus::default()).unwrap(), json!({}));
}

#[test]
fn a_resource_without_a_host_is_not_read() {
    let error = serde_json::from_value::<DonationPlatform>(platform("esperanca", json!({"ingress": {}}))).unwrap_err();
    assert!(error.to_string().contains("host"), "{error}");
}

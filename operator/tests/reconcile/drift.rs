//! Every field that the operator renders comes back when somebody changes it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use doacoes_operator::reconcile::current::difference;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::running::Running;
use crate::server::{Result, World};
use crate::{REPAIR, ready};

/// A rendered object, and pointers to its leaves that were not tried yet.
struct Target {
    kind: String,
    name: String,
    rendered: Value,
    leaves: Vec<String>,
}

/// Pointers to all texts, numbers and truth values below `value`.
fn leaves(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                leaves(child, &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(list) => {
            for (index, child) in list.iter().enumerate() {
                leaves(child, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(pointer.to_owned()),
    }
}

/// Another value of the same type.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!(!value),
        Value::Number(value) => json!(value.as_i64().unwrap_or_default() + 1),
        // An amount stays one.
        Value::String(text) if text.ends_with("Mi") || text.ends_with("Gi") || text.ends_with('m') => json!(format!("1{text}")),
        Value::String(text) => json!(format!("{text}x")),
        _ => Value::Null,
    }
}

/// What the resource renders, but for what cannot be edited or is not kept: names, owners, the Job, and generated data.
fn targets(resource: &Value) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    let rendered = doacoes_operator::render::render(&resource.to_string())?;
    let scaled: Vec<Value> = rendered
        .iter()
        .filter(|object| object["kind"] == "HorizontalPodAutoscaler")
        .map(|object| object["metadata"]["name"].clone())
        .collect();
    for mut object in rendered {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        if kind == "Job" || kind == "Secret" {
            continue;
        }
        if kind == "Deployment" && scaled.contains(&json!(name)) {
            // The autoscaler's.
            object["spec"].as_object_mut().ok_or("no spec")?.remove("replicas");
        }
        let mut found = Vec::new();
        leaves(&object, "", &mut found);
        found.retain(|pointer| {
            !["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace", "/metadata/ownerReferences"]
                .iter()
                .any(|fixed| pointer == fixed || pointer.starts_with(&format!("{fixed}/")))
        });
        targets.push(Target { kind, name, rendered: object, leaves: found });
    }
    Ok(targets)
}

/// Tries to change one leaf. Whether the API server let it.
async fn edit(world: &World, target: &Target, pointer: &str) -> Result<bool> {
    let live = serde_json::to_value(world.get(&target.kind, &target.name).await?)?;
    // A list may be stored in another order, and a number of pods that the autoscaler may choose is not ours.
    let Some(value) = live.pointer(pointer) else { return Ok(false) };
    let patch = Patch::Json::<DynamicObject>(serde_json::from_value(json!([{"op": "replace", "path": pointer, "value": other(value)}]))?);
    Ok(world.api(&target.kind)?.patch(&target.name, &PatchParams::default(), &patch).await.is_ok())
}

/// Whether the object is what was rendered, but for hashes of Secrets, which are not in what is rendered without a cluster.
async fn is_back(world: &World, target: &Target) -> Result<Option<String>> {
    // What was frozen is removed first.
    let Some(live) = world.api(&target.kind)?.get_opt(&target.name).await? else { return Ok(Some("everything".to_owned())) };
    let mut live = serde_json::to_value(live)?;
    live["apiVersion"] = target.rendered["apiVersion"].clone();
    live["kind"] = json!(target.kind);
    Ok(difference(&target.rendered, &live))
}

/// Changes every leaf while the operator runs, one of each object at a time: objects do not depend on each other.
async fn sweep(namespace: &str, spec: Value, least: usize) -> Result {
    let world = ready(namespace, spec).await?;
    let mut resource = serde_json::to_value(world.platform().await?)?;
    resource["metadata"] = json!({"name": "esperanca", "namespace": world.namespace, "uid": world.platform().await?.uid()});
    let mut targets = targets(&resource)?;
    let operator = Running::start(&world);
    operator.established().await?;
    let (mut edited, mut refused, mut slowest): (usize, BTreeMap<String, usize>, _) = (0, BTreeMap::new(), Duration::ZERO);
    while targets.iter().any(|target| !target.leaves.is_empty()) {
        let mut changed = Vec::new();
        for (index, target) in targets.iter_mut().enumerate() {
            let Some(pointer) = target.leaves.pop() else { continue };
            if edit(&world, target, &pointer).await? {
                edited += 1;
                changed.push((index, pointer, Instant::now()));
            } else {
                *refused.entry(target.kind.clone()).or_default() += 1;
            }
        }
        for (index, pointer, since) in changed {
            let target = &targets[index];
            while let Some(field) = is_back(&world, target).await? {
                if since.elapsed() > REPAIR {
                    let (kind, name) = (&target.kind, &target.name);
                    return Err(format!("{kind} {name} {pointer} is not back after {REPAIR:?}: {field} differs").into());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            slowest = slowest.max(since.elapsed());
        }
    }
    operator.stop().await?;
    println!("{namespace}: {edited} leaves changed, the slowest was back after {slowest:?}; not to be changed: {refused:?}");
    assert!(edited > least, "{edited} changed, {refused:?} refused");
    Ok(())
}

#[tokio::test]
async fn every_rendered_leaf_comes_back_within_ten_seconds() -> Result {
    sweep("leaves", json!({"api": {"rateLimits": [{"rule": "*"}]}}), 600).await
}

#[tokio::test]
#[ignore = "a second sweep of the same kind; make test-full runs it"]
async fn every_leaf_of_what_only_some_platforms_have_comes_back_within_ten_seconds() -> Result {
    let spec = json!({
        "profile": "Development",
        "api": {"autoscaling": {"minReplicas": 2, "maxReplicas": 9}},
        "ingress": {"host": "doe.example.org", "controller": "F5Nginx"},
        "networkPolicy": {"egressCIDRs": ["10.0.0.0/8"]},
    });
    sweep("some-leaves", spec, 400).await
}

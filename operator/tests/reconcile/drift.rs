//! Every field that the operator renders comes back when somebody changes it.

use std::collections::BTreeMap;

use doacoes_operator::reconcile::current::difference;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::ready;
use crate::server::{Result, World};

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
    for object in doacoes_operator::render::render(&resource.to_string())? {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = text("/kind");
        if kind == "Job" || kind == "Secret" {
            continue;
        }
        let mut found = Vec::new();
        leaves(&object, "", &mut found);
        found.retain(|pointer| {
            !["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace", "/metadata/ownerReferences"]
                .iter()
                .any(|fixed| pointer == fixed || pointer.starts_with(&format!("{fixed}/")))
        });
        targets.push(Target { kind, name: text("/metadata/name"), rendered: object, leaves: found });
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

#[tokio::test]
async fn every_rendered_leaf_comes_back() -> Result {
    let world = ready("leaves", json!({"api": {"rateLimits": [{"rule": "*"}]}})).await?;
    let mut resource = serde_json::to_value(world.platform().await?)?;
    resource["metadata"] = json!({"name": "esperanca", "namespace": world.namespace, "uid": world.platform().await?.uid()});
    let mut targets = targets(&resource)?;
    let (mut edited, mut refused): (usize, BTreeMap<String, usize>) = (0, BTreeMap::new());
    // One leaf of each object at a time: objects do not depend on each other.
    while targets.iter().any(|target| !target.leaves.is_empty()) {
        let mut changed = Vec::new();
        for target in &mut targets {
            let Some(pointer) = target.leaves.pop() else { continue };
            if edit(&world, target, &pointer).await? {
                edited += 1;
                changed.push((target.kind.clone(), target.name.clone(), pointer));
            } else {
                *refused.entry(target.kind.clone()).or_default() += 1;
            }
        }
        world.settle().await.map_err(|error| format!("{error}, after changes of {changed:?}"))?;
        for (kind, name, pointer) in changed {
            let target = targets.iter().find(|target| target.kind == kind && target.name == name).ok_or("no target")?;
            let mut live = serde_json::to_value(world.get(&kind, &name).await?)?;
            live["apiVersion"] = target.rendered["apiVersion"].clone();
            live["kind"] = json!(kind);
            // Hashes of Secrets are not in what is rendered without a cluster.
            assert_eq!(difference(&target.rendered, &live), None, "{kind} {name} {pointer}");
        }
    }
    println!("{edited} leaves changed and back; not to be changed: {refused:?}");
    assert!(edited > 600, "{edited} changed, {refused:?} refused");
    Ok(())
}

//! Every field that the operator renders comes back when somebody changes it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use doacoes_operator::reconcile::current::difference;
use futures_util::future::try_join_all;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{REPAIR_TIMEOUT, Result, Running, World, ready};

/// Number of platforms that share the leaves: one platform can have only one leaf of each object changed at a time.
const PLATFORM_COUNT: usize = 2;
/// Pause before an object is looked at again.
const LOOK_PAUSE: Duration = Duration::from_millis(40);

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
        // An amount stays an amount.
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
            // The autoscaler chooses the number of pods.
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

/// Tries to change one leaf. Returns when it was changed; `None` if the API server did not let it be changed.
async fn edit(world: &World, target: &Target, pointer: &str) -> Result<Option<Instant>> {
    let live = serde_json::to_value(world.get(&target.kind, &target.name).await?)?;
    // A list may be stored in another order, and a number of pods that the autoscaler may choose is not ours.
    let Some(value) = live.pointer(pointer) else { return Ok(None) };
    let patch = Patch::Json::<DynamicObject>(serde_json::from_value(json!([{"op": "replace", "path": pointer, "value": other(value)}]))?);
    let answer = world.api(&target.kind)?.patch(&target.name, &PatchParams::default(), &patch).await;
    Ok(answer.is_ok().then(Instant::now))
}

/// The first field that is not as it was rendered; `None` if there is none. Hashes of Secrets are not compared, because what is
/// rendered without a cluster has none.
async fn changed_field(world: &World, target: &Target) -> Result<Option<String>> {
    // The operator removes a frozen object before it makes it anew.
    let Some(live) = world.api(&target.kind)?.get_opt(&target.name).await? else { return Ok(Some("everything".to_owned())) };
    let mut live = serde_json::to_value(live)?;
    live["apiVersion"] = target.rendered["apiVersion"].clone();
    live["kind"] = json!(target.kind);
    Ok(difference(&target.rendered, &live))
}

/// Counts what became of the edits of a sweep.
#[derive(Debug, Default)]
struct Tally {
    changed: usize,
    /// Number of leaves that the API server did not let be changed, by kind.
    refused: BTreeMap<String, usize>,
    /// The longest time until a leaf was back.
    slowest: Duration,
}

/// Changes every leaf while the operator runs, one of each object at a time: objects do not depend on each other.
async fn sweep(name: &str, spec: Value, least: usize) -> Result {
    let shares = try_join_all((0..PLATFORM_COUNT).map(|share| sweep_share(name, spec.clone(), share))).await?;
    println!("{name}: {shares:?}");
    let changed: usize = shares.iter().map(|share| share.changed).sum();
    assert!(changed > least, "{changed} changed, {shares:?}");
    Ok(())
}

/// Changes the leaves of this share, on a platform of its own.
async fn sweep_share(name: &str, spec: Value, share: usize) -> Result<Tally> {
    let world = ready(&format!("{name}-{share}"), spec).await?;
    let mut resource = serde_json::to_value(world.platform().await?)?;
    resource["metadata"] = json!({"name": "esperanca", "namespace": world.namespace, "uid": world.platform().await?.uid()});
    let mut targets = targets(&resource)?;
    for target in &mut targets {
        target.leaves = std::mem::take(&mut target.leaves).into_iter().skip(share).step_by(PLATFORM_COUNT).collect();
    }
    let operator = Running::start(&world);
    operator.established().await?;
    let mut tally = Tally::default();
    loop {
        let leaves: Vec<(usize, String)> =
            targets.iter_mut().enumerate().filter_map(|(index, target)| Some((index, target.leaves.pop()?))).collect();
        if leaves.is_empty() {
            break;
        }
        let edits = try_join_all(leaves.iter().map(|(index, pointer)| edit(&world, &targets[*index], pointer))).await?;
        for ((index, pointer), changed) in leaves.iter().zip(edits) {
            let target = &targets[*index];
            let Some(since) = changed else {
                *tally.refused.entry(target.kind.clone()).or_default() += 1;
                continue;
            };
            while let Some(field) = changed_field(&world, target).await? {
                if since.elapsed() > REPAIR_TIMEOUT {
                    let (kind, name) = (&target.kind, &target.name);
                    return Err(format!("{kind} {name} {pointer} is not back after {REPAIR_TIMEOUT:?}: {field} differs").into());
                }
                tokio::time::sleep(LOOK_PAUSE).await;
            }
            tally.changed += 1;
            tally.slowest = tally.slowest.max(since.elapsed());
        }
    }
    operator.stop().await?;
    Ok(tally)
}

// The operators have threads of their own, because they render and compare all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rendered_leaf_comes_back_within_ten_seconds() -> Result {
    sweep("leaves", json!({"api": {"rateLimits": [{"rule": "*"}]}}), 600).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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

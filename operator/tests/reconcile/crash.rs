//! Whenever the operator ends, and however the network is, the objects come out the same.

use std::collections::{BTreeMap, BTreeSet};

use doacoes_operator::kinds;
use doacoes_operator::reconcile::Outcome;
use doacoes_operator::reconcile::current::difference;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::finish;
use crate::server::{Result, World, world};

/// Runs passes until everything is ready, doing what controllers would do. Returns the number of passes.
pub(crate) async fn drive(world: &World) -> Result<u32> {
    for look in 1..200 {
        let outcome = world.pass().await;
        if outcome.is_err() {
            world.faults.start_again();
        }
        world.run_all_pods().await?;
        for name in world.names("Job").await? {
            if world.get("Job", &name).await?.data.pointer("/status/conditions").is_none() {
                finish(world, &name, "Complete", r#"{"schema": "1", "applied": 1}"#).await?;
            }
        }
        let platform = world.platform().await?;
        let current = platform.status.as_ref().and_then(|status| status.observed_generation) == platform.metadata.generation;
        let ready = current && world.condition("Ready").await.is_ok_and(|(state, _)| state == "True/Available");
        if ready && matches!(outcome, Ok(Outcome::Settled)) {
            return Ok(look);
        }
    }
    Err(format!("it does not become ready: {:?}, {:?}", world.condition("Ready").await?, world.pass().await.err()).into())
}

/// Everything of the platform, without what differs from one creation to the next.
pub(crate) async fn picture(world: &World) -> Result<BTreeMap<String, Value>> {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(map) => {
                // Chosen by the API server or at random, and what depends on that.
                let chosen = ["uid", "clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort", "namespace"];
                for key in chosen.into_iter().chain(["doacoes.dev/rendered", "doacoes.dev/secrets", "doacoes.dev/volume"]) {
                    map.remove(key);
                }
                map.values_mut().for_each(clean);
            }
            Value::Array(list) => list.iter_mut().for_each(clean),
            _ => {}
        }
    }
    let mut picture = BTreeMap::new();
    for resource in kinds::rendered() {
        for object in
            world.api(&resource.kind)?.list(&kube::api::ListParams::default().labels("app.kubernetes.io/instance=esperanca")).await?
        {
            let mut value = json!({
                "labels": object.metadata.labels, "annotations": object.metadata.annotations,
                "owners": object.metadata.owner_references, "spec": object.data.get("spec"), "data": object.data.get("data"),
            });
            // The Job controller's selector holds its UID.
            if resource.kind == "Job" {
                value["spec"] = json!(null);
            }
            clean(&mut value);
            picture.insert(format!("{}/{}", resource.kind, object.name_any()), value);
        }
    }
    for secret in world.names("Secret").await? {
        picture.insert(format!("Secret/{secret}"), json!(null));
    }
    Ok(picture)
}

/// Names what differs, and not all the rest.
pub(crate) fn same(found: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>, when: &str) {
    let names: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    for name in names {
        let difference = found.get(name).zip(expected.get(name)).and_then(|(found, expected)| difference(expected, found));
        assert_eq!(found.contains_key(name), expected.contains_key(name), "{name}, {when}");
        assert_eq!(difference, None, "{name}, {when}");
        assert_eq!(found.get(name), expected.get(name), "{name}, {when}");
    }
}

/// Everything that a change of the resource can make the operator write.
fn changed() -> Value {
    json!({
        "deletionPolicy": "Retain",
        "image": {"tag": "0.9.9"},
        "ingress": {"host": "outra.example.org"},
        "api": {"replicas": 6, "autoscaling": {"minReplicas": 3, "maxReplicas": 9}},
    })
}

#[tokio::test]
async fn wherever_it_ends_while_creating_the_result_is_the_same() -> Result {
    let whole = world("whole").await?;
    whole.create(json!({"deletionPolicy": "Delete"})).await?;
    drive(&whole).await?;
    let expected = picture(&whole).await?;
    assert!(expected.len() > 6, "{:?}", expected.keys());
    // After every write; and before a sample of them, since that is the same as after the one before it.
    for (arrives, step) in [(true, 1), (false, 5)] {
        for k in (1..).step_by(step) {
            let world = world(&format!("ends-{k}-{}", if arrives { "after" } else { "before" })).await?;
            world.create(json!({"deletionPolicy": "Delete"})).await?;
            world.faults.end_at(k, arrives);
            drive(&world).await.map_err(|error| format!("ended at write {k}, arrives: {arrives}: {error}"))?;
            same(&picture(&world).await?, &expected, &format!("ended at write {k}, arrives: {arrives}"));
            if world.faults.is_pending() {
                assert!(k > 10, "only {k} writes");
                break;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn wherever_it_ends_while_changing_the_result_is_the_same() -> Result {
    let whole = world("changed").await?;
    whole.create(json!({"deletionPolicy": "Delete"})).await?;
    drive(&whole).await?;
    whole.change(changed()).await?;
    drive(&whole).await?;
    let expected = picture(&whole).await?;
    // A sample.
    for (arrives, step) in [(true, 6), (false, 9)] {
        for k in (1..).step_by(step) {
            let world = world(&format!("changes-{k}-{}", if arrives { "after" } else { "before" })).await?;
            world.create(json!({"deletionPolicy": "Delete"})).await?;
            drive(&world).await?;
            world.change(changed()).await?;
            world.faults.end_at(k, arrives);
            drive(&world).await.map_err(|error| format!("ended at write {k}, arrives: {arrives}: {error}"))?;
            same(&picture(&world).await?, &expected, &format!("ended at write {k}, arrives: {arrives}"));
            if world.faults.is_pending() {
                assert!(k > 8, "only {k} writes");
                break;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn with_a_fifth_of_all_requests_failing_it_still_converges() -> Result {
    let world = world("faulty").await?;
    world.create(json!({})).await?;
    world.faults.fail_one_in(5);
    let looks = drive(&world).await?;
    world.faults.fail_one_in(0);
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    assert!(looks < 150, "{looks} looks");
    println!("{looks} looks, {} requests", world.faults.requests());
    Ok(())
}

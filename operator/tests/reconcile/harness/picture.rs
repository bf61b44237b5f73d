//! Drives a platform to its end, and takes a picture of it to compare with others.

use std::collections::{BTreeMap, BTreeSet};

use doacoes_operator::kinds;
use doacoes_operator::reconcile::Outcome;
use doacoes_operator::reconcile::current::difference;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{Result, World};

/// Objects by kind and name.
type Picture = BTreeMap<String, Value>;

/// Runs passes until everything is ready, and does meanwhile what controllers would do. Returns the number of passes.
pub(crate) async fn drive(world: &World) -> Result<u32> {
    for pass in 1..200 {
        let outcome = world.pass().await;
        if outcome.is_err() {
            world.faults.start_again();
        }
        world.run_all_pods().await?;
        for job in world.list("Job").await? {
            if job.data.pointer("/status/conditions").is_none() {
                world.finish_job(&job.name_any(), "Complete", r#"{"schema": "1", "applied": 1}"#).await?;
            }
        }
        if matches!(outcome, Ok(Outcome::Settled)) && world.ready_reason().await?.as_deref() == Some("Available") {
            return Ok(pass);
        }
    }
    Err(format!("it does not become ready: {:?}, {:?}", world.condition("Ready").await?, world.pass().await.err()).into())
}

/// Everything of the platform, without what differs from one creation to the next.
pub(crate) async fn picture(world: &World) -> Result<Picture> {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(map) => {
                // The API server or chance chooses these, or they depend on such a choice.
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
    let mut picture = Picture::new();
    let params = ListParams::default().labels("app.kubernetes.io/instance=esperanca");
    for resource in kinds::rendered() {
        for object in world.api(&resource.kind)?.list(&params).await? {
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

/// Fails if two pictures differ, and names what differs and not all the rest.
pub(crate) fn assert_same(found: &Picture, expected: &Picture, when: &str) {
    let names: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    for name in names {
        let difference = found.get(name).zip(expected.get(name)).and_then(|(found, expected)| difference(expected, found));
        assert_eq!(found.contains_key(name), expected.contains_key(name), "{name}, {when}");
        assert_eq!(difference, None, "{name}, {when}");
        assert_eq!(found.get(name), expected.get(name), "{name}, {when}");
    }
}

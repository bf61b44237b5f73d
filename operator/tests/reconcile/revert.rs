//! Whatever is changed in the resource and taken back, the platform comes back to what it was, by itself.

use kube::api::PostParams;
use serde_json::{Value, json};

use crate::API;
use crate::admission::{Accepted, accepted_changes, bases};
use crate::crash::{drive, picture, same};
use crate::server::{Result, World, world};

/// Puts another spec in place of the one that is there. Whether the API server took it: some fields cannot be changed.
async fn put(world: &World, spec: &Value) -> Result<bool> {
    let mut platform = serde_json::to_value(world.platform().await?)?;
    platform["spec"] = spec.clone();
    Ok(world.platforms().replace("esperanca", &PostParams::default(), &serde_json::from_value(platform)?).await.is_ok())
}

async fn secret(world: &World, name: &str, type_: &str, data: Value) -> Result {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": type_, "data": data});
    world.api("Secret")?.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    Ok(())
}

#[tokio::test]
async fn every_field_changed_and_taken_back_leaves_a_ready_platform_as_it_was() -> Result {
    let world = world("reverts").await?;
    let (name, mut full) = bases().into_iter().next().ok_or("there is no resource")?;
    full["paused"] = json!(false);
    secret(&world, "doe-tls", "kubernetes.io/tls", json!({"tls.crt": "Yw==", "tls.key": "aw=="})).await?;
    secret(&world, "doe-mail", "Opaque", json!({"url": "c210cHM6Ly9tYWlsLmV4YW1wbGUub3Jn"})).await?;
    world.create(full.clone()).await?;
    drive(&world).await?;
    let expected = picture(&world).await?;
    let (mut tried, mut fixed) = (0, 0);
    for Accepted { path, change, base, mut spec } in accepted_changes()? {
        if base != name {
            continue;
        }
        if !path.ends_with("paused") {
            spec["paused"] = json!(false);
        }
        if !put(&world, &spec).await? {
            fixed += 1;
            continue;
        }
        tried += 1;
        // What the API server refuses of it is said in the status; and pods that do not start are left as they are.
        let _ = world.pass().await;
        assert!(put(&world, &full).await?, "{path} {change} cannot be taken back");
        // As the autoscaler does when there is no load.
        world.merge("Deployment", API, json!({"spec": {"replicas": 4}})).await?;
        drive(&world).await.map_err(|error| format!("after {path} {change}: {error}"))?;
        let mut found = picture(&world).await?;
        // A certificate that was signed here stays until the platform goes: the operator may delete no Secret.
        found.remove("Secret/esperanca-edge-tls");
        same(&found, &expected, &format!("after {path} {change}"));
    }
    println!("{tried} changes taken back, {fixed} that cannot be made; generation {:?}", world.platform().await?.metadata.generation);
    assert!(tried > 40, "{tried}");
    Ok(())
}

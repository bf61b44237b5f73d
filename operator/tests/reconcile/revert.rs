//! Whatever is changed in the resource and taken back, the platform comes back to what it was, by itself.

use futures_util::future::try_join_all;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::admission::{Accepted, accepted_changes, bases};
use crate::harness::names::API;
use crate::harness::{Result, World, assert_same, drive, picture, world};

/// Number of platforms that share the changes of a test.
const PLATFORM_COUNT: usize = 3;

/// Puts another spec in place of the one that is there. Returns whether the API server took it: some fields cannot be changed.
async fn put(world: &World, spec: &Value) -> Result<bool> {
    let mut platform = serde_json::to_value(world.platform().await?)?;
    platform["spec"] = spec.clone();
    Ok(world.platforms().replace("esperanca", &PostParams::default(), &serde_json::from_value(platform)?).await.is_ok())
}

/// Moves the node ports, each of which the API server has but once.
fn move_node_ports(spec: &mut Value, by: usize) {
    let ports = spec.pointer_mut("/ingress/managed/service/nodePorts").and_then(Value::as_object_mut);
    for port in ports.into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(number) = port.as_u64().and_then(|number| usize::try_from(number).ok()) {
            *port = json!(number + by);
        }
    }
}

/// Makes the changes on several platforms, of which none has the number of a platform of another test.
async fn take_back(changes: Vec<Accepted>, first_platform: usize) -> Result {
    let mut shares: Vec<Vec<Accepted>> = (0..PLATFORM_COUNT).map(|_| Vec::new()).collect();
    for (number, change) in changes.into_iter().enumerate() {
        shares[number % PLATFORM_COUNT].push(change);
    }
    let shares = shares.into_iter().enumerate().map(|(share, changes)| take_back_on(first_platform + share, changes));
    let counts = try_join_all(shares).await?;
    let (tried, fixed): (Vec<usize>, Vec<usize>) = counts.into_iter().unzip();
    let (tried, fixed): (usize, usize) = (tried.iter().sum(), fixed.iter().sum());
    println!("{tried} changes taken back, {fixed} that cannot be made");
    assert!(tried > 40, "{tried}");
    Ok(())
}

/// Makes the changes on one platform. Returns how many were made, and how many the API server did not let be made.
async fn take_back_on(platform: usize, changes: Vec<Accepted>) -> Result<(usize, usize)> {
    let world = world(&format!("reverts-{platform}")).await?;
    let (name, mut full) = bases().into_iter().next().ok_or("there is no resource")?;
    full["paused"] = json!(false);
    move_node_ports(&mut full, 2 * platform);
    world.add_secret("doe-tls", "kubernetes.io/tls", json!({"tls.crt": "Yw==", "tls.key": "aw=="})).await?;
    world.add_secret("doe-mail", "Opaque", json!({"url": "c210cHM6Ly9tYWlsLmV4YW1wbGUub3Jn"})).await?;
    world.create(full.clone()).await?;
    drive(&world).await?;
    let expected = picture(&world).await?;
    let (mut tried, mut fixed) = (0, 0);
    for Accepted { path, change, base, mut spec } in changes {
        if base != name {
            continue;
        }
        if !path.ends_with("paused") {
            spec["paused"] = json!(false);
        }
        move_node_ports(&mut spec, 2 * platform);
        if !put(&world, &spec).await? {
            fixed += 1;
            continue;
        }
        tried += 1;
        // The status says what the API server refuses of it; and pods that do not start are left as they are.
        let _ = world.pass().await;
        assert!(put(&world, &full).await?, "{path} {change} cannot be taken back");
        // The autoscaler does this when there is no load.
        world.merge("Deployment", API, json!({"spec": {"replicas": 4}})).await?;
        drive(&world).await.map_err(|error| format!("after {path} {change}: {error}"))?;
        let mut found = picture(&world).await?;
        // A certificate that was signed here stays until the platform goes: the operator may delete no Secret.
        found.remove("Secret/esperanca-edge-tls");
        assert_same(&found, &expected, &format!("after {path} {change}"));
    }
    Ok((tried, fixed))
}

/// Every change in one of the places that have its field, such as the parts of the platform, which take turns; and every change
/// in all other places.
fn in_one_place_and_in_the_others() -> Result<(Vec<Accepted>, Vec<Accepted>)> {
    let (mut one, mut others) = (Vec::new(), Vec::new());
    for (number, mut places) in accepted_changes()?.into_iter().enumerate() {
        one.push(places.remove(number % places.len()));
        others.extend(places);
    }
    Ok((one, others))
}

#[tokio::test]
async fn every_field_changed_and_taken_back_leaves_a_ready_platform_as_it_was() -> Result {
    take_back(in_one_place_and_in_the_others()?.0, 0).await
}

#[tokio::test]
#[ignore = "the same fields in the other parts; make test-full runs it"]
async fn every_field_of_the_other_parts_changed_and_taken_back_leaves_a_ready_platform_as_it_was() -> Result {
    take_back(in_one_place_and_in_the_others()?.1, PLATFORM_COUNT).await
}

//! The running operator among Kubernetes' own controllers: what it makes comes to life by itself, they write over what is theirs,
//! and they collect it when its owner goes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use doacoes_operator::kinds;
use doacoes_operator::verb::Verb;
use futures_util::future::try_join_all;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};

use crate::harness::names::{API, REDIS};
use crate::harness::{Result, Running, STEP_TIMEOUT, World, assert_same, eventually, picture, rests, within, world_with_controllers};

/// Time without a write after which the last statuses of others have come in.
const QUIET_TIME: Duration = Duration::from_secs(5);
/// Time without a write that shows a platform at rest: longer than the operator waits before it looks again at one that waits for
/// something, and than Kubernetes' controllers wait before they do anything again.
const REST_TIME: Duration = Duration::from_secs(12);
/// Time in which an operator that makes deleted objects again would have begun.
const COMEBACK_TIME: Duration = Duration::from_secs(3);

/// A platform that needs nothing from outside.
fn small() -> Value {
    json!({"ingress": {"host": "doe.example.org", "managed": {"service": {"type": "ClusterIP"}}}, "deletionPolicy": "Delete"})
}

async fn becomes_ready(world: &World, limit: Duration) -> Result {
    let ready = within(limit, "the platform is ready", async || {
        world.balance().await?;
        Ok(world.ready_reason().await?.is_some())
    });
    match ready.await {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("{error}: {:?} after {} requests", world.condition("Ready").await, world.faults.requests()).into()),
    }
}

/// Everything of the platform, and every pod, as kind and name.
async fn left(world: &World) -> Result<BTreeSet<String>> {
    let mut left = BTreeSet::new();
    for resource in kinds::rendered().into_iter().chain([kinds::secret(), kinds::claim()]) {
        let params = ListParams::default().labels("app.kubernetes.io/instance=esperanca");
        for object in Api::<DynamicObject>::namespaced_with(world.admin.clone(), &world.namespace, &resource).list(&params).await? {
            left.insert(format!("{}/{}", resource.kind, object.name_any()));
        }
    }
    left.extend(world.names("Pod").await?.iter().map(|pod| format!("Pod/{pod}")));
    Ok(left)
}

#[tokio::test]
async fn the_samples_become_ready_no_sooner_than_their_pods_and_then_nothing_is_written() -> Result {
    try_join_all(["development", "production"].map(becomes_ready_and_rests)).await?;
    Ok(())
}

async fn becomes_ready_and_rests(sample: &str) -> Result {
    let world = world_with_controllers(sample).await?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../manifests/samples/{sample}.yaml"));
    let resource: Value = serde_yaml::from_str(&fs::read_to_string(file)?)?;
    world.add_secret("doe-tls", "kubernetes.io/tls", json!({"tls.crt": "Yw==", "tls.key": "aw=="})).await?;
    world.add_secret("doe-mail", "Opaque", json!({"url": "c210cHM6Ly9tYWlsLmV4YW1wbGUub3Jn"})).await?;
    let operator = Running::start(&world);
    world.create(resource["spec"].clone()).await?;
    becomes_ready(&world, STEP_TIMEOUT).await.map_err(|error| format!("{sample}: {error}"))?;
    let deployments = Api::<Deployment>::namespaced(world.admin.clone(), &world.namespace).list(&ListParams::default()).await?;
    let sets = Api::<StatefulSet>::namespaced(world.admin.clone(), &world.namespace).list(&ListParams::default()).await?;
    assert!(deployments.items.len() >= 3 && !sets.items.is_empty());
    for deployment in deployments {
        let (wanted, status) = (deployment.spec.as_ref().and_then(|spec| spec.replicas), deployment.status.clone().unwrap_or_default());
        assert_eq!(status.ready_replicas, wanted, "{sample}: {}", deployment.name_any());
    }
    for set in sets {
        let status = set.status.clone().unwrap_or_default();
        assert_eq!(status.ready_replicas, set.spec.as_ref().and_then(|spec| spec.replicas), "{sample}: {}", set.name_any());
    }
    let requests = world.faults.requests();
    rests(|| world.writes(), REST_TIME).await.map_err(|error| format!("{sample}: {error}"))?;
    println!("{sample}: {} writes until ready, {} requests until at rest", world.writes(), world.faults.requests() - requests);
    operator.stop().await
}

#[tokio::test]
async fn deleted_whether_the_operator_runs_or_not_only_what_is_retained_is_left() -> Result {
    // These combinations have each policy and each state of the operator once.
    only_what_is_retained_is_left([("Delete", false), ("Retain", true)]).await
}

#[tokio::test]
#[ignore = "the other half of the combinations; make test-full runs it"]
async fn deleted_in_the_other_combinations_only_what_is_retained_is_left() -> Result {
    only_what_is_retained_is_left([("Delete", true), ("Retain", false)]).await
}

async fn only_what_is_retained_is_left(combinations: [(&str, bool); 2]) -> Result {
    try_join_all(combinations.map(|(policy, runs)| is_deleted_and_made_again(policy, runs))).await?;
    Ok(())
}

/// Deletes a platform under this policy while the operator runs, or after it has ended, and makes it again.
async fn is_deleted_and_made_again(policy: &str, runs: bool) -> Result {
    let when = format!("{policy}, the operator {}", if runs { "runs" } else { "has ended" });
    let world = world_with_controllers(&format!("goes-{}-{runs}", policy.to_lowercase())).await?;
    let mut spec = small();
    spec["deletionPolicy"] = json!(policy);
    let operator = Running::start(&world);
    world.create(spec.clone()).await?;
    becomes_ready(&world, STEP_TIMEOUT).await.map_err(|error| format!("{when}: {error}"))?;
    rests(|| world.writes(), QUIET_TIME).await?;
    let data: BTreeSet<String> =
        left(&world).await?.into_iter().filter(|name| name.starts_with("Secret/") || name.starts_with("PersistentVolumeClaim/")).collect();
    assert!(data.len() >= 3, "{data:?}");
    let operator = if runs {
        Some(operator)
    } else {
        operator.kill().await;
        None
    };
    let before = world.writes();
    world.platforms().delete("esperanca", &DeleteParams::default()).await?;
    let expected = if policy == "Delete" { BTreeSet::new() } else { data.clone() };
    eventually(&format!("what is left, {when}, is {expected:?}"), async || Ok(left(&world).await? == expected)).await?;
    // It does not come back, and nothing was left to the operator, which may have ended.
    tokio::time::sleep(COMEBACK_TIME).await;
    assert_eq!(left(&world).await?, expected, "{when}");
    assert_eq!(world.writes(), before, "{when}: the garbage collector needs no help");

    let operator = operator.unwrap_or_else(|| Running::start(&world));
    world.create(spec).await?;
    becomes_ready(&world, STEP_TIMEOUT).await.map_err(|error| format!("made again after {when}: {error}"))?;
    assert!(left(&world).await?.is_superset(&data), "{when}");
    operator.stop().await
}

#[tokio::test]
async fn killed_again_and_again_while_it_makes_a_platform_it_makes_the_same() -> Result {
    let (whole, broken) = (world_with_controllers("unbroken").await?, world_with_controllers("broken").await?);
    let ((), kills) = tokio::try_join!(is_made_at_once(&whole), is_made_with_kills(&broken))?;
    assert_same(&picture(&broken).await?, &picture(&whole).await?, &format!("killed {kills} times"));
    assert!(kills > 3, "{kills}");
    println!("killed {kills} times");
    Ok(())
}

async fn is_made_at_once(world: &World) -> Result {
    let operator = Running::start(world);
    world.create(small()).await?;
    becomes_ready(world, STEP_TIMEOUT).await?;
    operator.stop().await
}

/// Kills the operator again and again until the platform is ready. Returns how often.
async fn is_made_with_kills(world: &World) -> Result<u64> {
    world.create(small()).await?;
    let mut kills = 0;
    while world.ready_reason().await?.is_none() {
        kills += 1;
        assert!(kills < 400, "{:?}", world.condition("Ready").await);
        let operator = Running::start(world);
        // It lives a little longer each time: it is killed before its first write, after its last, and at moments between.
        tokio::time::sleep(Duration::from_millis(100 + 15 * kills)).await;
        operator.kill().await;
    }
    let operator = Running::start(world);
    operator.established().await?;
    becomes_ready(world, STEP_TIMEOUT).await?;
    rests(|| world.writes(), QUIET_TIME).await?;
    operator.stop().await?;
    Ok(kills)
}

#[tokio::test]
async fn with_a_fifth_of_all_requests_failing_in_all_ways_it_becomes_ready_without_a_hot_loop() -> Result {
    let world = world_with_controllers("unreliable").await?;
    world.faults.fail_in_any_way_one_in(5);
    let start = Instant::now();
    let operator = Running::start(&world);
    world.create(small()).await?;
    becomes_ready(&world, STEP_TIMEOUT * 3).await?;
    let (requests, seconds) = (world.faults.requests(), start.elapsed().as_secs_f64());
    println!("ready after {requests} requests in {seconds:.0} s");
    // Making a platform takes up to 400, and one pass a second some twenty reads; without waits it would be hundreds a second.
    assert!(f64::from(u32::try_from(requests)?) < 400.0 + 20.0 * seconds, "{requests} requests in {seconds:.0} s");
    world.faults.fail_in_any_way_one_in(0);
    // Its watches live, and no earlier failure keeps it from repairing.
    world.api("Service")?.delete(REDIS, &DeleteParams::default()).await?;
    eventually("a deleted Service is back", async || world.exists("Service", REDIS).await).await?;
    becomes_ready(&world, STEP_TIMEOUT).await?;
    rests(|| world.writes(), QUIET_TIME).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_time_to_live_that_a_policy_gives_to_jobs_makes_no_second_migration() -> Result {
    let world = world_with_controllers("short-lived").await?;
    // Long enough for a pass of a busy machine: a Job that goes before its success was seen is made again, which changes nothing.
    world.change_on_its_way("batch", "jobs", r#"[JSONPatch{op: "add", path: "/spec/ttlSecondsAfterFinished", value: 10}]"#).await?;
    let container = json!({"name": "probe", "image": "probe"});
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
    let probe: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe"}, "spec": {"template": template},
    }))?;
    eventually("the policy is at work", async || {
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let answer = world.api("Job")?.create(&dry_run, &probe).await?;
        Ok(answer.data.pointer("/spec/ttlSecondsAfterFinished") == Some(&json!(10)))
    })
    .await?;
    let operator = Running::start(&world);
    world.create(small()).await?;
    becomes_ready(&world, STEP_TIMEOUT).await?;
    within(STEP_TIMEOUT, "the Job goes away", async || Ok(world.names("Job").await?.is_empty())).await?;
    world.api("Deployment")?.delete(API, &DeleteParams::background()).await?;
    within(STEP_TIMEOUT, "the Deployment is made again", async || world.exists("Deployment", API).await).await?;
    becomes_ready(&world, STEP_TIMEOUT).await?;
    // The operator has looked without a Job already, since it made the Deployment again.
    rests(|| world.writes(), QUIET_TIME).await?;
    assert!(world.ready_reason().await?.is_some());
    assert_eq!((world.metrics.writes(Verb::Create, "Job"), world.names("Job").await?), (1, Vec::new()));
    operator.stop().await
}

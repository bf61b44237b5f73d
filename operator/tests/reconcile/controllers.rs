//! The running operator among Kubernetes' own controllers: what it makes comes to life by itself, is written over by them where it is
//! theirs, and is collected when its owner goes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use doacoes_operator::kinds;
use doacoes_operator::verb::Verb;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};

use crate::crash::{picture, same};
use crate::running::Running;
use crate::safety::mutate;
use crate::server::{Result, World, world_with_controllers};
use crate::{REDIS, STEP_TIMEOUT, eventually, within};

/// A platform that needs nothing from outside.
fn small() -> Value {
    json!({"ingress": {"host": "doe.example.org", "managed": {"service": {"type": "ClusterIP"}}}, "deletionPolicy": "Delete"})
}

async fn is_ready(world: &World) -> Result<bool> {
    let platform = world.platform().await?;
    let status = platform.status.unwrap_or_default();
    Ok(status.observed_generation == platform.metadata.generation
        && status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}

async fn becomes_ready(world: &World, limit: Duration) -> Result {
    let ready = within(limit, "the platform is ready", async || {
        world.balance().await?;
        is_ready(world).await
    });
    match ready.await {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("{error}: {:?} after {} requests", world.condition("Ready").await, world.faults.requests()).into()),
    }
}

/// Nothing is written for five seconds: the last statuses of others have come in.
async fn comes_to_rest(world: &World) -> Result {
    let (start, mut last, mut since) = (Instant::now(), world.writes(), Instant::now());
    while since.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if world.writes() != last {
            (last, since) = (world.writes(), Instant::now());
        }
        // Two minutes after the autoscaler first found no metrics, which there are none of here, the status says so.
        if start.elapsed() > Duration::from_mins(1) {
            return Err("something is written again and again".into());
        }
    }
    Ok(())
}

/// Everything of the platform, as kind and name.
async fn left(world: &World) -> Result<BTreeSet<String>> {
    let mut left = BTreeSet::new();
    for resource in kinds::rendered().into_iter().chain([kinds::secret(), kinds::claim()]) {
        let params = ListParams::default().labels("app.kubernetes.io/instance=esperanca");
        for object in Api::<DynamicObject>::namespaced_with(world.admin.clone(), &world.namespace, &resource).list(&params).await? {
            left.insert(format!("{}/{}", resource.kind, object.name_any()));
        }
    }
    let pods = Api::<Pod>::namespaced(world.admin.clone(), &world.namespace).list(&ListParams::default()).await?;
    left.extend(pods.iter().map(|pod| format!("Pod/{}", pod.name_any())));
    Ok(left)
}

#[tokio::test]
async fn the_samples_become_ready_no_sooner_than_their_pods_and_then_nothing_is_written() -> Result {
    for sample in ["development", "production"] {
        let world = world_with_controllers(sample).await?;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../manifests/samples/{sample}.yaml"));
        let resource: Value = serde_yaml::from_str(&fs::read_to_string(file)?)?;
        for (name, type_, data) in [
            ("doe-tls", "kubernetes.io/tls", json!({"tls.crt": "Yw==", "tls.key": "aw=="})),
            ("doe-mail", "Opaque", json!({"url": "c210cHM6Ly9tYWlsLmV4YW1wbGUub3Jn"})),
        ] {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": type_, "data": data});
            world.api("Secret")?.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        }
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
        comes_to_rest(&world).await?;
        let (before, requests) = (world.writes(), world.faults.requests());
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(world.writes(), before, "{sample}: something is written at rest");
        println!("{sample}: {before} writes until ready, {} requests in 20 s at rest", world.faults.requests() - requests);
        operator.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn deleted_whether_the_operator_runs_or_not_only_what_is_retained_is_left() -> Result {
    // Each policy and each state of the operator once.
    only_what_is_retained_is_left([("Delete", false), ("Retain", true)]).await
}

#[tokio::test]
#[ignore = "the other half of the combinations; make test-full runs it"]
async fn deleted_in_the_other_combinations_only_what_is_retained_is_left() -> Result {
    only_what_is_retained_is_left([("Delete", true), ("Retain", false)]).await
}

/// Deletes a platform under each of these policies while the operator runs, or after it has ended, and makes it again.
async fn only_what_is_retained_is_left(combinations: [(&str, bool); 2]) -> Result {
    for (policy, runs) in combinations {
        let when = format!("{policy}, the operator {}", if runs { "runs" } else { "has ended" });
        let world = world_with_controllers(&format!("goes-{}-{runs}", policy.to_lowercase())).await?;
        let mut spec = small();
        spec["deletionPolicy"] = json!(policy);
        let operator = Running::start(&world);
        world.create(spec.clone()).await?;
        becomes_ready(&world, STEP_TIMEOUT).await.map_err(|error| format!("{when}: {error}"))?;
        comes_to_rest(&world).await?;
        let data: BTreeSet<String> = left(&world)
            .await?
            .into_iter()
            .filter(|name| name.starts_with("Secret/") || name.starts_with("PersistentVolumeClaim/"))
            .collect();
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
        // It does not come back, and nothing was left to a process that may have ended.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(left(&world).await?, expected, "{when}");
        assert_eq!(world.writes(), before, "{when}: the garbage collector needs no help");

        let operator = operator.unwrap_or_else(|| Running::start(&world));
        world.create(spec).await?;
        becomes_ready(&world, STEP_TIMEOUT).await.map_err(|error| format!("made again after {when}: {error}"))?;
        assert!(left(&world).await?.is_superset(&data), "{when}");
        operator.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_again_and_again_while_it_makes_a_platform_it_makes_the_same() -> Result {
    let whole = world_with_controllers("unbroken").await?;
    let operator = Running::start(&whole);
    whole.create(small()).await?;
    becomes_ready(&whole, STEP_TIMEOUT).await?;
    operator.stop().await?;
    let expected = picture(&whole).await?;

    let world = world_with_controllers("broken").await?;
    world.create(small()).await?;
    let mut kills = 0;
    while !is_ready(&world).await? {
        kills += 1;
        assert!(kills < 400, "{:?}", world.condition("Ready").await);
        let operator = Running::start(&world);
        // A little longer each time: from before its first write to after its last.
        tokio::time::sleep(Duration::from_millis(100 + 15 * kills)).await;
        operator.kill().await;
    }
    let operator = Running::start(&world);
    operator.established().await?;
    becomes_ready(&world, STEP_TIMEOUT).await?;
    comes_to_rest(&world).await?;
    operator.stop().await?;
    same(&picture(&world).await?, &expected, &format!("killed {kills} times"));
    assert!(kills > 3, "{kills}");
    println!("killed {kills} times");
    Ok(())
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
    // What making a platform takes, and one look of some twenty reads a second; without waits it would be hundreds.
    assert!(f64::from(u32::try_from(requests)?) < 400.0 + 20.0 * seconds, "{requests} requests in {seconds:.0} s");
    world.faults.fail_in_any_way_one_in(0);
    // Its watches live, and no failure of before keeps it from repairing.
    world.api("Service")?.delete(REDIS, &DeleteParams::default()).await?;
    eventually("a deleted Service is back", async || world.exists("Service", REDIS).await).await?;
    becomes_ready(&world, STEP_TIMEOUT).await?;
    comes_to_rest(&world).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_time_to_live_that_a_policy_gives_to_jobs_makes_no_second_migration() -> Result {
    let world = world_with_controllers("short-lived").await?;
    mutate(&world, "batch", "jobs", r#"[JSONPatch{op: "add", path: "/spec/ttlSecondsAfterFinished", value: 1}]"#).await?;
    let container = json!({"name": "probe", "image": "probe"});
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
    let probe: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe"}, "spec": {"template": template},
    }))?;
    eventually("the policy is at work", async || {
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let answer = world.api("Job")?.create(&dry_run, &probe).await?;
        Ok(answer.data.pointer("/spec/ttlSecondsAfterFinished") == Some(&json!(1)))
    })
    .await?;
    let operator = Running::start(&world);
    world.create(small()).await?;
    becomes_ready(&world, STEP_TIMEOUT).await?;
    within(STEP_TIMEOUT, "the Job goes away", async || Ok(world.names("Job").await?.is_empty())).await?;
    world.api("Deployment")?.delete("esperanca-api", &DeleteParams::background()).await?;
    within(STEP_TIMEOUT, "the Deployment is made again", async || world.exists("Deployment", "esperanca-api").await).await?;
    becomes_ready(&world, STEP_TIMEOUT).await?;
    // Longer than a migration would take to begin again.
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(is_ready(&world).await?);
    assert_eq!((world.metrics.writes(Verb::Create, "Job"), world.names("Job").await?), (1, Vec::new()));
    operator.stop().await
}

//! What others change in the platform's objects comes back, and what they add there goes.

use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::names::{API, DATABASE, KEYS, POOLER, POOLER_SETTINGS, REDIS};
use crate::harness::{Result, World, eventually, ready};

#[tokio::test]
async fn what_others_change_comes_back_and_what_they_add_in_our_lists_goes() -> Result {
    let world = ready("drift", json!({})).await?;
    let before = world.get("Deployment", API).await?.data;
    let strategic = Patch::Strategic(json!({
        "metadata": {"labels": {"team": "others"}, "annotations": {"others": "too"}},
        "spec": {"template": {"spec": {
            "containers": [
                {"name": "api", "image": "evil:1", "env": [{"name": "LD_PRELOAD", "value": "x"}]},
                {"name": "sidecar", "image": "evil:2"},
            ],
            "volumes": [{"name": "theirs", "emptyDir": {}}],
        }}},
    }));
    world.api("Deployment")?.patch(API, &PatchParams::default(), &strategic).await?;
    let config = world.get("ConfigMap", POOLER).await?.data;
    world.merge("ConfigMap", POOLER, json!({"data": {POOLER_SETTINGS: "evil", "extra": "x"}})).await?;
    world.merge("Service", API, json!({"spec": {"selector": {"extra": "x"}}})).await?;
    world.settle().await?;
    let after = world.get("Deployment", API).await?;
    assert_eq!(after.data.get("spec"), before.get("spec"));
    assert_eq!(after.labels().get("team").map(String::as_str), Some("others"));
    assert_eq!(after.annotations().get("others").map(String::as_str), Some("too"));
    assert_eq!(world.get("ConfigMap", POOLER).await?.data, config);
    let service = world.get("Service", API).await?;
    assert_eq!(service.data.pointer("/spec/selector/extra"), None);
    Ok(())
}

#[tokio::test]
async fn what_is_added_where_nothing_was_rendered_goes() -> Result {
    let world = ready("added", json!({})).await?;
    for (kind, name, container) in
        [("Deployment", REDIS, "redis"), ("Deployment", POOLER, "pgbouncer"), ("StatefulSet", DATABASE, "postgres")]
    {
        let before = world.get(kind, name).await?.data.get("spec").cloned();
        let added = json!({"spec": {"template": {"spec": {
            "initContainers": [{"name": "evil", "image": "evil:1"}],
            "tolerations": [{"operator": "Exists"}],
            "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["evil"]}],
            "containers": [{"name": container, "env": [{"name": "LD_PRELOAD", "value": "x"}], "envFrom": [{"secretRef": {"name": KEYS}}]}],
        }}}});
        world.api(kind)?.patch(name, &PatchParams::default(), &Patch::Strategic(added)).await?;
        assert!(world.get(kind, name).await?.data.to_string().contains("LD_PRELOAD"));
        world.settle().await?;
        assert_eq!(world.get(kind, name).await?.data.get("spec").cloned(), before, "{kind} {name}");
    }
    Ok(())
}

#[tokio::test]
async fn one_member_of_a_union_exchanged_for_another_comes_back() -> Result {
    let world = ready("union", json!({})).await?;
    let before = world.get("Deployment", REDIS).await?.data;
    let mut volumes = before.pointer("/spec/template/spec/volumes").cloned().ok_or("no volumes")?;
    for volume in volumes.as_array_mut().into_iter().flatten().filter(|volume| volume["name"] == "tmp") {
        *volume = json!({"name": "tmp", "hostPath": {"path": "/"}});
    }
    world.merge("Deployment", REDIS, json!({"spec": {"template": {"spec": {"volumes": volumes}}}})).await?;
    assert!(world.get("Deployment", REDIS).await?.data.to_string().contains("hostPath"));
    world.settle().await?;
    assert_eq!(world.get("Deployment", REDIS).await?.data.get("spec"), before.get("spec"));
    Ok(())
}

#[tokio::test]
async fn a_field_that_is_no_longer_rendered_goes() -> Result {
    let world = ready("dropped", json!({})).await?;
    let live = world.get("Service", POOLER).await?;
    // An operator of an older release left it so.
    let older = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": POOLER, "labels": live.metadata.labels, "ownerReferences": live.metadata.owner_references,
            "annotations": {"doacoes.dev/rendered": "older", "older": "yes"},
        },
        "spec": {
            "selector": live.data.pointer("/spec/selector"), "ports": [{"name": "pgbouncer", "port": 6432, "targetPort": "pgbouncer"}],
            "sessionAffinity": "ClientIP",
        },
    });
    let manager = PatchParams::apply("doacoes-operator").force();
    world.api("Service")?.patch(POOLER, &manager, &Patch::Apply(older)).await?;
    world.settle().await?;
    let after = world.get("Service", POOLER).await?;
    assert_eq!(after.annotations().get("older"), None);
    assert_eq!(after.data.pointer("/spec/sessionAffinity"), Some(&json!("None")));
    Ok(())
}

#[tokio::test]
async fn an_object_that_lost_its_labels_is_still_ours_and_a_deleted_one_comes_back() -> Result {
    let world = ready("lost", json!({})).await?;
    world.merge("Service", API, json!({"metadata": {"labels": null}})).await?;
    world.api("ConfigMap")?.delete(POOLER, &DeleteParams::default()).await?;
    world.settle().await?;
    assert!(world.get("Service", API).await?.labels().contains_key("app.kubernetes.io/instance"));
    assert!(world.exists("ConfigMap", POOLER).await?);
    Ok(())
}

#[tokio::test]
async fn what_is_opened_or_paused_by_hand_does_not_stay_so() -> Result {
    let world = ready("opened", json!({})).await?;
    world.merge("NetworkPolicy", "esperanca-all", json!({"spec": {"ingress": [{}], "egress": [{}]}})).await?;
    world.merge("Deployment", API, json!({"spec": {"paused": true}})).await?;
    world.settle().await?;
    let policy = world.get("NetworkPolicy", "esperanca-all").await?;
    for direction in ["ingress", "egress"] {
        let rules = policy.data["spec"].get(direction).and_then(Value::as_array);
        assert!(rules.is_none_or(Vec::is_empty), "{direction}: {rules:?}");
    }
    assert_ne!(world.get("Deployment", API).await?.data.pointer("/spec/paused"), Some(&json!(true)));
    Ok(())
}

#[tokio::test]
async fn a_config_map_that_somebody_freezes_is_made_anew() -> Result {
    let world = ready("frozen", json!({})).await?;
    for change in [json!({"immutable": true}), json!({"data": {POOLER_SETTINGS: "evil"}, "immutable": true})] {
        let before = world.get("ConfigMap", POOLER).await?;
        world.merge("ConfigMap", POOLER, change).await?;
        world.settle().await?;
        let after = world.get("ConfigMap", POOLER).await?;
        assert_eq!(after.data, before.data);
        assert_ne!(after.uid(), before.uid());
    }
    Ok(())
}

async fn change_deployments(world: &World) -> Result {
    world.change_on_its_way("apps", "deployments", r#"[JSONPatch{op: "add", path: "/spec/minReadySeconds", value: 5}]"#).await?;
    eventually("the policy is at work", async || {
        let probe = PatchParams { dry_run: true, ..PatchParams::default() };
        let answer = world.api("Deployment")?.patch(API, &probe, &Patch::Merge(json!({"metadata": {"labels": {"probe": "x"}}}))).await?;
        Ok(answer.data.pointer("/spec/minReadySeconds") == Some(&json!(5)))
    })
    .await
}

#[tokio::test]
async fn what_something_changes_on_its_way_is_written_once_and_said() -> Result {
    let world = ready("standoff", json!({})).await?;
    change_deployments(&world).await?;
    world.change(json!({"api": {"databasePoolSize": 10}})).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    let (state, message) = world.condition("ApiReady").await?;
    assert_eq!(state, "True/Contested");
    assert!(message.contains("Deployment esperanca-api does not keep spec.minReadySeconds"), "{message}");
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    let writes = world.writes();
    for _ in 0..5 {
        world.pass().await?;
    }
    assert_eq!(world.writes(), writes, "no fight");
    // A change of the resource arrives all the same.
    world.change(json!({"api": {"databasePoolSize": 9}})).await?;
    world.settle().await?;
    let pool = json!({"name": "DATABASE_POOL_SIZE", "value": "9"});
    let env = world.get("Deployment", API).await?.data.pointer("/spec/template/spec/containers/0/env").cloned().unwrap_or_default();
    assert!(env.as_array().is_some_and(|env| env.contains(&pool)), "{env}");
    // A field that somebody else changes comes back.
    world.merge("Deployment", API, json!({"spec": {"progressDeadlineSeconds": 299}})).await?;
    world.settle().await?;
    assert_eq!(world.get("Deployment", API).await?.data.pointer("/spec/progressDeadlineSeconds"), Some(&json!(300)));
    Ok(())
}

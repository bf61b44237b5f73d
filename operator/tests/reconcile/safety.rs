//! Data is not put at risk, and the status does not promise what is not so.

use doacoes_operator::error::ErrorClass;
use doacoes_operator::reconcile::Outcome;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::server::{Result, World, world};
use crate::{API, DATABASE, POOLER, REDIS, claim, eventually, finish, migrate, none_of, ready};

const KEYS: &str = "esperanca-keys";

async fn create_secret(world: &World, labels: Value, data: Value) -> Result {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": KEYS, "labels": labels}, "data": data});
    world.api("Secret")?.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    Ok(())
}

/// Says that data is the platform's own, as the status tells people to.
async fn label(world: &World, kind: &str, name: &str) -> Result {
    let labels = json!({"app.kubernetes.io/managed-by": "doacoes-operator", "app.kubernetes.io/instance": "esperanca"});
    world.merge(kind, name, json!({"metadata": {"labels": labels}})).await
}

#[tokio::test]
async fn without_its_secrets_no_database_is_made() -> Result {
    let world = world("secrets").await?;
    let key = json!({"cursor.key": "YQ==", "token.key": "YQ==", "email.key": "YQ==", "body.key": "YQ=="});
    create_secret(&world, json!({}), key.clone()).await?;
    world.create(json!({})).await?;
    for _ in 0..2 {
        assert_eq!(world.pass().await.err().ok_or("the Secret is somebody else's")?.class(), ErrorClass::NameConflict);
    }
    assert!(!world.exists("StatefulSet", DATABASE).await?);
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/NameConflict");
    assert!(message.contains("label it app.kubernetes.io/managed-by=doacoes-operator"), "{message}");
    // Another one's is deleted: the platform makes its own.
    world.api("Secret")?.delete(KEYS, &DeleteParams::default()).await?;
    world.settle().await?;
    assert!(world.exists("Secret", KEYS).await? && world.exists("StatefulSet", DATABASE).await?);
    Ok(())
}

#[tokio::test]
async fn keys_from_a_backup_are_taken_when_they_have_the_labels() -> Result {
    let world = ready("backup", json!({})).await?;
    let data = world.get("Secret", KEYS).await?.data["data"].clone();
    world.api("Secret")?.delete(KEYS, &DeleteParams::default()).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/KeysMissing");
    create_secret(&world, json!({}), data).await?;
    assert!(world.pass().await.is_err());
    assert_eq!(world.condition("Ready").await?.0, "False/NameConflict");
    label(&world, "Secret", KEYS).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    Ok(())
}

#[tokio::test]
async fn a_write_that_fails_is_said_where_nothing_was_ready_and_is_no_news_elsewhere() -> Result {
    let world = world("failing").await?;
    world.create(json!({})).await?;
    world.faults.end_at(7, false);
    assert!(world.pass().await.is_err());
    // The process has ended; the next one gets no answer to one request.
    world.faults.start_again();
    world.faults.lose_one_to("services");
    let error = world.pass().await.err().ok_or("a request fails")?;
    assert_eq!(error.class(), ErrorClass::Transient);
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/RequestFailed");
    assert!(message.contains("Service"), "{message}");
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/Creating");

    let ready = ready("failing-later", json!({})).await?;
    ready.api("Service")?.delete(API, &DeleteParams::default()).await?;
    ready.faults.lose_one_to("services");
    assert!(ready.pass().await.is_err());
    let (state, message) = ready.condition("Ready").await?;
    assert_eq!(state, "False/Creating", "{message}");
    ready.settle().await?;
    assert!(ready.exists("Service", API).await?);
    assert_eq!(ready.condition("Ready").await?.0, "True/Available");
    // Where nothing is missing, an answer that is lost is no news.
    ready.merge("Service", API, json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "theirs"}}})).await?;
    ready.faults.lose_one_to("services");
    assert!(ready.pass().await.is_err());
    assert_eq!(ready.condition("Ready").await?.0, "True/Available");
    Ok(())
}

#[tokio::test]
async fn another_volume_is_migrated_too() -> Result {
    let world = world("volume").await?;
    world.create(json!({})).await?;
    world.settle().await?;
    claim(&world, None).await?;
    world.run_all_pods().await?;
    world.settle().await?;
    let first = migrate(&world).await?;
    finish(&world, &first, "Complete", r#"{"schema": "1", "applied": 1}"#).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    assert_eq!(world.settle().await?, Outcome::Settled);
    let uid = world.get("Job", &first).await?.uid();

    world.api("PersistentVolumeClaim")?.delete(&format!("data-{DATABASE}-0"), &DeleteParams::default()).await?;
    // No controller takes the protection away here.
    let free = json!({"metadata": {"finalizers": null}});
    let _ = world.merge("PersistentVolumeClaim", &format!("data-{DATABASE}-0"), free).await;
    claim(&world, None).await?;
    world.settle().await?;
    assert_ne!(world.get("Job", &first).await?.uid(), uid, "the empty database is migrated");
    assert_eq!(world.condition("Ready").await?.0, "False/Migrating");
    Ok(())
}

#[tokio::test]
async fn a_volume_that_is_being_removed_under_a_running_database_is_said_and_nothing_is_touched() -> Result {
    let world = ready("removed", json!({})).await?;
    claim(&world, None).await?;
    let name = format!("data-{DATABASE}-0");
    let held = json!({"metadata": {"finalizers": ["example.org/held"]}});
    world.merge("PersistentVolumeClaim", &name, held).await?;
    world.settle().await?;
    world.api("PersistentVolumeClaim")?.delete(&name, &DeleteParams::default()).await?;
    let writes = world.writes();
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/VolumeBeingRemoved");
    assert!(message.contains("dump the database now"), "{message}");
    assert_eq!(world.writes(), writes + 1, "the status alone");
    world.merge("PersistentVolumeClaim", &name, json!({"metadata": {"finalizers": null}})).await?;
    Ok(())
}

#[tokio::test]
async fn what_serves_keeps_its_settings_and_can_be_scaled_until_the_next_version_may_run() -> Result {
    let world = ready("gate", json!({"api": {"rateLimits": [{"rule": "*"}]}})).await?;
    let edge = async || -> Result<Option<Value>> { Ok(world.get("ConfigMap", "esperanca-edge").await?.data.get("data").cloned()) };
    let before = edge().await?;
    let change = json!({
        "image": {"tag": "0.9.9"}, "api": {"rateLimits": null, "replicas": 6},
        "ingress": {"rateLimit": {"burst": 7}},
    });
    world.change(change).await?;
    world.settle().await?;
    assert!(world.exists("ConfigMap", API).await?, "pods of the version before mount it");
    assert_eq!(edge().await?, before);
    assert_eq!(world.get("Deployment", API).await?.data.pointer("/spec/replicas"), Some(&json!(6)));
    let first = world.get("Deployment", API).await?.data.pointer("/spec/template/spec/containers/0/image").cloned();
    assert_eq!(first, Some(json!(format!("localhost/doacoes/api:{}", env!("CARGO_PKG_VERSION")))));
    for name in world.names("Job").await? {
        if world.get("Job", &name).await?.data.pointer("/status/conditions").is_none() {
            finish(&world, &name, "Complete", r#"{"schema": "2", "applied": 1}"#).await?;
        }
    }
    world.settle().await?;
    assert!(!world.exists("ConfigMap", API).await?);
    assert_ne!(edge().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_paused_platform_is_not_ready_while_changes_wait() -> Result {
    let world = ready("pause", json!({})).await?;
    world.change(json!({"paused": true})).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    world.change(json!({"redis": {"managed": {"maxMemory": "2Gi"}}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/Paused");
    assert!(message.contains("ConfigMap esperanca-redis"), "{message}");
    world.change(json!({"redis": null, "networkPolicy": {"enabled": false}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/Paused");
    assert!(message.contains("NetworkPolicy"), "{message}");
    // What is worse than the pause is said first.
    world.api("Secret")?.delete(KEYS, &DeleteParams::default()).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/KeysMissing");
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
async fn another_key_beside_a_signed_certificate_changes_nothing() -> Result {
    let world = ready("beside", json!({"profile": "Development"})).await?;
    let certificate = world.get("Secret", "esperanca-edge-tls").await?.data.pointer("/data/tls.crt").cloned();
    world.merge("Secret", "esperanca-edge-tls", json!({"data": {"ca.crt": "Yw=="}})).await?;
    world.settle().await?;
    assert_eq!(world.get("Secret", "esperanca-edge-tls").await?.data.pointer("/data/tls.crt").cloned(), certificate);
    Ok(())
}

#[tokio::test]
async fn a_site_without_an_address_and_an_autoscaler_without_metrics_are_told() -> Result {
    let world = ready("told", json!({"api": {"autoscaling": {}}})).await?;
    let conditions = json!([{
        "type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics API",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    let status = json!({"conditions": conditions, "currentReplicas": 4, "desiredReplicas": 4, "currentMetrics": []});
    world.merge_status("HorizontalPodAutoscaler", API, status).await?;
    world.merge_status("Service", "esperanca-edge", json!({"loadBalancer": {"ingress": null}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("Autoscaled").await?;
    assert_eq!(state, "False/MetricsMissing");
    assert!(message.contains("no metrics API"), "{message}");
    let (state, message) = world.condition("EdgeReady").await?;
    assert_eq!(state, "True/WaitingForAddress");
    assert!(message.contains("NodePort"), "{message}");
    // It answers wherever an address is not needed, and clusters without load balancers never give one.
    assert_eq!(world.condition("Ready").await?.0, "True/WaitingForAddress");
    Ok(())
}

/// Changes every object of a kind in the namespace on its way, as policies of a cluster do.
pub(crate) async fn mutate(world: &World, group: &str, plural: &str, patch: &str) -> Result {
    let kind = |kind: &str| {
        let gvk = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1beta1", kind);
        let plural = if kind.ends_with("Binding") { "mutatingadmissionpolicybindings" } else { "mutatingadmissionpolicies" };
        Api::<DynamicObject>::all_with(world.admin.clone(), &ApiResource::from_gvk_with_plural(&gvk, plural))
    };
    let name = &world.namespace;
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1beta1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "resourceRules": [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [plural]}],
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        },
    });
    kind("MutatingAdmissionPolicy").create(&PostParams::default(), &serde_json::from_value(policy)?).await?;
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1beta1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name},
    });
    kind("MutatingAdmissionPolicyBinding").create(&PostParams::default(), &serde_json::from_value(binding)?).await?;
    Ok(())
}

async fn change_deployments(world: &World) -> Result {
    mutate(world, "apps", "deployments", r#"[JSONPatch{op: "add", path: "/spec/minReadySeconds", value: 5}]"#).await?;
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
    // What the resource asks for arrives all the same.
    world.change(json!({"api": {"databasePoolSize": 9}})).await?;
    world.settle().await?;
    let pool = json!({"name": "DATABASE_POOL_SIZE", "value": "9"});
    let env = world.get("Deployment", API).await?.data.pointer("/spec/template/spec/containers/0/env").cloned().unwrap_or_default();
    assert!(env.as_array().is_some_and(|env| env.contains(&pool)), "{env}");
    // Somebody changes another field: that comes back.
    world.merge("Deployment", API, json!({"spec": {"progressDeadlineSeconds": 299}})).await?;
    world.settle().await?;
    assert_eq!(world.get("Deployment", API).await?.data.pointer("/spec/progressDeadlineSeconds"), Some(&json!(300)));
    Ok(())
}

#[tokio::test]
async fn a_refused_migration_is_named_and_what_serves_is_kept_as_it_is() -> Result {
    let world = ready("no-jobs", json!({})).await?;
    none_of(&world, "count/jobs.batch").await?;
    world.change(json!({"image": {"tag": "0.9.9"}})).await?;
    let service = world.get("Service", API).await?.data["spec"].clone();
    world.merge("Service", API, json!({"spec": {"selector": {"evil": "yes"}}})).await?;
    let error = world.pass().await.err().ok_or("the quota refuses the Job")?;
    assert_eq!(error.class(), ErrorClass::Fault);
    let (state, message) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/Refused");
    assert!(message.contains("quota"), "{message}");
    assert_eq!(world.get("Service", API).await?.data["spec"], service);
    Ok(())
}

#[tokio::test]
async fn a_migration_whose_pods_are_refused_says_why() -> Result {
    let world = ready("no-pods", json!({})).await?;
    world.change(json!({"image": {"tag": "0.9.9"}})).await?;
    world.settle().await?;
    let (state, _) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/Migrating");
    let jobs = world.api("Job")?.list(&ListParams::default()).await?;
    let running = jobs.iter().find(|job| job.data.pointer("/status/conditions").is_none()).ok_or("no Job is running")?;
    // As the Job controller reports it.
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "refused", "namespace": world.namespace}, "type": "Warning",
        "reason": "FailedCreate", "message": "pods is forbidden: exceeded quota: none", "lastTimestamp": "2026-11-01T00:00:00Z",
        "involvedObject": {
            "apiVersion": "batch/v1", "kind": "Job", "name": running.name_any(), "namespace": world.namespace, "uid": running.uid(),
        },
    });
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(world.admin.clone(), &world.namespace);
    events.create(&PostParams::default(), &serde_json::from_value(event)?).await?;
    world.settle().await?;
    let (state, message) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/PodsRefused");
    assert!(message.contains("exceeded quota"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_claim_of_others_is_not_taken_for_the_databases() -> Result {
    let world = world("claimed").await?;
    let name = format!("data-{DATABASE}-0");
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    world.api("PersistentVolumeClaim")?.create(&PostParams::default(), &serde_json::from_value(claim)?).await?;
    world.create(json!({})).await?;
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/NameConflict");
    assert!(message.contains(&name) && message.contains("label the claim"), "{message}");
    assert!(!world.exists("StatefulSet", DATABASE).await? && !world.exists("Secret", KEYS).await?);
    // Labelled it is the platform's own, whose keys are missing.
    label(&world, "PersistentVolumeClaim", &name).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/KeysMissing");
    // Without its finalizer, which a controller that is not here would take away.
    world.merge("PersistentVolumeClaim", &name, json!({"metadata": {"finalizers": null}})).await?;
    world.api("PersistentVolumeClaim")?.delete(&name, &DeleteParams::default()).await?;
    world.settle().await?;
    assert!(world.exists("StatefulSet", DATABASE).await? && world.exists("Secret", KEYS).await?);
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
async fn that_nothing_is_backed_up_is_said_with_a_warning_where_donors_are_real() -> Result {
    for (profile, reason, warnings) in [("Production", "NoBackups", 1), ("Development", "NotBackedUp", 0)] {
        let world = world(&format!("backups-{}", profile.to_lowercase())).await?;
        world.create(json!({"profile": profile})).await?;
        world.settle().await?;
        assert_eq!(world.condition("BackupConfigured").await?.0, format!("False/{reason}"));
        let events: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(world.admin.clone(), &world.namespace);
        let said = events.list(&ListParams::default()).await?;
        let said = said.iter().filter(|event| event.reason.as_deref() == Some(reason) && event.type_.as_deref() == Some("Warning"));
        assert_eq!(said.count(), warnings, "{profile}");
    }
    Ok(())
}

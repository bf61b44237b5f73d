//! What is accepted, is understood: every field, every default and the status, read and written by the types.

use doacoes_operator::crd::DonationPlatform;
use doacoes_operator::quantity::billionths;
use futures_util::{StreamExt as _, stream};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::asking::{Server, all, expect, object};
use super::cases::{merged, smallest};
use super::places::{accepted_changes, locate};
use super::schema::{Node, nodes};
use crate::harness::Result;

#[tokio::test]
async fn what_is_close_to_a_rule_is_accepted_and_understood() -> Result {
    let server = Server::new("admission-accepted").await?;
    let nodes = nodes();
    let cases = accepted_changes()?.into_iter().flatten().map(|case| (format!("{} changed by {}", case.path, case.change), case.spec));
    let (server, nodes) = (&server, nodes.as_slice());
    let tried = stream::iter(cases).map(|(what, spec)| async move {
        let result = async {
            expect(&Vec::new(), async || server.create("accepted", &spec).await).await?;
            understood(nodes, &spec)
        };
        (what, result.await)
    });
    all(tried).await?;
    Ok(())
}

/// Whether the operator can read the spec, and each amount of it.
fn understood(nodes: &[Node], spec: &Value) -> Result {
    let read: DonationPlatform = serde_json::from_value(serde_json::to_value(object("esperanca", spec)?)?)?;
    let written = serde_json::to_value(&read)?;
    for node in nodes.iter().filter(|node| node.path.ends_with(".maxMemory") || node.schema.get("x-kubernetes-int-or-string").is_some()) {
        if let Some(amount) = locate(&written, &node.path).and_then(|place| written.pointer(&place.pointer)) {
            let amount = amount.as_str().ok_or("an amount is text")?;
            billionths(amount).ok_or_else(|| format!("{amount:?} is not understood"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn accepted_resources_hold_every_field_and_the_types_read_and_write_them_unchanged() -> Result {
    let server = Server::with_bases("admission-fields").await?;
    let stored: Vec<Value> = server.stored.values().map(serde_json::to_value).collect::<std::result::Result<_, _>>()?;
    for node in nodes().iter().filter(|node| node.is_of_spec()) {
        assert!(stored.iter().any(|object| locate(object, &node.path).is_some()), "no accepted resource has {}", node.path);
    }
    for object in stored {
        let read: DonationPlatform = serde_json::from_value(object.clone())?;
        assert_eq!(serde_json::to_value(&read)?["spec"], object["spec"]);
    }
    Ok(())
}

#[tokio::test]
async fn the_smallest_resource_gets_all_defaults_and_the_types_have_the_same() -> Result {
    let server = Server::new("admission-defaults").await?;
    let stored = server.store("esperanca", &smallest()).await?;
    let expected = json!({
        "profile": "Production",
        "paused": false,
        "deletionPolicy": "Retain",
        "image": {"repository": "localhost/doacoes/api", "tag": env!("CARGO_PKG_VERSION"), "pullPolicy": "IfNotPresent"},
        "api": {"replicas": 4, "databasePoolSize": 12, "resources": {}},
        "database": {"managed": {"storage": {"size": "10Gi"}, "maxConnections": 100, "resources": {}}},
        "pooler": {"replicas": 2, "mode": "Transaction", "serverPoolSize": 50, "maxClientConnections": 1000, "resources": {}},
        "redis": {"managed": {"maxMemory": "1Gi", "resources": {}}},
        "ingress": {"controller": "Managed", "host": "doe.example.org", "rateLimit": {"requestsPerSecond": 50, "burst": 100}},
        "payments": {},
        "networkPolicy": {"enabled": true},
    });
    assert_eq!(stored.data["spec"], expected);
    // The operator must read a resource that was written before a field existed as the API server would default it. Parents that
    // are switched on by writing them are read likewise.
    let switched_on = json!({
        "api": {"autoscaling": {}}, "database": {"managed": {"storage": {}}}, "redis": {"managed": {}},
        "ingress": {"managed": {"service": {"nodePorts": {}}, "clientIP": {}}, "tls": {"none": {}}},
    });
    for spec in [smallest(), merged(&smallest(), &switched_on), json!({"ingress": {"host": "doe.example.org", "managed": {}}})] {
        let stored = server.store("defaults", &spec).await?;
        let read: DonationPlatform = serde_json::from_value(serde_json::to_value(object("defaults", &spec)?)?)?;
        assert_eq!(serde_json::to_value(&read)?["spec"], stored.data["spec"], "{spec}");
    }
    Ok(())
}

#[tokio::test]
async fn a_status_survives_reading_and_writing() -> Result {
    let server = Server::new("admission-status").await?;
    server.store("esperanca", &smallest()).await?;
    let status = json!({
        "observedGeneration": 7,
        "conditions": [{
            "type": "Ready", "status": "False", "reason": "WaitingForDatabase", "message": "the database's volume is pending",
            "observedGeneration": 7, "lastTransitionTime": "2026-12-24T10:00:00Z",
        }],
        "version": "0.1.0",
        "schemaRevision": "20261101",
        "migration": {"job": "esperanca-migrate-1a2b", "image": "api:0.1.0", "settings": "1a2b", "volume": "0f4e"},
        "servedSpec": {"profile": "Production", "ingress": {"host": "doe.example.org"}},
        "endpoint": "https://doe.example.org",
        "api": {"replicas": 4, "readyReplicas": 3, "selector": "app.kubernetes.io/component=api"},
        "connections": {"apiClients": 48, "poolerClientLimit": 1000, "poolerServers": 50, "databaseLimit": 100},
        "database": {"capacity": "10Gi"},
    });
    let patch = Patch::Merge(json!({"status": status}));
    server.platforms.patch_status("esperanca", &PatchParams::default(), &patch).await?;
    let stored = serde_json::to_value(server.platforms.get("esperanca").await?)?;
    assert_eq!(stored["status"], status);
    for node in nodes().iter().filter(|node| node.path.starts_with("status.")) {
        assert!(locate(&stored, &node.path).is_some(), "there is no {}", node.path);
    }
    let read: DonationPlatform = serde_json::from_value(stored.clone())?;
    assert_eq!(serde_json::to_value(&read)?["status"], status);
    Ok(())
}

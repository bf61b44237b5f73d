//! What the API server accepts, refuses and stores: every rule and every bound of the definition, through every way in.

#[path = "../it/schema.rs"]
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use doacoes_operator::crd::DonationPlatform;
use doacoes_operator::quantity::billionths;
use futures_util::{Stream, StreamExt as _, stream};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::core::response::StatusCause;
use serde_json::{Value, json};

use self::schema::{Node, Rule, nodes, rules};
use crate::server::{Result, World, world};

/// Changes `into` as a JSON merge patch does: `null` takes away.
fn merge(into: &mut Value, patch: &Value) {
    let (Value::Object(members), Value::Object(changes)) = (&mut *into, patch) else {
        *into = patch.clone();
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert_with(|| json!({})), change);
        }
    }
}

fn merged(base: &Value, patch: &Value) -> Value {
    let mut changed = base.clone();
    merge(&mut changed, patch);
    changed
}

/// Everything that one part can be told about its pods.
fn pods() -> Value {
    let expression = json!({"key": "example.org/kind", "operator": "In", "values": ["fast"]});
    let term = json!({
        "labelSelector": {"matchExpressions": [expression], "matchLabels": {"example.org/team": "donations"}},
        "topologyKey": "kubernetes.io/hostname",
    });
    let neighbours = json!({
        "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": term, "weight": 50}],
        "requiredDuringSchedulingIgnoredDuringExecution": [term],
    });
    let nodes = json!({"matchExpressions": [expression]});
    json!({
        "resources": {
            "requests": {"cpu": "100m", "ephemeral-storage": "1Gi", "memory": "512Mi"},
            "limits": {"cpu": "2", "ephemeral-storage": "2Gi", "memory": "1Gi"},
        },
        "nodeSelector": {"example.org/kind": "fast"},
        "tolerations": [{
            "key": "example.org/dedicated", "operator": "Equal", "value": "donations", "effect": "NoExecute", "tolerationSeconds": 60,
        }],
        "affinity": {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"preference": nodes, "weight": 50}],
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [nodes]},
            },
            "podAffinity": neighbours,
            "podAntiAffinity": neighbours,
        },
        "priorityClassName": "donations",
        "labels": {"example.org/team": "donations"},
        "annotations": {"example.org/owner": "donations@example.org"},
        "extraEnv": [{"name": "TEAM", "value": "donations"}],
    })
}

/// A spec with every field but the other members of unions.
fn full() -> Value {
    let direction = json!({
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}], "selectPolicy": "Max", "stabilizationWindowSeconds": 300,
    });
    let pods = pods();
    let api = json!({
        "replicas": 4,
        "databasePoolSize": 12,
        "autoscaling": {
            "minReplicas": 4,
            "maxReplicas": 12,
            "metrics": [{"resource": "cpu", "averageUtilization": 65}, {"resource": "memory", "averageUtilization": 80}],
            "behavior": {"scaleDown": direction, "scaleUp": direction},
        },
        "rateLimits": [{"rule": "donation_ip", "limit": 1200, "periodSeconds": 60}],
        "trustedCIDRs": ["10.0.0.0/8"],
    });
    let postgres = json!({
        "storage": {"size": "10Gi", "storageClassName": "fast"}, "maxConnections": 100, "image": "example.org/team/postgres:17.12",
    });
    let pooler = json!({
        "replicas": 2, "mode": "Transaction", "serverPoolSize": 50, "maxClientConnections": 1000, "image": "example.org/team/pgbouncer:1.26",
    });
    let redis = json!({"maxMemory": "256Mi", "image": "example.org/team/redis:8"});
    let edge = json!({
        "replicas": 2,
        "image": "example.org/team/nginx:1.30",
        "service": {
            "type": "LoadBalancer",
            "annotations": {"example.org/subnet": "public"},
            // In the band that nothing is given by itself, and no other test's: the API server has each but once.
            "nodePorts": {"http": 30010, "https": 30011},
            "loadBalancerClass": "example.org/internet",
            "externalTrafficPolicy": "Cluster",
        },
        "clientIP": {"source": "Header", "trustedCIDRs": ["10.0.0.0/8"]},
    });
    json!({
        "profile": "Development",
        "paused": true,
        "deletionPolicy": "Delete",
        "image": {"repository": "example.org/team/api", "tag": "1.2.3", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "api": merged(&api, &pods),
        "database": {"managed": merged(&postgres, &pods)},
        "pooler": merged(&pooler, &pods),
        "redis": {"managed": merged(&redis, &pods)},
        "ingress": {
            "controller": "Managed",
            "host": "doe.example.org",
            "publicPort": 8443,
            "tls": {"secretName": "doe-tls"},
            "rateLimit": {"requestsPerSecond": 50, "burst": 100},
            "managed": merged(&edge, &pods),
        },
        "payments": {"gateway": "Simulado"},
        "mail": {"from": "Casa do Caminho <doe@example.org>", "secretName": "doe-mail"},
        "firstAdmin": {"email": "admin@example.org"},
        "networkPolicy": {"enabled": true, "egressCIDRs": ["192.0.2.0/24"]},
    })
}

/// Accepted specs that together hold every field.
pub(crate) fn bases() -> Vec<(&'static str, Value)> {
    vec![
        ("full", full()),
        ("self-signed", merged(&full(), &json!({"ingress": {"tls": {"secretName": null, "selfSigned": {}}}}))),
        ("plain", merged(&full(), &json!({"ingress": {"tls": {"secretName": null, "none": {}}}}))),
    ]
}

fn smallest() -> Value {
    json!({"ingress": {"host": "doe.example.org"}})
}

/// What is refused: where something is changed, how, and how the message of the rule that says no begins. A place is the end of
/// a path of the schema; what several parts have in common is tried in each.
#[expect(clippy::too_many_lines, reason = "it is one table")]
fn refused() -> Vec<(&'static str, Value, &'static str)> {
    let (long, host) = ("d".repeat(64), "ingress.host must be");
    vec![
        ("spec", json!({"profile": "Production"}), "payments.gateway must not be Simulado"),
        (
            "spec",
            json!({"profile": "Production", "payments": {"gateway": null}, "ingress": {"tls": {"secretName": null, "selfSigned": {}}}}),
            "ingress.tls.selfSigned is for profile Development only",
        ),
        ("spec", json!({"pooler": {"replicas": 2, "serverPoolSize": 1}}), "pooler.serverPoolSize must be at least pooler.replicas"),
        ("spec", json!({"database": {"managed": {"maxConnections": 94}}}), "database.managed.maxConnections is too small"),
        ("spec", json!({"pooler": {"serverPoolSize": 53}}), "database.managed.maxConnections is too small"),
        ("spec", json!({"pooler": {"replicas": 10, "serverPoolSize": 71}}), "database.managed.maxConnections is too small"),
        ("spec", json!({"pooler": {"maxClientConnections": 287}}), "pooler.maxClientConnections is too small"),
        ("spec", json!({"api": {"autoscaling": null, "replicas": 42}}), "pooler.maxClientConnections is too small"),
        ("spec", json!({"api": {"databasePoolSize": 42}}), "pooler.maxClientConnections is too small"),
        ("image.repository", json!(""), "image.repository must be"),
        ("image.repository", json!("Api"), "image.repository must be"),
        ("image.repository", json!("api:1.0"), "image.repository must be"),
        ("image.repository", json!("team/api:1.0"), "image.repository must be"),
        ("image.repository", json!("api@sha256:0"), "image.repository must be"),
        ("image.repository", json!("/api"), "image.repository must be"),
        ("image.repository", json!("api/"), "image.repository must be"),
        ("image.repository", json!("a//b"), "image.repository must be"),
        ("image.repository", json!("a b"), "image.repository must be"),
        ("image.tag", json!("latest"), "image.tag must not be latest"),
        ("image.tag", json!(""), "image.tag must start"),
        ("image.tag", json!("-a"), "image.tag must start"),
        ("image.tag", json!(".a"), "image.tag must start"),
        ("image.tag", json!("a b"), "image.tag must start"),
        ("image.tag", json!("a:b"), "image.tag must start"),
        ("image.tag", json!("a/b"), "image.tag must start"),
        ("imagePullSecrets[].name", json!(""), "imagePullSecrets[].name must be"),
        ("imagePullSecrets[].name", json!("Registry"), "imagePullSecrets[].name must be"),
        ("imagePullSecrets[].name", json!("registry-"), "imagePullSecrets[].name must be"),
        ("api.autoscaling", json!({"minReplicas": 13}), "autoscaling.minReplicas must not be greater"),
        ("scaleDown", json!({"policies": []}), "policies must hold at least one entry"),
        ("scaleUp", json!({"policies": []}), "policies must hold at least one entry"),
        ("rateLimits[]", json!({"limit": null}), "rateLimits[] needs both"),
        ("rateLimits[]", json!({"periodSeconds": null}), "rateLimits[] needs both"),
        ("rateLimits[]", json!({"rule": "*"}), "rateLimits[] with rule * lifts"),
        ("database", json!({"managed": null}), "database must have exactly one member"),
        ("storage.size", json!("1023Mi"), "storage.size must be a quantity"),
        ("storage.size", json!("65Ti"), "storage.size must be a quantity"),
        ("storage.size", json!("10 Gi"), "storage.size must be a quantity"),
        ("storage.storageClassName", json!("Fast"), "storageClassName must be"),
        ("storage.storageClassName", json!(""), "storageClassName must be"),
        ("redis", json!({"managed": null}), "redis must have exactly one member"),
        ("redis.managed", json!({"maxMemory": "900Mi"}), "managed.resources.limits.memory must be at least 1.25 times"),
        (
            "redis.managed",
            json!({"resources": {"requests": null, "limits": {"memory": 335_544_319}}}),
            "managed.resources.limits.memory must be at least 1.25 times",
        ),
        ("redis.managed", json!({"maxMemory": "16777215"}), "managed.maxMemory must be"),
        ("redis.managed", json!({"maxMemory": "1025Gi", "resources": {"limits": null}}), "managed.maxMemory must be"),
        ("redis.managed", json!({"maxMemory": "much"}), "managed.maxMemory must be"),
        ("spec.ingress", json!({"controller": "Generic"}), "ingress.managed is for controller Managed only"),
        ("ingress.host", json!(""), host),
        ("ingress.host", json!("Doe.example.org"), host),
        ("ingress.host", json!("doe.example.org."), host),
        ("ingress.host", json!(".example.org"), host),
        ("ingress.host", json!("doe..example.org"), host),
        ("ingress.host", json!("-doe.example.org"), host),
        ("ingress.host", json!("doe-.example.org"), host),
        ("ingress.host", json!("doe_1.example.org"), host),
        ("ingress.host", json!("*.example.org"), host),
        ("ingress.host", json!("https://doe.example.org"), host),
        ("ingress.host", json!("doe.example.org:8443"), host),
        ("ingress.host", json!("doe.example.org/"), host),
        ("ingress.host", json!("192.0.2.1"), host),
        ("ingress.host", json!("2001:db8::1"), host),
        ("ingress.host", json!("doe.example.org\n"), host),
        ("ingress.host", json!("doação.example.org"), host),
        ("ingress.host", json!(format!("{long}.example.org")), host),
        ("ingress.tls", json!({"secretName": null}), "ingress.tls must have exactly one member"),
        ("ingress.tls", json!({"selfSigned": {}}), "ingress.tls must have exactly one member"),
        ("ingress.tls", json!({"none": {}}), "ingress.tls must have exactly one member"),
        ("ingress.tls", json!({"secretName": null, "none": {}, "selfSigned": {}}), "ingress.tls must have exactly one member"),
        ("tls.secretName", json!("Doe"), "secretName must be"),
        ("tls.secretName", json!("a..b"), "secretName must be"),
        ("managed.service", json!({"type": "ClusterIP", "loadBalancerClass": null}), "service.nodePorts needs service.type"),
        ("managed.service", json!({"type": "NodePort"}), "service.loadBalancerClass needs service.type LoadBalancer"),
        ("nodePorts", json!({"http": 30011}), "service.nodePorts.http and service.nodePorts.https must differ"),
        ("loadBalancerClass", json!("a b"), "loadBalancerClass must be"),
        ("loadBalancerClass", json!("a/b/c"), "loadBalancerClass must be"),
        ("loadBalancerClass", json!(long), "loadBalancerClass must be"),
        ("clientIP", json!({"trustedCIDRs": null}), "clientIP.source ProxyProtocol and Header need"),
        ("clientIP", json!({"source": "ProxyProtocol", "trustedCIDRs": []}), "clientIP.source ProxyProtocol and Header need"),
        ("clientIP", json!({"source": "Connection"}), "clientIP.trustedCIDRs is not used with"),
        ("trustedCIDRs[]", json!("10.0.0.1/8"), "trustedCIDRs must hold networks"),
        ("trustedCIDRs[]", json!("10.0.0.0"), "trustedCIDRs must hold networks"),
        ("trustedCIDRs[]", json!("0.0.0.0/0"), "trustedCIDRs must not hold a network of all addresses"),
        ("trustedCIDRs[]", json!("::/0"), "trustedCIDRs must not hold a network of all addresses"),
        ("egressCIDRs[]", json!("192.0.2.1/24"), "egressCIDRs must hold networks"),
        ("egressCIDRs[]", json!("mail.example.org"), "egressCIDRs must hold networks"),
        ("mail.from", json!(""), "mail.from must be"),
        ("mail.from", json!("doe"), "mail.from must be"),
        ("mail.from", json!("Casa <doe>"), "mail.from must be"),
        ("mail.from", json!("Casa <doe@example.org"), "mail.from must be"),
        ("mail.from", json!("doe@example.org>"), "mail.from must be"),
        ("mail.from", json!("Casa\nBcc: all <doe@example.org>"), "mail.from must be"),
        ("mail.from", json!("Casa, São Paulo <doe@example.org>"), "mail.from must be"),
        ("mail.from", json!("Casa (SP) <doe@example.org>"), "mail.from must be"),
        ("mail.from", json!("\"Casa <doe@example.org>"), "mail.from must be"),
        ("mail.from", json!("doe@example..org"), "mail.from must be"),
        ("mail.from", json!("doe@a@example.org"), "mail.from must be"),
        ("mail.secretName", json!("Mail"), "mail.secretName must be"),
        ("firstAdmin.email", json!("admin"), "firstAdmin.email must be"),
        ("firstAdmin.email", json!("admin@localhost"), "firstAdmin.email must be"),
        ("firstAdmin.email", json!("admin@example..org"), "firstAdmin.email must be"),
        ("firstAdmin.email", json!("Admin <admin@example.org>"), "firstAdmin.email must be"),
        ("firstAdmin.email", json!("admin@example.org\n"), "firstAdmin.email must be"),
        ("firstAdmin.email", json!("a$$b@example.org"), "firstAdmin.email must be"),
        ("firstAdmin.email", json!("doação@example.org"), "firstAdmin.email must be"),
        ("firstAdmin.email", json!(format!("{}@example.org", "a".repeat(65))), "firstAdmin.email must be"),
        ("image", json!("postgres"), "image must be a repository with tag or digest"),
        ("image", json!("example.org:5000/postgres"), "image must be a repository with tag or digest"),
        ("image", json!("postgres@sha256:0"), "image must be a repository with tag or digest"),
        ("image", json!("Postgres:17"), "image must be a repository with tag or digest"),
        ("image", json!("postgres:latest"), "image must not have the tag latest"),
        ("resources", json!({"requests": {"cpu": "2001m"}}), "resources.requests.cpu must not be greater"),
        ("resources", json!({"requests": {"ephemeral-storage": "3Gi"}}), "resources.requests.ephemeral-storage must not be greater"),
        ("resources", json!({"requests": {"memory": "1025Mi"}}), "resources.requests.memory must not be greater"),
        ("resources", json!({"limits": {"cpu": "99m"}}), "resources.requests.cpu must not be greater"),
        ("requests.cpu", json!("0"), "cpu must be a quantity greater than 0"),
        ("requests.cpu", json!(0), "cpu must be a quantity greater than 0"),
        ("requests.cpu", json!("-1"), "cpu must be a quantity greater than 0"),
        ("requests.ephemeral-storage", json!("1 Gi"), "ephemeral-storage must be a quantity greater than 0"),
        ("requests.memory", json!("0Mi"), "memory must be a quantity greater than 0"),
        ("limits.cpu", json!("two"), "cpu must be a quantity greater than 0"),
        ("limits.ephemeral-storage", json!("2GiB"), "ephemeral-storage must be a quantity greater than 0"),
        ("limits.memory", json!(""), "memory must be a quantity greater than 0"),
        ("nodeSelector", json!({"a b": "fast"}), "nodeSelector must have keys"),
        ("nodeSelector{}", json!("a b"), "nodeSelector must have values"),
        ("nodeSelector{}", json!("-fast"), "nodeSelector must have values"),
        ("labels", json!({"a/b/c": "donations"}), "labels must have keys"),
        ("labels", json!({"app.kubernetes.io/name": "donations"}), "labels must have no key that starts with"),
        ("labels", json!({"doacoes.dev/secrets": "donations"}), "labels must have no key that starts with"),
        ("labels{}", json!("donations."), "labels must have values"),
        ("annotations", json!({"": "donations"}), "annotations must have keys"),
        ("annotations", json!({"doacoes.dev/configuration": "donations"}), "annotations must have no key that starts with"),
        ("priorityClassName", json!("Donations"), "priorityClassName must be"),
        ("priorityClassName", json!(""), "priorityClassName must be"),
        ("extraEnv[].name", json!(""), "extraEnv[].name must start"),
        ("extraEnv[].name", json!("1A"), "extraEnv[].name must start"),
        ("extraEnv[].name", json!("A-B"), "extraEnv[].name must start"),
        ("tolerations[]", json!({"key": null}), "tolerations[].operator must be Exists"),
        ("tolerations[]", json!({"operator": "Exists"}), "tolerations[].value is not compared"),
        ("tolerations[]", json!({"effect": "NoSchedule"}), "tolerations[].tolerationSeconds needs"),
        ("tolerations[]", json!({"effect": null}), "tolerations[].tolerationSeconds needs"),
        ("tolerations[].key", json!("a b"), "key must be a label key"),
        ("tolerations[].value", json!("a b"), "value must be a label value"),
        ("matchExpressions[]", json!({"values": null}), "values must be left out"),
        ("matchExpressions[]", json!({"operator": "NotIn", "values": []}), "values must be left out"),
        ("matchExpressions[]", json!({"operator": "Exists"}), "values must be left out"),
        ("matchExpressions[]", json!({"operator": "DoesNotExist"}), "values must be left out"),
    ]
}

/// What is accepted although it is close to what is refused.
fn accepted() -> Vec<(&'static str, Value)> {
    let zeros = "0".repeat(64);
    vec![
        ("spec", json!({"database": {"managed": {"maxConnections": 95}}})),
        ("spec", json!({"pooler": {"serverPoolSize": 52}, "database": {"managed": {"maxConnections": 98}}})),
        ("spec", json!({"pooler": {"replicas": 10, "serverPoolSize": 70}})),
        ("spec", json!({"pooler": {"replicas": 2, "serverPoolSize": 2}})),
        ("spec", json!({"pooler": {"maxClientConnections": 288}})),
        ("spec", json!({"api": {"autoscaling": null, "replicas": 41}})),
        ("spec", json!({"api": {"replicas": 100}})),
        ("spec", json!({"profile": "Production", "payments": {"gateway": "PixEstatico"}})),
        ("spec", json!({"profile": "Production", "payments": {"gateway": null}, "ingress": {"tls": {"secretName": null, "none": {}}}})),
        ("spec", json!({"payments": null, "mail": null, "networkPolicy": null, "pooler": null, "database": null, "redis": null})),
        ("spec.ingress", json!({"controller": "F5Nginx", "managed": null})),
        ("spec.ingress", json!({"tls": null, "publicPort": null})),
        ("image.repository", json!("api")),
        ("image.repository", json!("localhost/doacoes/api")),
        ("image.repository", json!("a.b-c/d_e")),
        ("image.repository", json!("example.org:5000/ngo/doacoes__api")),
        ("image.tag", json!("1")),
        ("image.tag", json!("Latest")),
        ("image.tag", json!("_x")),
        ("image.tag", json!("v1.4.0-rc.1")),
        ("imagePullSecrets[].name", json!("registry.example.org")),
        ("api.autoscaling", json!({"minReplicas": 12})),
        ("api.autoscaling", json!({"minReplicas": null, "maxReplicas": null, "metrics": null, "behavior": null})),
        ("behavior", json!({"scaleDown": null})),
        ("scaleDown", json!({"policies": null, "selectPolicy": null})),
        ("rateLimits[]", json!({"limit": null, "periodSeconds": null})),
        ("rateLimits[]", json!({"rule": "*", "limit": null, "periodSeconds": null})),
        ("storage.size", json!("1Gi")),
        ("storage.size", json!("1.5Ti")),
        ("storage.size", json!("64Ti")),
        ("storage.size", json!("2000000000")),
        ("redis.managed", json!({"maxMemory": "16Mi"})),
        ("redis.managed", json!({"maxMemory": "1Ti", "resources": {"limits": null}})),
        ("redis.managed", json!({"resources": {"requests": null, "limits": {"memory": "320Mi"}}})),
        ("redis.managed", json!({"resources": null})),
        ("ingress.host", json!("a")),
        ("ingress.host", json!("localhost")),
        ("ingress.host", json!("0.example")),
        ("ingress.host", json!("d-o-e.example.org")),
        ("ingress.host", json!("doe.xn--esperana-j4a.example")),
        ("ingress.host", json!(format!("{}.example.org", "d".repeat(63)))),
        ("managed.service", json!({"type": "ClusterIP", "loadBalancerClass": null, "nodePorts": null})),
        ("managed.service", json!({"type": "NodePort", "loadBalancerClass": null})),
        ("nodePorts", json!({"https": null})),
        ("loadBalancerClass", json!("internal")),
        ("clientIP", json!({"source": "Connection", "trustedCIDRs": null})),
        ("clientIP", json!({"source": "ProxyProtocol", "trustedCIDRs": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"]})),
        ("egressCIDRs[]", json!("0.0.0.0/0")),
        ("mail.from", json!("doe@example.org")),
        ("mail.from", json!("Fundação Esperança <doe+recibos@localhost>")),
        ("mail.from", json!("O.N.G. D'Ávila-Sul <doe@example.org>")),
        ("mail.from", json!("\"Casa, São Paulo (SP)\" <doe@example.org>")),
        ("firstAdmin.email", json!("Ana.Souza+site@doe.example.org")),
        ("firstAdmin.email", json!("-ana@doe.example.org")),
        ("firstAdmin.email", json!(format!("{}@example.org", "a".repeat(64)))),
        ("spec", json!({"firstAdmin": null})),
        ("image", json!("postgres:17.12")),
        ("image", json!("localhost:5000/a/b:1")),
        ("image", json!(format!("a.example/b@sha256:{zeros}"))),
        ("image", json!(format!("b:1@sha256:{zeros}"))),
        ("resources", json!({"requests": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "2Gi"}})),
        ("resources", json!({"limits": {"cpu": null}})),
        ("requests.cpu", json!(1)),
        ("requests.cpu", json!("0.5")),
        ("requests.memory", json!(536_870_912)),
        ("requests.memory", json!("0.5Gi")),
        ("requests.memory", json!("512M")),
        ("limits.cpu", json!(2)),
        ("limits.memory", json!("1.5Gi")),
        ("nodeSelector", json!({"kubernetes.io/arch": ""})),
        ("labels", json!({"team": "a.b_C-1"})),
        ("annotations", json!({"example.org/text": "á b\n{}"})),
        ("priorityClassName", json!("system-cluster-critical")),
        ("extraEnv[].name", json!("_a1")),
        ("extraEnv[].value", json!("")),
        ("tolerations[]", json!({"key": null, "operator": "Exists", "value": null})),
        ("tolerations[]", json!({"operator": null, "effect": null, "tolerationSeconds": null, "value": ""})),
        ("matchExpressions[]", json!({"operator": "Exists", "values": null})),
        ("matchExpressions[]", json!({"operator": "DoesNotExist", "values": []})),
    ]
}

/// A change of a stored resource: what it has before, beside the smallest spec, the change, and how the refusal begins. The empty
/// one: it is accepted.
fn changes() -> Vec<(Value, Value, &'static str)> {
    let size = |size: &str| json!({"database": {"managed": {"storage": {"size": size}}}});
    let class = |class: Option<&str>| json!({"database": {"managed": {"storage": {"storageClassName": class}}}});
    let balancer = |class: Option<&str>| json!({"ingress": {"managed": {"service": {"loadBalancerClass": class}}}});
    let type_ = |type_: &str| json!({"ingress": {"managed": {"service": {"type": type_, "loadBalancerClass": null}}}});
    vec![
        (size("10Gi"), size("20Gi"), "storage.size cannot be changed"),
        (size("10Gi"), size("5Gi"), "storage.size cannot be changed"),
        (size("5Gi"), json!({"database": null}), "storage.size cannot be changed"),
        (size("10Gi"), size("10240Mi"), ""),
        (json!({}), size("10Gi"), ""),
        (class(Some("fast")), class(Some("slow")), "storage.storageClassName cannot be changed"),
        (class(Some("fast")), class(None), "storage.storageClassName cannot be changed"),
        (json!({}), class(Some("fast")), "storage.storageClassName cannot be changed"),
        (class(Some("fast")), json!({"paused": true}), ""),
        (balancer(Some("a")), balancer(Some("b")), "ingress.managed.service.loadBalancerClass cannot be changed"),
        (balancer(Some("a")), balancer(None), "ingress.managed.service.loadBalancerClass cannot be changed"),
        (json!({"ingress": {"managed": {}}}), balancer(Some("a")), "ingress.managed.service.loadBalancerClass cannot be changed"),
        (json!({}), balancer(Some("a")), "ingress.managed.service.loadBalancerClass cannot be changed"),
        (balancer(Some("a")), json!({"ingress": {"managed": null}}), "ingress.managed.service.loadBalancerClass cannot be changed"),
        (balancer(Some("a")), json!({"ingress": {"managed": {"replicas": 3}}}), ""),
        (balancer(Some("a")), type_("NodePort"), ""),
        (balancer(Some("a")), json!({"ingress": {"controller": "Generic", "managed": null}}), ""),
        (type_("NodePort"), merged(&type_("LoadBalancer"), &balancer(Some("b"))), ""),
        (json!({}), json!({"ingress": {"controller": "Generic"}}), ""),
        (json!({}), json!({"deletionPolicy": "Delete", "profile": "Development", "image": {"tag": "0.2.0"}}), ""),
    ]
}

/// Where a path of the schema is in an object: by the first item of each list and map on the way.
#[derive(Clone, Debug)]
struct Place {
    pointer: String,
    /// How the API server may write it.
    fields: [String; 2],
}

fn locate(object: &Value, path: &str) -> Option<Place> {
    let mut place = Place { pointer: String::new(), fields: [String::new(), String::new()] };
    let mut here = object;
    for segment in path.split('.') {
        let name = segment.trim_end_matches(['[', ']', '{', '}']);
        place.pointer.extend(["/", name]);
        for field in &mut place.fields {
            let dot = if field.is_empty() { "" } else { "." };
            field.extend([dot, name]);
        }
        here = here.get(name)?;
        if segment.ends_with("[]") {
            here = here.get(0)?;
            place.pointer.push_str("/0");
            place.fields.iter_mut().for_each(|field| field.push_str("[0]"));
        } else if segment.ends_with("{}") {
            let (key, value) = here.as_object()?.iter().next()?;
            here = value;
            place.pointer.extend(["/", &key.replace('~', "~0").replace('/', "~1")]);
            place.fields[0].extend(["[", key, "]"]);
            place.fields[1].extend([".", key]);
        }
    }
    Some(place)
}

/// The path of the schema for a field as the API server writes it.
fn schema_path(field: &str) -> String {
    if field == "<nil>" {
        return String::new();
    }
    let mut parts = field.split('[');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once(']').unwrap_or((part, ""));
        let is_index = inner.chars().all(|letter| letter.is_ascii_digit());
        path.push_str(if is_index { "[]" } else { "{}" });
        path.push_str(rest);
    }
    path
}

fn is_at(path: &str, at: &str) -> bool {
    path == at || path.ends_with(&format!(".{at}"))
}

/// The first base that has something at `path`, changed there.
fn changed(path: &str, change: &Value) -> Option<(&'static str, Value)> {
    bases().into_iter().find_map(|(name, base)| {
        let mut object = json!({"spec": base});
        let place = locate(&object, path)?;
        merge(object.pointer_mut(&place.pointer)?, change);
        Some((name, object["spec"].take()))
    })
}

/// The API server, and the bases that it has stored.
struct Server {
    world: World,
    platforms: Api<DynamicObject>,
    stored: BTreeMap<&'static str, DynamicObject>,
}

fn object(name: &str, spec: &Value) -> Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "metadata": {"name": name}, "spec": spec,
    }))?)
}

/// What the API server has against it; nothing if it was accepted.
fn complaints<T>(answer: kube::Result<T>) -> Result<Vec<StatusCause>> {
    match answer {
        Ok(_) => Ok(Vec::new()),
        Err(kube::Error::Api(status)) if status.is_invalid() => Ok(status.details.map(|details| details.causes).unwrap_or_default()),
        Err(error) => Err(error.into()),
    }
}

impl Server {
    async fn new(namespace: &str) -> Result<Self> {
        let world = world(namespace).await?;
        let resource = ApiResource::erase::<DonationPlatform>(&());
        let platforms = Api::namespaced_with(world.admin.clone(), &world.namespace, &resource);
        Ok(Self { world, platforms, stored: BTreeMap::new() })
    }

    async fn with_bases(namespace: &str) -> Result<Self> {
        let mut server = Self::new(namespace).await?;
        for (name, spec) in bases() {
            let stored = server.store(name, &spec).await?;
            server.stored.insert(name, stored);
        }
        Ok(server)
    }

    /// Stores a spec of which no field is unknown.
    async fn store(&self, name: &str, spec: &Value) -> Result<DynamicObject> {
        let strict = PatchParams::apply("tests").force().validation_strict();
        Ok(self.platforms.patch(name, &strict, &Patch::Apply(object(name, spec)?)).await?)
    }

    async fn create(&self, name: &str, spec: &Value) -> Result<Vec<StatusCause>> {
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        complaints(self.platforms.create(&dry_run, &object(name, spec)?).await)
    }

    async fn update(&self, stored: &DynamicObject, spec: &Value) -> Result<Vec<StatusCause>> {
        let mut next = stored.clone();
        next.metadata.managed_fields = None;
        next.data["spec"] = spec.clone();
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        complaints(self.platforms.replace(&kube::ResourceExt::name_any(stored), &dry_run, &next).await)
    }

    async fn apply(&self, name: &str, spec: &Value) -> Result<Vec<StatusCause>> {
        let dry_run = PatchParams::apply("tests").force().dry_run();
        complaints(self.platforms.patch(name, &dry_run, &Patch::Apply(object(name, spec)?)).await)
    }
}

/// Path and message of each rule that was broken; whole complaints that are of no rule.
fn broken_rules(rules: &[Rule], causes: Vec<StatusCause>) -> BTreeSet<(String, String)> {
    let read = |cause: StatusCause| {
        let path = schema_path(&cause.field);
        let rule = rules.iter().find(|rule| rule.path == path && cause.message.ends_with(&format!(": {}", rule.message)));
        (path, rule.map_or(cause.message, |rule| rule.message.clone()))
    };
    causes.into_iter().map(read).collect()
}

fn is_of_change(rule: &Rule) -> bool {
    rule.cel.contains("oldSelf")
}

/// Asks until the answer is `expected`: another test exchanges the definition for a moment. Else it says what the answer is.
async fn expect<T: PartialEq + std::fmt::Debug>(expected: &T, ask: impl AsyncFn() -> Result<T>) -> Result {
    let mut last = Err("nothing was asked".into());
    for _ in 0..5 {
        last = ask().await;
        if last.as_ref().is_ok_and(|answer| answer == expected) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(format!("{:?} instead of {expected:?}", last?).into())
}

/// Some at a time, and all of them: what failed is listed.
async fn all<T>(work: impl Stream<Item: Future<Output = (String, Result<T>)>>) -> Result<Vec<T>> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    let mut results = Box::pin(work.buffer_unordered(8));
    while let Some((what, result)) = results.next().await {
        match result {
            Ok(value) => done.push(value),
            Err(error) => failed.push(format!("{what}: {error}")),
        }
    }
    if failed.is_empty() { Ok(done) } else { Err(format!("{} failed:\n{}", failed.len(), failed.join("\n")).into()) }
}

/// One refusal in one place.
struct Refusal {
    what: String,
    base: &'static str,
    spec: Value,
    /// Path and message of the rule.
    rule: (String, String),
}

fn refusals(nodes: &[Node], rules: &[Rule]) -> Result<Vec<Refusal>> {
    let mut found = Vec::new();
    for (at, change, message) in refused() {
        let before = found.len();
        for node in nodes.iter().filter(|node| node.is_of_spec() && is_at(&node.path, at)) {
            let is_inside =
                |rule: &Rule| rule.path.strip_prefix(&node.path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']));
            let Some(rule) = rules.iter().find(|rule| is_inside(rule) && rule.message.starts_with(message)) else { continue };
            let (base, spec) = changed(&node.path, &change).ok_or_else(|| format!("no base has {}", node.path))?;
            let what = format!("{} changed by {change}", node.path);
            found.push(Refusal { what, base, spec, rule: (rule.path.clone(), rule.message.clone()) });
        }
        if found.len() == before {
            return Err(format!("no rule at {at} says {message:?}").into());
        }
    }
    Ok(found)
}

#[tokio::test]
async fn every_rule_refuses_what_breaks_it_with_its_message_whichever_way_it_comes() -> Result {
    let server = Server::with_bases("admission-rules").await?;
    let (nodes, rules) = (nodes(), rules());
    let refusals = refusals(&nodes, &rules)?;
    let (server, rules) = (&server, &rules);
    let tried = stream::iter(refusals).map(|refusal| async move {
        let expected = BTreeSet::from([refusal.rule.clone()]);
        let stored = &server.stored[refusal.base];
        let result = async {
            expect(&expected, async || Ok(broken_rules(rules, server.create("refused", &refusal.spec).await?))).await?;
            expect(&expected, async || Ok(broken_rules(rules, server.apply("refused", &refusal.spec).await?))).await?;
            // It may break a rule about changes as well.
            let other = |(path, message): &(String, String)| {
                !rules.iter().any(|rule| is_of_change(rule) && rule.path == *path && rule.message == *message)
            };
            expect(&expected, async || {
                Ok(broken_rules(rules, server.update(stored, &refusal.spec).await?).into_iter().filter(other).collect())
            })
            .await?;
            Ok(refusal.rule.clone())
        };
        (refusal.what.clone(), result.await)
    });
    let seen: BTreeSet<(String, String)> = all(tried).await?.into_iter().collect();
    let expected: BTreeSet<(String, String)> = rules
        .iter()
        .filter(|rule| !is_of_change(rule) && !rule.path.is_empty())
        .map(|rule| (rule.path.clone(), rule.message.clone()))
        .collect();
    let never: Vec<_> = expected.difference(&seen).collect();
    assert!(never.is_empty(), "no case breaks {never:#?}");
    Ok(())
}

#[tokio::test]
async fn a_name_that_services_cannot_have_is_refused() -> Result {
    let server = Server::new("admission-names").await?;
    let rules = rules();
    let mut seen = BTreeSet::new();
    for (name, message) in [
        ("e".repeat(41), "metadata.name is longer"),
        ("1a".to_owned(), "metadata.name must start"),
        ("a.b".to_owned(), "metadata.name must start"),
    ] {
        let rule = rules.iter().find(|rule| rule.path.is_empty() && rule.message.starts_with(message)).ok_or(message)?;
        let expected = BTreeSet::from([(String::new(), rule.message.clone())]);
        expect(&expected, async || Ok(broken_rules(&rules, server.create(&name, &smallest()).await?))).await?;
        expect(&expected, async || Ok(broken_rules(&rules, server.apply(&name, &smallest()).await?))).await?;
        seen.extend(expected);
    }
    assert_eq!(seen.len(), rules.iter().filter(|rule| rule.path.is_empty()).count());
    for name in ["e".repeat(40), "e".to_owned(), "casa-2".to_owned()] {
        expect(&Vec::new(), async || server.create(&name, &smallest()).await).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_changed_stays_and_the_rest_can() -> Result {
    let server = Server::new("admission-changes").await?;
    let rules = rules();
    let mut seen = BTreeSet::new();
    for (number, (before, change, message)) in changes().into_iter().enumerate() {
        let name = format!("change-{number}");
        let (before, after) = (merged(&smallest(), &before), merged(&merged(&smallest(), &before), &change));
        let stored = server.store(&name, &before).await?;
        let rule = rules.iter().find(|rule| is_of_change(rule) && rule.message.starts_with(message)).filter(|_| !message.is_empty());
        let expected: BTreeSet<(String, String)> = rule.map(|rule| (rule.path.clone(), rule.message.clone())).into_iter().collect();
        assert_eq!(expected.is_empty(), message.is_empty(), "{message}");
        let what = |error| format!("{before} to {after}: {error}");
        expect(&expected, async || Ok(broken_rules(&rules, server.update(&stored, &after).await?))).await.map_err(what)?;
        expect(&expected, async || Ok(broken_rules(&rules, server.apply(&name, &after).await?))).await.map_err(what)?;
        seen.extend(expected);
    }
    let all: BTreeSet<(String, String)> =
        rules.iter().filter(|rule| is_of_change(rule)).map(|rule| (rule.path.clone(), rule.message.clone())).collect();
    assert_eq!(seen, all);
    Ok(())
}

#[tokio::test]
async fn the_scale_subresource_keeps_the_rules() -> Result {
    let server = Server::new("admission-scale").await?;
    server.store("esperanca", &smallest()).await?;
    let rules = rules();
    let scale = async |replicas: i32| {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        complaints(server.platforms.patch_scale("esperanca", &PatchParams::default(), &patch).await)
    };
    let rule = rules.iter().find(|rule| rule.message.starts_with("pooler.maxClientConnections is too small")).ok_or("no rule")?;
    let expected = BTreeSet::from([(rule.path.clone(), rule.message.clone())]);
    expect(&expected, async || Ok(broken_rules(&rules, scale(42).await?))).await?;
    for replicas in [101, 0, -1] {
        assert!(!scale(replicas).await?.is_empty(), "{replicas}");
    }
    expect(&Vec::new(), async || scale(41).await).await?;
    assert_eq!(server.world.platforms().get("esperanca").await?.spec.api.replicas, 41);
    Ok(())
}

/// What the API server says against a value that is out of bounds.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Maximum,
    Minimum,
    Length,
    Count,
    Choice,
    Required,
}

impl Bound {
    fn is_meant(self, cause: &StatusCause) -> bool {
        let (reason, text) = match self {
            Self::Maximum => ("FieldValueInvalid", "should be less than or equal to"),
            Self::Minimum => ("FieldValueInvalid", "should be greater than or equal to"),
            Self::Length => ("FieldValueTooLong", ""),
            Self::Count => ("FieldValueTooMany", ""),
            Self::Choice => ("FieldValueNotSupported", ""),
            Self::Required => ("FieldValueRequired", ""),
        };
        cause.reason == reason && cause.message.contains(text)
    }
}

/// A value at a bound or beyond it.
struct Probe {
    what: String,
    spec: Value,
    place: Place,
    bound: Bound,
    is_beyond: bool,
}

/// The values at the bounds of a node, and those just beyond.
fn extremes(node: &Node, value: &Value) -> Vec<(Bound, Value, bool)> {
    let number = |key: &str| node.schema.get(key).and_then(Value::as_f64).and_then(|number| format!("{number:.0}").parse::<i64>().ok());
    let count = |key: &str| number(key).and_then(|number| usize::try_from(number).ok());
    let mut found = Vec::new();
    if let Some(maximum) = number("maximum") {
        found.extend([(Bound::Maximum, json!(maximum), false), (Bound::Maximum, json!(maximum.saturating_add(1)), true)]);
    }
    if let Some(minimum) = number("minimum") {
        found.extend([(Bound::Minimum, json!(minimum), false), (Bound::Minimum, json!(minimum.saturating_sub(1)), true)]);
    }
    let mut sizes = |bound, maximum: usize, of_size: &dyn Fn(usize) -> Value| {
        found.extend([(bound, of_size(maximum), false), (bound, of_size(maximum.saturating_add(1)), true)]);
    };
    if let Some(maximum) = count("maxLength") {
        sizes(Bound::Length, maximum, &|size| json!("1".repeat(size)));
    }
    if let Some(maximum) = count("maxItems") {
        sizes(Bound::Count, maximum, &|size| json!(vec![value[0].clone(); size]));
    }
    if let Some(maximum) = count("maxProperties") {
        let member = value.as_object().and_then(|members| members.values().next()).cloned().unwrap_or_default();
        sizes(Bound::Count, maximum, &|size| (0..size).map(|number| (format!("key-{number}"), member.clone())).collect());
    }
    if let Some(choices) = node.schema.get("enum").and_then(Value::as_array) {
        found.extend(choices.iter().map(|choice| (Bound::Choice, choice.clone(), false)));
        found.push((Bound::Choice, json!("Neither"), true));
    }
    found
}

fn probes(nodes: &[Node]) -> Result<Vec<Probe>> {
    let bases: Vec<Value> = bases().into_iter().map(|(_, spec)| json!({"spec": spec})).collect();
    let mut found = Vec::new();
    for node in nodes.iter().filter(|node| node.is_of_spec()) {
        let (base, place) =
            bases.iter().find_map(|base| Some((base, locate(base, &node.path)?))).ok_or_else(|| format!("no base has {}", node.path))?;
        let value = base.pointer(&place.pointer).ok_or("it was found there")?;
        for (bound, extreme, is_beyond) in extremes(node, value) {
            let mut object = base.clone();
            let what = format!("{} as {}", node.path, extreme.to_string().chars().take(40).collect::<String>());
            *object.pointer_mut(&place.pointer).ok_or("it was found there")? = extreme;
            found.push(Probe { what, spec: object["spec"].take(), place: place.clone(), bound, is_beyond });
        }
        for member in node.schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let mut object = base.clone();
            object.pointer_mut(&place.pointer).and_then(Value::as_object_mut).ok_or("it is an object")?.remove(member);
            let place = locate(base, &format!("{}.{member}", node.path)).ok_or("it was found there")?;
            let what = format!("{} without {member}", node.path);
            found.push(Probe { what, spec: object["spec"].take(), place, bound: Bound::Required, is_beyond: true });
        }
    }
    Ok(found)
}

#[tokio::test]
async fn every_bound_holds_and_is_no_narrower_than_it_says() -> Result {
    let server = Server::new("admission-bounds").await?;
    let probes = probes(&nodes())?;
    assert!(probes.len() > 500, "{}", probes.len());
    let server = &server;
    let tried = stream::iter(probes).map(|probe| async move {
        let is_refused = async || {
            let causes = server.create("bounds", &probe.spec).await?;
            Ok(causes.iter().any(|cause| probe.place.fields.contains(&cause.field) && probe.bound.is_meant(cause)))
        };
        let result = expect(&probe.is_beyond, is_refused).await;
        (format!("{:?} of {}", probe.bound, probe.what), result)
    });
    all(tried).await?;
    Ok(())
}

/// A place where a base is changed in a way that is accepted.
pub(crate) struct Accepted {
    pub(crate) path: String,
    pub(crate) change: Value,
    pub(crate) base: &'static str,
    /// What the base is then.
    pub(crate) spec: Value,
}

pub(crate) fn accepted_changes() -> Result<Vec<Accepted>> {
    let nodes = nodes();
    let mut cases = Vec::new();
    for (at, change) in accepted() {
        let before = cases.len();
        for node in nodes.iter().filter(|node| node.is_of_spec() && is_at(&node.path, at)) {
            // Another field of the same name.
            if node.schema.get("properties").is_some() != change.is_object() && node.schema.get("additionalProperties").is_none() {
                continue;
            }
            let (base, spec) = changed(&node.path, &change).ok_or_else(|| format!("no base has {}", node.path))?;
            cases.push(Accepted { path: node.path.clone(), change: change.clone(), base, spec });
        }
        assert!(cases.len() > before, "there is no {at}");
    }
    Ok(cases)
}

#[tokio::test]
async fn what_is_close_to_a_rule_is_accepted_and_understood() -> Result {
    let server = Server::new("admission-accepted").await?;
    let nodes = nodes();
    let cases = accepted_changes()?.into_iter().map(|case| (format!("{} changed by {}", case.path, case.change), case.spec));
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
    // The operator must read a resource that was written before a field existed as the API server would default it: so are parents
    // that are switched on by writing them.
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

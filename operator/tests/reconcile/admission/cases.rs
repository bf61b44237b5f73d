//! Specs that are accepted and refused. A new rule gets a row in `refused`, and one in `accepted` for what is close to it.

use serde_json::{Value, json};

/// Changes `into` as a JSON merge patch does: `null` takes away.
pub(super) fn merge(into: &mut Value, patch: &Value) {
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

pub(super) fn merged(base: &Value, patch: &Value) -> Value {
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
            // The API server gives nothing such a low port by itself. It has each but once: `revert` takes those above too.
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

pub(super) fn smallest() -> Value {
    json!({"ingress": {"host": "doe.example.org"}})
}

/// What is refused: where something is changed, how, and how the message of the rule that says no begins. A place is the end of
/// a path of the schema; what several parts have in common is tried in each.
#[expect(clippy::too_many_lines, reason = "it is one table")]
pub(super) fn refused() -> Vec<(&'static str, Value, &'static str)> {
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
pub(super) fn accepted() -> Vec<(&'static str, Value)> {
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

/// Changes of a stored resource: what it has before, beside the smallest spec, the change, and how the refusal begins. An empty
/// refusal means that the change is accepted.
pub(super) fn changes() -> Vec<(Value, Value, &'static str)> {
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

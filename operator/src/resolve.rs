//! The resource with every default filled in.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;

use crate::crd::{
    Autoscaling, ClientIp, Controller, DonationPlatform, DonationPlatformSpec, EdgeService, Gateway, MetricResource, Pods, Profile,
    SelfSigned, Storage, Tls, UtilizationMetric,
};
use crate::images;
use crate::quantity::{billionths, whole};

/// One platform, with everything that its resource leaves open decided.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Name of the resource.
    pub name: String,
    /// Namespace of the resource.
    pub namespace: String,
    /// UID of the resource.
    pub uid: String,
    /// Its spec as it was written. What it leaves open is decided in the fields below.
    pub spec: DonationPlatformSpec,
    /// The gateway that confirms payments.
    pub gateway: Gateway,
    /// The donors' certificate; none where the site answers plain HTTP.
    pub certificate: Option<Certificate>,
    /// The API's pods, and the Job that migrates with the same image.
    pub api: Tier,
    /// The autoscaler, if the API has one; its metrics are not empty.
    pub autoscaling: Option<Autoscaling>,
    /// The migration's pod.
    pub migrate: Tier,
    /// The pooler's pods.
    pub pooler: Tier,
    /// PostgreSQL.
    pub postgres: PostgresServer,
    /// Redis.
    pub redis: RedisServer,
    /// nginx, if the operator runs it.
    pub edge: Option<Edge>,
}

/// The donors' certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// Name of its Secret, of type `kubernetes.io/tls`.
    pub secret: String,
    /// Whether the operator makes and renews it.
    pub self_signed: bool,
}

/// The pods of one part.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    /// Image of the main container.
    pub image: String,
    /// CPU and memory of the main container. Requests and a memory limit are always there.
    pub resources: ResourceRequirements,
    /// Placement, labels and environment of the pods.
    pub pods: Pods,
}

/// A PostgreSQL that the operator runs.
#[derive(Clone, Debug, PartialEq)]
pub struct PostgresServer {
    /// Its pod.
    pub tier: Tier,
    /// Its volume.
    pub storage: Storage,
    /// Connections that it accepts.
    pub max_connections: i32,
}

/// A Redis that the operator runs.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisServer {
    /// Its pod.
    pub tier: Tier,
    /// Memory for data, in bytes.
    pub max_memory: i64,
}

/// nginx pods that the operator runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Their pods.
    pub tier: Tier,
    /// Number of pods.
    pub replicas: i32,
    /// The Service through which traffic comes in.
    pub service: EdgeService,
    /// The source of a client's address.
    pub client_ip: ClientIp,
}

impl Platform {
    /// Where donors reach the site. Plain HTTP only for trying out: in production, a site without a certificate has somebody in
    /// front that ends TLS.
    pub fn public_url(&self) -> String {
        let scheme = if self.certificate.is_none() && self.spec.profile == Profile::Development { "http" } else { "https" };
        format!("{scheme}://{}{}", self.spec.ingress.host, self.port_suffix())
    }

    /// What follows the host in the site's address: nothing, or a colon and the port.
    pub fn port_suffix(&self) -> String {
        self.spec.ingress.public_port.map(|port| format!(":{port}")).unwrap_or_default()
    }

    /// API pods at the least.
    pub fn api_floor(&self) -> i32 {
        self.autoscaling.as_ref().map_or(self.spec.api.replicas, |autoscaling| autoscaling.min_replicas)
    }

    /// Database connections of each pooler pod.
    pub fn pooler_share(&self) -> i32 {
        // A resource that was never admitted may say 0, and a pooler without connections would serve nobody.
        self.spec.pooler.server_pool_size.checked_div(self.spec.pooler.replicas).unwrap_or_default().max(1)
    }

    /// The limit of memory of a Redis with `max_memory` bytes of data.
    fn redis_limit(max_memory: i64) -> i64 {
        // Connections, copies and fragments need a quarter more than the data.
        max_memory.saturating_add(max_memory.div_euclid(4)).saturating_add(i64::from(max_memory.rem_euclid(4) > 0))
    }
}

/// Default resources of a container: requests of CPU and memory, and the limit of memory.
#[derive(Clone, Copy, Debug)]
struct DefaultResources {
    cpu: &'static str,
    memory: &'static str,
    limit: &'static str,
}

/// `affinity` reduced to its rules about nodes, without those about other pods; `None` if it has none.
fn nodes_of(affinity: &Affinity) -> Option<Affinity> {
    affinity.node_affinity.clone().map(|nodes| Affinity { node_affinity: Some(nodes), ..Affinity::default() })
}

/// Fills in every default.
pub fn resolve(resource: &DonationPlatform) -> Platform {
    let spec = resource.spec.clone();
    let name = resource.name_any();
    let by_profile = |development, production| match spec.profile {
        Profile::Development => development,
        Profile::Production => production,
    };
    let amounts = |cpu, memory, limit| DefaultResources { cpu, memory, limit };
    let api_image = format!("{}:{}", spec.image.repository, spec.image.tag);
    let api = Tier {
        image: api_image.clone(),
        resources: resources(&spec.api.resources, by_profile(amounts("50m", "64Mi", "256Mi"), amounts("500m", "128Mi", "512Mi"))),
        pods: spec.api.pods.clone(),
    };
    let migrate = Tier {
        image: api_image,
        resources: resources(
            &ResourceRequirements::default(),
            by_profile(amounts("20m", "32Mi", "128Mi"), amounts("100m", "64Mi", "256Mi")),
        ),
        // It runs where the API may run. What else the API's pods carry is not for it.
        pods: Pods {
            node_selector: spec.api.pods.node_selector.clone(),
            tolerations: spec.api.pods.tolerations.clone(),
            affinity: spec.api.pods.affinity.as_ref().and_then(nodes_of),
            priority_class_name: spec.api.pods.priority_class_name.clone(),
            ..Pods::default()
        },
    };
    let pooler = Tier {
        image: spec.pooler.image.clone().unwrap_or_else(|| images::PGBOUNCER.to_owned()),
        resources: resources(&spec.pooler.resources, by_profile(amounts("20m", "32Mi", "128Mi"), amounts("100m", "64Mi", "256Mi"))),
        pods: spec.pooler.pods.clone(),
    };
    let database = spec.database.managed.clone().unwrap_or_default();
    let postgres = PostgresServer {
        tier: Tier {
            image: database.image.unwrap_or_else(|| images::POSTGRESQL.to_owned()),
            resources: resources(&database.resources, by_profile(amounts("50m", "256Mi", "1Gi"), amounts("500m", "1Gi", "2Gi"))),
            pods: database.pods,
        },
        storage: database.storage,
        max_connections: database.max_connections,
    };
    let redis = redis(&spec);
    let edge = (spec.ingress.controller == Controller::Managed).then(|| {
        let managed = spec.ingress.managed.clone().unwrap_or_default();
        Edge {
            tier: Tier {
                image: managed.image.unwrap_or_else(|| images::NGINX.to_owned()),
                resources: resources(&managed.resources, by_profile(amounts("20m", "32Mi", "128Mi"), amounts("100m", "64Mi", "256Mi"))),
                pods: managed.pods,
            },
            replicas: managed.replicas,
            service: managed.service,
            client_ip: managed.client_ip,
        }
    });
    Platform {
        namespace: resource.namespace().unwrap_or_default(),
        uid: resource.uid().unwrap_or_default(),
        gateway: spec.payments.gateway.unwrap_or_else(|| by_profile_gateway(spec.profile)),
        certificate: certificate(&name, &spec),
        autoscaling: spec.api.autoscaling.clone().map(with_metrics),
        name,
        spec,
        api,
        migrate,
        pooler,
        postgres,
        redis,
        edge,
    }
}

fn by_profile_gateway(profile: Profile) -> Gateway {
    match profile {
        Profile::Development => Gateway::Simulado,
        Profile::Production => Gateway::PixEstatico,
    }
}

fn certificate(name: &str, spec: &DonationPlatformSpec) -> Option<Certificate> {
    let self_signed = || Some(Certificate { secret: format!("{name}-edge-tls"), self_signed: true });
    match (&spec.ingress.tls, spec.profile) {
        (Some(Tls { secret_name: Some(secret), .. }), _) => Some(Certificate { secret: secret.clone(), self_signed: false }),
        (Some(Tls { self_signed: Some(SelfSigned {}), .. }), _) | (None, Profile::Development) => self_signed(),
        (Some(_), _) | (None, Profile::Production) => None,
    }
}

fn with_metrics(mut autoscaling: Autoscaling) -> Autoscaling {
    if autoscaling.metrics.is_empty() {
        autoscaling.metrics.push(UtilizationMetric { resource: MetricResource::Cpu, average_utilization: 65 });
    }
    autoscaling
}

fn redis(spec: &DonationPlatformSpec) -> RedisServer {
    let managed = spec.redis.managed.clone().unwrap_or_default();
    // The API server has refused what is no quantity.
    let max_memory = whole(&managed.max_memory).unwrap_or(1 << 30);
    let mut given = managed.resources;
    let limits = given.limits.get_or_insert_default();
    let least = bytes(Platform::redis_limit(max_memory));
    let asked = given.requests.as_ref().and_then(|requests| requests.get("memory")).cloned();
    limits.entry("memory".to_owned()).or_insert_with(|| asked.filter(|asked| billionths(&asked.0) > billionths(&least.0)).unwrap_or(least));
    let amounts = match spec.profile {
        Profile::Development => DefaultResources { cpu: "20m", memory: "64Mi", limit: "" },
        Profile::Production => DefaultResources { cpu: "100m", memory: "256Mi", limit: "" },
    };
    RedisServer {
        tier: Tier {
            image: managed.image.unwrap_or_else(|| images::REDIS.to_owned()),
            resources: resources(&given, amounts),
            pods: managed.pods,
        },
        max_memory,
    }
}

/// `count` bytes, in Mi where that is exact.
fn bytes(count: i64) -> Quantity {
    let mebibyte = 1 << 20;
    if count.rem_euclid(mebibyte) == 0 { Quantity(format!("{}Mi", count.div_euclid(mebibyte))) } else { Quantity(count.to_string()) }
}

/// `given` with what it leaves out. A default never contradicts what is given: a request stays within its limit.
fn resources(given: &ResourceRequirements, default: DefaultResources) -> ResourceRequirements {
    let mut limits = given.limits.clone().unwrap_or_default();
    let mut requests = given.requests.clone().unwrap_or_default();
    if !limits.contains_key("memory") {
        let limit = requests.get("memory").filter(|request| billionths(&request.0) > billionths(default.limit));
        limits.insert("memory".to_owned(), limit.cloned().unwrap_or_else(|| Quantity(default.limit.to_owned())));
    }
    for (name, amount) in [("cpu", default.cpu), ("memory", default.memory)] {
        request(&mut requests, &limits, name, amount);
    }
    ResourceRequirements { claims: None, limits: Some(limits), requests: Some(requests) }
}

fn request(requests: &mut BTreeMap<String, Quantity>, limits: &BTreeMap<String, Quantity>, name: &str, amount: &str) {
    let limit = limits.get(name).filter(|limit| billionths(&limit.0) < billionths(amount));
    requests.entry(name.to_owned()).or_insert_with(|| limit.cloned().unwrap_or_else(|| Quantity(amount.to_owned())));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resolved(mut spec: Value) -> Option<Platform> {
        spec.as_object_mut()?.entry("ingress").or_insert_with(|| json!({"host": "doe.example.org"}));
        let resource =
            json!({"apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "metadata": {"name": "esperanca"}, "spec": spec});
        Some(resolve(&serde_json::from_value(resource).ok()?))
    }

    fn amount(amounts: Option<&BTreeMap<String, Quantity>>, name: &str) -> String {
        amounts.and_then(|amounts| amounts.get(name)).map(|amount| amount.0.clone()).unwrap_or_default()
    }

    #[test]
    fn the_profile_decides_what_is_left_out() {
        let development = resolved(json!({"profile": "Development"}));
        let production = resolved(json!({}));
        let seen = |platform: &Option<Platform>| {
            platform.as_ref().map(|platform| {
                (platform.gateway, platform.certificate.as_ref().map(|certificate| (certificate.secret.clone(), certificate.self_signed)))
            })
        };
        assert_eq!(seen(&development), Some((Gateway::Simulado, Some(("esperanca-edge-tls".to_owned(), true)))));
        assert_eq!(seen(&production), Some((Gateway::PixEstatico, None)));
        let named = resolved(json!({
            "profile": "Development", "payments": {"gateway": "PixEstatico"},
            "ingress": {"host": "doe.example.org", "tls": {"secretName": "doe-tls"}},
        }));
        assert_eq!(seen(&named), Some((Gateway::PixEstatico, Some(("doe-tls".to_owned(), false)))));
        let cpu = |platform: &Option<Platform>| {
            platform.as_ref().map(|platform| amount(platform.api.resources.requests.as_ref(), "cpu")).unwrap_or_default()
        };
        assert_eq!((cpu(&development).as_str(), cpu(&production).as_str()), ("50m", "500m"));
    }

    #[test]
    fn the_address_is_plain_only_for_trying_out() {
        for (spec, expected) in [
            (json!({"profile": "Development"}), "https://doe.example.org"),
            (
                json!({"profile": "Development", "ingress": {"host": "localhost", "publicPort": 8080, "tls": {"none": {}}}}),
                "http://localhost:8080",
            ),
            (json!({}), "https://doe.example.org"),
            (json!({"ingress": {"host": "doe.example.org", "tls": {"none": {}}}}), "https://doe.example.org"),
            (
                json!({"ingress": {"host": "doe.example.org", "publicPort": 8443, "tls": {"secretName": "doe-tls"}}}),
                "https://doe.example.org:8443",
            ),
        ] {
            assert_eq!(resolved(spec.clone()).map(|platform| platform.public_url()).as_deref(), Some(expected), "{spec}");
        }
    }

    #[test]
    fn a_default_stays_within_what_is_given() {
        for (given, request, limit) in [
            (json!({}), "128Mi", "512Mi"),
            (json!({"limits": {"memory": "100Mi"}}), "100Mi", "100Mi"),
            (json!({"requests": {"memory": "1Gi"}}), "1Gi", "1Gi"),
            (json!({"requests": {"memory": "300Mi"}}), "300Mi", "512Mi"),
            (json!({"limits": {"memory": "1Gi"}, "requests": {"memory": "300Mi"}}), "300Mi", "1Gi"),
        ] {
            let api = resolved(json!({"api": {"resources": given}})).map(|platform| platform.api.resources);
            let seen = api.map(|api| (amount(api.requests.as_ref(), "memory"), amount(api.limits.as_ref(), "memory")));
            assert_eq!(seen, Some((request.to_owned(), limit.to_owned())), "{given}");
        }
        let api = resolved(json!({"api": {"resources": {"limits": {"cpu": "100m"}}}})).map(|platform| platform.api.resources);
        assert_eq!(api.map(|api| amount(api.requests.as_ref(), "cpu")).as_deref(), Some("100m"));
    }

    #[test]
    fn redis_gets_a_quarter_more_than_its_data() {
        for (max_memory, bytes, limit) in [
            ("256Mi", 256 << 20, "320Mi"),
            ("1Gi", 1 << 30, "1280Mi"),
            ("17000001", 17_000_001, "21250002"),
            ("1.5Gi", 1536 << 20, "1920Mi"),
        ] {
            let redis = resolved(json!({"redis": {"managed": {"maxMemory": max_memory}}})).map(|platform| platform.redis);
            let seen = redis.map(|redis| (redis.max_memory, amount(redis.tier.resources.limits.as_ref(), "memory")));
            assert_eq!(seen, Some((bytes, limit.to_owned())), "{max_memory}");
        }
    }

    #[test]
    fn each_pooler_pod_gets_its_share_rounded_down() {
        for (pool, replicas, share) in [(50, 2, 25), (50, 3, 16), (10, 10, 1), (1, 1, 1), (29, 10, 2)] {
            let platform = resolved(json!({"pooler": {"serverPoolSize": pool, "replicas": replicas}}));
            assert_eq!(platform.map(|platform| platform.pooler_share()), Some(share), "{pool} / {replicas}");
        }
        assert_eq!(resolved(json!({"pooler": {"replicas": 0}})).map(|platform| platform.pooler_share()), Some(1));
    }
}

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Value, json};

use super::*;
use crate::crd::{ClientIpSource, ExternalTrafficPolicy, ServiceType};

fn object(spec: &Value) -> DonationPlatform {
    serde_json::from_value(json!({
        "apiVersion": "doacoes.dev/v1alpha1",
        "kind": "DonationPlatform",
        "metadata": {"name": "esperanca", "namespace": "fundraising", "uid": "8c1f"},
        "spec": spec,
    }))
    .unwrap()
}

/// The smallest resource with `more` on top; objects are merged, anything else is replaced.
fn platform(more: Value) -> Result<Platform, Invalid> {
    let mut spec = json!({"ingress": {"host": "doe.example.org"}});
    merge(&mut spec, more);
    resolve(&object(&spec))
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn amounts(resources: &ResourceRequirements) -> Value {
    serde_json::to_value(resources).unwrap()
}

#[test]
fn the_smallest_resource_is_a_production_site() {
    let Platform { name, namespace, uid, profile, paused, deletion_policy, image_pull_secrets, .. } = platform(json!({})).unwrap();
    assert_eq!((name.as_str(), namespace.as_str(), uid.as_deref()), ("esperanca", "fundraising", Some("8c1f")));
    assert_eq!((profile, paused, deletion_policy), (Profile::Production, false, DeletionPolicy::Retain));
    assert_eq!(image_pull_secrets, Vec::<String>::new());

    let platform = platform(json!({})).unwrap();
    assert_eq!(platform.api.workload.image, format!("localhost/doacoes/api:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(platform.api.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(platform.api.scaling, Scaling::Fixed(4));
    assert_eq!(platform.database.workload.image, images::POSTGRESQL);
    assert_eq!((platform.database.storage_size.as_str(), platform.database.storage_class_name.as_deref()), ("10Gi", None));
    assert_eq!(platform.pooler.workload.image, images::PGBOUNCER);
    assert_eq!((platform.pooler.replicas, platform.pooler.servers_per_pod), (2, 25));
    assert_eq!(platform.redis.workload.image, images::REDIS);
    assert_eq!(platform.redis.max_memory_bytes, 1 << 30);
    assert_eq!((&platform.ingress.tls, platform.ingress.endpoint().as_str()), (&Tls::None, "http://doe.example.org"));
    assert_eq!(platform.ingress.rate_limit, RateLimit { requests_per_second: 50, burst: 100 });
    assert_eq!(platform.gateway, Gateway::PixEstatico);
    assert_eq!(platform.network_policy, NetworkPolicy { enabled: true, egress_cidrs: Vec::new() });
    let Edge::Managed(edge) = platform.ingress.edge else { panic!("another controller") };
    assert_eq!((edge.workload.image.as_str(), edge.replicas), (images::NGINX, 2));
    assert_eq!((edge.service.type_, edge.service.external_traffic_policy), (ServiceType::LoadBalancer, ExternalTrafficPolicy::Local));
    assert_eq!(edge.client_ip, ClientIp { source: ClientIpSource::Connection, trusted_cidrs: Vec::new() });
}

#[test]
fn development_simulates_the_bank_signs_its_certificate_and_asks_for_little() {
    let platform = platform(json!({"profile": "Development"})).unwrap();
    assert_eq!(platform.gateway, Gateway::Simulado);
    assert_eq!((&platform.ingress.tls, platform.ingress.endpoint().as_str()), (&Tls::SelfSigned, "https://doe.example.org"));
    let Edge::Managed(edge) = &platform.ingress.edge else { panic!("another controller") };
    for workload in
        [&platform.api.workload, &platform.database.workload, &platform.pooler.workload, &platform.redis.workload, &edge.workload]
    {
        let requests = workload.resources.requests.clone().unwrap();
        assert_eq!(requests.get("cpu"), Some(&Quantity("20m".to_owned())), "{}", workload.image);
        let memory = Amount::parse(&requests.get("memory").unwrap().0);
        assert!(memory <= Amount::parse("128Mi"), "{}", workload.image);
    }
}

#[test]
fn what_a_profile_chooses_can_be_set() {
    let development = json!({
        "profile": "Development",
        "payments": {"gateway": "PixEstatico"},
        "ingress": {"tls": {"secretName": "doe-tls"}},
        "api": {"resources": {"requests": {"cpu": 1}}},
    });
    let platform = platform(development).unwrap();
    assert_eq!(platform.gateway, Gateway::PixEstatico);
    assert_eq!(platform.ingress.tls, Tls::Secret("doe-tls".to_owned()));
    assert_eq!(
        amounts(&platform.api.workload.resources),
        json!({"limits": {"memory": "512Mi"}, "requests": {"cpu": "1", "memory": "64Mi"}})
    );
}

#[test]
fn the_images_of_all_parts_can_be_set() {
    let image = "example.org/team/name:1.2.3";
    let platform = platform(json!({
        "image": {"repository": "example.org/api", "tag": "2.0.0", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "one"}, {"name": "two"}],
        "database": {"managed": {"image": image}},
        "pooler": {"image": image},
        "redis": {"managed": {"image": image}},
        "ingress": {"managed": {"image": image}},
    }))
    .unwrap();
    assert_eq!(platform.api.workload.image, "example.org/api:2.0.0");
    assert_eq!((platform.api.version.as_str(), platform.api.pull_policy), ("2.0.0", PullPolicy::Always));
    assert_eq!(platform.image_pull_secrets, ["one", "two"]);
    let Edge::Managed(edge) = platform.ingress.edge else { panic!("another controller") };
    for workload in [platform.database.workload, platform.pooler.workload, platform.redis.workload, edge.workload] {
        assert_eq!(workload.image, image);
    }
}

#[test]
fn a_request_is_never_above_its_limit() {
    for (asked, expected) in [
        (json!({}), json!({"limits": {"memory": "512Mi"}, "requests": {"cpu": "250m", "memory": "256Mi"}})),
        (
            json!({"limits": {"cpu": "100m", "memory": "64Mi"}}),
            json!({"limits": {"cpu": "100m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}}),
        ),
        (json!({"requests": {"memory": "1Gi"}}), json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "250m", "memory": "1Gi"}})),
        (
            json!({"limits": {"cpu": 2, "ephemeral-storage": "1Gi"}, "requests": {"cpu": "1500m"}}),
            json!({
                "limits": {"cpu": "2", "ephemeral-storage": "1Gi", "memory": "512Mi"},
                "requests": {"cpu": "1500m", "memory": "256Mi"},
            }),
        ),
    ] {
        let platform = platform(json!({"api": {"resources": asked}})).unwrap();
        assert_eq!(amounts(&platform.api.workload.resources), expected);
    }
}

#[test]
fn redis_may_use_a_quarter_more_than_its_data() {
    for (max_memory, bytes, limit) in [("1Gi", 1_073_741_824, "1280Mi"), ("100M", 100_000_000, "125000000"), ("64Mi", 67_108_864, "80Mi")] {
        let platform = platform(json!({"redis": {"managed": {"maxMemory": max_memory}}})).unwrap();
        assert_eq!(platform.redis.max_memory_bytes, bytes);
        assert_eq!(
            amounts(&platform.redis.workload.resources),
            json!({"limits": {"memory": limit}, "requests": {"cpu": "100m", "memory": limit}})
        );
    }
}

#[test]
fn a_pooler_pod_has_its_share_of_the_server_connections() {
    for (pool, replicas, share) in [(50, 2, 25), (50, 3, 16), (7, 7, 1), (50, 1, 50), (1, 2, 1), (50, 0, 50)] {
        let platform = platform(json!({"pooler": {"serverPoolSize": pool, "replicas": replicas}})).unwrap();
        assert_eq!(platform.pooler.servers_per_pod, if replicas == 0 { 1 } else { share }, "{pool} / {replicas}");
    }
}

#[test]
fn connections_are_counted_for_the_largest_number_of_pods() {
    let limits = |more| platform(more).unwrap().connections();
    let (pooler_client_limit, database_limit) = (1000, 100);
    assert_eq!(limits(json!({})), ConnectionsStatus { api_clients: 48, pooler_client_limit, pooler_servers: 50, database_limit });
    assert_eq!(
        limits(json!({"api": {"autoscaling": {"maxReplicas": 20}, "databasePoolSize": 10}, "pooler": {"replicas": 3}})),
        ConnectionsStatus { api_clients: 200, pooler_client_limit, pooler_servers: 48, database_limit }
    );
}

#[test]
fn an_autoscaler_without_settings_measures_cpu_and_falls_slowly() {
    let Scaling::Automatic(autoscaling) = platform(json!({"api": {"autoscaling": {}}})).unwrap().api.scaling else { panic!("fixed") };
    assert_eq!((autoscaling.min_replicas, autoscaling.max_replicas), (4, 12));
    assert_eq!(autoscaling.metrics, [UtilizationMetric { resource: MetricResource::Cpu, average_utilization: 65 }]);
    assert_eq!(
        serde_json::to_value(&autoscaling.behavior).unwrap(),
        json!({
            "scaleDown": {"stabilizationWindowSeconds": 300, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]},
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}, {"type": "Pods", "value": 4, "periodSeconds": 15}],
            },
        })
    );
}

#[test]
fn one_direction_of_an_autoscaler_can_be_set_without_the_other() {
    let down = json!({"stabilizationWindowSeconds": 15, "policies": [{"type": "Percent", "value": 50, "periodSeconds": 10}]});
    let spec = json!({"api": {"autoscaling": {
        "metrics": [{"resource": "memory", "averageUtilization": 80}],
        "behavior": {"scaleDown": down},
    }}});
    let Scaling::Automatic(autoscaling) = platform(spec).unwrap().api.scaling else { panic!("fixed") };
    assert_eq!(autoscaling.metrics, [UtilizationMetric { resource: MetricResource::Memory, average_utilization: 80 }]);
    let behavior = serde_json::to_value(&autoscaling.behavior).unwrap();
    assert_eq!(behavior.get("scaleDown"), Some(&down));
    assert_eq!(behavior.pointer("/scaleUp/policies/1/value"), Some(&json!(4)));
}

#[test]
fn another_controller_gets_an_ingress_in_its_dialect() {
    for (controller, dialect) in [("F5Nginx", Dialect::F5Nginx), ("IngressNginx", Dialect::IngressNginx), ("Generic", Dialect::Generic)] {
        let platform = platform(json!({"ingress": {"controller": controller}})).unwrap();
        assert_eq!(platform.ingress.edge, Edge::Ingress(dialect));
    }
}

#[test]
fn a_file_without_a_namespace_means_the_default_one() {
    let mut object = object(&json!({"ingress": {"host": "doe.example.org"}}));
    object.metadata.namespace = None;
    object.metadata.uid = None;
    let platform = resolve(&object).unwrap();
    assert_eq!((platform.namespace.as_str(), platform.uid), ("default", None));
}

#[test]
fn what_no_platform_can_be_made_of_is_named() {
    let quantity = |field: &str, value: &str| Invalid::Quantity { field: field.to_owned(), value: value.to_owned() };
    for (more, expected) in [
        (json!({"database": {}}), Invalid::Union("database")),
        (json!({"redis": {}}), Invalid::Union("redis")),
        (json!({"ingress": {"tls": {}}}), Invalid::Union("ingress.tls")),
        (json!({"ingress": {"tls": {"secretName": "a", "selfSigned": {}}}}), Invalid::Union("ingress.tls")),
        (json!({"database": {"managed": {"storage": {"size": "big"}}}}), quantity("database.managed.storage.size", "big")),
        (json!({"redis": {"managed": {"maxMemory": "-1Gi"}}}), quantity("redis.managed.maxMemory", "-1Gi")),
        (json!({"api": {"resources": {"limits": {"memory": "x"}}}}), quantity("api.resources.limits.memory", "x")),
        (json!({"pooler": {"resources": {"requests": {"cpu": "0"}}}}), quantity("pooler.resources.requests.cpu", "0")),
    ] {
        assert_eq!(platform(more), Err(expected));
    }
    assert_eq!(
        quantity("redis.managed.maxMemory", "-1Gi").to_string(),
        r#"spec.redis.managed.maxMemory is "-1Gi", which is no quantity above zero, such as 1Gi"#
    );
}

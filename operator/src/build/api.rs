//! The API.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget, ResourceMetricSource,
};
use k8s_openapi::api::core::v1::{Container, EnvVar, LifecycleHandler, SleepAction};
use serde_json::{Value, json};

use super::child::{Child, Part, Scale, WaitsFor};
use super::objects::{Balancing, config_map, deployment_of, disruption_budget, metadata, rolling, service, service_account};
use super::pod::{
    HOSTNAME_TOPOLOGY, Pod, ZONE_TOPOLOGY, before_stop, config, container, mount_read_only, port, probe_timing, pull_policy, secret, texts,
    variable,
};
use super::secrets::GeneratedSecret;
use super::{labels, pooler, redis};
use crate::crd::{Autoscaling, Gateway, MetricResource, Profile};
use crate::resolve::Platform;

const PART: Part = Part::Api;
/// User of the image.
const USER_ID: i64 = 65_532;
/// Port of what donors ask for.
pub(super) const PORT: i32 = 8080;
/// Networks of the pods' addresses in most clusters.
const PRIVATE_NETWORKS: &str = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fc00::/7";
/// Port of probes and metrics.
const ADMIN_PORT: i32 = 9090;

pub(super) fn children(platform: &Platform) -> Vec<Child> {
    let floor = platform.api_floor();
    let scale = if platform.autoscaling.is_some() { Scale::Autoscaled(floor) } else { Scale::Fixed(floor) };
    let files = files(platform);
    let mut children = vec![
        service_account(platform, PART),
        // The edge keeps connections to the pods themselves. Through a Service address an idle one would stay with a pod that stops.
        service(platform, PART, "http", PORT, Balancing::ByClient),
    ];
    // Pods of the version before may still read what is there.
    children.extend(files.as_ref().map(|files| config_map(platform, PART, files).after(WaitsFor::Schema)));
    // Half of them: no pod that replaces one becomes ready while the database is away, so with fewer its node could not be drained.
    children.extend(disruption_budget(platform, PART, floor, floor.div_euclid(2).max(1)));
    children.push(Child::of(platform, PART, &deployment(platform, files.as_ref())).with_scale(scale).after(WaitsFor::Schema));
    if let Some(autoscaling) = &platform.autoscaling {
        children.push(Child::of(platform, PART, &autoscaler(platform, autoscaling)).after(WaitsFor::Schema));
    }
    children
}

/// The API's own limits, where the resource changes them.
fn files(platform: &Platform) -> Option<BTreeMap<String, String>> {
    let limits: BTreeMap<String, Value> = platform
        .spec
        .api
        .rate_limits
        .iter()
        .map(|rate| {
            let quota = rate.limit.zip(rate.period_seconds);
            let quota = quota.map_or(Value::Null, |(limit, seconds)| json!({"limit": limit, "period_seconds": seconds}));
            (json!(rate.rule).as_str().unwrap_or_default().to_owned(), quota)
        })
        .collect();
    (!limits.is_empty()).then(|| BTreeMap::from([("limits.json".to_owned(), json!(limits).to_string())]))
}

fn deployment(platform: &Platform, files: Option<&BTreeMap<String, String>>) -> Deployment {
    let mut volumes = vec![
        secret("database", &GeneratedSecret::Database.name(platform), &["app-password"]),
        secret("redis", &GeneratedSecret::Redis.name(platform), &["password"]),
        secret("keys", &GeneratedSecret::Keys.name(platform), &[]),
    ];
    if let Some(mail) = &platform.spec.mail {
        volumes.push(secret("mail", &mail.secret_name, &["url"]));
    }
    if files.is_some() {
        volumes.push(config(&labels::name(platform, PART)));
    }
    let pod = Pod {
        part: PART,
        tier: &platform.api,
        user: USER_ID,
        // The pause before the stop, DRAIN_SECONDS, and the longest that what was begun then may take.
        grace_seconds: Some(60),
        init_containers: Vec::new(),
        container: serve(platform),
        volumes,
        files,
        spread: &[HOSTNAME_TOPOLOGY, ZONE_TOPOLOGY],
    };
    let mut deployment = deployment_of(platform, PART, rolling(1, 0), pod.template(platform));
    if let Some(spec) = &mut deployment.spec {
        spec.min_ready_seconds = Some(2);
        spec.progress_deadline_seconds = Some(300);
    }
    deployment
}

fn serve(platform: &Platform) -> Container {
    // Until every edge has looked the name up again and found this pod gone; other controllers reload first.
    let pause = if platform.edge.is_some() { 10 } else { 20 };
    let mut mounts = vec![
        mount_read_only("database", "/run/secrets/doacoes/database"),
        mount_read_only("redis", "/run/secrets/doacoes/redis"),
        mount_read_only("keys", "/run/secrets/doacoes/keys"),
    ];
    if platform.spec.mail.is_some() {
        mounts.push(mount_read_only("mail", "/run/secrets/doacoes/mail"));
    }
    if !platform.spec.api.rate_limits.is_empty() {
        mounts.push(mount_read_only("config", "/etc/doacoes/api"));
    }
    Container {
        args: Some(texts(&["serve"])),
        env: Some(environment(platform)),
        image_pull_policy: Some(pull_policy(platform)),
        ports: Some(vec![port("http", PORT), port("admin", ADMIN_PORT)]),
        startup_probe: Some(probe_timing(1, 1, 120).http("/livez", "admin")),
        readiness_probe: Some(probe_timing(2, 2, 2).http("/readyz", "admin")),
        liveness_probe: Some(probe_timing(10, 5, 6).http("/livez", "admin")),
        lifecycle: Some(before_stop(LifecycleHandler { sleep: Some(SleepAction { seconds: pause }), ..LifecycleHandler::default() })),
        volume_mounts: Some(mounts),
        ..container("api", &platform.api.image, &platform.api.resources)
    }
}

fn environment(platform: &Platform) -> Vec<EnvVar> {
    let profile = match platform.spec.profile {
        Profile::Development => "development",
        Profile::Production => "production",
    };
    let payments = match platform.gateway {
        Gateway::Simulado => "simulado,pix_estatico",
        Gateway::PixEstatico => "pix_estatico",
    };
    let database = format!("postgres://app@{}:{}/doacoes", labels::name(platform, Part::Pooler), pooler::PORT);
    let redis = format!("redis://api@{}:{}/0", labels::name(platform, Part::Redis), redis::PORT);
    // Only what is in front reaches these pods, and it says where a request comes from.
    let trusted = match platform.spec.api.trusted_cidrs.as_slice() {
        [] => PRIVATE_NETWORKS.to_owned(),
        networks => networks.join(","),
    };
    let mut environment = vec![
        variable("PROFILE", profile),
        variable("PUBLIC_URL", &platform.public_url()),
        variable("DATABASE_URL", &database),
        variable("DATABASE_PASSWORD_FILE", "/run/secrets/doacoes/database/app-password"),
        variable("DATABASE_POOL_SIZE", &platform.spec.api.database_pool_size.to_string()),
        variable("REDIS_URL", &redis),
        variable("REDIS_PASSWORD_FILE", "/run/secrets/doacoes/redis/password"),
        variable("SECRETS_DIR", "/run/secrets/doacoes/keys"),
        variable("PAYMENTS", payments),
        variable("TRUSTED_PROXIES", &trusted),
        variable("DRAIN_SECONDS", "2"),
        // One core per pod: more pods, not more threads.
        variable("TOKIO_WORKER_THREADS", "1"),
    ];
    if let Some(mail) = &platform.spec.mail {
        environment.push(variable("MAIL_FROM", &mail.from));
        environment.push(variable("MAIL_URL_FILE", "/run/secrets/doacoes/mail/url"));
    }
    if !platform.spec.api.rate_limits.is_empty() {
        environment.push(variable("RATE_LIMITS", "/etc/doacoes/api/limits.json"));
    }
    environment
}

fn autoscaler(platform: &Platform, autoscaling: &Autoscaling) -> HorizontalPodAutoscaler {
    let metrics = autoscaling.metrics.iter().map(|metric| MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: match metric.resource {
                MetricResource::Cpu => "cpu",
                MetricResource::Memory => "memory",
            }
            .to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(metric.average_utilization),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    });
    let given = autoscaling.behavior.clone().unwrap_or_default();
    HorizontalPodAutoscaler {
        metadata: metadata(platform, PART),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: labels::name(platform, PART),
            },
            min_replicas: Some(autoscaling.min_replicas),
            max_replicas: autoscaling.max_replicas,
            metrics: Some(metrics.collect()),
            behavior: Some(HorizontalPodAutoscalerBehavior {
                scale_down: given.scale_down.or_else(|| Some(scale_down())),
                scale_up: given.scale_up.or_else(|| Some(scale_up())),
            }),
        }),
        status: None,
    }
}

fn policy(type_: &str, value: i32, period_seconds: i32) -> HPAScalingPolicy {
    HPAScalingPolicy { type_: type_.to_owned(), value, period_seconds }
}

fn scale_down() -> HPAScalingRules {
    HPAScalingRules {
        policies: Some(vec![policy("Pods", 1, 60)]),
        select_policy: Some("Max".to_owned()),
        stabilization_window_seconds: Some(300),
        ..HPAScalingRules::default()
    }
}

fn scale_up() -> HPAScalingRules {
    HPAScalingRules {
        policies: Some(vec![policy("Percent", 100, 15), policy("Pods", 4, 15)]),
        select_policy: Some("Max".to_owned()),
        stabilization_window_seconds: Some(0),
        ..HPAScalingRules::default()
    }
}

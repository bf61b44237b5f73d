//! The API's pods.

use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscalerBehavior, core::v1::ResourceRequirements};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pods::Pods;
use super::schema;

/// The API's pods.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Api {
    // Signed, although none can be negative: for u32 the derive writes `format: uint32`, which Kubernetes does not know.
    /// Number of API pods, 1 to 100; also set by `kubectl scale`. Ignored while `autoscaling` is set.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,
    /// Database connections that one API pod opens at most, 2 to 100.
    #[serde(default = "default_database_pool_size")]
    #[schemars(range(min = 2, max = 100))]
    pub database_pool_size: i32,
    /// CPU and memory of each pod. Requests that are left out depend on the profile.
    #[serde(default)]
    #[schemars(schema_with = "schema::resources")]
    pub resources: ResourceRequirements,
    /// Lets Kubernetes choose the number of pods by their load. It needs the metrics API. Left out: `replicas` pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// How often things may be done, where it differs from what the release has: one entry per rule, at most 16. Rules that are
    /// not named keep their limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["rule".into()]))]
    pub rate_limits: Vec<ApiRateLimit>,
    /// Networks, in CIDR notation, whose `X-Forwarded-For` is believed: those of the pods of nginx, or of the ingress controller. At
    /// most 32. Default: the private networks.
    #[serde(default, rename = "trustedCIDRs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::trusted_cidrs")]
    pub trusted_cidrs: Vec<String>,
    /// Where the pods run and what they carry.
    #[serde(flatten)]
    pub pods: Pods,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            replicas: default_replicas(),
            database_pool_size: default_database_pool_size(),
            resources: ResourceRequirements::default(),
            autoscaling: None,
            rate_limits: Vec::new(),
            trusted_cidrs: Vec::new(),
            pods: Pods::default(),
        }
    }
}

fn default_replicas() -> i32 {
    4
}

fn default_database_pool_size() -> i32 {
    12
}

/// A limit of the API that differs from what the release has.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
#[x_kube(
    validation = (
        "has(self.limit) == has(self.periodSeconds)",
        "rateLimits[] needs both limit and periodSeconds, or neither of them, which lifts the rule: add the missing one or remove the other"
    ),
    validation = (
        "self.rule != '*' || !has(self.limit)",
        "rateLimits[] with rule * lifts every rule that is not named, so it has no limit: remove limit and periodSeconds, or name one rule"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ApiRateLimit {
    /// The rule, as docs/ARCHITECTURE.md lists them, or `*` for all that are not named.
    pub rule: RateLimitRule,
    /// Uses that are possible at once, 1 to 1000000, and are earned again evenly over the period. Left out together with
    /// `periodSeconds`: the rule is lifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub limit: Option<i32>,
    /// The period, in seconds, 1 to 86400.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub period_seconds: Option<i32>,
}

/// A rule of the API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the API documents its rules; a test holds the names together")]
pub enum RateLimitRule {
    DonationDevice,
    DonationIp,
    RepeatIp,
    LookUpIp,
    ReadIp,
    LoginEmail,
    LoginIp,
    Password,
    SignUpEmail,
    SignUpIp,
    ResetEmail,
    ResetIp,
    CodeIp,
    StreamIp,
    #[serde(rename = "*")]
    All,
}

/// How Kubernetes chooses the number of API pods.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, KubeSchema)]
#[x_kube(validation = (
    "self.minReplicas <= self.maxReplicas",
    "autoscaling.minReplicas must not be greater than autoscaling.maxReplicas: lower the first or raise the second"
))]
#[serde(rename_all = "camelCase")]
pub struct Autoscaling {
    /// Smallest number of pods, 1 to 100.
    #[serde(default = "default_min_replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: i32,
    /// Largest number of pods, 1 to 100. The pooler must have room for twice as many.
    #[serde(default = "default_max_replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: i32,
    /// What is measured, one entry per resource. The entry that asks for most pods decides. Empty: CPU at 65 % of its request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["resource".into()]))]
    pub metrics: Vec<UtilizationMetric>,
    /// How fast the number changes, as in a `HorizontalPodAutoscaler`. A direction that is left out has the operator's: up at once, by the
    /// larger of 100 % and 4 pods in 15 s; down after 300 s, by one pod in 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::behavior")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
}

fn default_min_replicas() -> i32 {
    4
}

fn default_max_replicas() -> i32 {
    12
}

/// One thing that is measured.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UtilizationMetric {
    /// The resource whose use is measured: `cpu` or `memory`.
    pub resource: MetricResource,
    /// Average use over all pods that is aimed at, in per cent of what they request, 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub average_utilization: i32,
}

/// A resource whose use is measured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricResource {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
}

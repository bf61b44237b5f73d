//! The API's pods.

use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscalerBehavior, core::v1::ResourceRequirements};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pods, schema};

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

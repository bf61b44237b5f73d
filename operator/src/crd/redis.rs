//! Redis.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pods::Pods;
use super::schema;

/// Where Redis is: one member of the union.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// One Redis pod that the operator runs. It holds no donation: without it the site is slower and its limits are per pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedRedis>,
}

impl Default for Redis {
    fn default() -> Self {
        Self { managed: Some(ManagedRedis::default()) }
    }
}

/// A Redis that the operator runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, KubeSchema)]
#[x_kube(validation = (
    "!has(self.resources) || !has(self.resources.limits) || !has(self.resources.limits.memory) || !isQuantity(self.maxMemory) \
     || !isQuantity(string(self.resources.limits.memory)) \
     || quantity(string(self.resources.limits.memory)).asApproximateFloat() >= 1.25 * quantity(self.maxMemory).asApproximateFloat()",
    "managed.resources.limits.memory must be at least 1.25 times managed.maxMemory, because Redis needs more than its data and would be \
     killed: raise the limit, lower maxMemory, or leave the limit out"
))]
#[serde(rename_all = "camelCase")]
pub struct ManagedRedis {
    /// Memory for data, such as 1Gi, at least 16Mi. When it is used up, what was not used for longest is dropped.
    #[serde(default = "default_max_memory")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = (
        "isQuantity(self) && quantity(self).compareTo(quantity('16Mi')) >= 0 && quantity(self).compareTo(quantity('1Ti')) <= 0",
        "managed.maxMemory must be a quantity from 16Mi to 1Ti; for example: 1Gi"
    ))]
    pub max_memory: String,
    /// Image of Redis 8, with tag or digest. At most 512 characters. Default: the one that this release was tested with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::image")]
    pub image: Option<String>,
    /// CPU and memory of the pod. Requests that are left out depend on the profile; the memory limit is 1.25 times `maxMemory`
    /// if it is left out.
    #[serde(default)]
    #[schemars(schema_with = "schema::resources")]
    pub resources: ResourceRequirements,
    /// Where the pods run and what they carry.
    #[serde(flatten)]
    pub pods: Pods,
}

impl Default for ManagedRedis {
    fn default() -> Self {
        Self { max_memory: default_max_memory(), image: None, resources: ResourceRequirements::default(), pods: Pods::default() }
    }
}

fn default_max_memory() -> String {
    "1Gi".to_owned()
}

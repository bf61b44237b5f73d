//! `PgBouncer`.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pods::Pods;
use super::schema;

/// `PgBouncer`, through which the API reaches the database.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pooler {
    /// Number of pooler pods, 1 to 10. With 1, donations pause while it is replaced.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 10))]
    pub replicas: i32,
    /// When a server connection goes back to the pool: `Transaction`, at the end of each transaction.
    #[serde(default)]
    pub mode: PoolMode,
    /// Connections to the database that all pooler pods open together at most, 1 to 1000. Each gets its share, rounded down;
    /// while a pooler pod is replaced there can be one share more.
    #[serde(default = "default_server_pool_size")]
    #[schemars(range(min = 1, max = 1000))]
    pub server_pool_size: i32,
    /// Connections that one pooler pod takes from the API at most, 1 to 20000. One pod must be able to serve them all.
    #[serde(default = "default_max_client_connections")]
    #[schemars(range(min = 1, max = 20000))]
    pub max_client_connections: i32,
    /// Image of `PgBouncer` 1.24 or later, with tag or digest. At most 512 characters. Default: the one that this release was
    /// tested with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::image")]
    pub image: Option<String>,
    /// CPU and memory of each pooler pod. Requests that are left out depend on the profile.
    #[serde(default)]
    #[schemars(schema_with = "schema::resources")]
    pub resources: ResourceRequirements,
    /// Where the pods run and what they carry.
    #[serde(flatten)]
    pub pods: Pods,
}

impl Default for Pooler {
    fn default() -> Self {
        Self {
            replicas: default_replicas(),
            mode: PoolMode::default(),
            server_pool_size: default_server_pool_size(),
            max_client_connections: default_max_client_connections(),
            image: None,
            resources: ResourceRequirements::default(),
            pods: Pods::default(),
        }
    }
}

fn default_replicas() -> i32 {
    2
}

fn default_server_pool_size() -> i32 {
    50
}

fn default_max_client_connections() -> i32 {
    1000
}

/// When a server connection goes back to the pool.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PoolMode {
    /// At the end of each transaction.
    #[default]
    Transaction,
}

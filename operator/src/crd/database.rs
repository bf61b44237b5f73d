//! The database.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pods::Pods;
use super::schema;

/// Where the database is: one member of the union.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// One PostgreSQL 17 pod with one volume that the operator runs. It is not highly available: while its node is away, donations
    /// are refused with 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,
}

impl Default for Database {
    fn default() -> Self {
        Self { managed: Some(ManagedDatabase::default()) }
    }
}

/// A PostgreSQL that the operator runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedDatabase {
    /// The volume of the data.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub storage: Storage,
    /// Connections that PostgreSQL accepts at most, 25 to 2000. The pooler uses `pooler.serverPoolSize` of them; the others are
    /// for migrations and administration.
    #[serde(default = "default_max_connections")]
    #[schemars(range(min = 25, max = 2000))]
    pub max_connections: i32,
    /// Image of PostgreSQL 17, with tag or digest. At most 512 characters. Default: the one that this release was tested with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::image")]
    pub image: Option<String>,
    /// CPU and memory of the pod. Requests that are left out depend on the profile.
    #[serde(default)]
    #[schemars(schema_with = "schema::resources")]
    pub resources: ResourceRequirements,
    /// Where the pods run and what they carry.
    #[serde(flatten)]
    pub pods: Pods,
}

impl Default for ManagedDatabase {
    fn default() -> Self {
        Self {
            storage: Storage::default(),
            max_connections: default_max_connections(),
            image: None,
            resources: ResourceRequirements::default(),
            pods: Pods::default(),
        }
    }
}

fn default_max_connections() -> i32 {
    100
}

/// The volume of the data. Neither field can be changed later.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
#[x_kube(validation = (
    "has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
    "storage.storageClassName cannot be changed, because a volume stays in the class it was created in: set it back, \
     or dump the database and restore it into a new DonationPlatform"
))]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of the volume, such as 10Gi; at least 1Gi. It cannot be changed yet.
    #[serde(default = "default_size")]
    #[schemars(length(max = 20))]
    #[x_kube(
        validation = (
            "isQuantity(self) && quantity(self).compareTo(quantity('1Gi')) >= 0 && quantity(self).compareTo(quantity('64Ti')) <= 0",
            "storage.size must be a quantity from 1Gi to 64Ti; for example: 10Gi"
        ),
        validation = (
            "!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) == 0",
            "storage.size cannot be changed, because this release does not resize volumes: set it back to the former size, \
             or dump the database and restore it into a new DonationPlatform"
        )
    )]
    pub size: String,
    /// `StorageClass` of the volume. At most 253 characters. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::storage_class_name")]
    pub storage_class_name: Option<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: default_size(), storage_class_name: None }
    }
}

fn default_size() -> String {
    "10Gi".to_owned()
}

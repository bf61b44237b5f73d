//! What the operator observed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema;

/// What the operator observed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, KubeSchema)]
#[schemars(transform = schema::without_null)]
#[serde(rename_all = "camelCase")]
pub struct DonationPlatformStatus {
    /// State of the parts of the site, one condition per type; `Ready` sums them up. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that the status describes. Smaller than the current one: the last change was not looked at yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Tag of the API image that answers donors now. Another than `spec.image.tag`: an upgrade is under way, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Revision of the database schema, as the last migration reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_revision: Option<String>,
    /// The last migration that completed. None runs again for the same image, settings and volume, whatever became of its Job; to
    /// run it again after an older dump was restored into the same volume, remove this field and delete the Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration: Option<MigrationStatus>,
    /// The spec of the last version whose migration had completed. While the migration of a later spec has not completed, this
    /// version serves: it is kept as it was, and made again when something of it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub served_spec: Option<Value>,
    /// Address under which donors reach the site, such as `https://doe.example.org`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The API's pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiStatus>,
    /// The limits of connections that follow from the spec. They are computed, not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<ConnectionsStatus>,
    /// The database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseStatus>,
}

/// A migration that completed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationStatus {
    /// Name of its Job, which may be gone by now.
    pub job: String,
    /// Image that migrated.
    pub image: String,
    /// Hash of what the image was told to do, such as whom to make the first administrator. Where its pod ran is no part of it.
    pub settings: String,
    /// UID of the claim for the volume whose database was migrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
}

/// The API's pods.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiStatus {
    /// Number of pods, also of those that do not answer yet.
    pub replicas: i32,
    /// Number of pods that answer.
    pub ready_replicas: i32,
    /// Label selector of the pods, as text: what a `HorizontalPodAutoscaler` of the resource measures.
    pub selector: String,
}

/// Limits of connections.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionsStatus {
    /// Connections that all API pods together open to the pooler at most.
    pub api_clients: i32,
    /// Connections that one pooler pod takes at most.
    pub pooler_client_limit: i32,
    /// Connections that all pooler pods together open to the database at most, while none of them is being replaced.
    pub pooler_servers: i32,
    /// Connections that the database accepts at most.
    pub database_limit: i32,
}

/// The database.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatus {
    /// Size of the volume as it was provided, such as 10Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
}

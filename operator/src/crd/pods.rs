//! What every part that runs in pods can be told about them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Where pods run and what they carry. Flattened into each part.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pods {
    /// Labels that a node must have to run the pods. At most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::node_selector")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and neighbours the pods need or prefer. It replaces what the operator would choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::affinity")]
    pub affinity: Option<Affinity>,
    /// `PriorityClass` of the pods. At most 253 characters. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::priority_class_name")]
    pub priority_class_name: Option<String>,
    /// Labels that the pods carry beside the operator's. At most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations that the pods carry beside the operator's. At most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Environment variables of the main container. What the operator sets itself keeps the operator's value. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub extra_env: Vec<EnvVar>,
}

/// One environment variable.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
pub struct EnvVar {
    /// Name of the variable. At most 128 characters.
    #[schemars(length(max = 128))]
    #[x_kube(validation = (
        "self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",
        "extraEnv[].name must start with a letter or '_' and hold only letters, digits and '_'; for example: RUST_LOG"
    ))]
    pub name: String,
    /// Value of the variable. At most 4096 characters. It is stored in clear, so it must be no secret.
    #[schemars(length(max = 4096))]
    pub value: String,
}

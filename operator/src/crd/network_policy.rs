//! Which connections the pods may make and take.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Which connections the pods of the site may make and take.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Whether `NetworkPolicies` allow each pod only the connections that it needs. They select only pods of this site. A
    /// cluster whose network does not enforce them ignores them.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Networks, in CIDR notation, to which connections out of the cluster are limited, such as those to an SMTP server. Empty:
    /// any address. At most 32.
    #[serde(default, rename = "egressCIDRs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::egress_cidrs")]
    pub egress_cidrs: Vec<String>,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self { enabled: enabled(), egress_cidrs: Vec::new() }
    }
}

fn enabled() -> bool {
    true
}

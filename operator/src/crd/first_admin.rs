//! Who administers the site before anybody else can.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// The first administrator of the site.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
pub struct FirstAdmin {
    /// E-mail with which they log in, which is taken for proven. At most 254 characters.
    #[schemars(schema_with = "schema::admin_email")]
    pub email: String,
}

//! How letters leave.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// The mail server that sends codes and notices.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// Sender of every letter, such as `Casa do Caminho <doe@example.org>`. At most 320 characters.
    #[schemars(schema_with = "schema::mail_from")]
    pub from: String,
    /// Name of a Secret in the resource's namespace whose key `url` holds the server's URL in one line, password included:
    /// `smtps://user:password@smtp.example.org`. At most 253 characters. A change of it is noticed within five minutes.
    #[schemars(schema_with = "schema::mail_secret_name")]
    pub secret_name: String,
}

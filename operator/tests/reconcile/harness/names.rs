//! Names of what belongs to the platform `esperanca`, and what its migration leaves.

pub(crate) const API: &str = "esperanca-api";
pub(crate) const DATABASE: &str = "esperanca-postgres";
pub(crate) const EDGE: &str = "esperanca-edge";
pub(crate) const POOLER: &str = "esperanca-pooler";
pub(crate) const REDIS: &str = "esperanca-redis";
/// Name of the Secret with the keys that encrypt.
pub(crate) const KEYS: &str = "esperanca-keys";
/// Name of the file in the pooler's `ConfigMap`.
pub(crate) const POOLER_SETTINGS: &str = "pgbouncer.ini";
/// Message of a migration's pod that completed.
pub(crate) const MIGRATED: &str = r#"{"schema": "20261101", "applied": 3}"#;

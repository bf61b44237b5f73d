//! The images that run when a resource names no others. One place, because they are raised together.

/// Repository of the API's image. It is built from source and loaded onto the nodes, because none is published yet.
pub const API_REPOSITORY: &str = "localhost/doacoes/api";

/// Tag of the API's image: the release of this operator.
pub const API_TAG: &str = env!("CARGO_PKG_VERSION");

/// PostgreSQL.
pub const POSTGRESQL: &str = "postgres:17.12";

/// Redis.
pub const REDIS: &str = "redis:8.0.6";

/// The nginx of the managed edge.
pub const NGINX: &str = "nginx:1.30.5";

/// `PgBouncer`.
pub const PGBOUNCER: &str = "edoburu/pgbouncer:v1.26.0-p0";

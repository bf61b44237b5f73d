//! SQL, once per statement. Functions take a connection and never begin or commit: services own transactions.
//!
//! Every statement goes through sqlx's named prepared statements. `persistent(false)` is never used: behind a pooler in
//! transaction mode it returns other clients' rows.
//!
//! Where one statement is for all pages of a list, the first one begins at a value that no row comes before. A condition such as
//! `$1 IS NULL OR …` instead would keep the plan that PostgreSQL makes for all values from using the index for the place.

pub mod access_log;
pub mod audit;
pub mod bulk;
pub mod campaigns;
pub mod charges;
pub mod consistency;
pub mod database;
pub mod donations;
pub mod idempotency;
pub mod ledger;
pub mod members;
pub mod organizadoras;
pub mod outbox;
pub mod people;
pub mod refunds;
pub mod schema;
pub mod sessions;
pub mod totals;

pub use database::{Database, commit};

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

/// A statement that failed, or was not tried.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused the statement or could not be reached. If it was a COMMIT, the transaction may have been stored.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// The queue for a connection is full, so the statement was not sent.
    #[error("too many requests wait for a connection to the database")]
    Crowded,
    /// A stored value that the domain refuses. Values are checked before they are stored, so the row is at fault, or this code is older
    /// than it.
    #[error("the column {column} holds a value that this release does not know")]
    Value {
        /// The name of the column.
        column: &'static str,
        /// Why the domain refuses the value.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a failure of the database means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The database is away, overloaded or restarting, or a transaction lost a race: the same request may work later.
    Unavailable,
    /// The statement itself is wrong, or met data it should not have met.
    Fault,
}

impl StoreError {
    /// The violated constraint's name, where that is what happened.
    pub fn constraint(&self) -> Option<&str> {
        self.sql()?.as_database_error().and_then(sqlx::error::DatabaseError::constraint)
    }

    const fn sql(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Sql(error) => Some(error),
            Self::Crowded | Self::Value { .. } => None,
        }
    }

    /// Whether the server and this connection disagree about what was said: an unknown or doubled prepared statement, or a
    /// message out of turn. A pooler that mixes up its clients looks like this.
    pub fn is_garbled(&self) -> bool {
        match self.sql() {
            Some(sqlx::Error::Protocol(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) => true,
            Some(sqlx::Error::Database(error)) => matches!(error.code().as_deref(), Some("26000" | "42P05" | "08P01")),
            _ => false,
        }
    }

    /// Whether the server is not there, or is just leaving or coming.
    pub fn is_cut_off(&self) -> bool {
        match self.sql() {
            Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_)) => true,
            Some(sqlx::Error::Database(error)) => error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
            _ => false,
        }
    }

    /// Whether no connection came about because the server is not there yet, or does not take any at the moment.
    pub fn is_not_accepted(&self) -> bool {
        match self.sql() {
            Some(sqlx::Error::Io(_)) => true,
            Some(sqlx::Error::Database(error)) => matches!(error.code().as_deref(), Some("53300" | "57P01" | "57P02" | "57P03")),
            _ => false,
        }
    }

    /// Whether trying again can help.
    pub fn class(&self) -> FailureClass {
        let error = match self {
            Self::Sql(error) => error,
            Self::Crowded => return FailureClass::Unavailable,
            Self::Value { .. } => return FailureClass::Fault,
        };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                FailureClass::Unavailable
            }
            // The server went away in the middle of its answer.
            sqlx::Error::Protocol(_) => FailureClass::Unavailable,
            sqlx::Error::Database(error) => match error.code().as_deref() {
                Some(code) if is_passing(code) => FailureClass::Unavailable,
                _ => FailureClass::Fault,
            },
            _ => FailureClass::Fault,
        }
    }
}

/// SQLSTATEs that pass by themselves: connection exceptions, rollbacks by the server, resources, cancelled statements,
/// locks, and a server that stops or starts.
fn is_passing(code: &str) -> bool {
    matches!(code, "57014" | "57P01" | "57P02" | "57P03" | "55P03" | "25P03" | "08P01")
        || ["08", "40", "53"].iter().any(|class| code.starts_with(class))
}

/// Time for which a connection may be idle and still be used without a check that it works.
const MAX_UNCHECKED_IDLE_TIME: Duration = Duration::from_millis(500);

/// A pool on `url`, which connects when first needed.
pub fn pool(url: &SecretString, size: u32) -> Result<PgPool, StoreError> {
    let options: PgConnectOptions = url
        .expose_secret()
        .parse::<PgConnectOptions>()?
        .application_name("doacoes-api")
        // A start-up parameter that poolers refuse; no float is read that would need it.
        .extra_float_digits(None);
    Ok(PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(1))
        // A connection that was just in use is not asked whether it still is one: that would be a round trip for each request, and
        // where the database has gone, the request before has failed too.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > MAX_UNCHECKED_IDLE_TIME {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        // Pods leave a pooler that drains within this time.
        .max_lifetime(Duration::from_mins(5))
        .connect_lazy_with(options))
}

/// A transaction, on a connection that still is one.
///
/// A pooler pod that stops turns away, and then closes, connections that were in use a moment ago and were therefore not asked. BEGIN is
/// the first that such a connection hears, and where it fails for the connection's sake nothing was done yet: the next one is tried.
/// Each of them fails once. A new one that is turned away too is tried once more; after that the database is away.
pub async fn begin(db: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let (mut used, mut new) = (0, 0);
    loop {
        let was_used = db.num_idle() > 0;
        match db.begin().await {
            Err(error) if is_hang_up(&error) && was_used && used < db.options().get_max_connections() => used += 1,
            Err(error) if is_hang_up(&error) && !was_used && new < 1 => new += 1,
            begun => return begun,
        }
    }
}

/// Whether the other side ended the connection: without a word, or with its last one, which is not heard before somebody speaks.
fn is_hang_up(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("08") || code == "57P01"),
        _ => false,
    }
}

/// Checks now what is otherwise checked at COMMIT.
pub async fn check_deferred(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SET CONSTRAINTS ALL IMMEDIATE").execute(connection).await?;
    Ok(())
}

/// Takes a transaction-level advisory lock if nobody holds it. Classes keep unrelated locks apart.
pub async fn try_lock(connection: &mut PgConnection, class: LockClass, id: i32) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1, $2)").bind(class.number()).bind(id).fetch_one(connection).await?)
}

/// What advisory locks are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockClass {
    /// One request per idempotency key.
    Idempotency,
    /// One of each background task among all replicas.
    Background,
    /// One migration at a time; number 0 is the whole schema.
    Schema,
}

impl LockClass {
    const fn number(self) -> i32 {
        match self {
            Self::Idempotency => 0x646f_6101,
            Self::Background => 0x646f_6102,
            Self::Schema => 0x646f_6103,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_that_pass_are_worth_a_retry() {
        for code in ["57P01", "57P03", "40001", "40P01", "53300", "57014", "08006", "55P03"] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["23505", "23514", "42601", "42501", "22021", "26000"] {
            assert!(!is_passing(code), "{code}");
        }
        assert_eq!(StoreError::Sql(sqlx::Error::PoolTimedOut).class(), FailureClass::Unavailable);
        assert_eq!(StoreError::Sql(sqlx::Error::RowNotFound).class(), FailureClass::Fault);
        assert_eq!(StoreError::Crowded.class(), FailureClass::Unavailable);
        let unknown = StoreError::Value { column: "cidade", source: "no city".into() };
        assert_eq!(unknown.class(), FailureClass::Fault);
    }
}

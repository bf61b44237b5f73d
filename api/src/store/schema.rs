//! Migrations, and which schemas a release works with.
//!
//! Migrations only go forward. A release also serves on a newer schema, so that going back one release needs no restored
//! backup: each migration names in `compatibilidade` the oldest schema whose releases it still suits, and one that names
//! nothing suits no older release.

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection};

use super::{LockClass, StoreError};
use crate::telemetry::chain;

/// Every migration of this release. Newer ones in the database are for [`state`] to judge.
pub static MIGRATOR: Migrator = Migrator { ignore_missing: true, ..sqlx::migrate!("../migrations") };

/// One try to connect has this long; an address that nobody answers for would take minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two tries to connect to the database.
const CONNECT_RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What [`migrate`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The newest migration that the database has.
    pub schema: i64,
    /// How many were run.
    pub applied: usize,
}

/// Why the schema is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database could not be asked.
    #[error("the database could not be reached")]
    Store(#[from] StoreError),
    /// A migration failed or differs from the one that was applied.
    #[error("a migration failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A newer release has changed the schema so that this one does not suit it.
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
}

/// A schema that this release must not work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// A newer release made it, which says that older ones no longer work.
    #[error("migration {version} of a newer release does not suit this one, whose schema is {newest}: install the newer release again")]
    TooNew {
        /// The migration.
        version: i64,
        /// The newest migration of this release.
        newest: i64,
    },
    /// A migration is not the one that was applied.
    #[error("migration {0} was applied in another form than this release has it")]
    Modified(i64),
}

/// Runs every pending migration on a direct connection as the schema's owner. Waits as long as `wait` for the server to accept
/// connections, and for another process that migrates as long as that takes.
pub async fn migrate(url: &SecretString, wait: Duration) -> Result<Migrated, MigrateError> {
    let mut connection = connect(url, wait).await?;
    take_turn(&mut connection).await?;
    let before = applied(&mut connection).await?;
    if let Some(unsuitable) = unsuitable(&mut connection, &before).await? {
        return Err(unsuitable.into());
    }
    MIGRATOR.run(&mut connection).await?;
    let after = applied(&mut connection).await?;
    let schema = after.iter().map(|migration| migration.version).max().unwrap_or(0);
    Ok(Migrated { schema, applied: after.len().saturating_sub(before.len()) })
}

async fn connect(url: &SecretString, wait: Duration) -> Result<PgConnection, StoreError> {
    let began = Instant::now();
    let mut told = false;
    loop {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect(url.expose_secret()));
        let error = match connecting.await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => StoreError::from(error),
            Err(_) => StoreError::from(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        };
        if !error.is_not_accepted() || began.elapsed() >= wait {
            return Err(error);
        }
        if !told {
            tracing::warn!(error = chain(&error), "the database does not accept connections yet");
            told = true;
        }
        tokio::time::sleep(CONNECT_RETRY_INTERVAL).await;
    }
}

/// One process migrates at a time. Those that wait hold no snapshot meanwhile, as they would with the blocking lock that sqlx
/// takes as well: an index that is built concurrently waits for every snapshot, and so for them. The lock ends with the connection.
async fn take_turn(connection: &mut PgConnection) -> Result<(), StoreError> {
    let try_lock = "SELECT pg_try_advisory_lock($1, 0)";
    while !sqlx::query_scalar::<_, bool>(try_lock).bind(LockClass::Schema.number()).fetch_one(&mut *connection).await? {
        tokio::time::sleep(CONNECT_RETRY_INTERVAL).await;
    }
    Ok(())
}

/// A migration that the database has.
#[derive(sqlx::FromRow)]
struct Applied {
    version: i64,
    checksum: Vec<u8>,
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<Applied>, StoreError> {
    if !has_table(connection, "_sqlx_migrations").await? {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version").fetch_all(connection).await?)
}

async fn has_table(connection: &mut PgConnection, name: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(connection).await?)
}

/// How the database's schema stands to this release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// Why this release must not work with it, if it must not.
    pub unsuitable: Option<Unsuitable>,
    /// The versions of this release's migrations that it lacks.
    pub pending: Vec<i64>,
}

/// Looks at the database's schema.
pub async fn state(connection: &mut PgConnection) -> Result<SchemaState, StoreError> {
    let applied = applied(connection).await?;
    let has = |version: i64| applied.iter().any(|migration| migration.version == version);
    let pending = MIGRATOR.iter().map(|migration| migration.version).filter(|version| !has(*version)).collect();
    Ok(SchemaState { unsuitable: unsuitable(connection, &applied).await?, pending })
}

async fn unsuitable(connection: &mut PgConnection, applied: &[Applied]) -> Result<Option<Unsuitable>, StoreError> {
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let mut unknown = Vec::new();
    for migration in applied {
        match MIGRATOR.iter().find(|known| known.version == migration.version) {
            Some(known) if *known.checksum != *migration.checksum => return Ok(Some(Unsuitable::Modified(migration.version))),
            Some(_) => {}
            None => unknown.push(migration.version),
        }
    }
    let suitable = if unknown.is_empty() { Vec::new() } else { suitable(connection, newest).await? };
    Ok(unknown.into_iter().find(|version| !suitable.contains(version)).map(|version| Unsuitable::TooNew { version, newest }))
}

/// The migrations that suit a release whose newest one is `newest`.
async fn suitable(connection: &mut PgConnection, newest: i64) -> Result<Vec<i64>, StoreError> {
    if !has_table(connection, "compatibilidade").await? {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar("SELECT versao FROM compatibilidade WHERE minima <= $1").bind(newest).fetch_all(connection).await?)
}

//! `api migrate`: its wait, its result, several at once, and schemas of newer releases.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use doacoes_api::config::keys::Keys;
use doacoes_api::store::schema::{self, MIGRATOR, Unsuitable};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::harness::{Servers, create_database, create_empty_database, refusal, serve, servers};

fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap()
}

/// `api migrate` with a file for its result.
struct Migrate {
    command: Command,
    result: tempfile::NamedTempFile,
}

impl Migrate {
    fn new(url: &str, wait: &str) -> Self {
        let result = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
        command.args(["migrate", "--wait", wait, "--result"]).arg(result.path()).env_clear().env("MIGRATION_DATABASE_URL", url);
        Self { command, result }
    }

    /// Runs it to its end; the one line of its result.
    fn run(mut self) -> (bool, Value, Output) {
        let output = self.command.output().unwrap();
        (output.status.success(), self.result(), output)
    }

    fn result(&self) -> Value {
        let text = std::fs::read_to_string(self.result.path()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_tells_the_schema_and_how_many_it_applied() {
    let url = servers().owner_url(&create_empty_database(servers()).await);
    for expected in [MIGRATOR.iter().count(), 0] {
        let (succeeded, result, output) = Migrate::new(&url, "0").run();
        assert!(succeeded, "{output:?}");
        assert_eq!(result, json!({"schema": newest().to_string(), "applied": expected}));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, format!("{expected} migrations applied, the schema is {}\n", newest()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_without_secrets() {
    let database = create_empty_database(servers()).await;
    let url = servers().owner_url(&database);
    let password = url.split([':', '@']).nth(2).unwrap();
    let started = Instant::now();
    // A wrong password does not become right by waiting.
    let (succeeded, result, output) = Migrate::new(&url.replace(password, "uma-senha-errada"), "300").run();
    assert!(!succeeded && started.elapsed() < Duration::from_mins(1));
    let error = result["error"].as_str().unwrap();
    assert!(error.contains("password authentication failed"), "{error}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("api: {error}\n"));
    assert!(!error.contains("uma-senha-errada"));

    // One that fails leaves the schema as it was.
    let mut owner = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE contas ()").execute(&mut owner).await.unwrap();
    let (succeeded, result, _) = Migrate::new(&url, "0").run();
    assert!(!succeeded);
    assert!(result["error"].as_str().unwrap().contains("relation \"contas\" already exists"), "{result}");
    sqlx::raw_sql("DROP TABLE contas").execute(&mut owner).await.unwrap();
    let (succeeded, result, _) = Migrate::new(&url, "0").run();
    assert!(succeeded);
    assert_eq!(result["schema"], newest().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_waits_until_the_server_takes_connections() {
    let servers = Servers::start(&[]);
    let url = servers.owner_url(&create_empty_database(&servers).await);
    servers.signal("PG_PID", "-KILL");
    let (succeeded, result, _) = Migrate::new(&url, "0").run();
    assert!(!succeeded);
    assert!(result["error"].as_str().unwrap().starts_with("the database could not be reached: "), "{result}");
    let mut waiting = Migrate::new(&url, "120");
    let mut child = waiting.command.stdout(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    servers.revive();
    assert!(child.wait().unwrap().success());
    assert_eq!(waiting.result()["schema"], newest().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_that_migrate_at_once_one_does() {
    let url = servers().owner_url(&create_empty_database(servers()).await);
    let running: Vec<_> = (0..6)
        .map(|_| {
            let mut migrate = Migrate::new(&url, "0");
            let child = migrate.command.stdout(Stdio::null()).spawn().unwrap();
            (migrate, child)
        })
        .collect();
    let mut applied = Vec::new();
    for (migrate, mut child) in running {
        assert!(child.wait().unwrap().success());
        let result = migrate.result();
        assert_eq!(result["schema"], newest().to_string());
        applied.push(result["applied"].as_u64().unwrap());
    }
    applied.sort_unstable();
    assert_eq!(applied, [0, 0, 0, 0, 0, u64::try_from(MIGRATOR.iter().count()).unwrap()]);
}

/// With a lock that is waited for inside the server, the one that migrates and the one that waits would wait for each other.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_turn_holds_no_index_up() {
    let url = servers().owner_url(&create_database(servers()).await);
    let mut first = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("SELECT pg_advisory_lock(x'646f6103'::int, 0); CREATE TABLE provisoria (n int); SET statement_timeout = '20s'")
        .execute(&mut first)
        .await
        .unwrap();
    let mut second = Migrate::new(&url, "0");
    let mut child = second.command.stdout(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(child.try_wait().unwrap().is_none(), "it did not wait for its turn");
    sqlx::raw_sql("CREATE INDEX CONCURRENTLY provisoria_n ON provisoria (n)").execute(&mut first).await.unwrap();
    first.close().await.unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(second.result()["applied"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_taken_only_if_it_is_marked_as_suitable() {
    let database = create_database(servers()).await;
    let mut owner = PgConnection::connect(&servers().owner_url(&database)).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (29990101000001, 'x', true, '', 0)",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    let too_new = Unsuitable::TooNew { version: 29_990_101_000_001, newest: newest() };
    assert_eq!(verdicts(&database).await, Some(too_new), "unmarked");
    mark(&mut owner, newest() + 1).await;
    assert_eq!(verdicts(&database).await, Some(too_new), "for releases newer than this one");
    mark(&mut owner, newest()).await;
    assert_eq!(verdicts(&database).await, None, "for this release");
    mark(&mut owner, 1).await;
    assert_eq!(verdicts(&database).await, None, "for older ones too");
    let (_, result, _) = Migrate::new(&servers().owner_url(&database), "0").run();
    assert_eq!(result, json!({"schema": "29990101000001", "applied": 0}), "the schema is the database's");

    let modified = "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 20261124000003";
    sqlx::raw_sql(modified).execute(&mut owner).await.unwrap();
    assert_eq!(verdicts(&database).await, Some(Unsuitable::Modified(20_261_124_000_003)));
}

async fn mark(owner: &mut PgConnection, oldest: i64) {
    sqlx::query(
        "INSERT INTO compatibilidade (versao, minima) VALUES (29990101000001, $1) ON CONFLICT (versao) DO UPDATE SET minima = excluded.minima",
    )
    .bind(oldest)
    .execute(owner)
    .await
    .unwrap();
}

/// What `migrate` and `serve` say of the database's schema; they must agree.
async fn verdicts(database: &str) -> Option<Unsuitable> {
    let (migrates, result, _) = Migrate::new(&servers().owner_url(database), "0").run();
    let mut app = PgConnection::connect(&servers().app_url(database)).await.unwrap();
    let unsuitable = schema::state(&mut app).await.unwrap().unsuitable;
    assert_eq!(migrates, unsuitable.is_none(), "{result}");
    let refusal = serve_refusal(database);
    match unsuitable {
        Some(unsuitable) => {
            assert_eq!(result["error"], unsuitable.to_string());
            assert_eq!(refusal, format!("api: {unsuitable}\n"));
        }
        // The next thing that `serve` looks at, here made to fail.
        None => assert!(refusal.contains("LIMITS"), "{refusal}"),
    }
    unsuitable
}

fn serve_refusal(database: &str) -> String {
    let keys = tempfile::tempdir().unwrap();
    Keys::create_missing(keys.path()).unwrap();
    let mut command = serve(database, keys.path(), "development");
    command.env("RATE_LIMITS", "/nowhere/limits");
    refusal(command)
}

/// A release that forgets this cannot be gone back from.
#[tokio::test(flavor = "multi_thread")]
async fn every_migration_says_which_releases_it_suits() {
    let database = create_database(servers()).await;
    let mut owner = PgConnection::connect(&servers().owner_url(&database)).await.unwrap();
    let marked: Vec<i64> = sqlx::query_scalar("SELECT versao FROM compatibilidade ORDER BY versao").fetch_all(&mut owner).await.unwrap();
    // From the one on that made the table.
    let expected: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).filter(|version| *version >= 20_261_125_000_001).collect();
    assert_eq!(marked, expected);
}

//! The binary: what it refuses to start with, and how it stops.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use doacoes_api::config::keys::Keys;
use sqlx::Connection as _;

use crate::harness::{create_database, refusal, serve, servers};

#[tokio::test(flavor = "multi_thread")]
async fn serve_refuses_missing_and_world_readable_keys() {
    let database = create_database(servers()).await;
    let secrets = tempfile::tempdir().unwrap();
    assert!(refusal(serve(&database, secrets.path(), "development")).contains("cursor.key cannot be read"));
    Keys::create_missing(secrets.path()).unwrap();
    std::fs::set_permissions(secrets.path().join("body.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refusal(serve(&database, secrets.path(), "development")).contains("body.key is readable by everyone (mode 644)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_refuses_pending_migrations_and_production_over_plain_http() {
    let secrets = tempfile::tempdir().unwrap();
    Keys::create_missing(secrets.path()).unwrap();
    let database = create_database(servers()).await;
    let mut owner = sqlx::PgConnection::connect(&servers().owner_url(&database)).await.unwrap();
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .execute(&mut owner)
        .await
        .unwrap();
    assert!(refusal(serve(&database, secrets.path(), "development")).contains("1 migrations are pending"));
    assert!(refusal(serve(&database, secrets.path(), "production")).contains("PUBLIC_URL must be https://"));
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_is_refused_in_production() {
    let secrets = tempfile::tempdir().unwrap();
    Keys::create_missing(secrets.path()).unwrap();
    let database = create_database(servers()).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
    command.arg("seed").env_clear().env("DATABASE_URL", servers().app_url(&database)).env("SECRETS_DIR", secrets.path());
    assert!(refusal(command).contains("only for PROFILE=development"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_process_well_and_soon() {
    let database = create_database(servers()).await;
    let secrets = tempfile::tempdir().unwrap();
    Keys::create_missing(secrets.path()).unwrap();
    let mut child = serve(&database, secrets.path(), "development").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let first = lines.next().unwrap().unwrap();
    let line: serde_json::Value = serde_json::from_str(&first).expect("a log line is JSON");
    assert_eq!((&line["message"], &line["level"]), (&"serving".into(), &"INFO".into()));
    let base = format!("http://{}", line["admin"].as_str().unwrap());
    let began = Instant::now();
    while reqwest::get(format!("{base}/readyz")).await.map(|answer| answer.status().as_u16()).ok() != Some(200) {
        assert!(began.elapsed() < Duration::from_secs(20), "never ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(reqwest::get(format!("{base}/livez")).await.unwrap().status(), 200);
    let metrics = reqwest::get(format!("{base}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("doacoes_donations_total{situacao=\"confirmada\"} 0"), "{metrics}");
    assert!(metrics.contains("doacoes_ready 1"));
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let stopped = Instant::now();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(stopped.elapsed() < Duration::from_secs(5));
}

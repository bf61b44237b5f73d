//! The check for statements that get mixed up, against a real `PgBouncer`: 1.18 is refused, 1.24 and newer accepted.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use doacoes_api::config::Pooler;
use doacoes_api::process::readiness::PoolerState;
use serde_json::json;

use crate::harness::{Options, TestApp, create_database, servers};

/// Not every user has Debian's folder for it in `PATH`.
const PGBOUNCER: &str = "/usr/sbin/pgbouncer";

/// `PgBouncer` in transaction mode with four server connections.
struct PgBouncer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    fn start(upstream: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url: axum::http::Uri = upstream.parse().unwrap();
        let authority = url.authority().unwrap();
        let (login, server) = authority.as_str().split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (host, server_port) = server.split_once(':').unwrap();
        // The port is free when it is asked for; PgBouncer fails, and the test with it, in the rare case that it is taken.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let users = folder.path().join("users");
        std::fs::write(&users, format!("\"{user}\" \"{password}\"\n")).unwrap();
        let mut settings = String::from("[databases]\n");
        writeln!(settings, "* = host={host} port={server_port} user={user} password={password}").unwrap();
        writeln!(settings, "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = plain").unwrap();
        writeln!(settings, "auth_file = {}\npool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200", users.display())
            .unwrap();
        if version() >= (1, 21) {
            settings.push_str("max_prepared_statements = 200\n");
        }
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        open_to_others(folder.path());
        let mut command = Command::new(PGBOUNCER);
        if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
            // It refuses to run as root.
            command.args(["-u", "nobody"]);
        }
        let child = command.arg(&file).stderr(Stdio::null()).spawn().expect("pgbouncer runs (Debian package pgbouncer)");
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port, _folder: folder }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open_to_others(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn version() -> (u32, u32) {
    let output = Command::new(PGBOUNCER).arg("--version").output().expect("pgbouncer is installed (Debian package pgbouncer)");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().nth(1).unwrap().split('.').map(|part| part.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_accepted_if_and_only_if_it_keeps_statements_apart() {
    let database = create_database(servers()).await;
    let upstream = servers().app_url(&database);
    let pooler = PgBouncer::start(&upstream);
    let (login, _) = upstream.split_once('@').unwrap();
    let through = format!("{login}@127.0.0.1:{}/{database}", pooler.port);
    // Migrations are looked at before the pooler check, over the same unsafe pooler; one connection alone is not mixed up.
    let app = TestApp::on(
        servers(),
        &database,
        Options { self_tested: false, pooler: Pooler::Named, database_url: Some(through), pool_size: 32, ..Options::default() },
    )
    .await;
    let began = Instant::now();
    let self_tested = || app.state.readiness.pooler.state() == PoolerState::MixedUp || app.state.readiness.self_test.unready().is_none();
    while app.state.readiness.pooler.state() == PoolerState::Pending || !app.state.readiness.stores.has_reached_database() || !self_tested()
    {
        assert!(began.elapsed() < Duration::from_secs(30), "the pooler check never finished");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ready = app.http.get(format!("{}/readyz", app.admin)).send().await.unwrap();
    let safe = version() >= (1, 21);
    assert_eq!(ready.status().as_u16(), if safe { 200 } else { 503 });
    let body: serde_json::Value = ready.json().await.unwrap();
    assert_eq!(body["ready"], json!(safe), "{body}");
    if !safe {
        assert!(body["reason"].as_str().unwrap().contains("PgBouncer 1.24"), "{body}");
    }
}

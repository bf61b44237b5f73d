//! PostgreSQL and Redis of the tests' own, from `hack/services`. They live as long as the pipe to them: however the test
//! process ends, they end with it.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use doacoes_api::store::schema;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Running servers.
pub struct Servers {
    env: Mutex<HashMap<String, String>>,
    input: Mutex<Option<ChildStdin>>,
    output: Mutex<BufReader<std::process::ChildStdout>>,
    template: OnceCell<String>,
    folder: TempDir,
    child: Child,
}

/// The servers that most tests share.
pub fn servers() -> &'static Servers {
    static SHARED: OnceLock<Servers> = OnceLock::new();
    SHARED.get_or_init(|| Servers::start(&["--fast"]))
}

impl Servers {
    /// Servers of a test's own, for tests that break them.
    pub fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../hack/services");
        let mut child = Command::new(script)
            .arg("--ephemeral")
            .args(flags)
            .arg(folder.path().join("stores"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("hack/services starts");
        let servers = Self {
            env: Mutex::new(HashMap::new()),
            input: Mutex::new(child.stdin.take()),
            output: Mutex::new(BufReader::new(child.stdout.take().unwrap())),
            template: OnceCell::new(),
            folder,
            child,
        };
        servers.await_ready();
        servers
    }

    /// Starts again whatever of them does not run.
    pub fn revive(&self) {
        self.input.lock().unwrap().as_mut().unwrap().write_all(b"\n").unwrap();
        self.await_ready();
    }

    fn await_ready(&self) {
        let mut output = self.output.lock().unwrap();
        let mut line = String::new();
        while line.trim() != "ready" {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "hack/services ended before the servers were ready");
        }
        let text = std::fs::read_to_string(self.folder.path().join("stores/env")).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        *self.env.lock().unwrap() = pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('\'').to_owned())).collect();
    }

    /// A value of the servers' environment.
    pub fn env(&self, name: &str) -> String {
        self.env.lock().unwrap().get(name).unwrap_or_else(|| panic!("hack/services did not tell {name}")).clone()
    }

    /// Sends a signal, like `-STOP`, to `PG_PID` or `REDIS_PID`.
    pub fn signal(&self, process: &str, signal: &str) {
        signal_all(&[self.env(process)], signal);
    }

    /// A connection to Redis that may do everything.
    pub async fn redis(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.env("REDIS_URL")).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    pub fn app_url(&self, database: &str) -> String {
        on_database(&self.env("DATABASE_URL"), database)
    }

    pub fn owner_url(&self, database: &str) -> String {
        on_database(&self.env("MIGRATION_DATABASE_URL"), database)
    }

    /// A folder for keys, shared by every application on these servers.
    pub fn secrets(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }

    /// The name of a database with every migration applied, to copy.
    pub async fn template(&self) -> &str {
        self.template
            .get_or_init(|| async {
                let mut owner = PgConnection::connect(&self.owner_url("postgres")).await.unwrap();
                sqlx::query("CREATE DATABASE modelo").execute(&mut owner).await.unwrap();
                schema::migrate(&self.owner_url("modelo").into(), Duration::ZERO).await.unwrap();
                "modelo".to_owned()
            })
            .await
    }
}

/// Sends a signal, like `-STOP`, to each process.
pub fn signal_all(pids: &[String], signal: &str) {
    assert!(Command::new("kill").arg(signal).args(pids).status().unwrap().success());
}

/// The end of the pipe is what stops them.
impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.input.lock().unwrap().take());
        let _ = self.child.wait();
    }
}

fn on_database(url: &str, database: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

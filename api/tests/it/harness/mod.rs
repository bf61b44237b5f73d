//! Starts the servers once, gives each test a database and an application of its own, and speaks HTTP to it.

mod binary;
mod client;
mod edge;
mod fixtures;
mod fleet;
mod load;
mod operations;
mod reader;
mod servers;

pub use binary::{refusal, serve};
pub use client::{Answer, Request};
pub use edge::Edge;
pub use fixtures::{Campaign, Org, Person, cnpj, e2eid};
pub use fleet::{Fleet, FleetOptions};
pub use load::{CLIENTS, Mix, Outcome, Running, stored_donations};
pub use operations::Operation;
pub use reader::Reader;
pub use servers::{Servers, servers, signal_all};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doacoes_api::app::App;
use doacoes_api::background::{Background, SingleTurn, Task, Turn};
use doacoes_api::config::keys::Keys;
use doacoes_api::config::{Config, DatabaseArgs, MailTarget, Pooler, Profile};
use doacoes_api::domain::provider::Provider;
use doacoes_api::mail::Letter;
use doacoes_api::process::clock::{Clock, FixedClock};
use doacoes_api::redis_client::budget;
use doacoes_api::service::administration;
use doacoes_api::service::change::CommandLine;
use doacoes_api::state::AppState;
use doacoes_api::store;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, PgPool};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;

/// Where a frozen clock stands at the start.
pub const START: OffsetDateTime = datetime!(2026-11-24 10:30:15 UTC);

/// How a test wants its application.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own, and named where it is made")]
pub struct Options {
    pub profile: Profile,
    pub payments: Vec<Provider>,
    /// Whether folder, expiry and the rest run by themselves.
    pub background: bool,
    /// Whether the clock stands still until told to move.
    pub frozen: bool,
    pub pool_size: u32,
    pub pooler: Pooler,
    /// Where the database is, if not at the servers' own port: a pooler in front of it.
    pub database_url: Option<String>,
    pub allowed_origins: Vec<String>,
    /// Whether the default limits apply; else none do.
    pub limited: bool,
    /// Limits that differ from the defaults, as `RATE_LIMITS` has them.
    pub limits: Option<Value>,
    /// Where Redis is, if not at the servers' own port.
    pub redis_url: Option<String>,
    /// What one request may wait for Redis.
    pub redis_budget: Duration,
    pub drain_seconds: u64,
    /// Whether e-mail goes anywhere.
    pub mail: bool,
    /// Whether to wait for the self-test, so that nothing of it is in the way of the test.
    pub self_tested: bool,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: Profile::Development,
            payments: vec![],
            background: false,
            frozen: false,
            pool_size: 8,
            pooler: Pooler::Direct,
            database_url: None,
            allowed_origins: vec![],
            limited: false,
            limits: None,
            redis_url: None,
            redis_budget: budget::REQUEST_BUDGET,
            drain_seconds: 0,
            mail: true,
            self_tested: true,
            trusted_proxies: vec![],
        }
    }
}

/// A running application with its own database.
pub struct TestApp {
    pub base: String,
    pub admin: String,
    pub state: AppState,
    pub background: Arc<Background>,
    pub clock: FixedClock,
    pub http: reqwest::Client,
    /// Connections as `dono`, for looking behind the API.
    pub owner: PgPool,
    pub database: String,
    _folder: TempDir,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// With a clock that stands still.
    pub async fn frozen() -> Self {
        Self::with(Options { frozen: true, ..Options::default() }).await
    }

    pub async fn with(options: Options) -> Self {
        Self::on(servers(), &create_database(servers()).await, options).await
    }

    /// On a database that is there already, as after a restart.
    pub async fn on(servers: &Servers, database: &str, options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secrets = servers.secrets();
        Keys::create_missing(&secrets).unwrap();
        let limits = folder.path().join("limits.json");
        let unlimited = if options.limited { json!({}) } else { json!({"*": null}) };
        std::fs::write(&limits, options.limits.unwrap_or(unlimited).to_string()).unwrap();
        let https = options.profile == Profile::Production;
        let config = Config {
            database: DatabaseArgs {
                database_url: SecretString::from(options.database_url.clone().unwrap_or_else(|| servers.app_url(database))),
                database_password_file: None,
                pooler: options.pooler,
                database_pool_size: options.pool_size,
            },
            redis_url: options.redis_url.clone().unwrap_or_else(|| servers.env("REDIS_URL")).into(),
            redis_password_file: None,
            redis_budget: options.redis_budget,
            redis_prefix: format!("{database}:"),
            rate_limits: Some(limits),
            drain_seconds: options.drain_seconds,
            listen_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: if https { "https://doe.example" } else { "http://localhost:8080" }.parse().unwrap(),
            profile: options.profile,
            secrets_dir: secrets,
            trusted_proxies: options.trusted_proxies,
            allowed_origins: options.allowed_origins.iter().map(|origin| origin.parse().unwrap()).collect(),
            payments: options.payments,
            mail_url: options.mail.then(|| {
                if https {
                    MailTarget::Smtp("smtp://127.0.0.1:9".to_owned().into())
                } else {
                    MailTarget::Folder(folder.path().join("mail"))
                }
            }),
            mail_url_file: None,
            mail_from: "doacoes <nao-responda@doacoes.example>".parse().unwrap(),
        };
        let fixed = FixedClock::at(START);
        let clock = if options.frozen { Clock::Fixed(fixed.clone()) } else { Clock::System };
        let app = App::build(config.validated().unwrap(), clock).await.unwrap().bind().unwrap();
        let this = Self {
            base: format!("http://{}", app.public_addr),
            admin: format!("http://{}", app.admin_addr),
            state: app.state(),
            background: app.background(),
            clock: fixed,
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                // The server closes idle connections after 8 s; whoever sends on one at that moment finds it cut.
                .pool_idle_timeout(Duration::from_secs(5))
                .build()
                .unwrap(),
            owner: store::pool(&SecretString::from(servers.owner_url(database)), 4).unwrap(),
            database: database.to_owned(),
            _folder: folder,
        };
        tokio::spawn(app.run(options.background));
        if options.self_tested {
            until(Duration::from_secs(30), "the self-test is over", async || this.state.readiness.self_test.unready().is_none()).await;
        }
        this
    }

    /// One turn of a background task.
    pub async fn turn(&self, task: Task) {
        let turn = self.background.run_once(task).await.unwrap();
        assert!(matches!(turn, SingleTurn::Ran(_)), "{turn:?}");
    }

    /// Rolls every delta up.
    pub async fn roll_up(&self) {
        while self.background.run_once(Task::TotalsRollup).await.unwrap() == SingleTurn::Ran(Turn::More) {}
    }

    /// The command line with the clock of the application.
    pub fn command_line(&self) -> CommandLine {
        CommandLine { db: self.owner.clone(), clock: self.state.clock.clone() }
    }

    /// Fails unless totals, ledger, receipts and refunds agree.
    pub async fn assert_books_agree(&self) {
        assert_eq!(administration::check_books(&self.owner).await.unwrap(), vec![]);
    }

    /// Every message in the outbox to `address`, oldest first.
    pub async fn mail_to(&self, address: &str) -> Vec<Letter> {
        let sealed: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT carga FROM caixa_saida WHERE tipo = 'email' ORDER BY id").fetch_all(&self.owner).await.unwrap();
        let letters = sealed.iter().map(|sealed| Letter::open(&self.state.keys.body, sealed).unwrap());
        letters.filter(|letter| letter.address == address).collect()
    }

    /// The one-time code in the newest message to `address`.
    pub async fn code_for(&self, address: &str) -> String {
        let letters = self.mail_to(address).await;
        let body = &letters.last().expect("there is a message").body;
        body.split_whitespace().find(|word| word.len() == 64).expect("the message has a code").to_owned()
    }

    /// What is stored: of each table the number of rows and a hash of all that is in them.
    pub async fn rows(&self) -> String {
        sqlx::query_scalar(
            "SELECT string_agg(t.table_name || (xpath('/row/h/text()', query_to_xml(format(
                 'SELECT count(*) || '':'' || md5(coalesce(string_agg(r::text, chr(10) ORDER BY r::text), '''')) AS h FROM %I r',
                 t.table_name), false, true, '')))[1]::text, E'\n' ORDER BY t.table_name)
             FROM information_schema.tables t WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE'",
        )
        .fetch_one(&self.owner)
        .await
        .unwrap()
    }

    /// The server's processes that work for this database, but for the one that tells.
    pub async fn backends(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
            .fetch_all(&self.owner)
            .await
            .unwrap()
    }

    /// A number from the database, seen as its owner.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.owner).await.unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.state.shutdown.begin();
    }
}

/// A new database with every migration applied.
pub async fn create_database(servers: &Servers) -> String {
    create_from(servers, servers.template().await).await
}

/// A new database without anything.
pub async fn create_empty_database(servers: &Servers) -> String {
    create_from(servers, "template1").await
}

async fn create_from(servers: &Servers, template: &str) -> String {
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    let mut owner = PgConnection::connect(&servers.owner_url("postgres")).await.unwrap();
    let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut owner).await.unwrap();
    name
}

/// Several processes on one database and one Redis; only the first works in the background.
pub async fn replicas(servers: &Servers, count: usize) -> Vec<Arc<TestApp>> {
    replicas_waiting(servers, count, budget::REQUEST_BUDGET).await
}

/// Replicas that wait for Redis however busy the machine is: for tests that count what comes from where.
pub async fn exact_replicas(servers: &Servers, count: usize) -> Vec<Arc<TestApp>> {
    replicas_waiting(servers, count, Duration::from_secs(30)).await
}

async fn replicas_waiting(servers: &Servers, count: usize, redis_budget: Duration) -> Vec<Arc<TestApp>> {
    let database = create_database(servers).await;
    let mut apps = Vec::new();
    for index in 0..count {
        let options = Options { background: index == 0, redis_budget, ..Options::default() };
        let app = Arc::new(TestApp::on(servers, &database, options).await);
        hears_others(&app).await;
        apps.push(app);
    }
    apps
}

/// Waits until the process receives what others invalidate and push.
pub async fn hears_others(app: &TestApp) {
    until(Duration::from_secs(5), "the process is connected to the others", async || {
        metric(app, "doacoes_cache_connected", &[]).await == 1
    })
    .await;
}

/// Keeps tests that need much of the machine from running beside each other.
pub async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}

/// Runs `count` copies of something at once.
pub async fn all_at_once<F, T>(count: usize, work: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let barrier = Arc::new(tokio::sync::Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let work = work(index);
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                work.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// Fails unless it holds within `limit`; after how long it did.
pub async fn until(limit: Duration, what: &str, holds: impl AsyncFn() -> bool) -> Duration {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    started.elapsed()
}

/// The 99th percentile.
pub fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}

/// The sum of a metric's series that have all of `labels`. Panics if there is no such series, or a name or label that is
/// misspelt, or was renamed, would be taken for zero.
pub async fn metric(app: &TestApp, name: &str, labels: &[&str]) -> i64 {
    metric_at(&app.admin, name, labels).await
}

/// The same of the process whose probes and metrics are at this URL.
pub async fn metric_at(admin: &str, name: &str, labels: &[&str]) -> i64 {
    let text = metrics_at(admin).await;
    sum_of(&text, name, labels).unwrap_or_else(|| panic!("the metrics have no series {name} with {labels:?}:\n{text}"))
}

/// The same for a gauge that is told only once its value is known; None until then.
pub async fn metric_once_known(app: &TestApp, name: &str, labels: &[&str]) -> Option<i64> {
    sum_of(&metrics_at(&app.admin).await, name, labels)
}

/// All metrics of the process whose probes and metrics are at this URL, as Prometheus reads them.
pub async fn metrics_at(admin: &str) -> String {
    reqwest::get(format!("{admin}/metrics")).await.unwrap().text().await.unwrap()
}

/// The sum of the series of that name that have all of `labels`; None if there are none. A label is `name="value"`, or the
/// end of that.
pub fn sum_of(metrics: &str, name: &str, labels: &[&str]) -> Option<i64> {
    let series = metrics.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    series
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap())
        .reduce(|sum, value| sum + value)
}

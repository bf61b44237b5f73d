//! The process: built from a configuration, bound to its ports, run until a stop. Tests do the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus::IntGauge;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::background::Background;
use crate::cache;
use crate::config::keys::{Keys, KeysError};
use crate::config::{Config, DatabaseArgs, Pooler};
use crate::health::{pooler_check, self_test, stores};
use crate::http::layers::{self, Surroundings};
use crate::http::metrics::HttpMetrics;
use crate::http::{self, admin};
use crate::limits::load_shed::QueueMetrics;
use crate::limits::{Rules, RulesError};
use crate::mail::{MailError, Mailer};
use crate::password::{Passwords, PasswordsError};
use crate::process::clock::Clock;
use crate::process::readiness::PoolerState;
use crate::process::shutdown::Shutdown;
use crate::redis_client::{RedisClient, RedisMetrics};
use crate::server::{self, Listener};
use crate::state::{AppState, Core, Parts};
use crate::store::database::DatabaseMetrics;
use crate::store::schema::{self, SchemaState, Unsuitable};
use crate::store::{Database, StoreError};
use crate::telemetry::metrics::{self, Family};
use crate::web;

/// When requests have ended, whatever else was begun has this long to end. A statement has one second and a mail server ten, so only a
/// database that hangs takes longer.
const LAST_WORK_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that the connections to the database have to close after [`LAST_WORK_TIMEOUT`].
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A key file is missing, malformed or readable by everyone.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database was not reached.
    #[error("the database could not be asked for its migrations")]
    Store(#[from] StoreError),
    /// The database lacks migrations of this release.
    #[error("{0} migrations are pending, from {1}: run `api migrate` with MIGRATION_DATABASE_URL first")]
    PendingMigrations(usize, i64),
    /// The database has another schema than this release can work with.
    #[error(transparent)]
    Schema(#[from] Unsuitable),
    /// argon2 refused its parameters.
    #[error("password hashing cannot start")]
    Passwords(#[from] PasswordsError),
    /// The file of limits is unusable.
    #[error(transparent)]
    Limits(#[from] RulesError),
    /// The Redis URL is malformed.
    #[error("REDIS_URL is no Redis URL")]
    Redis(#[from] redis::RedisError),
    /// The mail target is unusable.
    #[error("mail cannot start")]
    Mail(#[from] MailError),
    /// A metric was registered twice.
    #[error("metrics cannot start")]
    Metrics(#[from] prometheus::Error),
    /// A port is taken.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
}

/// A process that has not begun to listen.
pub struct App {
    state: AppState,
    background: Arc<Background>,
    metrics: Arc<HttpMetrics>,
    connections: Family<Listener, IntGauge>,
    /// The routes of the admin listener.
    admin: Router,
    /// Nothing where e-mail goes nowhere yet.
    mailer: Option<Mailer>,
    config: Config,
}

/// A process that listens.
pub struct BoundApp {
    app: App,
    public: TcpListener,
    admin: TcpListener,
    /// Where the API is.
    pub public_addr: SocketAddr,
    /// Where the probes and metrics are.
    pub admin_addr: SocketAddr,
}

impl App {
    /// Checks everything that can be checked before the first request: keys, migrations, mail.
    pub async fn build(config: Config, clock: Clock) -> Result<Self, StartError> {
        let keys = Keys::load(&config.secrets_dir)?;
        let registry = metrics::registry()?;
        let queues = QueueMetrics::new(&registry)?;
        let DatabaseArgs { database_url, database_pool_size, .. } = &config.database;
        let db = Database::new(database_url, *database_pool_size, DatabaseMetrics::new(&registry)?, &queues)?;
        check_schema(&db).await?;
        let mailer = config.mail_url.as_ref().map(|target| Mailer::new(target, config.mail_from.clone())).transpose()?;
        if mailer.is_none() {
            tracing::warn!("there is no MAIL_URL: letters wait in the outbox until there is one");
        }
        let rules = Rules::load(config.rate_limits.as_deref())?;
        let redis =
            Arc::new(RedisClient::new(&config.redis_url, &config.redis_prefix, config.redis_budget, RedisMetrics::new(&registry)?)?);
        let passwords = Passwords::new(&queues)?;
        let state = Arc::new(Core::new(&config, Parts { db, redis, rules, clock, keys, passwords }, &registry, &queues)?);
        Ok(Self {
            background: Arc::new(Background::new(Arc::clone(&state), &registry)?),
            metrics: Arc::new(HttpMetrics::new(&registry)?),
            connections: Family::new(&registry, "doacoes_http_connections", "Open connections of clients.", ["listener"])?,
            admin: admin::router(Arc::clone(&state), registry)?,
            state,
            mailer,
            config,
        })
    }

    /// The shared state.
    pub fn state(&self) -> AppState {
        Arc::clone(&self.state)
    }

    /// Binds both listeners; port 0 takes a free one.
    pub fn bind(self) -> Result<BoundApp, StartError> {
        let listen = |addr: SocketAddr| server::listen(addr).map_err(|error| StartError::Listen(addr, error));
        let public = listen(self.config.listen_addr)?;
        let admin = listen(self.config.admin_addr)?;
        let public_addr = public.local_addr().map_err(|error| StartError::Listen(self.config.listen_addr, error))?;
        let admin_addr = admin.local_addr().map_err(|error| StartError::Listen(self.config.admin_addr, error))?;
        Ok(BoundApp { app: self, public, admin, public_addr, admin_addr })
    }
}

impl BoundApp {
    /// The shared state.
    pub fn state(&self) -> AppState {
        self.app.state()
    }

    /// The background tasks, none of which run before [`BoundApp::run`].
    pub fn background(&self) -> Arc<Background> {
        Arc::clone(&self.app.background)
    }

    /// Serves until the process is to stop, lets requests and tasks finish, and closes the pools. Each of these has a time limit,
    /// so it always returns. The tasks of [`Background`] run only if `background` is true.
    pub async fn run(self, background: bool) {
        let Self { app, public, admin, .. } = self;
        let state = app.state;
        let surroundings = Surroundings { allowed_origins: &app.config.allowed_origins, metrics: app.metrics, pages: web::PAGES };
        let router = layers::around(http::routes(state.profile).merge(web::routes(state.profile)), Arc::clone(&state), surroundings);
        let work = background.then_some(BackgroundWork { tasks: app.background, mailer: app.mailer });
        state.shutdown.spawn(cache::listen(Arc::clone(&state.cache), state.shutdown.clone()));
        state.shutdown.spawn(get_ready(Arc::clone(&state), app.config.database.pooler, work));
        let watched = Arc::clone(&state);
        state.shutdown.spawn(async move { stores::watch(&watched).await });
        let admin_stop = Shutdown::default();
        let (visitors, probers) = (app.connections.get(Listener::Public).clone(), app.connections.get(Listener::Admin).clone());
        let admin_server = tokio::spawn(server::serve(admin, app.admin, admin_stop.clone(), Duration::ZERO, probers));
        server::serve(public, router, state.shutdown.clone(), Duration::from_secs(app.config.drain_seconds), visitors).await;
        if timeout(LAST_WORK_TIMEOUT, state.shutdown.finished()).await.is_err() {
            tracing::warn!("what was begun has not ended in time and is left");
        }
        // Probes are answered to the end, so that the platform sees a process that stops, not one that is gone.
        admin_stop.begin();
        let _ = admin_server.await;
        if timeout(CLOSE_TIMEOUT, state.db.close()).await.is_err() {
            tracing::warn!("connections to the database were not closed in time and are left");
        }
    }
}

async fn check_schema(db: &Database) -> Result<(), StartError> {
    let mut connection = db.pool().acquire().await.map_err(StoreError::from)?;
    let SchemaState { unsuitable, pending } = schema::state(&mut connection).await?;
    if let Some(unsuitable) = unsuitable {
        return Err(unsuitable.into());
    }
    pending.first().map_or(Ok(()), |first| Err(StartError::PendingMigrations(pending.len(), *first)))
}

/// What is needed to start the background tasks.
struct BackgroundWork {
    tasks: Arc<Background>,
    /// Delivers e-mails; without one they wait in the outbox.
    mailer: Option<Mailer>,
}

/// What comes before readiness. Nothing works in the background on statements that may be another's, nor where no `work` is wanted.
async fn get_ready(state: AppState, pooler: Pooler, work: Option<BackgroundWork>) {
    pooler_check::run(Arc::clone(&state), pooler).await;
    if let (Some(BackgroundWork { tasks, mailer }), PoolerState::Passed) = (work, state.readiness.pooler.state()) {
        tasks.spawn_all(mailer);
    }
    self_test::run(&state).await;
}

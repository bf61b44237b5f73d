//! Several processes of the real binary behind a real nginx, to be stopped, killed and started again.

use std::fmt::Write as _;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use doacoes_api::config::keys::Keys;
use tempfile::TempDir;

use super::Servers;

/// Not every user has Debian's folder for it in `PATH`.
pub(super) const NGINX: &str = "/usr/sbin/nginx";

/// How a test wants its processes.
pub struct FleetOptions {
    pub processes: usize,
    /// Connections of each to the database.
    pub pool_size: u32,
    /// For all of them, over what is set here by itself.
    pub env: Vec<(&'static str, String)>,
    /// Where the process with this number finds Redis, if not at the servers' own port.
    pub redis_url: fn(usize) -> Option<String>,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self { processes: 4, pool_size: 8, env: vec![], redis_url: |_| None }
    }
}

/// `api serve` a few times on one database, and an nginx in front. All of it ends with this value.
pub struct Fleet {
    /// Where nginx is.
    pub base: String,
    processes: Vec<Process>,
    nginx: Child,
    folder: TempDir,
}

/// One process and what it takes to start it again.
struct Process {
    command: Command,
    child: Child,
    public: SocketAddr,
    admin: SocketAddr,
    log: PathBuf,
}

impl Fleet {
    /// Starts everything and waits until each process is ready.
    pub async fn start(servers: &Servers, database: &str, options: FleetOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A build during the test would take the file from under those that start again. Copied by another process: what this one
        // has open for writing, every program that another test starts meanwhile has too for a moment, and no file can be run then.
        let binary = folder.path().join("api");
        assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_api")).arg(&binary).status().unwrap().success());
        let secrets = servers.secrets();
        Keys::create_missing(&secrets).unwrap();
        let front = free_port();
        let limits = folder.path().join("limits.json");
        std::fs::write(&limits, r#"{"*": null}"#).unwrap();
        let mut processes = Vec::new();
        for number in 0..options.processes {
            let (public, admin) = (free_port(), free_port());
            let log = folder.path().join(format!("api-{number}.log"));
            let mut command = Command::new(&binary);
            command
                .arg("serve")
                .env_clear()
                .env("DATABASE_URL", servers.app_url(database))
                .env("DATABASE_POOL_SIZE", options.pool_size.to_string())
                .env("POOLER", "direct")
                .env("REDIS_URL", (options.redis_url)(number).unwrap_or_else(|| servers.env("REDIS_URL")))
                .env("REDIS_PREFIX", format!("{database}:"))
                .env("LISTEN_ADDR", public.to_string())
                .env("ADMIN_ADDR", admin.to_string())
                .env("PUBLIC_URL", format!("http://localhost:{}", front.port()))
                .env("PROFILE", "development")
                .env("SECRETS_DIR", &secrets)
                .env("MAIL_URL", format!("file://{}/mail", folder.path().display()))
                .env("TRUSTED_PROXIES", "127.0.0.1")
                .env("RATE_LIMITS", &limits)
                .envs(options.env.iter().map(|(name, value)| (*name, value.as_str())));
            let child = spawn(&mut command, &log);
            processes.push(Process { command, child, public, admin, log });
        }
        let upstreams: Vec<SocketAddr> = processes.iter().map(|process| process.public).collect();
        let nginx = start_nginx(folder.path(), front, &upstreams);
        let mut this = Self { base: format!("http://{front}"), processes, nginx, folder };
        for number in 0..options.processes {
            this.until_ready(number).await;
        }
        let began = Instant::now();
        while TcpStream::connect(front).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "nginx does not listen: {}", this.nginx_log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        this
    }

    /// Where one process is, past nginx.
    pub fn public(&self, number: usize) -> String {
        format!("http://{}", self.processes[number].public)
    }

    /// Where its probes and metrics are.
    pub fn admin(&self, number: usize) -> String {
        format!("http://{}", self.processes[number].admin)
    }

    /// The process's id, for signals.
    pub fn pid(&self, number: usize) -> u32 {
        self.processes[number].child.id()
    }

    /// Everything that it has written.
    pub fn log(&self, number: usize) -> String {
        std::fs::read_to_string(&self.processes[number].log).unwrap_or_default()
    }

    /// What nginx had to complain about.
    pub fn nginx_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("nginx-error.log")).unwrap_or_default()
    }

    /// What nginx says of requests that reached a process and were not answered by it. Those that may be repeated it sends to another
    /// process, so that no client sees it.
    pub fn dropped(&self) -> Vec<String> {
        let log = self.nginx_log();
        let errors = log.lines().filter(|line| line.contains("[error]") && !line.contains("connect() failed (111: "));
        errors.map(str::to_owned).collect()
    }

    /// Sends a signal, like `-TERM`.
    pub fn signal(&self, number: usize, signal: &str) {
        send(self.pid(number), signal);
    }

    /// Waits for the process to end.
    pub async fn ended(&mut self, number: usize, limit: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.processes[number].child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < limit, "process {number} still runs after {limit:?}: {}", self.log(number));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM, and its end; fails unless it ends well.
    pub async fn stop(&mut self, number: usize, limit: Duration) {
        self.signal(number, "-TERM");
        let status = self.ended(number, limit).await;
        assert!(status.success(), "process {number}: {status}: {}", self.log(number));
    }

    /// SIGKILL, and its end.
    pub async fn kill(&mut self, number: usize) {
        self.processes[number].child.kill().unwrap();
        self.ended(number, Duration::from_secs(5)).await;
    }

    /// Starts a process that has ended again, on its old ports, and waits until it is ready.
    pub async fn restart(&mut self, number: usize) {
        let process = &mut self.processes[number];
        process.child = spawn(&mut process.command, &process.log);
        self.until_ready(number).await;
    }

    async fn until_ready(&mut self, number: usize) {
        let (began, url) = (Instant::now(), format!("{}/readyz", self.admin(number)));
        while reqwest::get(&url).await.map(|answer| answer.status().as_u16()).ok() != Some(200) {
            let ended = self.processes[number].child.try_wait().unwrap();
            assert!(ended.is_none(), "process {number} has ended: {}", self.log(number));
            assert!(began.elapsed() < Duration::from_secs(30), "process {number} is not ready: {}", self.log(number));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Its worker would outlive a master that is killed.
        send(self.nginx.id(), "-TERM");
        for process in &mut self.processes {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        let _ = self.nginx.wait();
    }
}

pub(super) fn send(pid: u32, signal: &str) {
    let _ = Command::new("kill").args([signal, &pid.to_string()]).status();
}

/// Appends to the log, so that what was written before a restart stays.
fn spawn(command: &mut Command, log: &Path) -> Child {
    let output = File::options().create(true).append(true).open(log).unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output).spawn().expect("the binary starts")
}

/// A port that nobody in this process gets again. Below the range that the kernel takes outgoing connections' ports from: nginx makes
/// thousands of them while a process is down.
pub(super) fn free_port() -> SocketAddr {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(u16::try_from(std::process::id() % 500).unwrap() * 16));
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], 12_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 8_000));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The first line of an nginx's settings: started by root, its worker would become a user who may not enter the test's folder.
pub(super) fn user() -> &'static str {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if is_root { "user root;" } else { "" }
}

/// Connections to the API are kept for less time than the API keeps them. A process that does not listen is passed over, as an edge does
/// that is told which ones are ready; what nginx would repeat beyond that stands in [`Fleet::dropped`].
fn start_nginx(folder: &Path, front: SocketAddr, upstreams: &[SocketAddr]) -> Child {
    let mut servers = String::new();
    for upstream in upstreams {
        writeln!(servers, "server {upstream} max_fails=1 fail_timeout=1s;").unwrap();
    }
    let user = user();
    let at = folder.display();
    let settings = format!(
        "{user} daemon off; worker_processes 1; pid {at}/nginx.pid; error_log {at}/nginx-error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
    upstream api {{
        {servers}
        keepalive 32;
        keepalive_timeout 5s;
    }}
    server {{
        listen {front} backlog=1024;
        location / {{
            proxy_pass http://api;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_connect_timeout 1s;
            proxy_next_upstream error timeout;
        }}
    }}
}}
"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, settings).unwrap();
    let log = folder.join("nginx-error.log");
    let output = File::options().create(true).append(true).open(&log).unwrap();
    Command::new(NGINX)
        .arg("-e")
        .arg(&log)
        .arg("-c")
        .arg(&file)
        .arg("-p")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
        .expect("nginx runs (Debian package nginx)")
}

//! A real nginx with the configuration that the operator gives it.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::fleet::{NGINX, free_port, send, user};

const SHIPPED: &str = include_str!("../../../../operator/src/build/edge/nginx.conf");

/// One edge pod's nginx. It ends with this value.
pub struct Edge {
    /// Where it is.
    pub base: String,
    nginx: Child,
    _folder: TempDir,
}

impl Edge {
    /// Starts one in front of `upstreams`, with a cache of its own, and waits until it listens.
    pub async fn start(upstreams: &[&str]) -> Self {
        Self::with_rate(upstreams, 100_000).await
    }

    /// The same with so many requests of an address in a second, and as many at once.
    pub async fn with_rate(upstreams: &[&str], rate: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (public, admin) = (free_port(), free_port());
        configure(folder.path(), (public, admin), upstreams, rate);
        export_assets(&folder.path().join("assets"));
        let log = folder.path().join("error.log");
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let mut nginx = Command::new(NGINX);
        nginx.arg("-e").arg(&log).arg("-c").arg(folder.path().join("nginx.conf"));
        nginx.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let nginx = nginx.spawn().expect("nginx runs (Debian package nginx)");
        let mut this = Self { base: format!("http://{public}"), nginx, _folder: folder };
        let began = Instant::now();
        while TcpStream::connect(public).is_err() {
            let ended = this.nginx.try_wait().unwrap();
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none() && began.elapsed() < Duration::from_secs(10), "nginx does not listen: {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        this
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        send(self.nginx.id(), "-TERM");
        let _ = self.nginx.wait();
    }
}

/// What the edge pod does before its nginx starts.
fn export_assets(folder: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_api")).arg("export-assets").arg(folder).env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Writes the shipped configuration with a test's folders and ports in the place of a pod's.
fn configure(folder: &Path, (public, admin): (SocketAddr, SocketAddr), upstreams: &[&str], rate: u32) {
    let at = folder.display().to_string();
    for name in ["cache", "assets"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let servers = upstreams.iter().map(|base| format!("server {} max_fails=1 fail_timeout=1s;\n", base.strip_prefix("http://").unwrap()));
    std::fs::write(folder.join("upstream.conf"), servers.collect::<String>()).unwrap();
    // Addresses need no resolver.
    std::fs::write(folder.join("resolver.conf"), "").unwrap();
    let mut text = format!("{}\n{SHIPPED}", user());
    for (shipped, here) in [
        ("@LISTEN@", format!("listen {public} backlog=1024;").as_str()),
        ("@REDIRECT@", ""),
        ("@CLIENT_ADDRESS@", ""),
        ("@RATE@", &rate.to_string()),
        ("@BURST@", &rate.to_string()),
        ("listen 8081;", &format!("listen {admin};")),
        ("/tmp/nginx", &at),
        ("root /assets;", &format!("root {at}/assets;")),
        // Debian's nginx is older than the image, and does not know it.
        ("keepalive_min_timeout 5s;", ""),
    ] {
        assert!(text.contains(shipped), "{shipped} is not in the operator's nginx.conf");
        text = text.replace(shipped, here);
    }
    std::fs::write(folder.join("nginx.conf"), text).unwrap();
}

//! A real etcd and kube-apiserver. Most tests share one without controllers, where nothing but the operator changes anything;
//! those of `controllers` share one with Kubernetes' own, its scheduler, and KWOK in the place of nodes.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use doacoes_operator::crd::DonationPlatform;
use doacoes_operator::rbac;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Client, Config, CustomResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Result, eventually};

type Shared = OnceCell<std::result::Result<Server, String>>;

/// The processes of a server. They end when this process does: a shell keeps each of them until its input ends. The shell of
/// etcd, which is the first, removes the folder.
pub(super) struct Server {
    processes: Vec<Child>,
    folder: PathBuf,
    url: String,
}

/// The folder of these programs, which are built when they are not there yet.
fn programs(names: &[&str]) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/cluster.d/binaries");
    let output = Command::new(script).args(names).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("hack/cluster.d/binaries failed".into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// Runs a program until the input ends. The first argument is a folder to remove then, or empty.
const END_WITH_THE_TESTS: &str = r#"
    folder=$1; shift
    "$@" </dev/null & process=$!
    cat >/dev/null
    kill -9 $process; wait $process
    [ -z "$folder" ] || rm -rf "$folder"
"#;

fn start(programs: &Path, folder: &Path, name: &str, arguments: &[String]) -> Result<Child> {
    let log = fs::File::create(folder.join(format!("{name}.log")))?;
    let child = Command::new("sh")
        .args(["-c", END_WITH_THE_TESTS, "sh"])
        .arg(if name == "etcd" { folder.as_os_str() } else { OsStr::new("") })
        .arg(programs.join(name))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(child)
}

/// A port below those that the kernel gives to outgoing connections, which may take one at any moment.
fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 500)? * 16;
    for _ in 0..8_000 {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 8_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".into())
}

impl Server {
    /// The server without controllers, which the first caller starts.
    pub(super) async fn shared() -> Result<&'static Self> {
        static SERVER: Shared = OnceCell::const_new();
        let start = async || Self::start().await.map_err(|error| error.to_string());
        Ok(SERVER.get_or_init(start).await.as_ref().map_err(Clone::clone)?)
    }

    /// The server with controllers, which the first caller starts.
    pub(super) async fn shared_with_controllers() -> Result<&'static Self> {
        static SERVER: Shared = OnceCell::const_new();
        let start = async || Self::start_with_controllers().await.map_err(|error| error.to_string());
        Ok(SERVER.get_or_init(start).await.as_ref().map_err(Clone::clone)?)
    }

    /// Starts etcd and an API server that knows the definition and the operator's role.
    async fn start() -> Result<Self> {
        let server = Self::start_processes()?;
        server.install().await?;
        Ok(server)
    }

    fn start_processes() -> Result<Self> {
        let programs = programs(&["etcd", "kube-apiserver"])?;
        let folder = tempfile::tempdir()?.keep();
        let (etcd, peer, port) = (free_port()?, free_port()?, free_port()?);
        let etcd_url = format!("http://127.0.0.1:{etcd}");
        let at = |file: &str| folder.join(file).display().to_string();
        let keys = Command::new("openssl").args(["genrsa", "-out", &at("sa.key"), "2048"]).stderr(Stdio::null()).status()?;
        if !keys.success() {
            return Err("openssl failed".into());
        }
        fs::write(folder.join("tokens.csv"), "admin,admin,admin,system:masters\noperator,operator,operator\n")?;
        let mut processes = vec![start(
            &programs,
            &folder,
            "etcd",
            &[
                format!("--data-dir={}", at("etcd")),
                "--unsafe-no-fsync".to_owned(),
                format!("--listen-client-urls={etcd_url}"),
                format!("--advertise-client-urls={etcd_url}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                "--log-level=error".to_owned(),
            ],
        )?];
        processes.push(start(
            &programs,
            &folder,
            "kube-apiserver",
            &[
                format!("--etcd-servers={etcd_url}"),
                format!("--cert-dir={}", at("certificates")),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--secure-port={port}"),
                "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
                "--authorization-mode=RBAC".to_owned(),
                // Stands for the webhooks that change objects on their way.
                "--feature-gates=MutatingAdmissionPolicy=true".to_owned(),
                "--runtime-config=admissionregistration.k8s.io/v1beta1=true".to_owned(),
                format!("--token-auth-file={}", at("tokens.csv")),
                "--disable-admission-plugins=ServiceAccount".to_owned(),
                "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
                format!("--service-account-key-file={}", at("sa.key")),
                format!("--service-account-signing-key-file={}", at("sa.key")),
            ],
        )?);
        Ok(Self { processes, url: format!("https://127.0.0.1:{port}"), folder })
    }

    /// Starts the same with Kubernetes' controllers and scheduler, nodes, and volumes.
    async fn start_with_controllers() -> Result<Self> {
        let programs = programs(&["kube-controller-manager", "kube-scheduler", "kwok"])?;
        // kube-controller-manager does not wait long for the API server. Its garbage collector looks for new kinds only every
        // half minute, so the definition is there before it starts.
        let mut server = Self::start().await?;
        let admin = server.client("admin")?;
        let folder = server.folder.clone();
        let kubeconfig = folder.join("kubeconfig");
        let cluster = json!({"server": server.url, "insecure-skip-tls-verify": true});
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "admin",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": "admin"}}],
            "contexts": [{"name": "admin", "context": {"cluster": "local", "user": "admin"}}],
        });
        fs::write(&kubeconfig, config.to_string())?;
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        let stages = format!("--config={}/tests/reconcile/harness/stages.yaml", env!("CARGO_MANIFEST_DIR"));
        let key = format!("--service-account-private-key-file={}", folder.join("sa.key").display());
        // By default each controller sends at most twenty requests per second, too few for several platforms at once, and the
        // autoscaler looks every quarter of a minute, longer than a test waits to see that nothing happens.
        let autoscaler = "--horizontal-pod-autoscaler-sync-period=5s".to_owned();
        let alone = ["--leader-elect=false", "--secure-port=0", "--kube-api-qps=200", "--kube-api-burst=400"].map(str::to_owned);
        for (name, more) in [
            ("kube-controller-manager", alone.iter().cloned().chain([key, autoscaler]).collect()),
            ("kube-scheduler", alone.to_vec()),
            (
                "kwok",
                vec![
                    "--manage-all-nodes=true".to_owned(),
                    "--node-lease-duration-seconds=40".to_owned(),
                    "--server-address=127.0.0.1:0".to_owned(),
                    stages,
                ],
            ),
        ] {
            let arguments: Vec<String> = [kubeconfig.clone()].into_iter().chain(more).collect();
            let child = start(&programs, &folder, name, &arguments)?;
            server.processes.push(child);
        }
        for object in nodes_and_volumes() {
            let object: DynamicObject = serde_json::from_value(object)?;
            let types = object.types.as_ref().ok_or("it has no kind")?;
            let resource = ApiResource::from_gvk(&types.try_into()?);
            Api::all_with(admin.clone(), &resource).create(&PostParams::default(), &object).await?;
        }
        Ok(server)
    }

    /// Stores the definition, and gives the operator its role, as soon as the API server answers.
    async fn install(&self) -> Result {
        let admin = self.client("admin")?;
        eventually("the API server answers", async || {
            Ok(admin.apiserver_version().await.is_ok() && Api::<Namespace>::all(admin.clone()).get("default").await.is_ok())
        })
        .await?;
        define(&admin, &definition()?).await?;
        let apply = PatchParams::apply("tests").force();
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "operator"}, "rules": rbac::rules(),
        });
        Api::<ClusterRole>::all(admin.clone()).patch("operator", &apply, &Patch::Apply(role)).await?;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "operator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "operator"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}],
        });
        Api::<ClusterRoleBinding>::all(admin).patch("operator", &apply, &Patch::Apply(binding)).await?;
        let platforms = Api::<DonationPlatform>::all(self.client("operator")?);
        eventually("the operator may list platforms", async || Ok(platforms.list(&ListParams::default()).await.is_ok())).await
    }

    pub(super) fn config(&self, token: &str) -> Result<Config> {
        let mut config = Config::new(self.url.parse()?);
        // The server made its own certificate a moment ago.
        config.accept_invalid_certs = true;
        config.auth_info = serde_json::from_value(json!({"token": token}))?;
        config.default_retry = false;
        Ok(config)
    }

    pub(super) fn client(&self, token: &str) -> Result<Client> {
        Ok(Client::try_from(self.config(token)?)?)
    }
}

/// Three nodes in as many zones, and volumes that nobody has to make first.
fn nodes_and_volumes() -> Vec<Value> {
    let node = |zone: &str| {
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": format!("node-{zone}"),
                "labels": {"kubernetes.io/hostname": format!("node-{zone}"), "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": zone},
            },
        })
    };
    let volume = |number: u32| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("volume-{number}")},
            "spec": {
                "capacity": {"storage": "100Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/nowhere"},
            },
        })
    };
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer",
    });
    ["a", "b", "c"].map(node).into_iter().chain([class]).chain((0..20).map(volume)).collect()
}

/// Stores a definition in place of the one that is there.
pub(crate) async fn define(admin: &Client, definition: &Value) -> Result {
    let definitions = Api::<CustomResourceDefinition>::all(admin.clone());
    let apply = PatchParams::apply("tests").force();
    definitions.patch("donationplatforms.doacoes.dev", &apply, &Patch::Apply(definition)).await?;
    Ok(())
}

/// The definition.
pub(crate) fn definition() -> Result<Value> {
    Ok(serde_json::to_value(DonationPlatform::crd())?)
}

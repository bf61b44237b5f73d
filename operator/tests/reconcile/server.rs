//! A real etcd and kube-apiserver. Most tests have one without controllers, where nothing but the operator changes anything;
//! those of `controllers` have one with Kubernetes' own, its scheduler, and KWOK in the place of nodes.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use doacoes_operator::client::ApiClient;
use doacoes_operator::crd::DonationPlatform;
use doacoes_operator::metrics::Metrics;
use doacoes_operator::rbac;
use doacoes_operator::reconcile::{self, Context, Outcome};
use doacoes_operator::verb::Verb;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::client::ClientBuilder;
use kube::core::ApiResource;
use kube::{Client, Config, CustomResourceExt as _, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::faults::{FaultLayer, Faults};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The processes. They end when this process does: each is kept by a shell that waits for the end of its input. That of etcd, which is
/// the first, removes the folder.
struct Server {
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

/// The first argument is a folder to remove in the end, or empty.
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
    fn start() -> Result<Self> {
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

    /// The same with Kubernetes' controllers and scheduler, nodes, and volumes.
    async fn start_with_controllers() -> Result<Self> {
        let programs = programs(&["kube-controller-manager", "kube-scheduler", "kwok"])?;
        let mut server = Self::start()?;
        // kube-controller-manager does not wait long for it.
        let admin = server.answering().await?;
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
        let stages = format!("--config={}/tests/reconcile/stages.yaml", env!("CARGO_MANIFEST_DIR"));
        let key = format!("--service-account-private-key-file={}", folder.join("sa.key").display());
        for (name, more) in [
            ("kube-controller-manager", vec!["--leader-elect=false".to_owned(), "--secure-port=0".to_owned(), key]),
            ("kube-scheduler", vec!["--leader-elect=false".to_owned(), "--secure-port=0".to_owned()]),
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

    /// A client that may do everything, once the API server answers: it compiles nothing, but the machine may be busy.
    async fn answering(&self) -> Result<Client> {
        let admin = self.client("admin")?;
        for _ in 0..600 {
            if admin.apiserver_version().await.is_ok() && Api::<Namespace>::all(admin.clone()).get("default").await.is_ok() {
                return Ok(admin);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err("the API server does not answer".into())
    }

    fn config(&self, token: &str) -> Result<Config> {
        let mut config = Config::new(self.url.parse()?);
        // The server made its own certificate a moment ago.
        config.accept_invalid_certs = true;
        config.auth_info = serde_json::from_value(json!({"token": token}))?;
        config.default_retry = false;
        Ok(config)
    }

    fn client(&self, token: &str) -> Result<Client> {
        Ok(Client::try_from(self.config(token)?)?)
    }
}

static SERVER: OnceLock<std::result::Result<Server, String>> = OnceLock::new();
static WITH_CONTROLLERS: OnceCell<std::result::Result<Server, String>> = OnceCell::const_new();

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

/// One platform in a namespace of its own, and the operator with exactly the rights of its role.
pub(crate) struct World {
    /// May do everything.
    pub(crate) admin: Client,
    pub(crate) namespace: String,
    pub(crate) context: Context,
    pub(crate) metrics: Arc<Metrics>,
    /// What goes wrong between the operator and the API server.
    pub(crate) faults: Arc<Faults>,
}

pub(crate) async fn world(namespace: &str) -> Result<World> {
    let server = SERVER.get_or_init(|| Server::start().map_err(|error| error.to_string()));
    world_of(server.as_ref().map_err(Clone::clone)?, namespace).await
}

/// A world in which what the operator makes comes to life by itself.
pub(crate) async fn world_with_controllers(namespace: &str) -> Result<World> {
    let start = async || Server::start_with_controllers().await.map_err(|error| error.to_string());
    world_of(WITH_CONTROLLERS.get_or_init(start).await.as_ref().map_err(Clone::clone)?, namespace).await
}

async fn world_of(server: &Server, namespace: &str) -> Result<World> {
    let admin = server.answering().await?;
    let apply = PatchParams::apply("tests").force();
    define(&admin, &definition()?).await?;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "operator"}, "rules": rbac::rules(),
    });
    Api::<ClusterRole>::all(admin.clone()).patch("operator", &apply, &Patch::Apply(role)).await?;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "operator"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}],
    });
    Api::<ClusterRoleBinding>::all(admin.clone()).patch("operator", &apply, &Patch::Apply(binding)).await?;
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    Api::<Namespace>::all(admin.clone()).patch(namespace, &apply, &Patch::Apply(object)).await?;
    for _ in 0..100 {
        if Api::<DonationPlatform>::namespaced(server.client("operator")?, namespace).list(&kube::api::ListParams::default()).await.is_ok()
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let metrics = Arc::new(Metrics::new()?);
    let faults = Arc::new(Faults::default());
    let layer = FaultLayer(Arc::clone(&faults));
    let operator = ClientBuilder::try_from(server.config("operator")?)?.with_layer(&layer).build();
    let context = Context { client: ApiClient::new(operator, Arc::clone(&metrics)), reporter: "doacoes-operator".into() };
    Ok(World { admin, namespace: namespace.to_owned(), context, metrics, faults })
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

const KINDS: [&str; 13] = [
    "ConfigMap",
    "Deployment",
    "DonationPlatform/status",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
];

impl World {
    pub(crate) fn platforms(&self) -> Api<DonationPlatform> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    pub(crate) fn api(&self, kind: &str) -> Result<Api<DynamicObject>> {
        let resource = doacoes_operator::kinds::watched()
            .into_iter()
            .find(|resource: &ApiResource| resource.kind == kind)
            .ok_or_else(|| format!("{kind} is not watched"))?;
        Ok(Api::namespaced_with(self.admin.clone(), &self.namespace, &resource))
    }

    pub(crate) async fn create(&self, spec: Value) -> Result<DonationPlatform> {
        let mut spec = spec;
        if spec.get("ingress").is_none() {
            spec["ingress"] = json!({"host": "doe.example.org"});
        }
        let resource = serde_json::from_value(json!({
            "apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "metadata": {"name": "esperanca"}, "spec": spec,
        }))?;
        Ok(self.platforms().create(&PostParams::default(), &resource).await?)
    }

    pub(crate) async fn change(&self, spec: Value) -> Result {
        self.platforms().patch("esperanca", &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await?;
        Ok(())
    }

    pub(crate) async fn platform(&self) -> Result<DonationPlatform> {
        Ok(self.platforms().get("esperanca").await?)
    }

    /// Requests of the operator that change something, so far.
    pub(crate) fn writes(&self) -> u64 {
        self.writes_by_kind().values().sum()
    }

    fn writes_by_kind(&self) -> BTreeMap<&'static str, u64> {
        let verbs = [Verb::Create, Verb::Apply, Verb::Replace, Verb::Delete];
        KINDS.iter().map(|kind| (*kind, verbs.map(|verb| self.metrics.writes(verb, kind)).iter().sum())).collect()
    }

    pub(crate) async fn pass(&self) -> std::result::Result<Outcome, doacoes_operator::error::Error> {
        self.pass_at(Timestamp::now()).await
    }

    pub(crate) async fn pass_at(&self, now: Timestamp) -> std::result::Result<Outcome, doacoes_operator::error::Error> {
        match self.platforms().get("esperanca").await {
            Ok(platform) => reconcile::reconcile(&self.context, &platform, now).await,
            Err(error) => Err(doacoes_operator::error::Error::Invalid(error.to_string())),
        }
    }

    /// Runs passes until nothing is written any more. Fails when that does not happen.
    pub(crate) async fn settle(&self) -> Result<Outcome> {
        let mut written: Vec<&str> = Vec::new();
        for _ in 0..10 {
            let before = self.writes_by_kind();
            let outcome = self.pass().await?;
            let after = self.writes_by_kind();
            if after == before {
                return Ok(outcome);
            }
            written = after.iter().filter(|(kind, count)| before.get(*kind) != Some(count)).map(|(kind, _)| *kind).collect();
        }
        Err(format!("each look writes something: {written:?}").into())
    }

    pub(crate) async fn get(&self, kind: &str, name: &str) -> Result<DynamicObject> {
        Ok(self.api(kind)?.get(name).await?)
    }

    pub(crate) async fn exists(&self, kind: &str, name: &str) -> Result<bool> {
        Ok(self.api(kind)?.get_opt(name).await?.is_some())
    }

    /// Changes an object as a person with kubectl would.
    pub(crate) async fn merge(&self, kind: &str, name: &str, patch: Value) -> Result {
        self.api(kind)?.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    pub(crate) async fn merge_status(&self, kind: &str, name: &str, status: Value) -> Result {
        let patch = json!({"status": status});
        self.api(kind)?.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Names of the objects of a kind.
    pub(crate) async fn names(&self, kind: &str) -> Result<Vec<String>> {
        let list = self.api(kind)?.list(&kube::api::ListParams::default()).await?;
        Ok(list.items.iter().map(kube::ResourceExt::name_any).collect())
    }

    /// Status and reason of a condition, and its message.
    pub(crate) async fn condition(&self, type_: &str) -> Result<(String, String)> {
        let status = self.platform().await?.status.unwrap_or_default();
        let found = status.conditions.into_iter().find(|condition| condition.type_ == type_);
        let condition = found.ok_or_else(|| format!("there is no condition {type_}"))?;
        Ok((format!("{}/{}", condition.status, condition.reason), condition.message))
    }

    /// What a load balancer's controller does, which only clouds have.
    pub(crate) async fn balance(&self) -> Result {
        for service in self.api("Service")?.list(&kube::api::ListParams::default()).await? {
            let is_new = service.data.pointer("/status/loadBalancer/ingress").is_none();
            if is_new && service.data.pointer("/spec/type") == Some(&json!("LoadBalancer")) {
                let address = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
                self.merge_status("Service", &service.name_any(), address).await?;
            }
        }
        Ok(())
    }

    /// The same for every workload that exists and whose pods do not run yet.
    pub(crate) async fn run_all_pods(&self) -> Result {
        self.balance().await?;
        for kind in ["StatefulSet", "Deployment"] {
            for name in self.names(kind).await? {
                let live = self.get(kind, &name).await?;
                if live.data.pointer("/status/observedGeneration").and_then(Value::as_i64) != live.metadata.generation {
                    self.run_pods(kind, &name).await?;
                }
            }
        }
        Ok(())
    }

    /// What the controllers would report once all pods run.
    pub(crate) async fn run_pods(&self, kind: &str, name: &str) -> Result {
        let live = self.get(kind, name).await?;
        let replicas = live.data.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
        let status = json!({
            "observedGeneration": live.metadata.generation, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas,
        });
        self.merge_status(kind, name, status).await
    }
}

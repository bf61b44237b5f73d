//! One platform, `esperanca`, in a namespace of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use doacoes_operator::client::ApiClient;
use doacoes_operator::crd::DonationPlatform;
use doacoes_operator::error::Error;
use doacoes_operator::metrics::Metrics;
use doacoes_operator::reconcile::{self, Context, Outcome};
use doacoes_operator::verb::Verb;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::client::ClientBuilder;
use kube::core::ApiResource;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::Result;
use super::faults::{FaultLayer, Faults};
use super::names::MIGRATED;
use super::server::Server;

/// Every kind, or part of one, that the operator writes.
const WRITTEN_KINDS: [&str; 13] = [
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

/// One platform in a namespace of its own, and the operator with exactly the rights of its role.
pub(crate) struct World {
    /// The client of somebody who may do everything.
    pub(crate) admin: Client,
    pub(crate) namespace: String,
    pub(crate) context: Context,
    pub(crate) metrics: Arc<Metrics>,
    /// What goes wrong between the operator and the API server.
    pub(crate) faults: Arc<Faults>,
}

/// A world in which nothing but the operator and the test changes anything.
pub(crate) async fn world(namespace: &str) -> Result<World> {
    World::on(Server::shared().await?, namespace).await
}

/// A world in which what the operator makes comes to life by itself.
pub(crate) async fn world_with_controllers(namespace: &str) -> Result<World> {
    World::on(Server::shared_with_controllers().await?, namespace).await
}

/// A world whose platform's migration has completed and whose pods run.
pub(crate) async fn ready(namespace: &str, spec: Value) -> Result<World> {
    let world = world(namespace).await?;
    world.create(spec).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    world.finish_job(&world.migration_job().await?, "Complete", MIGRATED).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    Ok(world)
}

impl World {
    async fn on(server: &Server, namespace: &str) -> Result<Self> {
        let admin = server.client("admin")?;
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        Api::<Namespace>::all(admin.clone()).patch(namespace, &PatchParams::apply("tests").force(), &Patch::Apply(object)).await?;
        let metrics = Arc::new(Metrics::new()?);
        let faults = Arc::new(Faults::default());
        let layer = FaultLayer(Arc::clone(&faults));
        let operator = ClientBuilder::try_from(server.config("operator")?)?.with_layer(&layer).build();
        let context = Context { client: ApiClient::new(operator, Arc::clone(&metrics)), reporter: "doacoes-operator".into() };
        Ok(Self { admin, namespace: namespace.to_owned(), context, metrics, faults })
    }

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

    /// Creates the platform. A spec without an ingress gets the smallest one.
    pub(crate) async fn create(&self, mut spec: Value) -> Result<DonationPlatform> {
        if spec.get("ingress").is_none() {
            spec["ingress"] = json!({"host": "doe.example.org"});
        }
        let resource = serde_json::from_value(json!({
            "apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "metadata": {"name": "esperanca"}, "spec": spec,
        }))?;
        Ok(self.platforms().create(&PostParams::default(), &resource).await?)
    }

    /// Changes the platform's spec by a merge patch.
    pub(crate) async fn change(&self, spec: Value) -> Result {
        self.platforms().patch("esperanca", &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await?;
        Ok(())
    }

    pub(crate) async fn platform(&self) -> Result<DonationPlatform> {
        Ok(self.platforms().get("esperanca").await?)
    }

    /// Status and reason of a condition of the platform, and its message.
    pub(crate) async fn condition(&self, type_: &str) -> Result<(String, String)> {
        let status = self.platform().await?.status.unwrap_or_default();
        let found = status.conditions.into_iter().find(|condition| condition.type_ == type_);
        let condition = found.ok_or_else(|| format!("there is no condition {type_}"))?;
        Ok((format!("{}/{}", condition.status, condition.reason), condition.message))
    }

    /// Reason of `Ready`, if it is True for the present generation of the platform.
    pub(crate) async fn ready_reason(&self) -> Result<Option<String>> {
        let platform = self.platform().await?;
        let status = platform.status.unwrap_or_default();
        let is_current = status.observed_generation == platform.metadata.generation;
        let found = status.conditions.into_iter().find(|condition| condition.type_ == "Ready" && condition.status == "True");
        Ok(found.filter(|_| is_current).map(|condition| condition.reason))
    }

    /// Runs one pass at the present time. Fails as the pass does, or if there is no platform.
    pub(crate) async fn pass(&self) -> std::result::Result<Outcome, Error> {
        self.pass_at(Timestamp::now()).await
    }

    /// Runs one pass that takes `now` for the present time.
    pub(crate) async fn pass_at(&self, now: Timestamp) -> std::result::Result<Outcome, Error> {
        match self.platforms().get("esperanca").await {
            Ok(platform) => reconcile::reconcile(&self.context, &platform, now).await,
            Err(error) => Err(Error::Invalid(error.to_string())),
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
        Err(format!("each pass writes something: {written:?}").into())
    }

    /// Number of requests of the operator that change something, so far.
    pub(crate) fn writes(&self) -> u64 {
        self.writes_by_kind().values().sum()
    }

    fn writes_by_kind(&self) -> BTreeMap<&'static str, u64> {
        let verbs = [Verb::Create, Verb::Apply, Verb::Replace, Verb::Delete];
        WRITTEN_KINDS.iter().map(|kind| (*kind, verbs.map(|verb| self.metrics.writes(verb, kind)).iter().sum())).collect()
    }

    /// Creates an object as a person would.
    pub(crate) async fn add(&self, kind: &str, object: Value) -> Result<DynamicObject> {
        Ok(self.api(kind)?.create(&PostParams::default(), &serde_json::from_value(object)?).await?)
    }

    /// Creates a Secret as a person would.
    pub(crate) async fn add_secret(&self, name: &str, type_: &str, data: Value) -> Result {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": type_, "data": data});
        self.add("Secret", secret).await?;
        Ok(())
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

    pub(crate) async fn get(&self, kind: &str, name: &str) -> Result<DynamicObject> {
        Ok(self.api(kind)?.get(name).await?)
    }

    pub(crate) async fn exists(&self, kind: &str, name: &str) -> Result<bool> {
        Ok(self.api(kind)?.get_opt(name).await?.is_some())
    }

    pub(crate) async fn list(&self, kind: &str) -> Result<Vec<DynamicObject>> {
        Ok(self.api(kind)?.list(&ListParams::default()).await?.items)
    }

    /// Names of the objects of a kind.
    pub(crate) async fn names(&self, kind: &str) -> Result<Vec<String>> {
        Ok(self.list(kind).await?.iter().map(ResourceExt::name_any).collect())
    }

    /// Name of the migration's Job; of any if there are several.
    pub(crate) async fn migration_job(&self) -> Result<String> {
        self.names("Job").await?.into_iter().next().ok_or_else(|| "there is no Job".into())
    }
}

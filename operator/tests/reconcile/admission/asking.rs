//! Asks the API server, by creating, updating and applying resources.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use doacoes_operator::crd::DonationPlatform;
use futures_util::{Stream, StreamExt as _};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::core::response::StatusCause;
use serde_json::{Value, json};

use super::cases::bases;
use crate::harness::{Result, World, world};

/// Times that a request is sent before its refusal counts, since the API server may be exchanging the definition.
const EXCHANGE_ATTEMPTS: usize = 10;

/// Pause between these attempts.
const EXCHANGE_PAUSE: Duration = Duration::from_millis(200);

/// The API server, and the bases that it has stored.
pub(super) struct Server {
    pub(super) world: World,
    pub(super) platforms: Api<DynamicObject>,
    pub(super) stored: BTreeMap<&'static str, DynamicObject>,
}

pub(super) fn object(name: &str, spec: &Value) -> Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "metadata": {"name": name}, "spec": spec,
    }))?)
}

/// What the API server has against it; nothing if it was accepted.
pub(super) fn complaints<T>(answer: kube::Result<T>) -> Result<Vec<StatusCause>> {
    match answer {
        Ok(_) => Ok(Vec::new()),
        Err(kube::Error::Api(status)) if status.is_invalid() => Ok(status.details.map(|details| details.causes).unwrap_or_default()),
        Err(error) => Err(error.into()),
    }
}

impl Server {
    pub(super) async fn new(namespace: &str) -> Result<Self> {
        let world = world(namespace).await?;
        let resource = ApiResource::erase::<DonationPlatform>(&());
        let platforms = Api::namespaced_with(world.admin.clone(), &world.namespace, &resource);
        Ok(Self { world, platforms, stored: BTreeMap::new() })
    }

    pub(super) async fn with_bases(namespace: &str) -> Result<Self> {
        let mut server = Self::new(namespace).await?;
        for (name, spec) in bases() {
            let stored = server.store(name, &spec).await?;
            server.stored.insert(name, stored);
        }
        Ok(server)
    }

    /// Stores a spec of which no field is unknown.
    pub(super) async fn store(&self, name: &str, spec: &Value) -> Result<DynamicObject> {
        let strict = PatchParams::apply("tests").force().validation_strict();
        Ok(self.platforms.patch(name, &strict, &Patch::Apply(object(name, spec)?)).await?)
    }

    pub(super) async fn create(&self, name: &str, spec: &Value) -> Result<Vec<StatusCause>> {
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        complaints(self.platforms.create(&dry_run, &object(name, spec)?).await)
    }

    pub(super) async fn update(&self, stored: &DynamicObject, spec: &Value) -> Result<Vec<StatusCause>> {
        let mut next = stored.clone();
        next.metadata.managed_fields = None;
        next.data["spec"] = spec.clone();
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        complaints(self.platforms.replace(&stored.name_any(), &dry_run, &next).await)
    }

    pub(super) async fn apply(&self, name: &str, spec: &Value) -> Result<Vec<StatusCause>> {
        let dry_run = PatchParams::apply("tests").force().dry_run();
        complaints(self.platforms.patch(name, &dry_run, &Patch::Apply(object(name, spec)?)).await)
    }
}

/// Asks until the answer is `expected`: another test exchanges the definition for a moment. Fails with the last answer.
pub(super) async fn expect<T: PartialEq + Debug>(expected: &T, ask: impl AsyncFn() -> Result<T>) -> Result {
    let mut last = Err("nothing was asked".into());
    for _ in 0..EXCHANGE_ATTEMPTS {
        last = ask().await;
        if last.as_ref().is_ok_and(|answer| answer == expected) {
            return Ok(());
        }
        tokio::time::sleep(EXCHANGE_PAUSE).await;
    }
    Err(format!("{:?} instead of {expected:?}", last?).into())
}

/// Does some at a time, and all of them. Fails with a list of what failed.
pub(super) async fn all<T>(work: impl Stream<Item: Future<Output = (String, Result<T>)>>) -> Result<Vec<T>> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    let mut results = Box::pin(work.buffer_unordered(8));
    while let Some((what, result)) = results.next().await {
        match result {
            Ok(value) => done.push(value),
            Err(error) => failed.push(format!("{what}: {error}")),
        }
    }
    if failed.is_empty() { Ok(done) } else { Err(format!("{} failed:\n{}", failed.len(), failed.join("\n")).into()) }
}

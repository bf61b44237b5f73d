//! Reads the objects in the cluster. Each pass reads them anew: a cache may be a moment old, and the pass would write things twice.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, ObjectMeta};
use serde_json::{Value, json};

use super::secret_values::{self, Fault, Format};
use crate::build::{Child, postgres};
use crate::client::ApiClient;
use crate::error::Error;
use crate::fingerprint::fingerprint;
use crate::resolve::Platform;
use crate::{kinds, names};

/// A Secret, without its content.
#[derive(Clone, Debug)]
pub struct SecretState {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The keys of its data.
    pub keys: BTreeSet<String>,
    /// A hash of its data.
    pub version: String,
    /// A hash of the certificate and its key, if it holds them.
    pub certificate: String,
    /// Faults of the values that parts read, by key. A missing key is not a fault; see `keys`.
    pub faults: BTreeMap<&'static str, Fault>,
}

impl SecretState {
    /// Hashes the content of `secret`, checks it against `formats`, and drops it.
    pub fn of(secret: DynamicObject, formats: &[(&'static str, Format)]) -> Self {
        let data = secret.data.get("data").cloned().unwrap_or(Value::Null);
        let keys = data.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
        let certificate = fingerprint(&json!([data.get("tls.crt"), data.get("tls.key")]));
        let faults = secret_values::faults(&data, formats);
        Self { metadata: secret.metadata, keys, version: fingerprint(&data), certificate, faults }
    }
}

/// An object and its kind.
#[derive(Clone, Debug)]
pub struct LiveObject {
    /// Its kind.
    pub resource: ApiResource,
    /// The object.
    pub object: DynamicObject,
}

/// The objects in the cluster.
#[derive(Debug, Default)]
pub struct Observed {
    /// Objects of the kinds that are rendered: those with the platform's labels, and those in the place of a rendered one.
    objects: BTreeMap<(String, String), LiveObject>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, SecretState>,
    /// The platform's claims for volumes.
    pub claims: Vec<PersistentVolumeClaim>,
    /// A claim without the platform's labels that its database would take for its own.
    pub unlabelled_claim: Option<PersistentVolumeClaim>,
    /// The platform's pods.
    pub pods: Vec<Pod>,
}

impl Observed {
    /// Reads everything that has the platform's labels, and the Secrets that it uses. `served` is the version that served before,
    /// which may use other Secrets. Fails if a read fails.
    pub async fn fetch(client: &ApiClient, platform: &Platform, served: Option<&Platform>) -> Result<Self, Error> {
        let namespace = &platform.namespace;
        let selector = names::instance(&platform.name);
        let lists = try_join_all(kinds::rendered().into_iter().map(|resource| {
            let selector = &selector;
            async move {
                let list = client.list(&resource, namespace, selector).await?;
                Ok::<_, Error>(list.into_iter().map(move |object| LiveObject { resource: resource.clone(), object }).collect::<Vec<_>>())
            }
        }))
        .await?;
        let mut observed = Self::default();
        for live in lists.into_iter().flatten() {
            observed.put(live);
        }
        let mut formats = served.map(secret_values::formats).unwrap_or_default();
        formats.extend(secret_values::formats(platform));
        let secret = kinds::secret();
        let found = try_join_all(formats.iter().map(|(name, formats)| {
            let secret = &secret;
            async move {
                let found = client.get(secret, namespace, name).await?;
                Ok::<_, Error>(found.map(|found| (name.clone(), SecretState::of(found, formats))))
            }
        }))
        .await?;
        observed.secrets = found.into_iter().flatten().collect();
        let params = ListParams::default().labels(&selector);
        observed.claims = client.list_typed(namespace, &params).await?;
        observed.pods = client.list_typed(namespace, &params).await?;
        Ok(observed)
    }

    /// Reads what is in the place of rendered objects and of the database's claim without having the platform's labels: a foreign
    /// object, or one of ours that lost them.
    pub async fn fetch_unlabelled(
        &mut self,
        client: &ApiClient,
        platform: &Platform,
        children: impl Iterator<Item = &Child>,
    ) -> Result<(), Error> {
        let claim = postgres::claim_name(&platform.name);
        if self.claims.iter().all(|found| found.name_any() != claim) {
            let params = ListParams::default().fields(&format!("metadata.name={claim}"));
            self.unlabelled_claim = client.list_typed(&platform.namespace, &params).await?.pop();
        }
        let missing = children.filter(|child| child.resource != kinds::secret() && self.find(child).is_none());
        let found = try_join_all(missing.map(|child| async move {
            let namespace = child.object.namespace().unwrap_or_default();
            let object = client.get(&child.resource, &namespace, &child.object.name_any()).await?;
            Ok::<_, Error>(object.map(|object| LiveObject { resource: child.resource.clone(), object }))
        }))
        .await?;
        for live in found.into_iter().flatten() {
            self.put(live);
        }
        Ok(())
    }

    /// The object in the cluster with the kind and name of `child`; `None` if there is none.
    pub fn find(&self, child: &Child) -> Option<&DynamicObject> {
        self.objects.get(&key(&child.resource, &child.object)).map(|live| &live.object)
    }

    /// Remembers what a write returned.
    pub fn put(&mut self, live: LiveObject) {
        self.objects.insert(key(&live.resource, &live.object), live);
    }

    /// Forgets an object that was removed.
    pub fn forget(&mut self, resource: &ApiResource, object: &DynamicObject) {
        self.objects.remove(&key(resource, object));
    }

    /// Every object of a rendered kind.
    pub fn objects(&self) -> impl Iterator<Item = &LiveObject> {
        self.objects.values()
    }

    /// Whether there is an object of this kind and UID.
    pub fn has_uid(&self, kind: &str, uid: &str) -> bool {
        self.objects.values().any(|live| live.resource.kind == kind && live.object.metadata.uid.as_deref() == Some(uid))
    }

    /// Name of each Secret that pods use, and a hash of its content.
    pub fn secret_versions(&self) -> BTreeMap<String, String> {
        self.secrets.iter().map(|(name, secret)| (name.clone(), secret.version.clone())).collect()
    }
}

fn key(resource: &ApiResource, object: &DynamicObject) -> (String, String) {
    (resource.kind.clone(), object.name_any())
}

//! Requests to the API server: each has a time limit, and each that changes something is counted.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, NamespaceResourceScope, ObjectMeta, TypeMeta};
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::crd::DonationPlatform;
use crate::error::{Class, Error};
use crate::metrics::Metrics;
use crate::names::FIELD_MANAGER;

/// How long a write that did not come to what was written is not tried again.
const TRUCE: Duration = Duration::from_mins(10);
/// How long a request may take. Watches have a limit of their own.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Pauses before a read is tried again.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];
/// The longest wait that the API server can ask for within a look; a longer one is left to the wait between looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a request does, as in a role's rules; [`Self::Apply`] is a `patch` there and [`Self::Replace`] an `update`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read all objects of a kind.
    List,
    /// Make an object that must not exist.
    Create,
    /// Make or change the fields that the operator renders.
    Apply,
    /// Write a whole object in place of the one that was read.
    Replace,
    /// Remove an object.
    Delete,
}

impl Verb {
    /// Value of the metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Apply => "apply",
            Self::Replace => "replace",
            Self::Delete => "delete",
        }
    }
}

/// A write that did not come to what was written.
#[derive(Clone)]
struct Standoff {
    /// Version of the object that came of it.
    version: String,
    /// Hash of what was written.
    wanted: String,
    since: Instant,
}

/// The API server.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    metrics: Arc<Metrics>,
    standoffs: Arc<Mutex<HashMap<String, Standoff>>>,
}

impl Cluster {
    /// Talks through `client`.
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, metrics, standoffs: Arc::default() }
    }

    /// The client, for watches and Events.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Remembers that `object`, which a write of `wanted` returned, is something else: it is changed on its way, by a webhook for
    /// example. `None` for what is wanted: it is as it was written.
    pub fn came_to(&self, object: &DynamicObject, wanted: Option<&str>) {
        let (Some(uid), Some(version)) = (object.uid(), object.resource_version()) else { return };
        let mut standoffs = self.standoffs.lock().unwrap_or_else(PoisonError::into_inner);
        match wanted {
            Some(wanted) => {
                let known = standoffs.get(&uid).filter(|standoff| standoff.version == version && standoff.wanted == wanted);
                let since = known.map_or_else(Instant::now, |standoff| standoff.since);
                standoffs.insert(uid, Standoff { version, wanted: wanted.to_owned(), since });
            }
            None => drop(standoffs.remove(&uid)),
        }
    }

    /// Whether `object` is as a write of the same content left it without becoming that. The same again would come to the same, and
    /// its own event would ask for it without end. Now and then it is tried all the same: whoever changed it may have stopped.
    pub fn is_standoff(&self, object: &DynamicObject, wanted: &str) -> bool {
        let standoffs = self.standoffs.lock().unwrap_or_else(PoisonError::into_inner);
        object.uid().and_then(|uid| standoffs.get(&uid).cloned()).is_some_and(|standoff| {
            object.resource_version() == Some(standoff.version) && standoff.wanted == wanted && standoff.since.elapsed() < TRUCE
        })
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    /// The object of that name, if there is one.
    pub async fn get(&self, resource: &ApiResource, namespace: &str, name: &str) -> Result<Option<DynamicObject>, Error> {
        let api = self.api(resource, namespace);
        read(Verb::Get, &resource.kind, name, || api.get_opt(name)).await
    }

    /// All objects that `selector` selects, with neither `apiVersion` nor `kind`.
    pub async fn list(&self, resource: &ApiResource, namespace: &str, selector: &str) -> Result<Vec<DynamicObject>, Error> {
        let params = ListParams::default().labels(selector);
        let api = self.api(resource, namespace);
        let list = read(Verb::List, &resource.kind, "", || api.list(&params)).await?;
        Ok(list.items)
    }

    /// Typed objects that `params` select.
    pub async fn list_typed<K>(&self, namespace: &str, params: &ListParams) -> Result<Vec<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        Ok(read(Verb::List, &K::kind(&()), "", || api.list(params)).await?.items)
    }

    /// Makes an object that must not exist yet.
    pub async fn create(&self, resource: &ApiResource, object: &DynamicObject) -> Result<DynamicObject, Error> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.metrics.wrote(Verb::Create, &resource.kind);
        timed(Verb::Create, &resource.kind, &name, self.api(resource, &namespace).create(&params, object)).await
    }

    /// Makes `manager` the owner of exactly the fields of `object`. With `force` it takes them over from others, without it
    /// that is a conflict.
    pub async fn apply(&self, resource: &ApiResource, object: &DynamicObject, manager: &str, force: bool) -> Result<DynamicObject, Error> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let params = PatchParams { force, ..PatchParams::apply(manager) };
        self.metrics.wrote(Verb::Apply, &resource.kind);
        let api = self.api(resource, &namespace);
        timed(Verb::Apply, &resource.kind, &name, api.patch(&name, &params, &Patch::Apply(object))).await
    }

    /// Writes `object` in place of the one with the same `resourceVersion`.
    pub async fn replace(&self, resource: &ApiResource, object: &DynamicObject) -> Result<DynamicObject, Error> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.metrics.wrote(Verb::Replace, &resource.kind);
        timed(Verb::Replace, &resource.kind, &name, self.api(resource, &namespace).replace(&name, &params, object)).await
    }

    /// Removes this very object, and then what it owns. One that is gone already is no error.
    pub async fn delete(&self, resource: &ApiResource, object: &DynamicObject) -> Result<(), Error> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let params = DeleteParams::background().preconditions(Preconditions { uid: object.uid(), ..Preconditions::default() });
        self.metrics.wrote(Verb::Delete, &resource.kind);
        match timed(Verb::Delete, &resource.kind, &name, self.api(resource, &namespace).delete(&name, &params)).await {
            Err(error) if error.is_not_found() => Ok(()),
            result => result.map(|_| ()),
        }
    }

    /// Writes the status of the resource with this `uid`.
    pub async fn apply_status<S: Serialize + Debug>(&self, resource: &DonationPlatform, status: &S) -> Result<(), Error> {
        let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
        let api = Api::<DonationPlatform>::namespaced(self.client.clone(), &namespace);
        let kind = DonationPlatform::kind(&());
        let patch = serde_json::json!({
            "apiVersion": DonationPlatform::api_version(&()),
            "kind": kind,
            "metadata": {"name": name, "uid": resource.uid()},
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.metrics.wrote(Verb::Apply, &format!("{kind}/status"));
        timed(Verb::Apply, &kind, &name, api.patch_status(&name, &params, &Patch::Apply(&patch))).await.map(|_| ())
    }
}

/// What is applied to this very object, and to no other of its name: `fields` of its metadata and `data`, and nothing else.
pub fn patch_of(resource: &ApiResource, live: &ObjectMeta, fields: ObjectMeta, data: Value) -> DynamicObject {
    DynamicObject {
        types: Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() }),
        metadata: ObjectMeta { name: live.name.clone(), namespace: live.namespace.clone(), uid: live.uid.clone(), ..fields },
        data,
    }
}

/// Tries a read that failed again at once, a few times: a look has many, and one lost answer would waste them all.
async fn read<T, F>(verb: Verb, kind: &str, name: &str, request: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    for pause in PAUSES {
        match timed(verb, kind, name, request()).await {
            Err(error) if error.class() == Class::Transient && !error.is_not_found() => {
                tokio::time::sleep(pause.max(error.retry_after().min(LONGEST_PAUSE))).await;
            }
            result => return result,
        }
    }
    timed(verb, kind, name, request()).await
}

async fn timed<T>(verb: Verb, kind: &str, name: &str, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(answer) => {
            answer.map_err(|source| Error::Request { verb, kind: kind.to_owned(), name: name.to_owned(), source: Box::new(source) })
        }
        Err(_) => Err(Error::Timeout { verb, kind: kind.to_owned(), name: name.to_owned(), after: TIMEOUT }),
    }
}

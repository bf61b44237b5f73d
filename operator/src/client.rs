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
use crate::error::{Error, ErrorClass};
use crate::metrics::Metrics;
use crate::names::FIELD_MANAGER;
use crate::verb::Verb;

/// Time for which a contested write, see [`Contest`], is not tried again.
const CONTEST_BACKOFF: Duration = Duration::from_mins(10);
/// Longest that a request may take. Watches have a limit of their own.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Pauses before a failed read is tried again within a pass.
const READ_RETRY_PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];
/// Longest pause that the API server can ask for within a pass; a longer one is left to the wait between passes.
const READ_RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// A contested write: the object that it returned differs from what was written, because something else changed it on its way.
#[derive(Clone)]
struct Contest {
    /// `resourceVersion` of the object that the write returned.
    version: String,
    /// Hash of what was written.
    wanted: String,
    since: Instant,
}

/// The client of the API server.
#[derive(Clone)]
pub struct ApiClient {
    client: Client,
    metrics: Arc<Metrics>,
    contests: Arc<Mutex<HashMap<String, Contest>>>,
}

impl ApiClient {
    /// Talks through `client`.
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, metrics, contests: Arc::default() }
    }

    /// The client, for watches and Events.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Records what a write returned. `wanted` is the hash of what was written, if `object` differs from it because something
    /// changed it on its way, such as a webhook; `None` if `object` is as it was written.
    pub fn record_write_result(&self, object: &DynamicObject, wanted: Option<&str>) {
        let (Some(uid), Some(version)) = (object.uid(), object.resource_version()) else { return };
        let mut contests = self.contests.lock().unwrap_or_else(PoisonError::into_inner);
        match wanted {
            Some(wanted) => {
                let known = contests.get(&uid).filter(|contest| contest.version == version && contest.wanted == wanted);
                let since = known.map_or_else(Instant::now, |contest| contest.since);
                contests.insert(uid, Contest { version, wanted: wanted.to_owned(), since });
            }
            None => drop(contests.remove(&uid)),
        }
    }

    /// Whether a write of the content `wanted` returned exactly this `object`, changed by something else, less than ten minutes
    /// ago. Another write would be changed likewise, and its event would start the next pass, without end.
    pub fn is_contested(&self, object: &DynamicObject, wanted: &str) -> bool {
        let contests = self.contests.lock().unwrap_or_else(PoisonError::into_inner);
        object.uid().and_then(|uid| contests.get(&uid).cloned()).is_some_and(|contest| {
            object.resource_version() == Some(contest.version) && contest.wanted == wanted && contest.since.elapsed() < CONTEST_BACKOFF
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
        self.metrics.count_write(Verb::Create, &resource.kind);
        with_timeout(Verb::Create, &resource.kind, &name, self.api(resource, &namespace).create(&params, object)).await
    }

    /// Makes `manager` the owner of exactly the fields of `object`. With `force` it takes them over from others, without it
    /// that is a conflict.
    pub async fn apply(&self, resource: &ApiResource, object: &DynamicObject, manager: &str, force: bool) -> Result<DynamicObject, Error> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let params = PatchParams { force, ..PatchParams::apply(manager) };
        self.metrics.count_write(Verb::Apply, &resource.kind);
        let api = self.api(resource, &namespace);
        with_timeout(Verb::Apply, &resource.kind, &name, api.patch(&name, &params, &Patch::Apply(object))).await
    }

    /// Writes `object` in place of the one with the same `resourceVersion`.
    pub async fn replace(&self, resource: &ApiResource, object: &DynamicObject) -> Result<DynamicObject, Error> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.metrics.count_write(Verb::Replace, &resource.kind);
        with_timeout(Verb::Replace, &resource.kind, &name, self.api(resource, &namespace).replace(&name, &params, object)).await
    }

    /// Removes this very object, and then what it owns. One that is gone already is no error.
    pub async fn delete(&self, resource: &ApiResource, object: &DynamicObject) -> Result<(), Error> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let params = DeleteParams::background().preconditions(Preconditions { uid: object.uid(), ..Preconditions::default() });
        self.metrics.count_write(Verb::Delete, &resource.kind);
        match with_timeout(Verb::Delete, &resource.kind, &name, self.api(resource, &namespace).delete(&name, &params)).await {
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
        self.metrics.count_write(Verb::Apply, &format!("{kind}/status"));
        with_timeout(Verb::Apply, &kind, &name, api.patch_status(&name, &params, &Patch::Apply(&patch))).await.map(|_| ())
    }
}

/// A patch of `fields` of the metadata and of `data`. It has the UID of `live`, so it fails for another object of the same name.
pub fn patch_of(resource: &ApiResource, live: &ObjectMeta, fields: ObjectMeta, data: Value) -> DynamicObject {
    DynamicObject {
        types: Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() }),
        metadata: ObjectMeta { name: live.name.clone(), namespace: live.namespace.clone(), uid: live.uid.clone(), ..fields },
        data,
    }
}

/// Reads, and tries again up to three times if that fails: a pass has many reads, and one lost answer would waste them all.
async fn read<T, F>(verb: Verb, kind: &str, name: &str, request: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    for pause in READ_RETRY_PAUSES {
        match with_timeout(verb, kind, name, request()).await {
            Err(error) if error.class() == ErrorClass::Transient && !error.is_not_found() => {
                tokio::time::sleep(pause.max(error.retry_after().min(READ_RETRY_PAUSE_MAX))).await;
            }
            result => return result,
        }
    }
    with_timeout(verb, kind, name, request()).await
}

async fn with_timeout<T>(verb: Verb, kind: &str, name: &str, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => {
            answer.map_err(|source| Error::Request { verb, kind: kind.to_owned(), name: name.to_owned(), source: Box::new(source) })
        }
        Err(_) => Err(Error::Timeout { verb, kind: kind.to_owned(), name: name.to_owned(), after: REQUEST_TIMEOUT }),
    }
}

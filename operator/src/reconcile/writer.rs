//! Writes one object, if it differs from what was rendered.

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use serde_json::Value;

use super::current::{difference, without_additions};
use super::observe::{LiveObject, Observed};
use super::scale;
use crate::build::Child;
use crate::client::ApiClient;
use crate::error::Error;
use crate::fingerprint::fingerprint;
use crate::names::{FIELD_MANAGER, RENDERED_ANNOTATION, SCALE_MANAGER};

/// Writes objects, and notes in `observed` what the API server returns.
pub struct Writer<'a> {
    /// The client of the API server.
    pub client: &'a ApiClient,
    /// The objects in the cluster, updated by each write.
    pub observed: &'a mut Observed,
}

impl Writer<'_> {
    /// Makes the object as `child` was rendered. Returns the first field that still differs, because something else changes the
    /// object as it is written, such as a webhook; `None` if none does.
    pub async fn apply(&mut self, child: &Child) -> Result<Option<String>, Error> {
        let resource = &child.resource;
        let desired = with_rendered_hash(&child.object)?;
        let live = self.observed.find(child).cloned();
        let is_new = live.is_none();
        let mut now = match live {
            None => {
                // Not forced, so that an object that somebody makes at this moment is not taken over.
                let made = self.client.apply(resource, &desired, FIELD_MANAGER, false).await?;
                self.remember(resource, made)
            }
            Some(live) => self.repair(resource, desired.clone(), live).await?,
        };
        now = self.scale(child, now, is_new).await?;
        let contested = difference(&value(resource, &desired)?, &value(resource, &now)?);
        self.client.record_write_result(&now, contested.as_ref().map(|_| rendered_hash(&desired)));
        Ok(contested)
    }

    /// Writes the number of pods if the workload `live` has another one, and returns the workload as it is then. `is_new` says that
    /// it was made in this pass, so that its number is the server's default.
    pub async fn scale(&mut self, child: &Child, live: DynamicObject, is_new: bool) -> Result<DynamicObject, Error> {
        let wanted = child.scale.and_then(|scale| scale::wanted(scale, scale::replicas(&live), is_new));
        let Some(replicas) = wanted else { return Ok(live) };
        let patch = scale::patch(&live, &child.resource, replicas);
        let answer = self.client.apply(&child.resource, &patch, SCALE_MANAGER, true).await?;
        Ok(self.remember(&child.resource, answer))
    }

    async fn repair(&mut self, resource: &ApiResource, desired: DynamicObject, live: DynamicObject) -> Result<DynamicObject, Error> {
        let wanted = value(resource, &desired)?;
        let Some(path) = difference(&wanted, &value(resource, &live)?) else {
            return Ok(live);
        };
        if self.client.is_contested(&live, rendered_hash(&desired)) {
            return Ok(live);
        }
        tracing::info!(object = live.name_any(), kind = resource.kind, field = path, "differs from what was rendered");
        let after = self.overwrite(resource, desired, &live).await?;
        let found = value(resource, &after)?;
        let Some(cleaned) = without_additions(&wanted, &found) else {
            if let Some(path) = difference(&wanted, &found) {
                tracing::warn!(
                    object = after.name_any(),
                    kind = resource.kind,
                    field = path,
                    "the API server keeps another value than was rendered"
                );
            }
            return Ok(after);
        };
        tracing::info!(object = after.name_any(), kind = resource.kind, "has elements that were not rendered");
        let replaced = self.client.replace(resource, &object(resource, &after, cleaned)?).await?;
        Ok(self.remember(resource, replaced))
    }

    /// Applies `desired` to `live` by force. If the API server finds the result invalid, replaces the object or, if it is
    /// immutable, deletes it and makes it anew.
    async fn overwrite(
        &mut self,
        resource: &ApiResource,
        mut desired: DynamicObject,
        live: &DynamicObject,
    ) -> Result<DynamicObject, Error> {
        // With the UID, the patch fails if the object is gone, instead of making another one.
        desired.metadata.uid.clone_from(&live.metadata.uid);
        let after = match self.client.apply(resource, &desired, FIELD_MANAGER, true).await {
            Ok(object) => object,
            // Somebody made the object immutable; only removing it helps.
            Err(error) if error.is_unprocessable() && live.data.get("immutable") == Some(&Value::Bool(true)) => {
                self.client.delete(resource, live).await?;
                self.observed.forget(resource, live);
                desired.metadata.uid = None;
                self.client.apply(resource, &desired, FIELD_MANAGER, false).await?
            }
            // Somebody replaced one member of a union by another, and the object would be invalid with both.
            Err(error) if error.is_unprocessable() => {
                let replacement = with_content_of(resource, live, &desired)?;
                match self.client.replace(resource, &replacement).await {
                    Ok(object) => object,
                    // Report the first refusal: it names the rendered field, while the second may name another field or a missing
                    // right.
                    Err(again) if again.is_refusal() => return Err(error),
                    Err(again) => return Err(again),
                }
            }
            Err(error) => return Err(error),
        };
        Ok(self.remember(resource, after))
    }

    fn remember(&mut self, resource: &ApiResource, object: DynamicObject) -> DynamicObject {
        self.observed.put(LiveObject { resource: resource.clone(), object: object.clone() });
        object
    }
}

/// Whether `live` needs no write, because it is as `child` was rendered or because something else changes it each time it is
/// written.
pub fn is_current(client: &ApiClient, child: &Child, live: &DynamicObject) -> Result<bool, Error> {
    let desired = with_rendered_hash(&child.object)?;
    let has_replicas = child.scale.is_none_or(|scale| scale::wanted(scale, scale::replicas(live), false).is_none());
    let has_content = client.is_contested(live, rendered_hash(&desired))
        || difference(&value(&child.resource, &desired)?, &value(&child.resource, live)?).is_none();
    Ok(has_replicas && has_content)
}

/// `object` with an annotation that holds the hash of what was rendered.
fn with_rendered_hash(object: &DynamicObject) -> Result<DynamicObject, Error> {
    let rendered =
        serde_json::to_value(object).map_err(|source| malformed(&object.types.clone().unwrap_or_default().kind, object, source))?;
    let mut stamped = object.clone();
    stamped.metadata.annotations.get_or_insert_default().insert(RENDERED_ANNOTATION.to_owned(), fingerprint(&rendered));
    Ok(stamped)
}

/// The hash in the annotation that [`with_rendered_hash`] adds; empty if there is none.
fn rendered_hash(object: &DynamicObject) -> &str {
    object.annotations().get(RENDERED_ANNOTATION).map(String::as_str).unwrap_or_default()
}

/// The object as JSON, with the `apiVersion` and `kind` that the elements of a list do not carry.
fn value(resource: &ApiResource, object: &DynamicObject) -> Result<Value, Error> {
    let mut value = serde_json::to_value(object).map_err(|source| malformed(&resource.kind, object, source))?;
    if let Value::Object(map) = &mut value {
        map.insert("apiVersion".to_owned(), resource.api_version.clone().into());
        map.insert("kind".to_owned(), resource.kind.clone().into());
    }
    Ok(value)
}

fn object(resource: &ApiResource, like: &DynamicObject, value: Value) -> Result<DynamicObject, Error> {
    serde_json::from_value(value).map_err(|source| malformed(&resource.kind, like, source))
}

fn malformed(kind: &str, object: &DynamicObject, source: serde_json::Error) -> Error {
    Error::Malformed { kind: kind.to_owned(), name: object.name_any(), source: Box::new(source) }
}

/// `live` with the content of `desired` in place of its own. Metadata, status and the number of pods stay.
fn with_content_of(resource: &ApiResource, live: &DynamicObject, desired: &DynamicObject) -> Result<DynamicObject, Error> {
    let (desired, live_value) = (value(resource, desired)?, value(resource, live)?);
    let mut result = live_value.clone();
    if let (Value::Object(result), Value::Object(desired)) = (&mut result, desired) {
        for (key, content) in desired {
            if key != "metadata" && key != "status" {
                result.insert(key, content);
            }
        }
    }
    if let (Some(replicas), Some(Value::Object(spec))) = (live_value.pointer("/spec/replicas"), result.get_mut("spec")) {
        spec.insert("replicas".to_owned(), replicas.clone());
    }
    object(resource, live, result)
}

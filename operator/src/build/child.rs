//! A rendered object, with the part that it belongs to, the condition for writing it, and the way in which it is written.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use kube::api::DynamicObject;
use kube::core::{ApiResource, ObjectMeta, TypeMeta};
use serde::Serialize;
use serde_json::{Value, json};

use crate::crd::DonationPlatform;
use crate::fingerprint::fingerprint;
use crate::names::SECRETS_ANNOTATION;
use crate::resolve::Platform;

/// A rendered object with what is needed to write it.
#[derive(Clone, Debug)]
pub struct Child {
    /// API group, version and kind of the object.
    pub resource: ApiResource,
    /// The object, complete except for `spec.replicas` if `scale` is set.
    pub object: DynamicObject,
    /// The part of the platform that it belongs to.
    pub part: Part,
    /// The condition for writing it.
    pub waits_for: WaitsFor,
    /// The way in which it is written.
    pub policy: ApplyPolicy,
    /// Number of pods, for a workload.
    pub scale: Option<Scale>,
}

/// A part of the platform. Each has a condition in the status.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// PostgreSQL.
    Postgres,
    /// `PgBouncer`.
    Pooler,
    /// Redis.
    Redis,
    /// The schema migration.
    Migrate,
    /// The API.
    Api,
    /// The way that donors reach the API.
    Edge,
}

impl Part {
    /// Every part; each needs only parts that come before it.
    pub const ALL: [Self; 6] = [Self::Postgres, Self::Redis, Self::Pooler, Self::Migrate, Self::Api, Self::Edge];
}

/// The condition for writing an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WaitsFor {
    /// Nothing: the object is written in every pass.
    Nothing,
    /// The completion of the migration of this very image. Until then the version that served before stays.
    Schema,
}

/// The way in which an object is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ApplyPolicy {
    /// Server-side apply; fields that others change are restored.
    Apply,
    /// A Secret with generated data: created when it is absent, its data never changed.
    CreateOnce,
    /// A Secret with a certificate: written when it is absent, of another host or near its end, else left alone.
    Renew,
    /// A Job: created under its hash name when it is absent, never changed; older ones are removed.
    Job,
}

/// The source of the number of pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scale {
    /// The resource: exactly this many.
    Fixed(i32),
    /// A `HorizontalPodAutoscaler`: at least this many.
    Autoscaled(i32),
}

impl Child {
    /// Makes a child of `object` that belongs to `part`, waits for nothing and is kept by server-side apply. Its metadata gets the
    /// platform's namespace and the platform as owner.
    pub(super) fn of<K: Resource<DynamicType = ()> + Serialize>(platform: &Platform, part: Part, object: &K) -> Self {
        let resource = ApiResource::erase::<K>(&());
        let Ok(Value::Object(mut content)) = serde_json::to_value(object) else { unreachable!("an object of Kubernetes is a JSON object") };
        for field in ["apiVersion", "kind", "metadata"] {
            content.remove(field);
        }
        let metadata = ObjectMeta {
            namespace: Some(platform.namespace.clone()),
            owner_references: Some(vec![owner(platform, true)]),
            ..object.meta().clone()
        };
        Self {
            object: DynamicObject {
                types: Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() }),
                metadata,
                data: Value::Object(content),
            },
            resource,
            part,
            waits_for: WaitsFor::Nothing,
            policy: ApplyPolicy::Apply,
            scale: None,
        }
    }

    pub(super) fn with_scale(self, scale: Scale) -> Self {
        Self { scale: Some(scale), ..self }
    }

    pub(super) fn after(self, waits_for: WaitsFor) -> Self {
        Self { waits_for, ..self }
    }

    /// Whether both have the same kind and name.
    pub fn is_same_object(&self, other: &Self) -> bool {
        self.resource == other.resource && self.object.metadata.name == other.object.metadata.name
    }

    /// Puts a hash of the Secrets that the pods mount into their annotations, so that they roll when one changes. `versions` has a
    /// text for the name of each Secret that changes with its content. A Job is never changed, so it gets no hash.
    pub fn set_secret_versions(&mut self, versions: &BTreeMap<String, String>) {
        if self.policy == ApplyPolicy::Job {
            return;
        }
        let volumes = self.object.data.pointer("/spec/template/spec/volumes").and_then(Value::as_array);
        let names = volumes.into_iter().flatten().filter_map(|volume| volume.pointer("/secret/secretName")?.as_str());
        let read: BTreeMap<&str, &String> = names.filter_map(|name| Some((name, versions.get(name)?))).collect();
        if read.is_empty() {
            return;
        }
        let hash = fingerprint(&json!(read));
        if let Some(Value::Object(metadata)) = self.object.data.pointer_mut("/spec/template/metadata")
            && let Value::Object(annotations) = metadata.entry("annotations").or_insert_with(|| json!({}))
        {
            annotations.insert(SECRETS_ANNOTATION.to_owned(), hash.into());
        }
    }
}

/// The owner reference to the platform. `is_controller` is true for objects that the platform consists of, and false for data that
/// is only removed together with it.
pub fn owner(platform: &Platform, is_controller: bool) -> OwnerReference {
    OwnerReference {
        api_version: DonationPlatform::api_version(&()).into_owned(),
        kind: DonationPlatform::kind(&()).into_owned(),
        name: platform.name.clone(),
        uid: platform.uid.clone(),
        controller: is_controller.then_some(true),
        block_owner_deletion: is_controller.then_some(true),
    }
}

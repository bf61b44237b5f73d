//! What a platform consists of: pure functions from the resolved resource to the objects that it shall have.
//!
//! One file per part. Scripts and configuration files stand beside them as they are in the pods, with `@NAME@` where a value
//! belongs (`template.rs`).

mod api;
mod certificate;
mod edge;
mod ingress;
mod labels;
mod migrate;
mod network_policy;
mod pod;
mod pooler;
pub mod postgres;
mod redis;
pub mod secrets;
mod template;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{ConfigMap, PodTemplateSpec, Service, ServiceAccount, ServicePort, ServiceSpec};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Resource;
use kube::api::DynamicObject;
use kube::core::{ApiResource, ObjectMeta, TypeMeta};
use serde::Serialize;
use serde_json::Value;

use crate::crd::DonationPlatform;
use crate::resolve::Platform;

/// Everything that the platform shall have, in the order of writing.
pub fn children(inputs: &Inputs<'_>) -> Vec<Child> {
    let platform = inputs.platform;
    let mut children = secrets::children(platform);
    // Before the pods, so that none of them is ever without.
    children.extend(network_policy::children(platform));
    children.extend(postgres::children(inputs));
    children.extend(pooler::children(inputs));
    children.extend(redis::children(inputs));
    children.extend(migrate::children(inputs));
    children.extend(api::children(inputs));
    children.extend(certificate::children(platform));
    children.extend(edge::children(inputs));
    children.extend(ingress::children(platform));
    children
}

/// A rendered object, what waits for what, and whose it is.
#[derive(Clone, Debug)]
pub struct Child {
    /// The object's kind.
    pub resource: ApiResource,
    /// The object, complete, but for `spec.replicas` where `scale` is set.
    pub object: DynamicObject,
    /// The part of the platform that it belongs to.
    pub part: Part,
    /// What must have happened before it is written.
    pub gate: Gate,
    /// How it is kept.
    pub upkeep: Upkeep,
    /// Number of pods, for a workload.
    pub scale: Option<Scale>,
}

/// A part of the platform, each with a condition.
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
    /// What donors reach.
    Edge,
}

/// What must have happened before an object is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gate {
    /// Nothing.
    None,
    /// The migrate Job of this very image has completed. Until then what is there stays as it is.
    Schema,
}

/// How an object is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upkeep {
    /// Server-side apply; what others change comes back.
    Apply,
    /// A Secret with generated data: created when it is absent, its data never changed.
    CreateOnce,
    /// A Secret with a certificate: made when it is absent, of another host or near its end, else left alone.
    Renewed,
    /// A Job: created under its hash name when it is absent, never changed; older ones are removed.
    Job,
}

/// Who decides on the number of pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scale {
    /// The resource.
    Fixed(i32),
    /// A `HorizontalPodAutoscaler` that never asks for fewer than this.
    Autoscaled(i32),
}

/// What builders need beside the resource.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The resolved resource.
    pub platform: &'a Platform,
    /// Name of each Secret that pods use, and something that changes with its content.
    pub secret_versions: &'a BTreeMap<String, String>,
}

impl Child {
    /// `object`, which belongs to `part` and is kept current. Its metadata gets namespace and owner.
    fn of<K: Resource<DynamicType = ()> + Serialize>(platform: &Platform, part: Part, object: &K) -> Self {
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
            gate: Gate::None,
            upkeep: Upkeep::Apply,
            scale: None,
        }
    }

    fn with_scale(self, scale: Scale) -> Self {
        Self { scale: Some(scale), ..self }
    }

    fn after(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }
}

/// The platform as an owner: of what it consists of, or only of what goes with it.
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

/// Name and labels of the object of a part. A part has at most one object of a kind.
fn metadata(platform: &Platform, part: Part) -> ObjectMeta {
    ObjectMeta { name: Some(labels::name(platform, part)), labels: Some(labels::of(platform, part)), ..ObjectMeta::default() }
}

/// The identity of a part's pods. None of them speaks to the API server.
fn service_account(platform: &Platform, part: Part) -> Child {
    let account =
        ServiceAccount { metadata: metadata(platform, part), automount_service_account_token: Some(false), ..ServiceAccount::default() };
    Child::of(platform, part, &account)
}

/// Who spreads connections over a part's pods.
#[derive(Clone, Copy, PartialEq)]
enum Balancing {
    /// The Service, which has an address.
    ByService,
    /// Whoever connects, who finds the pods' addresses under the Service's name.
    ByClient,
}

fn service(platform: &Platform, part: Part, port: &str, number: i32, balancing: Balancing) -> Child {
    let service = Service {
        metadata: metadata(platform, part),
        spec: Some(ServiceSpec {
            cluster_ip: (balancing == Balancing::ByClient).then(|| "None".to_owned()),
            ports: Some(vec![ServicePort {
                name: Some(port.to_owned()),
                port: number,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String(port.to_owned())),
                ..ServicePort::default()
            }]),
            selector: Some(labels::selector(platform, part)),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    Child::of(platform, part, &service)
}

fn deployment_of(platform: &Platform, part: Part, strategy: DeploymentStrategy, template: PodTemplateSpec) -> Deployment {
    Deployment {
        metadata: metadata(platform, part),
        spec: Some(DeploymentSpec {
            // Rendered, so that a rollout that somebody pauses ends all the same.
            paused: Some(false),
            revision_history_limit: Some(2),
            selector: selector(platform, part),
            strategy: Some(strategy),
            template,
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// Pods are replaced with so many beside them, and so many missing, at most.
fn rolling(surge: i32, unavailable: i32) -> DeploymentStrategy {
    DeploymentStrategy {
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(surge)),
            max_unavailable: Some(IntOrString::Int(unavailable)),
        }),
        type_: Some("RollingUpdate".to_owned()),
    }
}

fn config_map(platform: &Platform, part: Part, files: &BTreeMap<String, String>) -> Child {
    let map = ConfigMap {
        metadata: metadata(platform, part),
        data: Some(files.clone()),
        // Rendered, so that one that somebody freezes is not found so when it has to change.
        immutable: Some(false),
        ..ConfigMap::default()
    };
    Child::of(platform, part, &map)
}

/// Lets `at_once` pods of a part go at a time. For a single pod there is none: it could never be moved.
fn disruption_budget(platform: &Platform, part: Part, replicas: i32, at_once: i32) -> Option<Child> {
    let budget = PodDisruptionBudget {
        metadata: metadata(platform, part),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(at_once)),
            selector: Some(selector(platform, part)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    };
    (replicas > 1).then(|| Child::of(platform, part, &budget))
}

fn selector(platform: &Platform, part: Part) -> LabelSelector {
    LabelSelector { match_labels: Some(labels::selector(platform, part)), match_expressions: None }
}

//! The kinds of objects that a platform consists of.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::ApiResource;

/// Kinds that are rendered, kept and, when they are no longer rendered, removed.
pub fn rendered() -> Vec<ApiResource> {
    vec![
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<HorizontalPodAutoscaler>(&()),
        ApiResource::erase::<Ingress>(&()),
        ApiResource::erase::<Job>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<PodDisruptionBudget>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<StatefulSet>(&()),
    ]
}

/// Kinds whose changes start a reconcile.
pub fn watched() -> Vec<ApiResource> {
    let mut kinds = rendered();
    kinds.extend([secret(), claim(), ApiResource::erase::<Pod>(&())]);
    kinds
}

/// The kind of Secrets.
pub fn secret() -> ApiResource {
    ApiResource::erase::<Secret>(&())
}

/// The kind of claims for volumes, which the `StatefulSet` controller makes.
pub fn claim() -> ApiResource {
    ApiResource::erase::<PersistentVolumeClaim>(&())
}

//! Objects that several parts have, such as a Service or a budget of disruptions.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{ConfigMap, PodTemplateSpec, Service, ServiceAccount, ServicePort, ServiceSpec};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;

use super::child::{Child, Part};
use super::labels;
use crate::resolve::Platform;

/// Name and labels of the object of a part. A part has at most one object of a kind.
pub(super) fn metadata(platform: &Platform, part: Part) -> ObjectMeta {
    ObjectMeta { name: Some(labels::name(platform, part)), labels: Some(labels::of(platform, part)), ..ObjectMeta::default() }
}

/// The identity of a part's pods. None of them speaks to the API server.
pub(super) fn service_account(platform: &Platform, part: Part) -> Child {
    let account =
        ServiceAccount { metadata: metadata(platform, part), automount_service_account_token: Some(false), ..ServiceAccount::default() };
    Child::of(platform, part, &account)
}

/// What spreads connections over a part's pods.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Balancing {
    /// The Service, which has an address of its own.
    ByService,
    /// The client, which finds the pods' addresses under the Service's name.
    ByClient,
}

pub(super) fn service(platform: &Platform, part: Part, port: &str, number: i32, balancing: Balancing) -> Child {
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

pub(super) fn deployment_of(platform: &Platform, part: Part, strategy: DeploymentStrategy, template: PodTemplateSpec) -> Deployment {
    Deployment {
        metadata: metadata(platform, part),
        spec: Some(DeploymentSpec {
            // The default, rendered so that the operator resumes a rollout that somebody pauses.
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

/// A rolling update with at most `surge` additional and `unavailable` missing pods.
pub(super) fn rolling(surge: i32, unavailable: i32) -> DeploymentStrategy {
    DeploymentStrategy {
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(surge)),
            max_unavailable: Some(IntOrString::Int(unavailable)),
        }),
        type_: Some("RollingUpdate".to_owned()),
    }
}

pub(super) fn config_map(platform: &Platform, part: Part, files: &BTreeMap<String, String>) -> Child {
    let map = ConfigMap {
        metadata: metadata(platform, part),
        data: Some(files.clone()),
        // The default, rendered so that a map that somebody makes immutable is replaced at once and not only when it has to change.
        immutable: Some(false),
        ..ConfigMap::default()
    };
    Child::of(platform, part, &map)
}

/// A budget that lets evictions take at most `at_once` pods of a part at a time; `None` for a single pod, which could never be
/// moved.
pub(super) fn disruption_budget(platform: &Platform, part: Part, replicas: i32, at_once: i32) -> Option<Child> {
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

pub(super) fn selector(platform: &Platform, part: Part) -> LabelSelector {
    LabelSelector { match_labels: Some(labels::selector(platform, part)), match_expressions: None }
}

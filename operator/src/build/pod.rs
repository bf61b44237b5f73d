//! The template that all pods share: no rights that they do not need, and the placement that the resource asks for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, ExecAction, HTTPGetAction, KeyToPath,
    Lifecycle, LifecycleHandler, LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
    SeccompProfile, SecretVolumeSource, SecurityContext, TCPSocketAction, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;
use serde_json::json;

use super::child::Part;
use super::labels;
use super::objects::selector;
use crate::crd::PullPolicy;
use crate::fingerprint::fingerprint;
use crate::names::CONFIGURATION_ANNOTATION;
use crate::resolve::{Platform, Tier};

/// Spreads pods over nodes.
pub(super) const HOSTNAME_TOPOLOGY: &str = "kubernetes.io/hostname";
/// Spreads pods over zones.
pub(super) const ZONE_TOPOLOGY: &str = "topology.kubernetes.io/zone";

/// The pods of a part.
pub(super) struct Pod<'a> {
    pub(super) part: Part,
    pub(super) tier: &'a Tier,
    /// User and group that everything runs as.
    pub(super) user: i64,
    pub(super) grace_seconds: Option<i64>,
    pub(super) init_containers: Vec<Container>,
    /// The main container, whose `extraEnv` is added here.
    pub(super) container: Container,
    pub(super) volumes: Vec<Volume>,
    /// Files of the part's `ConfigMap`, if it has one.
    pub(super) files: Option<&'a BTreeMap<String, String>>,
    /// Labels of nodes over which the pods are spread.
    pub(super) spread: &'a [&'a str],
}

impl Pod<'_> {
    /// The template of such pods.
    pub(super) fn template(mut self, platform: &Platform) -> PodTemplateSpec {
        let pods = &self.tier.pods;
        // What is the operator's keeps the operator's value.
        let mut own_labels = pods.labels.clone();
        own_labels.extend(labels::of(platform, self.part));
        let mut annotations = pods.annotations.clone();
        // The hash of the files makes new pods when a file changes, and only then.
        annotations.extend(self.files.map(|files| (CONFIGURATION_ANNOTATION.to_owned(), fingerprint(&json!(files)))));
        let env = self.container.env.get_or_insert_default();
        for extra in &pods.extra_env {
            if env.iter().all(|own| own.name != extra.name) {
                env.push(variable(&extra.name, &extra.value));
            }
        }
        self.container.env.take_if(|env| env.is_empty());
        let pull_secrets = platform.spec.image_pull_secrets.iter().map(|secret| LocalObjectReference { name: secret.name.clone() });
        let spec = PodSpec {
            affinity: pods.affinity.clone(),
            automount_service_account_token: Some(false),
            containers: vec![self.container],
            enable_service_links: Some(false),
            image_pull_secrets: some(pull_secrets.collect()),
            init_containers: some(self.init_containers),
            node_selector: (!pods.node_selector.is_empty()).then(|| pods.node_selector.clone()),
            priority_class_name: pods.priority_class_name.clone(),
            security_context: Some(PodSecurityContext {
                fs_group: Some(self.user),
                run_as_group: Some(self.user),
                run_as_non_root: Some(true),
                run_as_user: Some(self.user),
                seccomp_profile: Some(SeccompProfile { localhost_profile: None, type_: "RuntimeDefault".to_owned() }),
                ..PodSecurityContext::default()
            }),
            service_account_name: Some(labels::name(platform, self.part)),
            termination_grace_period_seconds: self.grace_seconds,
            tolerations: some(pods.tolerations.clone()),
            // What the resource says about neighbours replaces this.
            topology_spread_constraints: if pods.affinity.is_none() { some(spread(platform, self.part, self.spread)) } else { None },
            volumes: some(self.volumes),
            ..PodSpec::default()
        };
        PodTemplateSpec {
            metadata: Some(ObjectMeta { labels: Some(own_labels), annotations: plain(annotations), ..ObjectMeta::default() }),
            spec: Some(spec),
        }
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn plain(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then_some(map)
}

fn spread(platform: &Platform, part: Part, places: &[&str]) -> Vec<TopologySpreadConstraint> {
    let constraint = |place: &&str| TopologySpreadConstraint {
        label_selector: Some(selector(platform, part)),
        // Else the pods that a rollout is about to remove would count.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        max_skew: 1,
        topology_key: (*place).to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..TopologySpreadConstraint::default()
    };
    places.iter().map(constraint).collect()
}

/// A container that may do nothing but compute, connect, and write where it has a volume.
pub(super) fn container(name: &str, image: &str, resources: &ResourceRequirements) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        resources: Some(resources.clone()),
        // What a program says last is the cause that the status repeats.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// Pull policy of the API's image.
pub(super) fn pull_policy(platform: &Platform) -> String {
    match platform.spec.image.pull_policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    }
    .to_owned()
}

pub(super) fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None }
}

pub(super) fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort { name: Some(name.to_owned()), container_port: number, protocol: Some("TCP".to_owned()), ..ContainerPort::default() }
}

/// A volume of files from a Secret: those keys, or all.
pub(super) fn secret(name: &str, secret: &str, keys: &[&str]) -> Volume {
    let items: Vec<KeyToPath> = keys.iter().map(|key| KeyToPath { key: (*key).to_owned(), mode: None, path: (*key).to_owned() }).collect();
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            default_mode: Some(0o440),
            items: some(items),
            secret_name: Some(secret.to_owned()),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A volume of the files of a `ConfigMap`.
pub(super) fn config(map: &str) -> Volume {
    Volume {
        name: "config".to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: map.to_owned(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    }
}

/// An empty folder on the node's disk, of at most `size`, that is removed with the pod.
pub(super) fn scratch_volume(name: &str, size: &str) -> Volume {
    empty_dir(name, size, None)
}

/// A folder in memory.
pub(super) fn memory_volume(name: &str, size: &str) -> Volume {
    empty_dir(name, size, Some("Memory".to_owned()))
}

fn empty_dir(name: &str, size: &str, medium: Option<String>) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium, size_limit: Some(Quantity(size.to_owned())) }),
        ..Volume::default()
    }
}

pub(super) fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

pub(super) fn mount_read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount(volume, path) }
}

/// Period and time-out of a probe in seconds, and the number of failures in a row that count.
#[derive(Clone, Copy)]
pub(super) struct ProbeTiming {
    pub(super) period: i32,
    pub(super) timeout: i32,
    pub(super) failures: i32,
}

pub(super) fn probe_timing(period: i32, timeout: i32, failures: i32) -> ProbeTiming {
    ProbeTiming { period, timeout, failures }
}

impl ProbeTiming {
    fn probe(self) -> Probe {
        Probe {
            failure_threshold: Some(self.failures),
            period_seconds: Some(self.period),
            timeout_seconds: Some(self.timeout),
            ..Probe::default()
        }
    }

    pub(super) fn http(self, path: &str, port: &str) -> Probe {
        let get = HTTPGetAction { path: Some(path.to_owned()), port: IntOrString::String(port.to_owned()), ..HTTPGetAction::default() };
        Probe { http_get: Some(get), ..self.probe() }
    }

    pub(super) fn tcp(self, port: &str) -> Probe {
        Probe { tcp_socket: Some(TCPSocketAction { host: None, port: IntOrString::String(port.to_owned()) }), ..self.probe() }
    }

    pub(super) fn exec(self, command: &[&str]) -> Probe {
        Probe { exec: Some(ExecAction { command: Some(texts(command)) }), ..self.probe() }
    }
}

/// The lifecycle of a container whose `handler` runs before the container gets the signal to stop.
pub(super) fn before_stop(handler: LifecycleHandler) -> Lifecycle {
    Lifecycle { pre_stop: Some(handler), ..Lifecycle::default() }
}

pub(super) fn command(command: &[&str]) -> LifecycleHandler {
    LifecycleHandler { exec: Some(ExecAction { command: Some(texts(command)) }), ..LifecycleHandler::default() }
}

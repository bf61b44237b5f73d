//! The nginx that the operator runs in front of the API.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::child::{Child, Part, Scale, WaitsFor};
use super::labels;
use super::objects::{config_map, deployment_of, disruption_budget, metadata, rolling, service_account};
use super::pod::{
    HOSTNAME_TOPOLOGY, Pod, before_stop, command, config, container, mount, mount_read_only, port, probe_timing, pull_policy,
    scratch_volume, secret, texts,
};
use super::template::fill;
use crate::crd::{ClientIpSource, ExternalTrafficPolicy, ServiceType};
use crate::resolve::{Edge, Platform};

const PART: Part = Part::Edge;
/// User of the official image.
const USER_ID: i64 = 101;
/// Port of plain HTTP.
pub(super) const HTTP_PORT: i32 = 8080;
/// Port of HTTPS.
pub(super) const HTTPS_PORT: i32 = 8443;
/// Port of probes.
const ADMIN_PORT: i32 = 8081;

pub(super) fn children(platform: &Platform) -> Vec<Child> {
    let Some(edge) = &platform.edge else { return Vec::new() };
    let files = files(platform, edge);
    let mut children = vec![
        service_account(platform, PART),
        // Pods of the version before may still read what is there.
        config_map(platform, PART, &files).after(WaitsFor::Schema),
        Child::of(platform, PART, &service(platform, edge)),
    ];
    children.extend(disruption_budget(platform, PART, edge.replicas, 1));
    // It carries the release's files, so it waits for the migration as the API does.
    let deployment = Child::of(platform, PART, &deployment(platform, edge, &files));
    children.push(deployment.with_scale(Scale::Fixed(edge.replicas)).after(WaitsFor::Schema));
    children
}

fn files(platform: &Platform, edge: &Edge) -> BTreeMap<String, String> {
    let proxy = if edge.client_ip.source == ClientIpSource::ProxyProtocol { " proxy_protocol" } else { "" };
    let (listen, redirect) = if platform.certificate.is_some() {
        let redirect = fill(include_str!("edge/redirect.conf"), &[("PROXY", proxy), ("ADDRESS", &platform.public_url())]);
        (fill(include_str!("edge/tls.conf"), &[("PROXY", proxy)]), redirect)
    } else {
        (format!("listen {HTTP_PORT}{proxy} backlog=4096;"), String::new())
    };
    let limit = platform.spec.ingress.rate_limit;
    let configuration = fill(
        include_str!("edge/nginx.conf"),
        &[
            ("LISTEN", listen.trim_end()),
            ("REDIRECT", redirect.trim_end()),
            ("CLIENT_ADDRESS", &client_address(edge)),
            ("RATE", &limit.requests_per_second.to_string()),
            ("BURST", &limit.burst.to_string()),
        ],
    );
    let start = fill(include_str!("edge/start.sh"), &[("API", &labels::name(platform, Part::Api))]);
    BTreeMap::from([("nginx.conf".to_owned(), configuration), ("start.sh".to_owned(), start)])
}

/// The lines of nginx's configuration that find a client's address.
fn client_address(edge: &Edge) -> String {
    let header = match edge.client_ip.source {
        ClientIpSource::Connection => return String::new(),
        ClientIpSource::ProxyProtocol => "proxy_protocol",
        ClientIpSource::Header => "X-Forwarded-For",
    };
    let mut lines: Vec<String> = edge.client_ip.trusted_cidrs.iter().map(|network| format!("set_real_ip_from {network};")).collect();
    lines.push(format!("real_ip_header {header};"));
    // The last address that no trusted proxy has.
    lines.push("real_ip_recursive on;".to_owned());
    lines.join("\n")
}

fn service(platform: &Platform, edge: &Edge) -> Service {
    let given = &edge.service;
    let type_ = match given.type_ {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    let policy = match given.external_traffic_policy {
        ExternalTrafficPolicy::Local => "Local",
        ExternalTrafficPolicy::Cluster => "Cluster",
    };
    let node_ports = given.node_ports.unwrap_or_default();
    let service_port = |name: &str, port: i32, node_port: Option<i32>| ServicePort {
        name: Some(name.to_owned()),
        node_port,
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    };
    let mut ports = vec![service_port("http", 80, node_ports.http)];
    if platform.certificate.is_some() {
        ports.push(service_port("https", 443, node_ports.https));
    }
    let mut metadata = metadata(platform, PART);
    metadata.annotations = (!given.annotations.is_empty()).then(|| given.annotations.clone());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            external_traffic_policy: (given.type_ != ServiceType::ClusterIP).then(|| policy.to_owned()),
            load_balancer_class: given.load_balancer_class.clone(),
            ports: Some(ports),
            selector: Some(labels::selector(platform, PART)),
            type_: Some(type_.to_owned()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn deployment(platform: &Platform, edge: &Edge, files: &BTreeMap<String, String>) -> Deployment {
    let mut volumes = vec![config(&labels::name(platform, PART)), scratch_volume("assets", "64Mi"), scratch_volume("tmp", "256Mi")];
    if let Some(certificate) = &platform.certificate {
        volumes.push(secret("certificate", &certificate.secret, &["tls.crt", "tls.key"]));
    }
    let pod = Pod {
        part: PART,
        tier: &edge.tier,
        user: USER_ID,
        grace_seconds: Some(pause(edge) + 52),
        init_containers: vec![assets(platform, edge)],
        container: nginx(platform, edge),
        volumes,
        files: Some(files),
        spread: &[HOSTNAME_TOPOLOGY],
    };
    deployment_of(platform, PART, rolling(1, 0), pod.template(platform))
}

/// Copies the release's files out of the API's image.
fn assets(platform: &Platform, edge: &Edge) -> Container {
    Container {
        args: Some(texts(&["export-assets", "/assets"])),
        image_pull_policy: Some(pull_policy(platform)),
        volume_mounts: Some(vec![mount("assets", "/assets")]),
        ..container("assets", &platform.api.image, &edge.tier.resources)
    }
}

/// Seconds until nobody sends new connections to a pod that is to stop. A load balancer outside asks its nodes only now and then.
fn pause(edge: &Edge) -> i64 {
    if edge.service.type_ == ServiceType::LoadBalancer { 25 } else { 8 }
}

fn nginx(platform: &Platform, edge: &Edge) -> Container {
    let mut ports = vec![port("http", HTTP_PORT), port("admin", ADMIN_PORT)];
    let mut mounts = vec![mount_read_only("config", "/etc/doacoes/edge"), mount_read_only("assets", "/assets"), mount("tmp", "/tmp")];
    if platform.certificate.is_some() {
        ports.push(port("https", HTTPS_PORT));
        mounts.push(mount_read_only("certificate", "/run/secrets/doacoes/certificate"));
    }
    let stop = format!("sleep {}; nginx -e stderr -c /etc/doacoes/edge/nginx.conf -s quit; sleep 40", pause(edge));
    Container {
        command: Some(texts(&["/bin/sh", "/etc/doacoes/edge/start.sh"])),
        ports: Some(ports),
        // Not started before a page of the API came through it.
        startup_probe: Some(probe_timing(1, 3, 600).http("/startupz", "admin")),
        readiness_probe: Some(probe_timing(2, 2, 2).http("/livez", "admin")),
        liveness_probe: Some(probe_timing(10, 5, 6).http("/livez", "admin")),
        lifecycle: Some(before_stop(command(&["/bin/sh", "-c", &stop]))),
        volume_mounts: Some(mounts),
        ..container("nginx", &edge.tier.image, &edge.tier.resources)
    }
}

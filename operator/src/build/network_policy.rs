//! The connections that pods may open and accept. The policies select this platform's pods only, so neighbours are not affected.

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;

use super::child::{Child, Part};
use super::objects::{metadata, selector};
use super::{api, edge, labels, pooler, postgres, redis};
use crate::resolve::Platform;

const DNS_PORT: i32 = 53;
/// Ports of mail servers.
const MAIL_PORTS: [i32; 4] = [25, 465, 587, 2525];

pub(super) fn children(platform: &Platform) -> Vec<Child> {
    if !platform.spec.network_policy.enabled {
        return Vec::new();
    }
    let mut children = vec![nothing(platform)];
    let mut parts = vec![Part::Postgres, Part::Pooler, Part::Redis, Part::Migrate, Part::Api];
    parts.extend(platform.edge.as_ref().map(|_| Part::Edge));
    children.extend(parts.into_iter().map(|part| {
        let policy = NetworkPolicy {
            metadata: metadata(platform, part),
            spec: Some(NetworkPolicySpec {
                egress: Some(egress(platform, part)),
                ingress: Some(ingress(platform, part)),
                pod_selector: Some(selector(platform, part)),
                policy_types: Some(types()),
            }),
        };
        Child::of(platform, part, &policy)
    }));
    children
}

/// The policy of every pod of the platform, which allows nothing. The policies of its parts add what they need.
fn nothing(platform: &Platform) -> Child {
    let policy = NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(format!("{}-all", platform.name)),
            labels: Some(labels::of_all(platform)),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            // Rendered, so that a rule that somebody adds does not stay.
            egress: Some(Vec::new()),
            ingress: Some(Vec::new()),
            pod_selector: Some(LabelSelector { match_labels: Some(labels::all_pods(platform)), match_expressions: None }),
            policy_types: Some(types()),
        }),
    };
    Child::of(platform, Part::Api, &policy)
}

fn types() -> Vec<String> {
    vec!["Ingress".to_owned(), "Egress".to_owned()]
}

fn ingress(platform: &Platform, part: Part) -> Vec<NetworkPolicyIngressRule> {
    let from = |parts: &[Part], port: i32| NetworkPolicyIngressRule { from: Some(peers(platform, parts)), ports: Some(tcp(&[port])) };
    let from_anywhere = |ports: &[i32]| NetworkPolicyIngressRule { from: None, ports: Some(tcp(ports)) };
    match part {
        Part::Postgres => vec![from(&[Part::Pooler, Part::Migrate], postgres::PORT)],
        Part::Pooler => vec![from(&[Part::Api], pooler::PORT)],
        Part::Redis => vec![from(&[Part::Api], redis::PORT)],
        Part::Migrate => Vec::new(),
        Part::Api if platform.edge.is_some() => vec![from(&[Part::Edge], api::PORT)],
        // Where another controller's pods run, and whether they have addresses of their own, is unknown.
        Part::Api => vec![from_anywhere(&[api::PORT])],
        Part::Edge if platform.certificate.is_some() => vec![from_anywhere(&[edge::HTTP_PORT, edge::HTTPS_PORT])],
        Part::Edge => vec![from_anywhere(&[edge::HTTP_PORT])],
    }
}

fn egress(platform: &Platform, part: Part) -> Vec<NetworkPolicyEgressRule> {
    let to = |part: Part, port: i32| NetworkPolicyEgressRule { ports: Some(tcp(&[port])), to: Some(peers(platform, &[part])) };
    let mut rules = match part {
        // They are asked and ask nobody.
        Part::Postgres | Part::Redis => return Vec::new(),
        Part::Pooler | Part::Migrate => vec![to(Part::Postgres, postgres::PORT)],
        Part::Api => {
            let mail = platform.spec.mail.as_ref().map(|_| mail(platform));
            [to(Part::Pooler, pooler::PORT), to(Part::Redis, redis::PORT)].into_iter().chain(mail).collect()
        }
        Part::Edge => vec![to(Part::Api, api::PORT)],
    };
    // Names may be resolved on the node, so no peer is named.
    let mut ports = tcp(&[DNS_PORT]);
    ports.push(port("UDP", DNS_PORT));
    rules.push(NetworkPolicyEgressRule { ports: Some(ports), to: None });
    rules
}

fn mail(platform: &Platform) -> NetworkPolicyEgressRule {
    let networks = &platform.spec.network_policy.egress_cidrs;
    let block =
        |cidr: &String| NetworkPolicyPeer { ip_block: Some(IPBlock { cidr: cidr.clone(), except: None }), ..NetworkPolicyPeer::default() };
    NetworkPolicyEgressRule { ports: Some(tcp(&MAIL_PORTS)), to: (!networks.is_empty()).then(|| networks.iter().map(block).collect()) }
}

fn peers(platform: &Platform, parts: &[Part]) -> Vec<NetworkPolicyPeer> {
    parts.iter().map(|part| NetworkPolicyPeer { pod_selector: Some(selector(platform, *part)), ..NetworkPolicyPeer::default() }).collect()
}

fn tcp(ports: &[i32]) -> Vec<NetworkPolicyPort> {
    ports.iter().map(|number| port("TCP", *number)).collect()
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort { end_port: None, port: Some(IntOrString::Int(number)), protocol: Some(protocol.to_owned()) }
}

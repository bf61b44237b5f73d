//! What the rendered `NetworkPolicies` mean: who may connect to whom, evaluated as a network that enforces them would.

use std::collections::{BTreeMap, BTreeSet};

use doacoes_operator::render::render;
use serde_json::{Value, json};

use super::pods::pod_template;

/// Somebody who connects or is connected to: a part of the site by its name, or somebody outside it.
type Labels = BTreeMap<String, Value>;

/// Somebody in no pod of the cluster.
const OUTSIDE: &str = "outside";
/// The API of another site in the namespace.
const NEIGHBOUR: &str = "neighbour";

fn labels(value: Option<&Value>) -> Labels {
    value.and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The words that a policy has for one direction.
struct Direction {
    type_: &'static str,
    rules: &'static str,
    peers: &'static str,
}

const EGRESS: Direction = Direction { type_: "Egress", rules: "egress", peers: "to" };
const INGRESS: Direction = Direction { type_: "Ingress", rules: "ingress", peers: "from" };

/// The policies of a site, and the labels of the pods of each of its parts, of a neighbouring site's API and of the world
/// outside.
struct Network {
    policies: Vec<Value>,
    pods: BTreeMap<String, Labels>,
}

impl Network {
    fn of(spec: &Value) -> Self {
        let resource = |name: &str| {
            json!({"apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "metadata": {"name": name}, "spec": spec}).to_string()
        };
        let objects = render(&resource("esperanca")).unwrap();
        let kind = |object: &Value, kind: &str| object.get("kind").and_then(Value::as_str) == Some(kind);
        let pods_of = |objects: &[Value]| -> BTreeMap<String, Labels> {
            objects
                .iter()
                .filter_map(|object| Some(labels(pod_template(object)?.pointer("/metadata/labels"))))
                .map(|labels| (labels.get("app.kubernetes.io/component").and_then(Value::as_str).unwrap().to_owned(), labels))
                .collect()
        };
        let mut pods = pods_of(&objects);
        let neighbours = pods_of(&render(&resource("outra")).unwrap());
        pods.insert(NEIGHBOUR.to_owned(), neighbours.get("api").unwrap().clone());
        pods.insert(OUTSIDE.to_owned(), Labels::new());
        Self { policies: objects.into_iter().filter(|object| kind(object, "NetworkPolicy")).collect(), pods }
    }

    /// Whether a connection is allowed at both its ends.
    fn allows(&self, from: &str, to: &str, protocol: &str, port: i64) -> bool {
        self.allows_at(&EGRESS, from, to, (protocol, port)) && self.allows_at(&INGRESS, to, from, (protocol, port))
    }

    /// Whether the policies of the pod `here` allow a connection with `there` in one direction.
    fn allows_at(&self, direction: &Direction, here: &str, there: &str, (protocol, port): (&str, i64)) -> bool {
        let Direction { type_, rules, peers } = *direction;
        let selects = |selector: Option<&Value>, pod: &str| {
            let wanted = labels(selector.and_then(|selector| selector.get("matchLabels")));
            wanted.iter().all(|(key, value)| self.pods.get(pod).unwrap().get(key) == Some(value))
        };
        let has = |list: Option<&Value>, value: &str| list.and_then(Value::as_array).is_some_and(|list| list.contains(&json!(value)));
        let mut meant = self
            .policies
            .iter()
            .filter(|policy| selects(policy.pointer("/spec/podSelector"), here) && has(policy.pointer("/spec/policyTypes"), type_))
            .peekable();
        // Whom no policy means may do everything.
        if meant.peek().is_none() {
            return true;
        }
        meant.any(|policy| {
            policy.pointer(&format!("/spec/{rules}")).and_then(Value::as_array).into_iter().flatten().any(|rule| {
                let is_port = |other: &Value| other.get("protocol") == Some(&json!(protocol)) && other.get("port") == Some(&json!(port));
                let is_peer = |peer: &Value| match peer.get("ipBlock") {
                    Some(_) => there == OUTSIDE,
                    None => there != OUTSIDE && selects(peer.get("podSelector"), there),
                };
                let of = |key: &str| rule.get(key).and_then(Value::as_array).filter(|list| !list.is_empty());
                of("ports").is_none_or(|ports| ports.iter().any(is_port)) && of(peers).is_none_or(|peers| peers.iter().any(is_peer))
            })
        })
    }

    /// Every connection that is allowed, among those that could matter.
    fn matrix(&self) -> BTreeSet<String> {
        let ports = [5432, 6432, 6379, 8080, 8443, 8081, 9090, 53, 25, 443, 465, 587, 2525];
        let mut allowed = BTreeSet::new();
        for from in self.pods.keys() {
            for to in self.pods.keys().filter(|to| *to != from) {
                // What two strangers do is no concern of this site.
                let strangers = [OUTSIDE, NEIGHBOUR];
                if strangers.contains(&from.as_str()) && strangers.contains(&to.as_str()) {
                    continue;
                }
                for (protocol, port) in ports.map(|port| ("TCP", port)).into_iter().chain([("UDP", 53)]) {
                    if self.allows(from, to, protocol, port) {
                        allowed.insert(format!("{from} > {to} {protocol} {port}"));
                    }
                }
            }
        }
        allowed
    }
}

fn whole_site() -> Value {
    json!({
        "ingress": {"host": "doe.example.org", "tls": {"secretName": "doe-tls"}},
        "mail": {"from": "doe@example.org", "secretName": "doe-mail"},
    })
}

/// What a site needs, and nothing else.
fn needed() -> BTreeSet<String> {
    let mut needed: BTreeSet<String> = [
        "pooler > postgres TCP 5432",
        "migrate > postgres TCP 5432",
        "api > pooler TCP 6432",
        "api > redis TCP 6379",
        "edge > api TCP 8080",
        "outside > edge TCP 8080",
        "outside > edge TCP 8443",
        "neighbour > edge TCP 8080",
        "neighbour > edge TCP 8443",
        "api > outside TCP 25",
        "api > outside TCP 465",
        "api > outside TCP 587",
        "api > outside TCP 2525",
    ]
    .map(str::to_owned)
    .into();
    // Names may be answered by anybody, also on the node; nobody of the site listens there.
    for part in ["api", "edge", "migrate", "pooler"] {
        for protocol in ["TCP", "UDP"] {
            needed.insert(format!("{part} > outside {protocol} 53"));
        }
    }
    needed
}

/// Names of servers are asked of whoever answers, so a neighbour may be one, as any pod of the cluster; mail servers too.
fn without_neighbours_as_servers(matrix: BTreeSet<String>) -> BTreeSet<String> {
    matrix.into_iter().filter(|connection| !connection.contains("> neighbour")).collect()
}

#[test]
fn each_part_reaches_what_it_needs_and_nothing_else() {
    let matrix = without_neighbours_as_servers(Network::of(&whole_site()).matrix());
    assert_eq!(matrix, needed());
}

#[test]
fn mail_and_other_controllers_change_what_is_allowed() {
    let mut plain = whole_site();
    plain.as_object_mut().unwrap().remove("mail");
    let matrix = Network::of(&plain).matrix();
    assert!(matrix.iter().all(|connection| !connection.starts_with("api > outside TCP") || connection.ends_with(" 53")), "{matrix:?}");

    let matrix = Network::of(&json!({"ingress": {"host": "doe.example.org", "controller": "Generic"}})).matrix();
    assert!(matrix.contains("outside > api TCP 8080") && !matrix.contains("outside > api TCP 9090"), "{matrix:?}");

    let everything = Network::of(&json!({"ingress": {"host": "doe.example.org"}, "networkPolicy": {"enabled": false}})).matrix();
    assert!(everything.contains("outside > postgres TCP 5432"));
}

/// Without this the evaluation above would prove nothing.
#[test]
fn one_wrong_policy_is_found() {
    for (part, pointer, wrong) in [
        ("postgres", "/spec/ingress/0/from", json!([])),
        ("postgres", "/spec/ingress/0/from/0/podSelector/matchLabels", json!({})),
        ("redis", "/spec/podSelector/matchLabels", json!({"app.kubernetes.io/component": "radis"})),
        ("api", "/spec/egress/0/ports/0/port", json!(5432)),
    ] {
        let mut network = Network::of(&whole_site());
        let name = json!(format!("esperanca-{part}"));
        let policy = network.policies.iter_mut().find(|policy| policy.pointer("/metadata/name") == Some(&name)).unwrap();
        *policy.pointer_mut(pointer).unwrap() = wrong.clone();
        assert_ne!(without_neighbours_as_servers(network.matrix()), needed(), "{part} {pointer} {wrong}");
    }
    // Without the policy that allows nothing, what another one does not mean is free.
    let mut without = Network::of(&whole_site());
    without.policies.retain(|policy| policy.pointer("/metadata/name") != Some(&json!("esperanca-all")));
    let redis = without.policies.iter_mut().find(|policy| policy.pointer("/metadata/name") == Some(&json!("esperanca-redis"))).unwrap();
    *redis.pointer_mut("/spec/policyTypes").unwrap() = json!(["Ingress"]);
    assert!(without.matrix().contains("redis > outside TCP 443"));
}

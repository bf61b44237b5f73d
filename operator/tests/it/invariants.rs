//! What holds for all objects of every platform.

use std::collections::{BTreeMap, BTreeSet};

use doacoes_operator::render::render;
use serde_json::{Value, json};

use super::cases::cases;
use super::pods::pod_template;

/// Longest name that a platform can have, in characters.
const NAME_MAX_CHARS: usize = 40;

/// The objects of one resource.
struct Platform {
    case: String,
    /// The resource.
    resource: Value,
    objects: Vec<Value>,
}

/// The objects of every resource, under its own name and under the longest.
fn platforms() -> Vec<Platform> {
    let mut found = Vec::new();
    for case in cases() {
        let mut resource: Value = serde_yaml::from_str(&case.text).unwrap();
        for name in [text(&resource, "/metadata/name"), "e".repeat(NAME_MAX_CHARS)] {
            *resource.pointer_mut("/metadata/name").unwrap() = json!(name);
            let objects = render(&resource.to_string()).unwrap();
            assert!(objects.len() > 10, "{}", case.name);
            found.push(Platform { case: format!("{} as {name}", case.name), resource: resource.clone(), objects });
        }
    }
    found
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn map(value: &Value, pointer: &str) -> BTreeMap<String, Value> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn kind(object: &Value) -> String {
    text(object, "/kind")
}

fn name(object: &Value) -> String {
    text(object, "/metadata/name")
}

/// Whether `labels` have all of `selector`, which says something.
fn selects(selector: &BTreeMap<String, Value>, labels: &BTreeMap<String, Value>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// A workload: what it is, and the template of its pods.
struct Workload<'a> {
    what: String,
    object: &'a Value,
    template: &'a Value,
    labels: BTreeMap<String, Value>,
}

impl Workload<'_> {
    fn spec(&self) -> &Value {
        self.template.pointer("/spec").unwrap()
    }

    fn containers(&self) -> Vec<&Value> {
        let found: Vec<&Value> = ["/initContainers", "/containers"].into_iter().flat_map(|list_| list(self.spec(), list_)).collect();
        assert!(!found.is_empty(), "{}", self.what);
        found
    }
}

impl Platform {
    fn of_kind(&self, wanted: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| kind(object) == wanted)
    }

    fn find(&self, wanted: &str, called: &str) -> Option<&Value> {
        self.of_kind(wanted).find(|object| name(object) == called)
    }

    fn workloads(&self) -> Vec<Workload<'_>> {
        let found: Vec<Workload<'_>> = self
            .objects
            .iter()
            .filter_map(|object| {
                let template = pod_template(object)?;
                let what = format!("{}: {} {}", self.case, kind(object), name(object));
                Some(Workload { what, object, template, labels: map(template, "/metadata/labels") })
            })
            .collect();
        assert!(found.len() > 4, "{}", self.case);
        found
    }

    /// The smallest number of pods of a workload.
    fn pods(&self, workload: &Workload<'_>) -> i64 {
        let autoscaler = self.of_kind("HorizontalPodAutoscaler").find(|scaler| {
            text(scaler, "/spec/scaleTargetRef/name") == name(workload.object)
                && text(scaler, "/spec/scaleTargetRef/kind") == kind(workload.object)
        });
        let number = match autoscaler {
            Some(scaler) => scaler.pointer("/spec/minReplicas"),
            None => workload.object.pointer("/spec/replicas"),
        };
        // A Job has one pod.
        number.and_then(Value::as_i64).unwrap_or(1)
    }

    /// The workloads that `selector` selects.
    fn selected<'a>(&self, workloads: &'a [Workload<'a>], selector: &BTreeMap<String, Value>) -> Vec<&'a Workload<'a>> {
        assert!(!selector.is_empty(), "{}: an empty selector would select the pods of others", self.case);
        workloads.iter().filter(|workload| selects(selector, &workload.labels)).collect()
    }
}

#[test]
fn every_pod_is_restricted() {
    for platform in platforms() {
        for workload in platform.workloads() {
            let (what, spec) = (&workload.what, workload.spec());
            for (pointer, expected) in
                [("/securityContext/runAsNonRoot", json!(true)), ("/securityContext/seccompProfile/type", json!("RuntimeDefault"))]
            {
                assert_eq!(spec.pointer(pointer), Some(&expected), "{what}: {pointer}");
            }
            assert!(spec.pointer("/securityContext/runAsUser").and_then(Value::as_i64).is_some_and(|user| user > 0), "{what}");
            for field in ["hostNetwork", "hostPID", "hostIPC", "hostUsers", "nodeName", "ephemeralContainers"] {
                assert_eq!(spec.get(field), None, "{what}: {field}");
            }
            for volume in list(spec, "/volumes") {
                let kinds: Vec<String> = map(volume, "").into_keys().filter(|key| key != "name").collect();
                assert!(matches!(kinds.join(",").as_str(), "configMap" | "emptyDir" | "secret"), "{what}: {volume}");
            }
            for container in workload.containers() {
                let what = format!("{what}: {}", text(container, "/name"));
                let expected = json!({
                    "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true,
                });
                assert_eq!(container.get("securityContext"), Some(&expected), "{what}");
                assert!(list(container, "/ports").iter().all(|port| port.get("hostPort").is_none()), "{what}");
            }
        }
    }
}

#[test]
fn no_pod_has_a_token_of_the_api_server() {
    for platform in platforms() {
        for account in platform.of_kind("ServiceAccount") {
            assert_eq!(account.get("automountServiceAccountToken"), Some(&json!(false)), "{}: {}", platform.case, name(account));
        }
        for workload in platform.workloads() {
            let spec = workload.spec();
            assert_eq!(spec.get("automountServiceAccountToken"), Some(&json!(false)), "{}", workload.what);
            assert_eq!(spec.get("enableServiceLinks"), Some(&json!(false)), "{}", workload.what);
            let account = text(spec, "/serviceAccountName");
            assert!(platform.find("ServiceAccount", &account).is_some(), "{}: there is no account {account}", workload.what);
        }
    }
}

#[test]
fn every_container_says_what_it_needs_and_may_use() {
    for platform in platforms() {
        for workload in platform.workloads() {
            for container in workload.containers() {
                let what = format!("{}: {}", workload.what, text(container, "/name"));
                for pointer in ["/resources/requests/cpu", "/resources/requests/memory", "/resources/limits/memory"] {
                    let amount = text(container, pointer);
                    assert!(
                        doacoes_operator::quantity::billionths(&amount).is_some_and(|amount| amount > 0),
                        "{what}: {pointer} is {amount:?}"
                    );
                }
                let image = text(container, "/image");
                let (_, version) = image.rsplit_once([':', '@']).unwrap_or_default();
                assert!(!version.is_empty() && !version.contains('/') && version != "latest", "{what}: {image}");
            }
        }
    }
}

#[test]
fn selectors_find_the_pods_that_they_are_for() {
    for platform in platforms() {
        let workloads = platform.workloads();
        for workload in &workloads {
            let what = &workload.what;
            if kind(workload.object) != "Job" {
                assert!(selects(&map(workload.object, "/spec/selector/matchLabels"), &workload.labels), "{what}");
                let found = platform.selected(&workloads, &map(workload.object, "/spec/selector/matchLabels"));
                assert_eq!(found.len(), 1, "{what} would take over pods of others");
            }
            for constraint in list(workload.spec(), "/topologySpreadConstraints") {
                assert!(selects(&map(constraint, "/labelSelector/matchLabels"), &workload.labels), "{what}");
            }
        }
        for service in platform.of_kind("Service") {
            let what = format!("{}: Service {}", platform.case, name(service));
            let found = platform.selected(&workloads, &map(service, "/spec/selector"));
            assert_eq!(found.len(), 1, "{what}");
            let ports: BTreeSet<String> = found
                .iter()
                .flat_map(|workload| workload.containers())
                .flat_map(|container| list(container, "/ports"))
                .map(|port| text(port, "/name"))
                .collect();
            for port in list(service, "/spec/ports") {
                assert!(ports.contains(&text(port, "/targetPort")), "{what}: {port}");
            }
        }
        for policy in platform.of_kind("NetworkPolicy") {
            let what = format!("{}: NetworkPolicy {}", platform.case, name(policy));
            assert!(!platform.selected(&workloads, &map(policy, "/spec/podSelector/matchLabels")).is_empty(), "{what}");
            let rules = list(policy, "/spec/ingress").iter().chain(list(policy, "/spec/egress"));
            for peer in rules.flat_map(|rule| list(rule, "/from").iter().chain(list(rule, "/to"))) {
                if peer.get("ipBlock").is_none() {
                    assert_eq!(peer.get("namespaceSelector"), None, "{what}");
                    assert_eq!(platform.selected(&workloads, &map(peer, "/podSelector/matchLabels")).len(), 1, "{what}: {peer}");
                }
            }
        }
        for backend in
            platform.of_kind("Ingress").flat_map(|ingress| list(ingress, "/spec/rules")).flat_map(|rule| list(rule, "/http/paths"))
        {
            let service = platform.find("Service", &text(backend, "/backend/service/name")).unwrap();
            let port = text(backend, "/backend/service/port/name");
            assert!(list(service, "/spec/ports").iter().any(|other| text(other, "/name") == port), "{}: {backend}", platform.case);
        }
    }
}

#[test]
fn every_workload_of_several_pods_lets_some_go_and_keeps_half_and_no_other_has_a_budget() {
    for platform in platforms() {
        let workloads = platform.workloads();
        let mut with_budget = BTreeSet::new();
        for budget in platform.of_kind("PodDisruptionBudget") {
            let what = format!("{}: PodDisruptionBudget {}", platform.case, name(budget));
            let found = platform.selected(&workloads, &map(budget, "/spec/selector/matchLabels"));
            assert_eq!(found.len(), 1, "{what}");
            for workload in found {
                assert!(platform.pods(workload) > 1, "{what}: its only pod could never be moved");
                with_budget.insert(workload.what.clone());
                let at_once = budget.pointer("/spec/maxUnavailable").and_then(Value::as_i64).unwrap();
                assert!(at_once >= 1 && at_once * 2 <= platform.pods(workload), "{what}: {at_once} at once");
            }
        }
        let several: BTreeSet<String> =
            workloads.iter().filter(|workload| platform.pods(workload) > 1).map(|workload| workload.what.clone()).collect();
        assert_eq!(with_budget, several);
    }
}

/// Secrets that the resource names, which others keep.
fn named_secrets(resource: &Value) -> BTreeSet<String> {
    ["/spec/ingress/tls/secretName", "/spec/mail/secretName"]
        .into_iter()
        .map(|pointer| text(resource, pointer))
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn everything_that_is_mounted_is_there() {
    for platform in platforms() {
        let others = named_secrets(&platform.resource);
        let mut used = BTreeSet::new();
        for workload in platform.workloads() {
            let what = &workload.what;
            let volumes = list(workload.spec(), "/volumes");
            for volume in volumes {
                let (kind, called) = match (volume.pointer("/secret/secretName"), volume.pointer("/configMap/name")) {
                    (Some(secret), _) => ("Secret", secret),
                    (None, Some(config)) => ("ConfigMap", config),
                    (None, None) => continue,
                };
                let called = called.as_str().unwrap_or_default();
                if kind == "Secret" && others.contains(called) {
                    continue;
                }
                let object = platform.find(kind, called);
                assert!(object.is_some(), "{what}: there is no {kind} {called}");
                let object = object.unwrap();
                used.insert((kind, called.to_owned()));
                let keys: BTreeSet<String> = map(object, "/data").into_keys().chain(map(object, "/stringData").into_keys()).collect();
                for item in list(volume, "/secret/items").iter().chain(list(volume, "/configMap/items")) {
                    assert!(keys.contains(&text(item, "/key")), "{what}: {kind} {called} has no {item}");
                }
            }
            let claims = list(workload.object, "/spec/volumeClaimTemplates").iter().map(name);
            let offered: BTreeSet<String> = volumes.iter().map(|volume| text(volume, "/name")).chain(claims).collect();
            let mounted: BTreeSet<String> = workload
                .containers()
                .into_iter()
                .flat_map(|container| list(container, "/volumeMounts"))
                .map(|mount| text(mount, "/name"))
                .collect();
            assert_eq!(mounted, offered, "{what}");
            for container in workload.containers() {
                let paths: Vec<String> = list(container, "/volumeMounts").iter().map(|mount| text(mount, "/mountPath")).collect();
                assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), paths.len(), "{what}: {paths:?}");
                let variables: Vec<String> = list(container, "/env").iter().map(|variable| text(variable, "/name")).collect();
                assert_eq!(variables.iter().collect::<BTreeSet<_>>().len(), variables.len(), "{what}: {variables:?}");
            }
        }
        for object in &platform.objects {
            let unused = match kind(object).as_str() {
                "ConfigMap" => !used.contains(&("ConfigMap", name(object))),
                // The controller of an Ingress reads its Secret.
                "Secret" => {
                    !used.contains(&("Secret", name(object)))
                        && !platform
                            .objects
                            .iter()
                            .any(|other| list(other, "/spec/tls").iter().any(|tls| text(tls, "/secretName") == name(object)))
                }
                _ => false,
            };
            assert!(!unused, "{}: nothing uses {} {}", platform.case, kind(object), name(object));
        }
    }
}

/// A Service's name is a DNS label, and so is a pod's host name; the name of a Job is the value of a label of its pods, and so is
/// the name of a revision of a `StatefulSet`, which has up to eleven characters more.
#[test]
fn names_have_room_for_what_kubernetes_adds() {
    for platform in platforms() {
        for object in &platform.objects {
            let (kind, name) = (kind(object), name(object));
            let what = format!("{}: {kind} {name}", platform.case);
            let more = if kind == "StatefulSet" { 11 } else { 0 };
            assert!(!name.is_empty() && name.len() + more <= 63, "{what}: {}", name.len());
            assert!(name.starts_with(&text(&platform.resource, "/metadata/name")), "{what}");
            let template = pod_template(object).unwrap_or(&Value::Null);
            for (key, value) in map(object, "/metadata/labels").into_iter().chain(map(template, "/metadata/labels")) {
                assert!(value.as_str().is_some_and(|value| !value.is_empty() && value.len() <= 63), "{what}: {key}");
            }
        }
        let ids: BTreeSet<(String, String)> = platform.objects.iter().map(|object| (kind(object), name(object))).collect();
        assert_eq!(ids.len(), platform.objects.len(), "{}: two objects have one name", platform.case);
    }
}

#[test]
fn every_object_says_whose_it_is() {
    for platform in platforms() {
        let namespace = platform.resource.pointer("/metadata/namespace").cloned().unwrap_or_else(|| json!("default"));
        let instance = text(&platform.resource, "/metadata/name");
        for object in &platform.objects {
            let what = format!("{}: {} {}", platform.case, kind(object), name(object));
            assert_eq!(object.pointer("/metadata/namespace"), Some(&namespace), "{what}");
            let labels = map(object, "/metadata/labels");
            assert_eq!(labels.get("app.kubernetes.io/instance"), Some(&json!(instance)), "{what}");
            assert_eq!(labels.get("app.kubernetes.io/managed-by"), Some(&json!("doacoes-operator")), "{what}");
            let owners: Vec<String> = list(object, "/metadata/ownerReferences").iter().map(name_of_owner).collect();
            // A Secret with generated data outlives its platform.
            let retained = kind(object) == "Secret" && text(object, "/type") == "Opaque";
            assert_eq!(owners, if retained { Vec::new() } else { vec![format!("DonationPlatform/{instance}")] }, "{what}");
        }
    }
}

fn name_of_owner(owner: &Value) -> String {
    format!("{}/{}", text(owner, "/kind"), text(owner, "/name"))
}

#[test]
fn no_generated_data_and_no_password_is_in_an_environment() {
    for platform in platforms() {
        for secret in platform.of_kind("Secret") {
            let data = map(secret, "/stringData");
            assert!(!data.is_empty() && secret.get("data").is_none(), "{}", platform.case);
            assert!(
                data.values().all(|value| value.as_str().is_some_and(|value| value.contains("generated"))),
                "{}: {secret}",
                platform.case
            );
        }
        for workload in platform.workloads() {
            for variable in workload.containers().into_iter().flat_map(|container| list(container, "/env")) {
                assert!(variable.get("valueFrom").is_none(), "{}: {variable}", workload.what);
                let value = text(variable, "/value");
                let password =
                    value.split_once("://").and_then(|(_, rest)| rest.split_once('@')).is_some_and(|(user, _)| user.contains(':'));
                assert!(!password, "{}: {variable}", workload.what);
            }
        }
    }
}

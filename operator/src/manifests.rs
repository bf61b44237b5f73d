//! The objects that install the operator without Helm: namespace, rights and the operator's own pod.

use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use crate::crd::DonationPlatform;
use crate::names::{MANAGED_BY, NAME_LABEL};
use crate::rbac;

/// Namespace of the operator.
pub const NAMESPACE: &str = "doacoes-system";
/// Image of the operator. It is built from source and loaded onto the nodes, because none is published yet.
pub const IMAGE: &str = concat!("localhost/doacoes/operator:", env!("CARGO_PKG_VERSION"));

/// Every object, in the order of creation.
pub fn install() -> Result<Vec<Value>, serde_json::Error> {
    let labels = json!({NAME_LABEL: MANAGED_BY});
    let metadata = json!({"name": MANAGED_BY, "namespace": NAMESPACE, "labels": labels});
    let cluster_wide = json!({"name": MANAGED_BY, "labels": labels});
    Ok(vec![
        serde_json::to_value(DonationPlatform::crd())?,
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": cluster_wide, "rules": rbac::rules()}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": cluster_wide,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": MANAGED_BY},
            "subjects": [{"kind": "ServiceAccount", "name": MANAGED_BY, "namespace": NAMESPACE}],
        }),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
            // One at a time: two would both write.
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "serviceAccountName": MANAGED_BY,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 30,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "operator",
                    "image": IMAGE,
                    "args": ["run"],
                    "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    "ports": [{"name": "admin", "containerPort": 8081}],
                    "livenessProbe": {"httpGet": {"path": "/livez", "port": "admin"}, "timeoutSeconds": 5},
                    "readinessProbe": {"httpGet": {"path": "/readyz", "port": "admin"}, "periodSeconds": 5},
                    "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                    },
                }],
            }},
        }}),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_pod_is_bound_to_its_role_and_nothing_else_is_installed() {
        let objects = install().unwrap_or_default();
        let kinds: Vec<&str> = objects.iter().filter_map(|object| object.get("kind").and_then(Value::as_str)).collect();
        let expected = ["CustomResourceDefinition", "Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment"];
        assert_eq!(kinds, expected);
        let find = |kind: &str, pointer: &str| {
            objects
                .iter()
                .find(|object| object.get("kind").and_then(Value::as_str) == Some(kind))
                .and_then(|object| object.pointer(pointer))
                .cloned()
        };
        let account = find("ServiceAccount", "/metadata/name");
        assert_eq!(find("Deployment", "/spec/template/spec/serviceAccountName"), account);
        assert_eq!(find("ClusterRoleBinding", "/subjects/0/name"), account);
        assert_eq!(find("ClusterRoleBinding", "/roleRef/name"), find("ClusterRole", "/metadata/name"));
        assert_eq!(find("ClusterRole", "/rules"), serde_json::to_value(rbac::rules()).ok());
    }
}

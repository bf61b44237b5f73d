//! What clusters put in the operator's way: quotas, and policies that change objects.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use super::{Result, World};

/// Name of the quota that [`World::forbid`] makes.
const QUOTA: &str = "none";

impl World {
    /// Makes a quota of nothing on one kind of object, such as `services`. No controller counts what there is, so its status is
    /// written too.
    pub(crate) async fn forbid(&self, what: &str) -> Result {
        let hard = json!({what: "0"});
        let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": QUOTA}, "spec": {"hard": hard}});
        self.quotas().create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
        let status = Patch::Merge(json!({"status": {"hard": hard, "used": hard}}));
        self.quotas().patch_status(QUOTA, &PatchParams::default(), &status).await?;
        Ok(())
    }

    /// Removes the quota that [`World::forbid`] made.
    pub(crate) async fn permit(&self) -> Result {
        self.quotas().delete(QUOTA, &DeleteParams::default()).await?;
        Ok(())
    }

    fn quotas(&self) -> Api<ResourceQuota> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    /// Makes a policy that changes every object of a kind in the namespace on its way. `patch` is the policy's expression.
    pub(crate) async fn change_on_its_way(&self, group: &str, plural: &str, patch: &str) -> Result {
        let kind = |kind: &str| {
            let gvk = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1beta1", kind);
            let plural = if kind.ends_with("Binding") { "mutatingadmissionpolicybindings" } else { "mutatingadmissionpolicies" };
            Api::<DynamicObject>::all_with(self.admin.clone(), &ApiResource::from_gvk_with_plural(&gvk, plural))
        };
        let name = &self.namespace;
        let rule = json!({"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [plural]});
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1beta1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail", "reinvocationPolicy": "Never",
                "matchConstraints": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}, "resourceRules": [rule],
                },
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
            },
        });
        kind("MutatingAdmissionPolicy").create(&PostParams::default(), &serde_json::from_value(policy)?).await?;
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1beta1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name},
        });
        kind("MutatingAdmissionPolicyBinding").create(&PostParams::default(), &serde_json::from_value(binding)?).await?;
        Ok(())
    }
}

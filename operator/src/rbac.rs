//! The operator's rights: the verbs that the code uses, per resource, and no others. The chart's role and
//! `manifests/install.yaml` are made from this list.

use k8s_openapi::api::rbac::v1::PolicyRule;

/// Rules inside the namespaces that are watched.
pub fn rules() -> Vec<PolicyRule> {
    /// The verbs of [`crate::client::ApiClient`] for rendered objects: `patch` is server-side apply, which needs `create` where there
    /// is none yet.
    const RENDERED_VERBS: [&str; 6] = ["create", "delete", "get", "list", "patch", "watch"];
    /// The same for kinds in which others can add what server-side apply leaves: `update` takes that away.
    const REPAIRED_VERBS: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];
    vec![
        rule("doacoes.dev", &["donationplatforms"], &["list", "watch"]),
        rule("doacoes.dev", &["donationplatforms/status"], &["patch"]),
        // An owner reference that blocks deletion may be set by who may update this.
        rule("doacoes.dev", &["donationplatforms/finalizers"], &["update"]),
        rule("", &["configmaps", "services"], &REPAIRED_VERBS),
        rule("", &["serviceaccounts"], &RENDERED_VERBS),
        rule("apps", &["deployments"], &REPAIRED_VERBS),
        // The database is never taken away while its platform is there.
        rule("apps", &["statefulsets"], &["create", "get", "list", "patch", "update", "watch"]),
        rule("autoscaling", &["horizontalpodautoscalers"], &RENDERED_VERBS),
        rule("networking.k8s.io", &["ingresses", "networkpolicies"], &RENDERED_VERBS),
        rule("policy", &["poddisruptionbudgets"], &REPAIRED_VERBS),
        rule("batch", &["jobs"], &["create", "delete", "get", "list", "watch"]),
        // Generated ones are made once; a patch changes their owner and nothing else.
        rule("", &["secrets"], &["create", "get", "list", "patch", "watch"]),
        rule("", &["persistentvolumeclaims"], &["list", "patch", "watch"]),
        rule("", &["pods"], &["list", "watch"]),
        rule("", &["events"], &["list"]),
        rule("events.k8s.io", &["events"], &["create"]),
    ]
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    PolicyRule { api_groups: Some(vec![group.to_owned()]), resources: Some(texts(resources)), verbs: texts(verbs), ..PolicyRule::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    fn may(group: &str, resource: &str, verb: &str) -> bool {
        rules().iter().any(|rule| {
            let has = |list: &Option<Vec<String>>, text: &str| list.iter().flatten().any(|other| other == text);
            has(&rule.api_groups, group) && has(&rule.resources, resource) && rule.verbs.iter().any(|other| other == verb)
        })
    }

    #[test]
    fn every_watched_kind_may_be_watched_and_every_rendered_one_kept() {
        for resource in kinds::watched() {
            for verb in ["list", "watch"] {
                assert!(may(&resource.group, &resource.plural, verb), "{verb} {}", resource.plural);
            }
        }
        for resource in kinds::rendered() {
            for verb in ["create", "get"] {
                assert!(may(&resource.group, &resource.plural, verb), "{verb} {}", resource.plural);
            }
        }
    }

    #[test]
    fn nothing_is_allowed_by_wildcard_and_no_secret_may_be_changed_or_removed_wholesale() {
        for rule in rules() {
            let texts = rule.verbs.iter().chain(rule.resources.iter().flatten()).chain(rule.api_groups.iter().flatten());
            assert!(texts.into_iter().all(|text| text != "*"));
        }
        assert!(!may("", "secrets", "delete") && !may("", "secrets", "update"));
        assert!(!may("doacoes.dev", "donationplatforms", "patch") && !may("doacoes.dev", "donationplatforms", "update"));
    }
}

//! The `Ingress` for a controller that the cluster has. Its annotations tune; what must hold holds in the API.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec, IngressTLS,
    ServiceBackendPort,
};

use super::child::{Child, Part};
use super::labels;
use super::objects::metadata;
use crate::crd::Controller;
use crate::resolve::Platform;

const PART: Part = Part::Edge;

pub(super) fn children(platform: &Platform) -> Vec<Child> {
    if platform.spec.ingress.controller == Controller::Managed {
        return Vec::new();
    }
    let host = &platform.spec.ingress.host;
    let path = HTTPIngressPath {
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: labels::name(platform, Part::Api),
                port: Some(ServiceBackendPort { name: Some("http".to_owned()), number: None }),
            }),
            resource: None,
        },
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
    };
    let tls = platform
        .certificate
        .as_ref()
        .map(|certificate| IngressTLS { hosts: Some(vec![host.clone()]), secret_name: Some(certificate.secret.clone()) });
    let mut metadata = metadata(platform, PART);
    metadata.annotations = annotations(platform);
    let ingress = Ingress {
        metadata,
        spec: Some(IngressSpec {
            default_backend: None,
            ingress_class_name: Some("nginx".to_owned()),
            rules: Some(vec![IngressRule { host: Some(host.clone()), http: Some(HTTPIngressRuleValue { paths: vec![path] }) }]),
            tls: tls.map(|tls| vec![tls]),
        }),
        status: None,
    };
    vec![Child::of(platform, PART, &ingress)]
}

fn annotations(platform: &Platform) -> Option<BTreeMap<String, String>> {
    let limit = platform.spec.ingress.rate_limit;
    let (rate, burst) = (limit.requests_per_second, limit.burst);
    let redirect = platform.certificate.is_some().to_string();
    let (prefix, pairs): (&str, Vec<(&str, String)>) = match platform.spec.ingress.controller {
        Controller::Managed | Controller::Generic => return None,
        Controller::F5Nginx => (
            "nginx.org",
            vec![
                ("client-max-body-size", "128k".to_owned()),
                ("proxy-connect-timeout", "1s".to_owned()),
                ("proxy-send-timeout", "15s".to_owned()),
                // A stream says something each minute.
                ("proxy-read-timeout", "75s".to_owned()),
                ("proxy-next-upstream", "error timeout".to_owned()),
                ("proxy-next-upstream-timeout", "3s".to_owned()),
                ("proxy-next-upstream-tries", "3".to_owned()),
                ("limit-req-rate", format!("{rate}r/s")),
                ("limit-req-key", "${binary_remote_addr}".to_owned()),
                ("limit-req-burst", burst.to_string()),
                ("limit-req-no-delay", "true".to_owned()),
                ("limit-req-reject-code", "429".to_owned()),
                ("redirect-to-https", redirect),
            ],
        ),
        Controller::IngressNginx => (
            "nginx.ingress.kubernetes.io",
            vec![
                ("proxy-body-size", "128k".to_owned()),
                ("proxy-connect-timeout", "1".to_owned()),
                ("proxy-send-timeout", "15".to_owned()),
                ("proxy-read-timeout", "75".to_owned()),
                ("proxy-next-upstream", "error timeout".to_owned()),
                ("proxy-next-upstream-timeout", "3".to_owned()),
                ("proxy-next-upstream-tries", "3".to_owned()),
                ("limit-rps", rate.to_string()),
                // It knows a multiple of the rate only, so at least the burst that was asked for.
                ("limit-burst-multiplier", burst.saturating_add(rate.saturating_sub(1)).checked_div(rate).unwrap_or(1).max(1).to_string()),
                ("ssl-redirect", redirect),
            ],
        ),
    };
    Some(pairs.into_iter().map(|(name, value)| (format!("{prefix}/{name}"), value)).collect())
}

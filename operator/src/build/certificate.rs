//! The Secret of a certificate that the operator signs itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::child::{ApplyPolicy, Child, Part};
use super::labels;
use super::objects::metadata;
use crate::names::CERTIFICATE_HOST_ANNOTATION;
use crate::resolve::Platform;

const PART: Part = Part::Edge;

/// The Secret, with placeholders for what is made when it is written.
pub(super) fn children(platform: &Platform) -> Option<Child> {
    let certificate = platform.certificate.as_ref().filter(|certificate| certificate.self_signed)?;
    let mut metadata = metadata(platform, PART);
    metadata.name = Some(certificate.secret.clone());
    metadata.labels = Some(labels::of(platform, PART));
    metadata.annotations = Some(BTreeMap::from([(CERTIFICATE_HOST_ANNOTATION.to_owned(), platform.spec.ingress.host.clone())]));
    let placeholder = |key: &str| (key.to_owned(), "generated".to_owned());
    let secret = Secret {
        metadata,
        string_data: Some(BTreeMap::from([placeholder("tls.crt"), placeholder("tls.key")])),
        type_: Some("kubernetes.io/tls".to_owned()),
        ..Secret::default()
    };
    let mut child = Child::of(platform, PART, &secret);
    child.policy = ApplyPolicy::Renew;
    Some(child)
}

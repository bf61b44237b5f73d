//! The certificate that the operator signs: it is renewed in time, and replaced when the host changes or somebody changes it.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::core::ObjectMeta;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::json;

use super::apply::{Applied, waiting_for_removal};
use super::observe::SecretState;
use super::ownership::{Identity, Ownership};
use super::pass::Pass;
use super::secret_values;
use crate::build::{ApplyPolicy, Child};
use crate::client::{ApiClient, patch_of};
use crate::error::Error;
use crate::fingerprint::fingerprint;
use crate::names::{CERTIFICATE_HOST_ANNOTATION, CONTENT_ANNOTATION, FIELD_MANAGER, LABELS_MANAGER, RENEW_AFTER_ANNOTATION};

/// Time from the signing of a certificate to its end.
const CERTIFICATE_VALIDITY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Time between the renewal of a certificate and its end.
const RENEWAL_MARGIN: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Time by which a certificate begins before it is signed, because clocks differ.
const BACKDATING_MARGIN: SignedDuration = SignedDuration::from_hours(24);

/// Signs a certificate for the host, unless the platform has one that is valid for it and not due for renewal.
pub async fn apply(pass: &mut Pass<'_>) -> Result<Applied, Error> {
    let Pass { client, platform, observed, children, now, .. } = pass;
    let mut applied = Applied::default();
    let Some(child) = children.iter().find(|child| child.policy == ApplyPolicy::Renew) else { return Ok(applied) };
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    let (name, host) = (child.object.name_any(), &platform.spec.ingress.host);
    let live = observed.secrets.get_mut(&name);
    let is_there = live.is_some();
    if let Some(secret) = live {
        match identity.ownership(&secret.metadata) {
            Ownership::Foreign => {
                applied.refused.push((child.part, Error::NameConflict { kind: child.resource.kind.clone(), name }));
                return Ok(applied);
            }
            Ownership::Terminating | Ownership::Predecessor => {
                applied.waiting.push(waiting_for_removal(child));
                return Ok(applied);
            }
            Ownership::Ours if is_good(secret, host, *now) => {
                match restore_labels(client, child, &mut secret.metadata).await {
                    Err(error) if error.is_refusal() => applied.refused.push((child.part, error)),
                    done => done?,
                }
                return Ok(applied);
            }
            Ownership::Ours => {}
        }
    }
    tracing::info!(object = name, host, "signing a certificate");
    let signed =
        signed(child, host, *now).map_err(|source| Error::Malformed { kind: child.resource.kind.clone(), name: name.clone(), source })?;
    // Not forced where there is none: what somebody made in this moment is not taken over.
    match client.apply(&child.resource, &signed, FIELD_MANAGER, is_there).await {
        Ok(secret) => {
            observed.secrets.insert(name, SecretState::of(secret, secret_values::CERTIFICATE));
        }
        Err(error) if error.is_refusal() => applied.refused.push((child.part, error)),
        Err(error) => return Err(error),
    }
    Ok(applied)
}

/// Restores labels that somebody changed. The certificate stays, since nginx would roll for a new one.
async fn restore_labels(client: &ApiClient, child: &Child, live: &mut ObjectMeta) -> Result<(), Error> {
    let has = |(key, value): (&String, &String)| live.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value);
    if child.object.labels().iter().all(has) {
        return Ok(());
    }
    let labels = ObjectMeta { labels: child.object.metadata.labels.clone(), ..ObjectMeta::default() };
    let patch = patch_of(&child.resource, live, labels, json!({}));
    *live = client.apply(&child.resource, &patch, LABELS_MANAGER, true).await?.metadata;
    Ok(())
}

fn is_good(secret: &SecretState, host: &str, now: Timestamp) -> bool {
    let annotation = |name: &str| secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(name));
    let renew_after = annotation(RENEW_AFTER_ANNOTATION).and_then(|text| text.parse::<Timestamp>().ok());
    annotation(CERTIFICATE_HOST_ANNOTATION).is_some_and(|name| name == host)
        && annotation(CONTENT_ANNOTATION) == Some(&secret.certificate)
        && renew_after.is_some_and(|renew_after| now < renew_after)
}

/// The child with a new key and a certificate for `host` in place of the placeholders.
fn signed(child: &Child, host: &str, now: Timestamp) -> Result<DynamicObject, Box<dyn std::error::Error + Send + Sync>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([host.to_owned()])?;
    // X.509 gives a common name 64 signs, and clients read the subject's other names.
    if host.len() <= 64 {
        params.distinguished_name.push(rcgen::DnType::CommonName, host);
    }
    let day = |time: Timestamp| -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let date = time.to_zoned(TimeZone::UTC).date();
        Ok(date_time_ymd(date.year().into(), u8::try_from(date.month())?, u8::try_from(date.day())?))
    };
    params.not_before = day(now.checked_sub(BACKDATING_MARGIN)?)?;
    params.not_after = day(now.checked_add(CERTIFICATE_VALIDITY)?)?;
    let certificate = params.self_signed(&key)?;
    let data = json!({"tls.crt": ByteString(certificate.pem().into_bytes()), "tls.key": ByteString(key.serialize_pem().into_bytes())});
    let mut object = child.object.clone();
    let annotations = object.metadata.annotations.get_or_insert_default();
    annotations.insert(CONTENT_ANNOTATION.to_owned(), fingerprint(&json!([data.get("tls.crt"), data.get("tls.key")])));
    let renew_after = Timestamp::from_second(now.checked_add(CERTIFICATE_VALIDITY)?.checked_sub(RENEWAL_MARGIN)?.as_second())?;
    annotations.insert(RENEW_AFTER_ANNOTATION.to_owned(), renew_after.to_string());
    if let Some(content) = object.data.as_object_mut() {
        content.remove("stringData");
        content.insert("data".to_owned(), data);
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::core::ApiResource;

    use super::*;
    use crate::build::{Part, WaitsFor};

    fn secret(host: &str, now: Timestamp) -> Option<SecretState> {
        let metadata = ObjectMeta {
            name: Some("esperanca-edge-tls".into()),
            annotations: Some([(CERTIFICATE_HOST_ANNOTATION.to_owned(), host.to_owned())].into()),
            ..ObjectMeta::default()
        };
        let child = Child {
            resource: ApiResource::erase::<Secret>(&()),
            object: DynamicObject { types: None, metadata, data: json!({"stringData": {}, "type": "kubernetes.io/tls"}) },
            part: Part::Edge,
            waits_for: WaitsFor::Nothing,
            policy: ApplyPolicy::Renew,
            scale: None,
        };
        signed(&child, host, now).ok().map(|secret| SecretState::of(secret, secret_values::CERTIFICATE))
    }

    #[test]
    fn a_certificate_will_do_until_a_month_before_its_end_for_its_host_and_unchanged() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000);
        let later = |days: i64| now + SignedDuration::from_hours(24 * days);
        let Some(mut secret) = secret("doe.example.org", now) else { unreachable!("it can be signed") };
        assert!(secret.keys.contains("tls.crt") && secret.keys.contains("tls.key"));
        assert!(is_good(&secret, "doe.example.org", now) && is_good(&secret, "doe.example.org", later(59)));
        assert!(!is_good(&secret, "doe.example.org", later(61)), "before its end");
        assert!(!is_good(&secret, "outra.example.org", now), "another host");
        secret.certificate = "changed".into();
        assert!(!is_good(&secret, "doe.example.org", now), "somebody changed it");
    }
}

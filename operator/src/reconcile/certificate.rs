//! The certificate that is signed here: made, renewed in time, and made anew when it is for another host or somebody changed it.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::core::ObjectMeta;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::json;

use super::apply::{Applied, removal};
use super::observe::{Observed, SecretState};
use super::ownership::{Identity, Owner};
use super::secret_values;
use crate::build::{Child, Upkeep};
use crate::cluster::{Cluster, patch_of};
use crate::error::Error;
use crate::fingerprint::fingerprint;
use crate::names::{CERTIFICATE_HOST, CONTENT, FIELD_MANAGER, LABELS_MANAGER, RENEW_AFTER};
use crate::resolve::Platform;

/// How long a certificate holds.
const LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long before its end it is renewed.
const MARGIN: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long before now it holds already: clocks differ.
const BEFORE: SignedDuration = SignedDuration::from_hours(24);

/// Signs a certificate if there is none that will do.
pub async fn apply(
    cluster: &Cluster,
    observed: &mut Observed,
    platform: &Platform,
    children: &[Child],
    now: Timestamp,
) -> Result<Applied, Error> {
    let mut applied = Applied::default();
    let Some(child) = children.iter().find(|child| child.upkeep == Upkeep::Renewed) else { return Ok(applied) };
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    let name = child.object.name_any();
    let live = observed.secrets.get(&name);
    match live.map(|secret| identity.owner(&secret.metadata)) {
        Some(Owner::Somebody) => {
            applied.refused.push((child.part, Error::NameConflict { kind: child.resource.kind.clone(), name }));
            return Ok(applied);
        }
        Some(Owner::Terminating | Owner::Predecessor) => {
            applied.waiting.push(removal(child));
            return Ok(applied);
        }
        Some(Owner::Ours) if live.is_some_and(|secret| will_do(secret, &platform.spec.ingress.host, now)) => {
            if let Some(secret) = observed.secrets.get_mut(&name) {
                match relabel(cluster, child, &mut secret.metadata).await {
                    Err(error) if error.is_refusal() => applied.refused.push((child.part, error)),
                    done => done?,
                }
            }
            return Ok(applied);
        }
        Some(Owner::Ours) | None => {}
    }
    tracing::info!(object = name, host = platform.spec.ingress.host, "signing a certificate");
    let signed = signed(child, &platform.spec.ingress.host, now).map_err(|source| Error::Malformed {
        kind: child.resource.kind.clone(),
        name: name.clone(),
        source,
    })?;
    // Not forced where there is none: what somebody made in this moment is not taken over.
    match cluster.apply(&child.resource, &signed, FIELD_MANAGER, live.is_some()).await {
        Ok(secret) => {
            observed.secrets.insert(name, SecretState::of(secret, secret_values::CERTIFICATE));
        }
        Err(error) if error.is_refusal() => applied.refused.push((child.part, error)),
        Err(error) => return Err(error),
    }
    Ok(applied)
}

/// Brings labels back that somebody changed, without a new certificate, for which nginx would roll.
async fn relabel(cluster: &Cluster, child: &Child, live: &mut ObjectMeta) -> Result<(), Error> {
    let has = |(key, value): (&String, &String)| live.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value);
    if child.object.labels().iter().all(has) {
        return Ok(());
    }
    let labels = ObjectMeta { labels: child.object.metadata.labels.clone(), ..ObjectMeta::default() };
    let patch = patch_of(&child.resource, live, labels, json!({}));
    *live = cluster.apply(&child.resource, &patch, LABELS_MANAGER, true).await?.metadata;
    Ok(())
}

fn will_do(secret: &SecretState, host: &str, now: Timestamp) -> bool {
    let annotation = |name: &str| secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(name));
    let renew_after = annotation(RENEW_AFTER).and_then(|text| text.parse::<Timestamp>().ok());
    annotation(CERTIFICATE_HOST).is_some_and(|name| name == host)
        && annotation(CONTENT) == Some(&secret.certificate)
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
    params.not_before = day(now.checked_sub(BEFORE)?)?;
    params.not_after = day(now.checked_add(LIFE)?)?;
    let certificate = params.self_signed(&key)?;
    let data = json!({"tls.crt": ByteString(certificate.pem().into_bytes()), "tls.key": ByteString(key.serialize_pem().into_bytes())});
    let mut object = child.object.clone();
    let annotations = object.metadata.annotations.get_or_insert_default();
    annotations.insert(CONTENT.to_owned(), fingerprint(&json!([data.get("tls.crt"), data.get("tls.key")])));
    let renew_after = Timestamp::from_second(now.checked_add(LIFE)?.checked_sub(MARGIN)?.as_second())?;
    annotations.insert(RENEW_AFTER.to_owned(), renew_after.to_string());
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
    use crate::build::{Gate, Part};

    fn secret(host: &str, now: Timestamp) -> Option<SecretState> {
        let metadata = ObjectMeta {
            name: Some("esperanca-edge-tls".into()),
            annotations: Some([(CERTIFICATE_HOST.to_owned(), host.to_owned())].into()),
            ..ObjectMeta::default()
        };
        let child = Child {
            resource: ApiResource::erase::<Secret>(&()),
            object: DynamicObject { types: None, metadata, data: json!({"stringData": {}, "type": "kubernetes.io/tls"}) },
            part: Part::Edge,
            gate: Gate::None,
            upkeep: Upkeep::Renewed,
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
        assert!(will_do(&secret, "doe.example.org", now) && will_do(&secret, "doe.example.org", later(59)));
        assert!(!will_do(&secret, "doe.example.org", later(61)), "before its end");
        assert!(!will_do(&secret, "outra.example.org", now), "another host");
        secret.certificate = "changed".into();
        assert!(!will_do(&secret, "doe.example.org", now), "somebody changed it");
    }
}

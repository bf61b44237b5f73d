//! Checks before anything is written. The API server has checked the resource; these checks depend on the cluster.

use kube::Resource as _;

use super::observe::Observed;
use super::outcome::{Blocker, Progress};
use super::ownership::{Identity, Ownership};
use super::pass::Pass;
use super::reason::Reason;
use super::secret_values::{self, Fault, Format};
use crate::build::secrets::GeneratedSecret;
use crate::build::{Child, Part, postgres};
use crate::crd::DonationPlatformStatus;
use crate::names::{INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL};
use crate::resolve::Platform;

/// The first reason for which nothing may be written now, if there is one.
pub fn blocker(pass: &Pass<'_>) -> Option<Blocker> {
    let (identity, status) = (pass.identity(), pass.resource.status.as_ref());
    let Pass { platform, observed, children, .. } = pass;
    volume_being_removed(identity, observed, children)
        .or_else(|| predecessors_object(identity, observed, children))
        .or_else(|| foreign_claim(identity, observed, children))
        .or_else(|| missing_keys(platform, identity, observed, status))
        .or_else(|| unusable_secret(platform, identity, observed))
}

/// Somebody deletes the volume of a database that runs. Kubernetes keeps it until the pod ends.
fn volume_being_removed(identity: Identity<'_>, observed: &Observed, children: &[Child]) -> Option<Blocker> {
    if !has_database(identity, observed, children) {
        return None;
    }
    let name = postgres::claim_name(identity.name);
    let claim =
        observed.claims.iter().find(|claim| claim.meta().deletion_timestamp.is_some() && claim.meta().name.as_ref() == Some(&name))?;
    Some(Blocker {
        reason: Reason::VolumeBeingRemoved,
        message: format!(
            "PersistentVolumeClaim {} is being deleted, and with it all donations as soon as the database's pod stops: dump the database now, \
             then restore it into a new volume; nothing is changed until then",
            claim.meta().name.as_deref().unwrap_or_default()
        ),
        ends_by_itself: false,
    })
}

/// Whether the database's workload is there and ours.
fn has_database(identity: Identity<'_>, observed: &Observed, children: &[Child]) -> bool {
    children
        .iter()
        .filter(|child| child.part == Part::Postgres && child.scale.is_some())
        .any(|child| observed.find(child).is_some_and(|live| identity.ownership(&live.metadata) == Ownership::Ours))
}

/// Objects of a deleted platform of the same name are being removed. Written now, they would be removed all the same.
fn predecessors_object(identity: Identity<'_>, observed: &Observed, children: &[Child]) -> Option<Blocker> {
    let rendered = children
        .iter()
        .filter_map(|child| observed.find(child).map(|live| (&child.resource, live)))
        .find(|(_, live)| identity.ownership(&live.metadata) == Ownership::Predecessor)
        .map(|(resource, live)| format!("{} {}", resource.kind, live.metadata.name.as_deref().unwrap_or_default()));
    let secret = || {
        let (name, _) =
            observed.secrets.iter().find(|(_, secret)| identity.ownership_of_data(&secret.metadata) == Ownership::Predecessor)?;
        Some(format!("Secret {name}"))
    };
    let serves = has_database(identity, observed, children);
    let claim = || {
        let claim = observed.claims.iter().find(|claim| {
            let metadata = claim.meta();
            identity.ownership_of_data(metadata) == Ownership::Predecessor
                || (metadata.deletion_timestamp.is_some() && !serves)
                // Its StatefulSet is gone, so it goes too.
                || metadata.owner_references.iter().flatten().any(|owner| owner.kind == "StatefulSet" && !observed.has_uid(&owner.kind, &owner.uid))
        })?;
        Some(format!("PersistentVolumeClaim {}", claim.meta().name.as_deref().unwrap_or_default()))
    };
    let object = rendered.or_else(secret).or_else(claim)?;
    Some(Blocker {
        reason: Reason::WaitingForRemoval,
        message: format!("{object} is being removed together with what it belonged to; everything is made again when it is gone"),
        ends_by_itself: true,
    })
}

/// A claim without the platform's labels has the name of the database's claim. The database would use it, whatever its volume
/// holds.
fn foreign_claim(identity: Identity<'_>, observed: &Observed, children: &[Child]) -> Option<Blocker> {
    let claim = observed.unlabelled_claim.as_ref().filter(|_| !has_database(identity, observed, children))?;
    Some(Blocker {
        reason: Reason::NameConflict,
        message: format!(
            "PersistentVolumeClaim {} exists without this platform's labels: if the platform's own donations are on it, restore the Secret \
             with their keys and label the claim {MANAGED_BY_LABEL}={MANAGED_BY} and {INSTANCE_LABEL}={}; else delete it, or give the \
             DonationPlatform another name",
            claim.meta().name.as_deref().unwrap_or_default(),
            identity.name
        ),
        ends_by_itself: false,
    })
}

/// New keys could not open what the old ones sealed.
fn missing_keys(
    platform: &Platform,
    identity: Identity<'_>,
    observed: &Observed,
    status: Option<&DonationPlatformStatus>,
) -> Option<Blocker> {
    let name = GeneratedSecret::Keys.name(platform);
    if observed.secrets.contains_key(&name) {
        return None;
    }
    let revision = status.and_then(|status| status.schema_revision.as_deref());
    let claim = observed.claims.iter().find(|claim| identity.ownership_of_data(claim.meta()) == Ownership::Ours);
    let since = match (revision, claim) {
        (Some(revision), _) => format!("the database has schema revision {revision}"),
        (None, Some(claim)) => format!("the volume {} may hold data", claim.meta().name.as_deref().unwrap_or_default()),
        (None, None) => return None,
    };
    Some(Blocker {
        reason: Reason::KeysMissing,
        message: format!(
            "Secret {name} is missing although {since}: restore it from a backup; new keys could not open what the old ones sealed, \
             so none are generated, and nothing is changed until the Secret is back"
        ),
        ends_by_itself: false,
    })
}

/// A generated Secret lacks a key or has a value that no part can use, so pods that start with it could not run.
fn unusable_secret(platform: &Platform, identity: Identity<'_>, observed: &Observed) -> Option<Blocker> {
    // The first administrator's Secret is not among them: only the migration needs it.
    [GeneratedSecret::Database, GeneratedSecret::Redis, GeneratedSecret::Keys].into_iter().find_map(|secret| {
        let name = secret.name(platform);
        // Somebody else's is a conflict of names, which comes later.
        let found = observed.secrets.get(&name).filter(|found| identity.ownership_of_data(&found.metadata) == Ownership::Ours)?;
        let missing = secret_values::of_generated(secret).iter().map(|(key, _)| *key).find(|key| !found.keys.contains(*key));
        let (reason, message) = match (missing, found.faults.first_key_value()) {
            (Some(missing), _) if secret == GeneratedSecret::Keys => {
                (Reason::KeysMissing, format!("Secret {name} has no {missing}: restore it from a backup; it is not generated anew"))
            }
            (Some(missing), _) => {
                let message = format!("Secret {name} has no {missing}: add it, or delete the Secret and it is generated anew");
                (Reason::SecretIncomplete, message)
            }
            (None, Some((key, fault))) => (Reason::SecretIncomplete, unusable_value(secret, &name, key, *fault)),
            (None, None) => return None,
        };
        Some(Blocker { reason, message, ends_by_itself: false })
    })
}

fn unusable_value(secret: GeneratedSecret, name: &str, key: &str, fault: Fault) -> String {
    let remedy = match secret {
        GeneratedSecret::Keys => "restore it from a backup",
        GeneratedSecret::Database | GeneratedSecret::Redis | GeneratedSecret::Admin => {
            "correct it, or delete the Secret and it is generated anew"
        }
    };
    format!("Secret {name} has a {key} that {fault}: {remedy}; nothing that uses it is changed until then")
}

/// Why `part` cannot use the Secret that the resource names for it, or the migration the first administrator's; `None` if it can.
pub fn named_secret(part: Part, platform: &Platform, observed: &Observed) -> Option<Progress> {
    let (name, keys, missing_reason, field, how) = match part {
        Part::Edge => {
            let certificate = platform.certificate.as_ref().filter(|certificate| !certificate.self_signed)?;
            let how = "it must be of type kubernetes.io/tls";
            (&certificate.secret, secret_values::CERTIFICATE, Reason::TlsSecretMissing, "ingress.tls.secretName", how)
        }
        Part::Api => {
            let mail = platform.spec.mail.as_ref()?;
            let how = "its key url must hold the mail server's URL";
            (&mail.secret_name, &[("url", Format::MailUrl)][..], Reason::MailSecretMissing, "mail.secretName", how)
        }
        Part::Migrate => return first_admin(platform, observed),
        Part::Postgres | Part::Pooler | Part::Redis => return None,
    };
    let Some(secret) = observed.secrets.get(name) else {
        let message = format!("Secret {name}, which {field} names, does not exist: create it; {how}");
        return Some(Progress::Waiting { reason: missing_reason, message });
    };
    if let Some((missing, _)) = keys.iter().find(|(key, _)| !secret.keys.contains(*key)) {
        let message = format!("Secret {name}, which {field} names, has no {missing}: {how}");
        return Some(Progress::Waiting { reason: missing_reason, message });
    }
    let (key, fault) = secret.faults.first_key_value()?;
    let reason = if part == Part::Edge { missing_reason } else { Reason::SecretIncomplete };
    let message = format!("Secret {name}, which {field} names, has a {key} that {fault}: correct it; {how}");
    Some(Progress::Waiting { reason, message })
}

/// Why the migration cannot use the first administrator's password. A missing password is no fault: it is not needed if there is an
/// administrator already.
fn first_admin(platform: &Platform, observed: &Observed) -> Option<Progress> {
    platform.spec.first_admin.as_ref()?;
    let name = GeneratedSecret::Admin.name(platform);
    let (key, fault) = observed.secrets.get(&name)?.faults.first_key_value()?;
    Some(Progress::Waiting { reason: Reason::SecretIncomplete, message: unusable_value(GeneratedSecret::Admin, &name, key, *fault) })
}

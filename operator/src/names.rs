//! Names that the operator gives and recognizes: labels, annotations, field managers.

use std::collections::BTreeMap;

/// Field manager of the fields that the operator renders.
pub const FIELD_MANAGER: &str = "doacoes-operator";
/// Field manager of `spec.replicas` alone, so that an autoscaler can take it over.
pub const SCALE_MANAGER: &str = "doacoes-scale";
/// Field manager of the restored labels of a certificate, whose content belongs to another manager.
pub const LABELS_MANAGER: &str = "doacoes-labels";
/// Field manager of the owner references of retained data, which come and go with `deletionPolicy`.
pub const RETENTION_MANAGER: &str = "doacoes-retention";
/// Name of the component that reports Events.
pub const REPORTER: &str = "doacoes-operator";

/// Hash of the object as it was rendered. It differs when a field is no longer rendered, which nothing else shows.
pub const RENDERED_ANNOTATION: &str = "doacoes.dev/rendered";
/// Hash of the configuration that pods read, so that they roll when it changes.
pub const CONFIGURATION_ANNOTATION: &str = "doacoes.dev/configuration";
/// Hash of the Secrets that pods read, so that they roll when one changes.
pub const SECRETS_ANNOTATION: &str = "doacoes.dev/secrets";
/// Host for which a certificate was signed.
pub const CERTIFICATE_HOST_ANNOTATION: &str = "doacoes.dev/certificate-host";
/// Time after which a certificate is renewed.
pub const RENEW_AFTER_ANNOTATION: &str = "doacoes.dev/renew-after";
/// Hash of a certificate's Secret, which shows when somebody has changed it.
pub const CONTENT_ANNOTATION: &str = "doacoes.dev/content";
/// On the migration's Job: number of the attempt, from 1.
pub const ATTEMPT_ANNOTATION: &str = "doacoes.dev/attempt";
/// On the migration's Job: UID of the claim for the volume whose database is migrated.
pub const VOLUME_ANNOTATION: &str = "doacoes.dev/volume";
/// On the migration's Job: message of the attempt before, if that failed.
pub const LAST_FAILURE_ANNOTATION: &str = "doacoes.dev/last-failure";

/// Label with the name of the application.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
/// Label with the name of the `DonationPlatform`.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// Label with the part of the platform.
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// Label with what the part belongs to.
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";
/// Label with the name of who keeps the object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// Value of [`NAME_LABEL`] and [`PART_OF_LABEL`].
pub const APPLICATION: &str = "doacoes";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "doacoes-operator";

/// Label selector of everything that the operator keeps.
pub fn managed() -> String {
    format!("{MANAGED_BY_LABEL}={MANAGED_BY}")
}

/// Label selector of everything that belongs to the platform `name`.
pub fn instance(name: &str) -> String {
    format!("{},{INSTANCE_LABEL}={name}", managed())
}

/// Whether `labels` say that the operator keeps the object for the platform `name`.
pub fn belongs_to(labels: Option<&BTreeMap<String, String>>, name: &str) -> bool {
    labels.is_some_and(|labels| {
        labels.get(MANAGED_BY_LABEL).is_some_and(|value| value == MANAGED_BY)
            && labels.get(INSTANCE_LABEL).is_some_and(|value| value == name)
    })
}

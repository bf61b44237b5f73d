//! Reasons of conditions.

/// Reasons of conditions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// It is not paused.
    Active,
    /// An autoscaler decides on the number of pods.
    AutoscalerDecides,
    /// It answers.
    Available,
    /// It answers, but an object of it does not stay as it was written.
    Contested,
    /// It is being made.
    Creating,
    /// It answers, with a pod less.
    Degraded,
    /// The resource decides on the number of pods.
    FixedReplicas,
    /// A node cannot get an image.
    ImagePullFailed,
    /// A Secret with keys, or one of its keys, is missing.
    KeysMissing,
    /// The Secret with the mail server's URL does not exist or has none.
    MailSecretMissing,
    /// The autoscaler cannot measure.
    MetricsMissing,
    /// The migration has completed.
    Migrated,
    /// The migration runs.
    Migrating,
    /// The migration failed.
    MigrationFailed,
    /// An object of that name is somebody else's.
    NameConflict,
    /// Nothing of a site for real donors is backed up.
    NoBackups,
    /// No object of somebody else is in the way.
    NoConflict,
    /// Nothing is backed up, and nothing has to be.
    NotBackedUp,
    /// The resource asks for being left alone.
    Paused,
    /// A container fails or does not start.
    PodFailing,
    /// A quota or policy keeps pods from being made.
    PodsRefused,
    /// The API server refuses an object.
    Refused,
    /// The API server does not answer a request, or with an error.
    RequestFailed,
    /// Pods are being replaced.
    RollingOut,
    /// New pods do not become ready.
    RolloutStuck,
    /// A Secret lost a key, or holds a value that no part can use.
    SecretIncomplete,
    /// The certificate's Secret does not exist or is no certificate.
    TlsSecretMissing,
    /// No node takes a pod.
    Unschedulable,
    /// The database's volume is being removed.
    VolumeBeingRemoved,
    /// The volume is not there yet.
    VolumePending,
    /// No load balancer has given the Service an address.
    WaitingForAddress,
    /// The database does not answer yet.
    WaitingForDatabase,
    /// Something of the same name is being removed.
    WaitingForRemoval,
    /// The migration has not completed yet.
    WaitingForSchema,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 34] = [
        Self::Active,
        Self::AutoscalerDecides,
        Self::Available,
        Self::Contested,
        Self::Creating,
        Self::Degraded,
        Self::FixedReplicas,
        Self::ImagePullFailed,
        Self::KeysMissing,
        Self::MailSecretMissing,
        Self::MetricsMissing,
        Self::Migrated,
        Self::Migrating,
        Self::MigrationFailed,
        Self::NameConflict,
        Self::NoBackups,
        Self::NoConflict,
        Self::NotBackedUp,
        Self::Paused,
        Self::PodFailing,
        Self::PodsRefused,
        Self::Refused,
        Self::RequestFailed,
        Self::RollingOut,
        Self::RolloutStuck,
        Self::SecretIncomplete,
        Self::TlsSecretMissing,
        Self::Unschedulable,
        Self::VolumeBeingRemoved,
        Self::VolumePending,
        Self::WaitingForAddress,
        Self::WaitingForDatabase,
        Self::WaitingForRemoval,
        Self::WaitingForSchema,
    ];

    /// The condition's `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::AutoscalerDecides => "AutoscalerDecides",
            Self::Available => "Available",
            Self::Contested => "Contested",
            Self::Creating => "Creating",
            Self::Degraded => "Degraded",
            Self::FixedReplicas => "FixedReplicas",
            Self::ImagePullFailed => "ImagePullFailed",
            Self::KeysMissing => "KeysMissing",
            Self::MailSecretMissing => "MailSecretMissing",
            Self::MetricsMissing => "MetricsMissing",
            Self::Migrated => "Migrated",
            Self::Migrating => "Migrating",
            Self::MigrationFailed => "MigrationFailed",
            Self::NameConflict => "NameConflict",
            Self::NoBackups => "NoBackups",
            Self::NoConflict => "NoConflict",
            Self::NotBackedUp => "NotBackedUp",
            Self::Paused => "Paused",
            Self::PodFailing => "PodFailing",
            Self::PodsRefused => "PodsRefused",
            Self::Refused => "Refused",
            Self::RequestFailed => "RequestFailed",
            Self::RollingOut => "RollingOut",
            Self::RolloutStuck => "RolloutStuck",
            Self::SecretIncomplete => "SecretIncomplete",
            Self::TlsSecretMissing => "TlsSecretMissing",
            Self::Unschedulable => "Unschedulable",
            Self::VolumeBeingRemoved => "VolumeBeingRemoved",
            Self::VolumePending => "VolumePending",
            Self::WaitingForAddress => "WaitingForAddress",
            Self::WaitingForDatabase => "WaitingForDatabase",
            Self::WaitingForRemoval => "WaitingForRemoval",
            Self::WaitingForSchema => "WaitingForSchema",
        }
    }

    /// The reason of that text.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether the condition lasts until a person acts.
    pub const fn needs_action(self) -> bool {
        match self {
            Self::Degraded
            | Self::ImagePullFailed
            | Self::Contested
            | Self::KeysMissing
            | Self::VolumeBeingRemoved
            | Self::RolloutStuck
            | Self::MetricsMissing
            | Self::MailSecretMissing
            | Self::MigrationFailed
            | Self::NameConflict
            | Self::NoBackups
            | Self::PodFailing
            | Self::PodsRefused
            | Self::Refused
            | Self::SecretIncomplete
            | Self::TlsSecretMissing
            | Self::Unschedulable => true,
            Self::Active
            | Self::AutoscalerDecides
            | Self::Available
            | Self::WaitingForAddress
            | Self::RequestFailed
            | Self::Creating
            | Self::FixedReplicas
            | Self::Migrated
            | Self::Migrating
            | Self::NoConflict
            | Self::NotBackedUp
            | Self::Paused
            | Self::RollingOut
            | Self::VolumePending
            | Self::WaitingForDatabase
            | Self::WaitingForRemoval
            | Self::WaitingForSchema => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_word_and_no_two_are_alike() {
        let texts: std::collections::BTreeSet<&str> = Reason::ALL.into_iter().map(Reason::as_str).collect();
        assert_eq!(texts.len(), Reason::ALL.len());
        assert!(texts.iter().all(|text| text.chars().all(char::is_alphabetic)));
        for reason in Reason::ALL {
            assert_eq!(Reason::from_text(reason.as_str()), Some(reason));
        }
    }
}

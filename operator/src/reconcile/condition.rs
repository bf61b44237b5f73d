//! The conditions of the status, and the part that each is of.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::build::Part;
use crate::crd::DonationPlatform;

/// Conditions of the status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConditionType {
    /// Everything that was asked for is there, and donors can donate.
    Ready,
    /// PostgreSQL answers.
    DatabaseReady,
    /// `PgBouncer` answers.
    PoolerReady,
    /// Redis answers.
    RedisReady,
    /// The schema is what the image needs.
    SchemaReady,
    /// The API answers.
    ApiReady,
    /// Donors reach the API.
    EdgeReady,
    /// The resource asks for being left alone.
    Paused,
    /// An autoscaler decides on the number of API pods.
    Autoscaled,
    /// An object of somebody else is in the way.
    NameConflict,
    /// Backups are made.
    BackupConfigured,
}

impl ConditionType {
    /// Every condition that the operator writes.
    const ALL: [Self; 11] = [
        Self::Ready,
        Self::DatabaseReady,
        Self::PoolerReady,
        Self::RedisReady,
        Self::SchemaReady,
        Self::ApiReady,
        Self::EdgeReady,
        Self::Paused,
        Self::Autoscaled,
        Self::NameConflict,
        Self::BackupConfigured,
    ];

    /// Whether the operator writes the condition. Others may add theirs, which are not its business.
    pub fn is_ours(condition: &Condition) -> bool {
        Self::ALL.iter().any(|type_| type_.as_str() == condition.type_)
    }

    /// The condition's `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::DatabaseReady => "DatabaseReady",
            Self::PoolerReady => "PoolerReady",
            Self::RedisReady => "RedisReady",
            Self::SchemaReady => "SchemaReady",
            Self::ApiReady => "ApiReady",
            Self::EdgeReady => "EdgeReady",
            Self::Paused => "Paused",
            Self::Autoscaled => "Autoscaled",
            Self::NameConflict => "NameConflict",
            Self::BackupConfigured => "BackupConfigured",
        }
    }
}

impl Part {
    /// The part's condition.
    pub const fn condition(self) -> ConditionType {
        match self {
            Self::Postgres => ConditionType::DatabaseReady,
            Self::Pooler => ConditionType::PoolerReady,
            Self::Redis => ConditionType::RedisReady,
            Self::Migrate => ConditionType::SchemaReady,
            Self::Api => ConditionType::ApiReady,
            Self::Edge => ConditionType::EdgeReady,
        }
    }

    /// The word that `Ready` begins with when the part is in the way.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Postgres => "database",
            Self::Pooler => "pooler",
            Self::Redis => "Redis",
            Self::Migrate => "schema",
            Self::Api => "API",
            Self::Edge => "edge",
        }
    }
}

/// Whether the condition was True for this generation.
pub fn was_true(resource: &DonationPlatform, type_: ConditionType) -> bool {
    resource.status.as_ref().is_some_and(|status| {
        status.conditions.iter().any(|condition| {
            condition.type_ == type_.as_str() && condition.status == "True" && condition.observed_generation == resource.metadata.generation
        })
    })
}

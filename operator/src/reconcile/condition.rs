//! The conditions of the status, and which of them belongs to which part.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::build::Part;
use crate::crd::DonationPlatform;

/// A condition of the status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConditionType {
    /// The platform is as the resource says, and donors can donate.
    Ready,
    /// PostgreSQL answers.
    DatabaseReady,
    /// `PgBouncer` answers.
    PoolerReady,
    /// Redis answers.
    RedisReady,
    /// The schema of the database is the one that the image needs.
    SchemaReady,
    /// The API answers.
    ApiReady,
    /// Donors reach the API.
    EdgeReady,
    /// The resource asks the operator to write nothing.
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

    /// Whether `condition` is one that the operator writes. Others may add conditions of their own, which it leaves alone.
    pub fn is_ours(condition: &Condition) -> bool {
        Self::ALL.iter().any(|type_| type_.as_str() == condition.type_)
    }

    /// The value of the condition's field `type`.
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
    /// The condition that tells whether the part is ready.
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

    /// The word for the part with which the message of `Ready` begins if the part is not ready.
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

/// Whether the status says that the condition is True, for the present generation of the resource.
pub fn was_true(resource: &DonationPlatform, type_: ConditionType) -> bool {
    resource.status.as_ref().is_some_and(|status| {
        status.conditions.iter().any(|condition| {
            condition.type_ == type_.as_str() && condition.status == "True" && condition.observed_generation == resource.metadata.generation
        })
    })
}

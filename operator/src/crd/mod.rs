//! The `DonationPlatform` resource: its fields, their defaults and the rules that the API server enforces.
//!
//! One file per part of the spec. The doc comments of the fields are the descriptions that `kubectl explain` shows. Rules are
//! in CEL even where a `pattern` would do, because a rule's message can say how to fix the value.
//!
//! What keeps the rules sound:
//!
//! - A parent whose members all have defaults has `default: {}` itself, so that a rule which reads a nested field always finds
//!   it. Members of a union have none: what is left out must stay left out.
//! - No field is nullable, because a rule that reads a null fails with an error instead of its message.
//! - Everything that a rule reads is bounded, because the API server refuses a definition whose rules could cost too much.
//! - A default that depends on the profile is no default of the schema: the field stays empty until it is used.

#![expect(unreachable_pub, reason = "KubeSchema copies each struct, `pub` included, into a function body")]

mod api;
mod database;
mod first_admin;
mod image;
mod ingress;
mod mail;
mod network_policy;
mod payments;
mod pods;
mod pooler;
mod redis;
mod schema;
mod status;

pub use api::{Api, ApiRateLimit, Autoscaling, MetricResource, RateLimitRule, UtilizationMetric};
pub use database::{Database, ManagedDatabase, Storage};
pub use first_admin::FirstAdmin;
pub use image::{Image, ImagePullSecret, PullPolicy};
pub use ingress::{
    ClientIp, ClientIpSource, Controller, EdgeService, ExternalTrafficPolicy, Ingress, ManagedEdge, NoCertificate, NodePorts, RateLimit,
    SelfSigned, ServiceType, Tls,
};
use kube::{CustomResource, KubeSchema};
pub use mail::Mail;
pub use network_policy::NetworkPolicy;
pub use payments::{Gateway, Payments};
pub use pods::{EnvVar, Pods};
pub use pooler::{PoolMode, Pooler};
pub use redis::{ManagedRedis, Redis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use status::{ApiStatus, ConnectionsStatus, DatabaseStatus, DonationPlatformStatus, MigrationStatus};

/// What one donation site shall be.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, CustomResource, KubeSchema)]
#[kube(
    group = "doacoes.dev",
    version = "v1alpha1",
    kind = "DonationPlatform",
    plural = "donationplatforms",
    shortname = "dp",
    category = "all",
    namespaced,
    status = "DonationPlatformStatus",
    derive = "PartialEq",
    doc = "One donation site: its API, its database and caches, where donors reach it, and how large it is. \
           API version v1alpha1, of release 0.1.0.",
    scale(
        spec_replicas_path = ".spec.api.replicas",
        status_replicas_path = ".status.api.replicas",
        label_selector_path = ".status.api.selector"
    ),
    validation = (
        "self.metadata.name.size() <= 40",
        "metadata.name is longer than 40 characters: choose a shorter one, because names of Services and Jobs are made from it"
    ),
    validation = (
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name must start with a letter, end with a letter or digit, and hold only a-z, 0-9 and '-' \
         (dots are not allowed), because Services are named after it; for example: esperanca"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether donors can donate; empty while no operator runs"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "API",
        type_ = "integer",
        format = "int32",
        json_path = ".status.api.readyReplicas",
        description = "Number of API pods that answer"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.version",
        description = "Tag of the API image that answers donors now"
    ),
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        json_path = ".status.endpoint",
        description = "Address under which donors reach the site"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Host",
        type_ = "string",
        json_path = ".spec.ingress.host",
        description = "DNS name that was asked for",
        priority = 1
    ),
    printcolumn(
        name = "Schema",
        type_ = "string",
        json_path = ".status.schemaRevision",
        description = "Revision of the database schema",
        priority = 1
    ),
    printcolumn(name = "Profile", type_ = "string", json_path = ".spec.profile", description = "Development or Production", priority = 1)
)]
#[x_kube(
    validation = (
        "!(self.profile == 'Production' && has(self.payments.gateway) && self.payments.gateway == 'Simulado')",
        "payments.gateway must not be Simulado when profile is Production, because nobody would be charged: \
         choose PixEstatico, or set profile to Development"
    ),
    validation = (
        "!(self.profile == 'Production' && has(self.ingress.tls) && has(self.ingress.tls.selfSigned))",
        "ingress.tls.selfSigned is for profile Development only, because browsers warn donors of it: \
         name a Secret of type kubernetes.io/tls in ingress.tls.secretName, or set profile to Development"
    ),
    validation = (
        "self.pooler.serverPoolSize >= self.pooler.replicas",
        "pooler.serverPoolSize must be at least pooler.replicas, because it is shared out and each pooler pod needs a server connection: \
         raise pooler.serverPoolSize or lower pooler.replicas"
    ),
    validation = (
        "!has(self.database.managed) || (self.pooler.serverPoolSize + self.pooler.replicas - 1) / self.pooler.replicas \
         * (self.pooler.replicas + 1) + 20 <= self.database.managed.maxConnections",
        "database.managed.maxConnections is too small for the pooler: it must be at least \
         ceil(pooler.serverPoolSize / pooler.replicas) * (pooler.replicas + 1) + 20, which leaves room for a pooler pod that is being \
         replaced and 20 connections for migrations and administration; raise database.managed.maxConnections or lower pooler.serverPoolSize"
    ),
    validation = (
        "2 * (has(self.api.autoscaling) ? self.api.autoscaling.maxReplicas : self.api.replicas) * self.api.databasePoolSize \
         <= self.pooler.maxClientConnections",
        "pooler.maxClientConnections is too small for the API: it must be at least 2 * api.databasePoolSize * the largest number of API \
         pods (api.autoscaling.maxReplicas, or without autoscaling api.replicas), because during a rollout old and new pods are connected; \
         raise pooler.maxClientConnections, or lower the number of pods or api.databasePoolSize"
    )
)]
#[schemars(transform = schema::without_null)]
#[serde(rename_all = "camelCase")]
pub struct DonationPlatformSpec {
    /// What the site is for: `Development` for trying out, `Production` for real donors. It picks defaults of fields that are
    /// left out, each of which can still be set: `payments.gateway`, `ingress.tls`, and the resource requests of all pods.
    #[serde(default)]
    pub profile: Profile,
    /// Whether the operator leaves everything as it is, for example while somebody repairs by hand. Nothing is stopped: the
    /// site goes on answering. The condition `Paused` acknowledges it.
    #[serde(default)]
    pub paused: bool,
    /// What happens to the volumes and generated Secrets when the resource is deleted: `Retain` keeps them, and a resource of
    /// the same name uses them again; `Delete` removes them, and all donations with them.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Image of the doacoes API, which also runs the database migrations.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub image: Image,
    /// Secrets with which nodes pull the images of all pods, in the resource's namespace. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<ImagePullSecret>,
    /// The API: the pods that answer donors and organizers.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub api: Api,
    /// The PostgreSQL database that holds everything. Exactly one member says where it is.
    #[serde(default)]
    #[schemars(extend("default" = {"managed": {}}))]
    #[x_kube(validation = (
        "has(self.managed)",
        "database must have exactly one member, and managed is the only one of this release: write database: {managed: {}}, or leave database out"
    ))]
    pub database: Database,
    /// PgBouncer, through which the API reaches the database.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub pooler: Pooler,
    /// The Redis of caches, sessions' fast path and limits. Exactly one member says where it is.
    #[serde(default)]
    #[schemars(extend("default" = {"managed": {}}))]
    #[x_kube(validation = (
        "has(self.managed)",
        "redis must have exactly one member, and managed is the only one of this release: write redis: {managed: {}}, or leave redis out"
    ))]
    pub redis: Redis,
    /// Where donors reach the site.
    pub ingress: Ingress,
    /// How donors pay.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub payments: Payments,
    /// How letters leave: codes for sign-ups and new passwords, notices to organizers. Without it they wait in the database; in
    /// profile Development `api admin mail` shows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
    /// Whom the migration makes an administrator if the site has none. The password is generated into the key `password` of the
    /// Secret NAME-admin, and changed like any other, by a letter to the address: a wrong one gives its owner the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_admin: Option<FirstAdmin>,
    /// Which connections the pods of the site may make and take.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub network_policy: NetworkPolicy,
}

/// What the site is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Profile {
    /// For trying out.
    Development,
    /// For real donors.
    #[default]
    Production,
}

/// What happens to data when the resource is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It goes too.
    Delete,
}

//! A [`DonationPlatform`] with every decision taken: what its profile, its defaults and its unions come to.
//!
//! [`resolve`] is pure. What builds the children reads a [`Platform`] and nothing else, so whatever can be wrong with a resource
//! has gone wrong here.

mod resources;

use k8s_openapi::api::{
    autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior},
    core::v1::ResourceRequirements,
};
use kube::ResourceExt as _;
use resources::Part;

use crate::{
    crd::{
        self, ClientIp, ConnectionsStatus, Controller, DeletionPolicy, DonationPlatform, EdgeService, Gateway, MetricResource,
        NetworkPolicy, Pods, PoolMode, Profile, PullPolicy, RateLimit, UtilizationMetric,
    },
    images,
    quantity::Amount,
};

/// A resource that the API server would have refused. It can still come from a file, or from the time of an older definition.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// A union without its one member.
    #[error("spec.{0} must have exactly one member")]
    Union(&'static str),
    /// A text that is no amount.
    #[error("spec.{field} is {value:?}, which is no quantity above zero, such as 1Gi")]
    Quantity {
        /// Path of the field below `spec`.
        field: String,
        /// What it holds.
        value: String,
    },
}

/// One site with every field decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Platform {
    /// Name of the resource, after which its children are named.
    pub name: String,
    /// Namespace of the resource and its children; `default` if a file names none.
    pub namespace: String,
    /// Identity of the resource in its cluster. `None` in a file.
    pub uid: Option<String>,
    /// What the site is for.
    pub profile: Profile,
    /// Whether everything is left as it is.
    pub paused: bool,
    /// What happens to data when the resource is deleted.
    pub deletion_policy: DeletionPolicy,
    /// Names of the Secrets with which nodes pull images.
    pub image_pull_secrets: Vec<String>,
    /// The API.
    pub api: Api,
    /// The database.
    pub database: ManagedDatabase,
    /// `PgBouncer`.
    pub pooler: Pooler,
    /// Redis.
    pub redis: ManagedRedis,
    /// Where donors reach the site.
    pub ingress: Ingress,
    /// Who confirms payments.
    pub gateway: Gateway,
    /// Which connections are allowed.
    pub network_policy: NetworkPolicy,
}

/// What all parts that run in pods have.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The image with tag or digest.
    pub image: String,
    /// CPU and memory; requests of both and a limit of memory are always set.
    pub resources: ResourceRequirements,
    /// Where the pods run and what they carry.
    pub pods: Pods,
}

/// The API.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// Image, resources and scheduling.
    pub workload: Workload,
    /// Tag of the image.
    pub version: String,
    /// When a node pulls the image.
    pub pull_policy: PullPolicy,
    /// How many pods there are.
    pub scaling: Scaling,
    /// Database connections that one pod opens at most.
    pub database_pool_size: i32,
}

/// How many API pods there are.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// That many.
    Fixed(i32),
    /// As many as Kubernetes chooses.
    Automatic(Autoscaling),
}

impl Scaling {
    /// The largest number of pods.
    pub fn most(&self) -> i32 {
        match self {
            Self::Fixed(replicas) => *replicas,
            Self::Automatic(autoscaling) => autoscaling.max_replicas,
        }
    }
}

/// How Kubernetes chooses the number of API pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoscaling {
    /// Smallest number of pods.
    pub min_replicas: i32,
    /// Largest number of pods.
    pub max_replicas: i32,
    /// What is measured; never empty.
    pub metrics: Vec<UtilizationMetric>,
    /// How fast the number changes; both directions are set.
    pub behavior: HorizontalPodAutoscalerBehavior,
}

/// A PostgreSQL that the operator runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedDatabase {
    /// Image, resources and scheduling.
    pub workload: Workload,
    /// Size of the volume, as the resource has it.
    pub storage_size: String,
    /// Class of the volume. `None`: the cluster's default.
    pub storage_class_name: Option<String>,
    /// Connections that it accepts at most.
    pub max_connections: i32,
}

/// `PgBouncer`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pooler {
    /// Image, resources and scheduling.
    pub workload: Workload,
    /// Number of pods.
    pub replicas: i32,
    /// When a server connection goes back to the pool.
    pub mode: PoolMode,
    /// Connections to the database that one pod opens at most: its share of `pooler.serverPoolSize`, rounded down.
    pub servers_per_pod: i32,
    /// Connections that one pod takes at most.
    pub max_client_connections: i32,
}

/// A Redis that the operator runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedRedis {
    /// Image, resources and scheduling.
    pub workload: Workload,
    /// Memory for data, in bytes.
    pub max_memory_bytes: u64,
}

/// Where donors reach the site.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingress {
    /// DNS name under which donors reach the site.
    pub host: String,
    /// The certificate.
    pub tls: Tls,
    /// How many requests one client address may send.
    pub rate_limit: RateLimit,
    /// What answers donors.
    pub edge: Edge,
}

impl Ingress {
    /// Address under which donors reach the site, such as `https://doe.example.org`.
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls == Tls::None { "http" } else { "https" };
        format!("{scheme}://{}", self.host)
    }
}

/// The certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tls {
    /// None: plain HTTP.
    None,
    /// That of the Secret of this name.
    Secret(String),
    /// One that the operator signs and renews.
    SelfSigned,
}

/// What answers donors.
#[derive(Clone, Debug, PartialEq)]
pub enum Edge {
    /// nginx pods that the operator runs.
    Managed(Box<ManagedEdge>),
    /// An `Ingress` in the annotations of a controller that the cluster has.
    Ingress(Dialect),
}

/// Whose annotations an `Ingress` carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// Those of F5's NGINX Ingress Controller.
    F5Nginx,
    /// Those of the retired controller of Kubernetes.
    IngressNginx,
    /// None.
    Generic,
}

/// nginx pods that the operator runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedEdge {
    /// Image, resources and scheduling.
    pub workload: Workload,
    /// Number of pods.
    pub replicas: i32,
    /// The Service through which traffic comes in.
    pub service: EdgeService,
    /// How a client's address is found.
    pub client_ip: ClientIp,
}

impl Platform {
    /// The limits of connections that follow from the spec.
    pub fn connections(&self) -> ConnectionsStatus {
        ConnectionsStatus {
            api_clients: self.api.scaling.most().saturating_mul(self.api.database_pool_size),
            pooler_client_limit: self.pooler.max_client_connections,
            pooler_servers: self.pooler.servers_per_pod.saturating_mul(self.pooler.replicas),
            database_limit: self.database.max_connections,
        }
    }
}

/// Takes every decision that the resource leaves open.
///
/// The rules of the definition are not checked anew; [`Invalid`] is what no [`Platform`] could be made of.
pub fn resolve(object: &DonationPlatform) -> Result<Platform, Invalid> {
    let spec = &object.spec;
    let database = spec.database.managed.as_ref().ok_or(Invalid::Union("database"))?;
    let redis = spec.redis.managed.as_ref().ok_or(Invalid::Union("redis"))?;
    Ok(Platform {
        name: object.name_any(),
        namespace: object.namespace().unwrap_or_else(|| "default".to_owned()),
        uid: object.uid(),
        profile: spec.profile,
        paused: spec.paused,
        deletion_policy: spec.deletion_policy,
        image_pull_secrets: spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
        api: api(spec)?,
        database: managed_database(spec.profile, database)?,
        pooler: pooler(spec.profile, &spec.pooler)?,
        redis: managed_redis(spec.profile, redis)?,
        ingress: ingress(spec.profile, &spec.ingress)?,
        gateway: spec.payments.gateway.unwrap_or(match spec.profile {
            Profile::Development => Gateway::Simulado,
            Profile::Production => Gateway::PixEstatico,
        }),
        network_policy: spec.network_policy.clone(),
    })
}

fn api(spec: &crd::DonationPlatformSpec) -> Result<Api, Invalid> {
    let crd::Image { repository, tag, pull_policy } = &spec.image;
    let api = &spec.api;
    Ok(Api {
        workload: Workload {
            image: format!("{repository}:{tag}"),
            resources: resources::resolve(Part::Api, spec.profile, &api.resources)?,
            pods: api.pods.clone(),
        },
        version: tag.clone(),
        pull_policy: *pull_policy,
        scaling: match &api.autoscaling {
            None => Scaling::Fixed(api.replicas),
            Some(autoscaling) => Scaling::Automatic(self::autoscaling(autoscaling)),
        },
        database_pool_size: api.database_pool_size,
    })
}

fn autoscaling(spec: &crd::Autoscaling) -> Autoscaling {
    let metrics = if spec.metrics.is_empty() {
        vec![UtilizationMetric { resource: MetricResource::Cpu, average_utilization: 65 }]
    } else {
        spec.metrics.clone()
    };
    let HorizontalPodAutoscalerBehavior { scale_down, scale_up } = spec.behavior.clone().unwrap_or_default();
    let behavior = HorizontalPodAutoscalerBehavior {
        scale_down: Some(scale_down.unwrap_or_else(|| HPAScalingRules {
            stabilization_window_seconds: Some(300),
            policies: Some(vec![policy("Pods", 1, 60)]),
            ..HPAScalingRules::default()
        })),
        scale_up: Some(scale_up.unwrap_or_else(|| HPAScalingRules {
            stabilization_window_seconds: Some(0),
            policies: Some(vec![policy("Percent", 100, 15), policy("Pods", 4, 15)]),
            ..HPAScalingRules::default()
        })),
    };
    Autoscaling { min_replicas: spec.min_replicas, max_replicas: spec.max_replicas, metrics, behavior }
}

fn policy(type_: &str, value: i32, period_seconds: i32) -> HPAScalingPolicy {
    HPAScalingPolicy { type_: type_.to_owned(), value, period_seconds }
}

fn managed_database(profile: Profile, database: &crd::ManagedDatabase) -> Result<ManagedDatabase, Invalid> {
    amount("database.managed.storage.size", &database.storage.size)?;
    Ok(ManagedDatabase {
        workload: Workload {
            image: database.image.clone().unwrap_or_else(|| images::POSTGRESQL.to_owned()),
            resources: resources::resolve(Part::Database, profile, &database.resources)?,
            pods: database.pods.clone(),
        },
        storage_size: database.storage.size.clone(),
        storage_class_name: database.storage.storage_class_name.clone(),
        max_connections: database.max_connections,
    })
}

fn pooler(profile: Profile, pooler: &crd::Pooler) -> Result<Pooler, Invalid> {
    Ok(Pooler {
        workload: Workload {
            image: pooler.image.clone().unwrap_or_else(|| images::PGBOUNCER.to_owned()),
            resources: resources::resolve(Part::Pooler, profile, &pooler.resources)?,
            pods: pooler.pods.clone(),
        },
        replicas: pooler.replicas,
        mode: pooler.mode,
        // For PgBouncer 0 means that there is no limit.
        servers_per_pod: pooler.server_pool_size.checked_div(pooler.replicas).unwrap_or(1).max(1),
        max_client_connections: pooler.max_client_connections,
    })
}

fn managed_redis(profile: Profile, redis: &crd::ManagedRedis) -> Result<ManagedRedis, Invalid> {
    let field = "redis.managed.maxMemory";
    let max_memory_bytes = amount(field, &redis.max_memory)?.bytes().ok_or_else(|| not_a_quantity(field, &redis.max_memory))?;
    Ok(ManagedRedis {
        workload: Workload {
            image: redis.image.clone().unwrap_or_else(|| images::REDIS.to_owned()),
            resources: resources::resolve(Part::Redis { max_memory_bytes }, profile, &redis.resources)?,
            pods: redis.pods.clone(),
        },
        max_memory_bytes,
    })
}

fn ingress(profile: Profile, ingress: &crd::Ingress) -> Result<Ingress, Invalid> {
    let tls = match (&ingress.tls, profile) {
        (None, Profile::Development) => Tls::SelfSigned,
        (None, Profile::Production) => Tls::None,
        (Some(crd::Tls { secret_name: Some(name), self_signed: None }), _) => Tls::Secret(name.clone()),
        (Some(crd::Tls { secret_name: None, self_signed: Some(crd::SelfSigned {}) }), _) => Tls::SelfSigned,
        (Some(_), _) => return Err(Invalid::Union("ingress.tls")),
    };
    let edge = match ingress.controller {
        Controller::Managed => Edge::Managed(Box::new(managed_edge(profile, &ingress.managed.clone().unwrap_or_default())?)),
        Controller::F5Nginx => Edge::Ingress(Dialect::F5Nginx),
        Controller::IngressNginx => Edge::Ingress(Dialect::IngressNginx),
        Controller::Generic => Edge::Ingress(Dialect::Generic),
    };
    Ok(Ingress { host: ingress.host.clone(), tls, rate_limit: ingress.rate_limit, edge })
}

fn managed_edge(profile: Profile, edge: &crd::ManagedEdge) -> Result<ManagedEdge, Invalid> {
    Ok(ManagedEdge {
        workload: Workload {
            image: edge.image.clone().unwrap_or_else(|| images::NGINX.to_owned()),
            resources: resources::resolve(Part::Edge, profile, &edge.resources)?,
            pods: edge.pods.clone(),
        },
        replicas: edge.replicas,
        service: edge.service.clone(),
        client_ip: edge.client_ip.clone(),
    })
}

fn amount(field: &str, value: &str) -> Result<Amount, Invalid> {
    Amount::parse(value).filter(|amount| amount.bytes().is_some_and(|bytes| bytes > 0)).ok_or_else(|| not_a_quantity(field, value))
}

fn not_a_quantity(field: &str, value: &str) -> Invalid {
    Invalid::Quantity { field: field.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests;

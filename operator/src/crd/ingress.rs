//! Where donors reach the site.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pods::Pods;
use super::schema;

/// Where donors reach the site.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, KubeSchema)]
#[x_kube(
    validation = (
        "self.controller == 'Managed' || !has(self.managed)",
        "ingress.managed is for controller Managed only, because another controller has its own pods: remove ingress.managed, \
         or set ingress.controller to Managed"
    ),
    // Here and not in the Service, because what holds when the Service is left out counts too.
    validation = (
        "self.controller != 'Managed' || oldSelf.controller != 'Managed' \
         || (has(self.managed) && self.managed.service.type != 'LoadBalancer') \
         || (has(oldSelf.managed) && oldSelf.managed.service.type != 'LoadBalancer') \
         || (has(self.managed) && has(self.managed.service.loadBalancerClass) ? self.managed.service.loadBalancerClass : '') \
         == (has(oldSelf.managed) && has(oldSelf.managed.service.loadBalancerClass) ? oldSelf.managed.service.loadBalancerClass : '')",
        "ingress.managed.service.loadBalancerClass cannot be changed while service.type is LoadBalancer, because Kubernetes does not allow it: \
         set service.type to NodePort first, then to LoadBalancer with the new class"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// What answers donors: `Managed`, nginx pods that the operator runs; or an `Ingress` of class `nginx` for a controller that the
    /// cluster has: `F5Nginx` (NGINX Ingress Controller of F5), `IngressNginx` (the retired one of Kubernetes), or `Generic`, without
    /// any controller's annotations.
    #[serde(default)]
    pub controller: Controller,
    /// DNS name under which donors reach the site, in lower case, without scheme, port or path. At most 253 characters.
    // The last label starts with a letter, which also refuses IPv4 addresses.
    #[schemars(length(max = 253))]
    #[x_kube(validation = (
        "self.matches('^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])*[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",
        "ingress.host must be a DNS name in lower case without scheme, port or path, such as doe.example.org; \
         an IP address or a wildcard is not allowed"
    ))]
    pub host: String,
    /// Port in the address of the site, 1 to 65535, where it is not that of the scheme, 443 or 80: the end of a forward to a
    /// cluster on the same machine, for example.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub public_port: Option<i32>,
    /// The certificate. Exactly one member. Default: `selfSigned` in profile Development, `none` in profile Production.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = (
        "[has(self.secretName), has(self.selfSigned), has(self.none)].filter(one, one).size() == 1",
        "ingress.tls must have exactly one member: set one of secretName, selfSigned and none, or leave tls out"
    ))]
    pub tls: Option<Tls>,
    /// How many requests one client address may send.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub rate_limit: RateLimit,
    /// The nginx pods of controller `Managed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedEdge>,
}

/// What answers donors.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Controller {
    /// nginx pods that the operator runs.
    #[default]
    Managed,
    /// NGINX Ingress Controller of F5.
    F5Nginx,
    /// The retired controller of Kubernetes.
    IngressNginx,
    /// Any controller of class `nginx`.
    Generic,
}

/// The certificate: one member of the union.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Name of a Secret of type `kubernetes.io/tls` in the resource's namespace. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::tls_secret_name")]
    pub secret_name: Option<String>,
    /// A certificate that the operator signs itself and renews before it expires. Profile Development only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<SelfSigned>,
    /// None: the site answers plain HTTP. In profile Production that is for a load balancer in front that ends TLS, and the
    /// address of the site is still `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<NoCertificate>,
}

/// No certificate. It has no settings.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct NoCertificate {}

/// A certificate that the operator signs itself. It has no settings.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct SelfSigned {}

/// How many requests one client address may send.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests per second from one client address, 1 to 100000, on each pod of the edge. More are answered 429.
    #[schemars(range(min = 1, max = 100_000))]
    pub requests_per_second: i32,
    /// Requests from one client address that may come at once beyond that rate, 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: i32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { requests_per_second: 50, burst: 100 }
    }
}

/// The nginx pods that the operator runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedEdge {
    /// Number of nginx pods, 1 to 20.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 20))]
    pub replicas: i32,
    /// Image of nginx 1.27.4 or later, with tag or digest. At most 512 characters. Default: the one that this release was tested
    /// with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::image")]
    pub image: Option<String>,
    /// CPU and memory of each pod. Requests that are left out depend on the profile.
    #[serde(default)]
    #[schemars(schema_with = "schema::resources")]
    pub resources: ResourceRequirements,
    /// The Service through which traffic comes in.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub service: EdgeService,
    /// How a client's address is found, by which its requests are limited.
    #[serde(default, rename = "clientIP")]
    #[schemars(extend("default" = {}))]
    pub client_ip: ClientIp,
    /// Where the pods run and what they carry.
    #[serde(flatten)]
    pub pods: Pods,
}

impl Default for ManagedEdge {
    fn default() -> Self {
        Self {
            replicas: default_replicas(),
            image: None,
            resources: ResourceRequirements::default(),
            service: EdgeService::default(),
            client_ip: ClientIp::default(),
            pods: Pods::default(),
        }
    }
}

fn default_replicas() -> i32 {
    2
}

/// The Service through which traffic comes in.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
#[x_kube(
    validation = (
        "self.type != 'ClusterIP' || !has(self.nodePorts)",
        "service.nodePorts needs service.type NodePort or LoadBalancer: set one of them, or remove nodePorts"
    ),
    validation = (
        "self.type == 'LoadBalancer' || !has(self.loadBalancerClass)",
        "service.loadBalancerClass needs service.type LoadBalancer: set it, or remove loadBalancerClass"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct EdgeService {
    /// How the Service is reached from outside the cluster: `LoadBalancer`, `NodePort`, or `ClusterIP` for not at all.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
    /// Annotations of the Service, such as those by which a cloud's load balancer is configured. At most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::service_annotations")]
    pub annotations: BTreeMap<String, String>,
    /// The ports of every node that lead to the Service. Default: Kubernetes chooses free ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = (
        "!has(self.http) || !has(self.https) || self.http != self.https",
        "service.nodePorts.http and service.nodePorts.https must differ: choose another number for one of them"
    ))]
    pub node_ports: Option<NodePorts>,
    /// Class of the load balancer, where the cluster has several. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::load_balancer_class")]
    pub load_balancer_class: Option<String>,
    /// Where a connection that reaches a node may go: `Local`, to a pod on that node only, which keeps the client's address; or
    /// `Cluster`, to any pod. Type `ClusterIP` ignores it.
    #[serde(default)]
    pub external_traffic_policy: ExternalTrafficPolicy,
}

/// How a Service is reached from outside the cluster.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ServiceType {
    /// Not at all.
    ClusterIP,
    /// On a port of every node.
    NodePort,
    /// Through a load balancer that the cluster provides.
    #[default]
    LoadBalancer,
}

/// Ports of every node.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct NodePorts {
    /// The port of HTTP, 1 to 65535, from the range that the cluster allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub http: Option<i32>,
    /// The port of HTTPS, 1 to 65535, from the range that the cluster allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub https: Option<i32>,
}

/// Where a connection that reaches a node may go.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ExternalTrafficPolicy {
    /// To a pod on that node only.
    #[default]
    Local,
    /// To any pod.
    Cluster,
}

/// How a client's address is found.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
#[x_kube(
    validation = (
        "!has(self.source) || self.source == 'Connection' || (has(self.trustedCIDRs) && self.trustedCIDRs.size() > 0)",
        "clientIP.source ProxyProtocol and Header need clientIP.trustedCIDRs, because anybody could send them: \
         list the networks of the proxies in front, such as 10.0.0.0/8"
    ),
    validation = (
        "self.source != 'Connection' || !has(self.trustedCIDRs) || self.trustedCIDRs.size() == 0",
        "clientIP.trustedCIDRs is not used with clientIP.source Connection: remove it, or set source to ProxyProtocol or Header"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ClientIp {
    /// Where the address stands: `Connection`, it is the peer of the connection; `ProxyProtocol`, a load balancer announces it in front of
    /// each connection; `Header`, a proxy writes it into `X-Forwarded-For`.
    #[serde(default)]
    pub source: ClientIpSource,
    /// Networks, in CIDR notation, of the load balancers and proxies that are believed. At most 32.
    #[serde(default, rename = "trustedCIDRs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::trusted_cidrs")]
    pub trusted_cidrs: Vec<String>,
}

/// Where a client's address stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ClientIpSource {
    /// It is the peer of the connection.
    #[default]
    Connection,
    /// A load balancer announces it in front of each connection.
    ProxyProtocol,
    /// A proxy writes it into `X-Forwarded-For`.
    Header,
}

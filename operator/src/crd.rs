//! The `DonationPlatform` resource: its fields, their defaults and the rules that the API server enforces.
//!
//! The doc comments of the fields are the descriptions that `kubectl explain` shows. Rules are in CEL even where a `pattern`
//! would do, because a rule's message can say how to fix the value.
//!
//! Two things keep the rules sound. A parent whose members all have defaults has `default: {}` itself, so that a rule which
//! reads a nested field always finds it. And every string that a rule reads has a `maxLength`, because the API server refuses
//! a definition whose rules could cost too much.

#![expect(unreachable_pub, reason = "KubeSchema copies each struct, `pub` included, into a function body")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one donation site shall be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, CustomResource, KubeSchema)]
#[kube(
    group = "doacoes.dev",
    version = "v1alpha1",
    kind = "DonationPlatform",
    plural = "donationplatforms",
    shortname = "dp",
    namespaced,
    status = "DonationPlatformStatus",
    derive = "PartialEq",
    doc = "One donation site: its API, where donors reach it, and how large it is. \
           API version v1alpha1, of release 0.1.0: the API server checks and stores the resource, but the operator of this \
           release does not reconcile it yet, so nothing is created for it and its status stays empty.",
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
        description = "Whether donors can donate; empty while no operator reconciles the resource"
    ),
    printcolumn(
        name = "Host",
        type_ = "string",
        json_path = ".spec.ingress.host",
        description = "DNS name under which donors reach the site"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct DonationPlatformSpec {
    /// What the site is for: `Development` for trying out, `Production` for real donors. It picks defaults of fields that are
    /// left out, each of which can still be set. In this release no default depends on it.
    #[serde(default)]
    pub profile: Profile,
    /// Image of the doacoes API, which also runs the database migrations.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub image: Image,
    /// The API: the pods that answer donors and organizers.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub api: Api,
    /// Where donors reach the site.
    pub ingress: Ingress,
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

/// Image of the doacoes API.
// Each default is a function: `KubeSchema` copies the struct, and the copy has no `Default`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Repository of the image, with neither tag nor digest. At most 255 characters. The default names an image that was built
    /// from source and loaded onto the nodes, because no image is published yet.
    #[serde(default = "default_repository")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = (
        "self.matches('^([a-z0-9]+([._-]+[a-z0-9]+)*(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$')",
        "image.repository must be a lower-case repository without tag or digest, such as example.org/doacoes/api; \
         write the tag into image.tag"
    ))]
    pub repository: String,
    /// Tag of the image. At most 128 characters; `latest` is refused, because pods created at different times would run
    /// different code. The default is the release that this definition belongs to; it is stored in the resource when that is
    /// created, so that a newer definition does not change what runs.
    #[serde(default = "default_tag")]
    #[schemars(length(max = 128))]
    #[x_kube(
        validation = (
            "self != 'latest'",
            "image.tag must not be latest, because pods created at different times would run different code: name a release, such as 0.1.0"
        ),
        validation = (
            "self.matches('^[A-Za-z0-9_][A-Za-z0-9_.-]*$')",
            "image.tag must start with a letter, digit or '_' and hold only letters, digits, '_', '.' and '-'; for example: 0.1.0"
        )
    )]
    pub tag: String,
    /// When a node pulls the image: `Always` when a container starts, `IfNotPresent` when the node does not have it, or
    /// `Never`, which needs the image on the node.
    #[serde(default)]
    pub pull_policy: PullPolicy,
}

impl Default for Image {
    fn default() -> Self {
        Self { repository: default_repository(), tag: default_tag(), pull_policy: PullPolicy::default() }
    }
}

fn default_repository() -> String {
    "localhost/doacoes/api".to_owned()
}

fn default_tag() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// When a node pulls an image, as in a container of a pod.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PullPolicy {
    /// Each time a container starts.
    Always,
    /// When the node does not have it.
    #[default]
    IfNotPresent,
    /// Never: the image must be on the node already.
    Never,
}

/// The API's pods.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Api {
    // Signed, although none can be negative: for u32 the derive writes `format: uint32`, which Kubernetes does not know.
    /// Number of API pods, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,
    /// Database connections that one API pod opens at most, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub database_pool_size: i32,
}

impl Default for Api {
    fn default() -> Self {
        Self { replicas: 4, database_pool_size: 12 }
    }
}

/// Where donors reach the site.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// DNS name under which donors reach the site, in lower case, without scheme, port or path. At most 253 characters.
    // The last label starts with a letter, which also refuses IPv4 addresses.
    #[schemars(length(max = 253))]
    #[x_kube(validation = (
        "self.matches('^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])*[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",
        "ingress.host must be a DNS name in lower case without scheme, port or path, such as doe.example.org; \
         an IP address or a wildcard is not allowed"
    ))]
    pub host: String,
}

/// What the operator observed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DonationPlatformStatus {
    /// State of the parts of the site, one condition per type; `Ready` sums them up. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that the status describes. Smaller than the current one: the last change was not looked at yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

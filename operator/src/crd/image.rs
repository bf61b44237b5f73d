//! Images, and how nodes pull them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::images;

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
    images::API_REPOSITORY.to_owned()
}

fn default_tag() -> String {
    images::API_TAG.to_owned()
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

/// A Secret with which nodes pull images.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, KubeSchema)]
pub struct ImagePullSecret {
    /// Name of a Secret of type `kubernetes.io/dockerconfigjson`. At most 253 characters.
    #[schemars(length(max = 253))]
    #[x_kube(validation = (
        "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
        "imagePullSecrets[].name must be the name of a Secret: only a-z, 0-9, '-' and '.', with a letter or digit at both ends; \
         for example: registry"
    ))]
    pub name: String,
}

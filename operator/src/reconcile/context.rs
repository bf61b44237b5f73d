//! What every pass needs beside the resource.

use kube::runtime::events::Reporter;

use crate::client::ApiClient;

/// What every pass needs beside the resource; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The client of the API server.
    pub client: ApiClient,
    /// The name under which Events are reported.
    pub reporter: Reporter,
}

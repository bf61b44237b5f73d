//! Dependencies of every pass.

use kube::runtime::events::Reporter;

use crate::client::ApiClient;

/// Dependencies of every pass.
#[derive(Clone)]
pub struct Context {
    /// The client of the API server.
    pub client: ApiClient,
    /// The name under which Events are reported.
    pub reporter: Reporter,
}

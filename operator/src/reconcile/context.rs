//! What every pass works with.

use kube::runtime::events::Reporter;

use crate::client::ApiClient;

/// What every pass works with.
#[derive(Clone)]
pub struct Context {
    /// The client of the API server.
    pub client: ApiClient,
    /// The name under which Events are reported.
    pub reporter: Reporter,
}

//! The verbs of requests to the API server.

/// Verb of a request. In a role's rules [`Self::Apply`] is a `patch` and [`Self::Replace`] an `update`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verb {
    /// Reads one object by its name.
    Get,
    /// Reads all objects of a kind.
    List,
    /// Makes an object that must not exist.
    Create,
    /// Makes or changes the fields that the operator renders.
    Apply,
    /// Writes a whole object in place of the one that was read.
    Replace,
    /// Deletes one object by its name.
    Delete,
}

impl Verb {
    /// Value of the metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Apply => "apply",
            Self::Replace => "replace",
            Self::Delete => "delete",
        }
    }
}

//! How many files, and so connections, the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::server::MAX_CONNECTIONS;

/// Open files beside the connections of clients: connections to the stores, and the files of the process.
const OTHER_OPEN_FILES: u64 = 256;

/// Raises the limit to what the system allows at most. Shells and some service managers give 1,024, which is meant for programs
/// that use `select`.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None` is no limit.
    if current.is_some()
        && current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let needed = u64::try_from(MAX_CONNECTIONS).unwrap_or(u64::MAX) + OTHER_OPEN_FILES;
    if let Some(limit) = getrlimit(Resource::Nofile).current
        && limit < needed
    {
        tracing::warn!(limit, needed, "fewer connections than the process would take; raise its hard limit of open files");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        raise_limit();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
    }
}

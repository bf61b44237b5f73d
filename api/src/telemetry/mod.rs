//! Logs, and in [`metrics`] what metrics are made of. A log line is one JSON object on standard output. It holds no names, addresses,
//! tokens, bodies or query strings.

pub mod metrics;

use tracing_subscriber::EnvFilter;

/// Starts logging. `filter` is a `tracing` filter such as `info,doacoes_api=debug`.
pub fn init(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // A second call, as in tests, changes nothing.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .try_init();
}

/// The text of an error and of everything behind it, for a log line. Some errors end with their cause's words already: those are
/// not said twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("the file cannot be read")]
        Silent(#[source] std::io::Error),
        #[error("the file cannot be read: {0}")]
        Telling(#[source] std::io::Error),
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || std::io::Error::other("disk on fire");
        for error in [Outer::Silent(cause()), Outer::Telling(cause())] {
            assert_eq!(chain(&error), "the file cannot be read: disk on fire");
        }
    }
}

//! Progress of a part, a blocker of all writes, and the outcome of a pass. Waiting is data; a failure is an
//! [`Error`](crate::error::Error).

use std::time::Duration;

use super::reason::Reason;

/// Progress of a part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// It is there.
    Ready {
        /// The reason.
        reason: Reason,
        /// The reason in a sentence.
        message: String,
    },
    /// Something has to happen first.
    Waiting {
        /// The reason.
        reason: Reason,
        /// The reason in a sentence.
        message: String,
    },
}

/// A reason for which nothing is written at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blocker {
    /// The reason.
    pub reason: Reason,
    /// The reason in a sentence, and the way to end it.
    pub message: String,
    /// Whether it ends by itself.
    pub ends_by_itself: bool,
}

/// Outcome of a pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything is as the resource says; the next event starts the next pass.
    Settled,
    /// Something has to happen in the cluster first; the next pass starts after this time at the latest.
    Waiting(Duration),
}

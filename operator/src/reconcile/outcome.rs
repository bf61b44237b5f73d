//! Progress of a part, a blocker of all writes, and the outcome of a pass. Waiting is data; a failure is an
//! [`Error`](crate::error::Error).

use std::time::Duration;

use super::reason::Reason;

/// The progress of one part of the platform.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The part is as the resource says.
    Ready {
        /// The reason of the part's condition, which is True.
        reason: Reason,
        /// The message of the condition, a sentence.
        message: String,
    },
    /// Something has to happen before the part is as the resource says.
    Waiting {
        /// The reason of the part's condition, which is not True.
        reason: Reason,
        /// The message of the condition, a sentence.
        message: String,
    },
}

/// A reason for which nothing is written at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blocker {
    /// The reason of the condition `Ready`.
    pub reason: Reason,
    /// The message of the condition: what blocks, and how to end it.
    pub message: String,
    /// Whether the blocker ends without a person's doing.
    pub ends_by_itself: bool,
}

/// What follows after a pass that did not fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything is as the resource says; the next event starts the next pass.
    Settled,
    /// Something has to happen in the cluster first; the next pass starts after this time at the latest.
    Waiting(Duration),
}

//! How far a part is, what stops everything, and how a pass ended. Waiting is data; what failed is an [`Error`](crate::error::Error).

use std::time::Duration;

use super::reason::Reason;

/// How far a part is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// It is there.
    Ready {
        /// Why, in one word.
        reason: Reason,
        /// The same in a sentence.
        message: String,
    },
    /// Something has to happen first.
    Waiting {
        /// What, in one word.
        reason: Reason,
        /// The same in a sentence.
        message: String,
    },
}

/// Why nothing is written at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blocker {
    /// Why, in one word.
    pub reason: Reason,
    /// The same in a sentence, and how to end it.
    pub message: String,
    /// Whether it ends by itself.
    pub ends_by_itself: bool,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything is as the resource says; the next event starts the next pass.
    Settled,
    /// Something has to happen in the cluster first; the next pass starts after this time at the latest.
    Waiting(Duration),
}

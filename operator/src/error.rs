//! Errors of a pass, their classes, and the wait after each.

use std::time::Duration;

use crate::verb::Verb;

/// A reconcile that failed. Waiting for the cluster is no error: see [`Progress`](crate::reconcile::Progress).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a request or could not be reached.
    #[error("cannot {} {kind} {name}", verb.as_str())]
    Request {
        /// Verb of the request that failed.
        verb: Verb,
        /// Kind of the object.
        kind: String,
        /// Name of the object; empty for a list.
        name: String,
        /// The answer of the API server, or why there is none.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("cannot {} {kind} {name}: no answer within {} s", verb.as_str(), after.as_secs())]
    Timeout {
        /// Verb of the request that was not answered.
        verb: Verb,
        /// Kind of the object.
        kind: String,
        /// Name of the object; empty for a list.
        name: String,
        /// The time limit that the request exceeded.
        after: Duration,
    },
    /// An object is not what its kind promises, or could not be written as JSON.
    #[error("{kind} {name} cannot be understood")]
    Malformed {
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
        /// Why the object could not be read or written as JSON.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object of that name exists and is not the operator's.
    #[error("{kind} {name} exists and does not belong to this DonationPlatform")]
    NameConflict {
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
    },
    /// The resource asks for something that cannot be done until it, or what it names, is changed.
    #[error("{0}")]
    Invalid(String),
}

/// A class of errors. The wait after a failure depends on the class only.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorClass {
    /// Only a change of the resource, or of what it names, helps.
    Invalid,
    /// Somebody else's object is in the way.
    NameConflict,
    /// Somebody else wrote at the same time: what was read is out of date.
    Conflict,
    /// The API server is overloaded or away.
    Transient,
    /// The API server refuses what was rendered: a quota, a policy, missing rights, or a fault of the operator.
    Fault,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 5] = [Self::Invalid, Self::NameConflict, Self::Conflict, Self::Transient, Self::Fault];

    /// Value of the metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NameConflict => "name_conflict",
            Self::Conflict => "conflict",
            Self::Transient => "transient",
            Self::Fault => "fault",
        }
    }

    /// The wait after the `failures`-th failure in a row, from 1: min(first · 2^(`failures` − 1), cap) · (1 − 0.2 · `jitter`), with
    /// the first wait and the cap of the class. `jitter`, from 0 to 1, keeps platforms from coming back at the same moment.
    pub fn delay(self, failures: u32, jitter: f64) -> Duration {
        let (first, cap) = match self {
            // Changes of the resource wake it; the wait is for what it names, such as a Secret of another team.
            Self::Invalid => (Duration::from_mins(1), Duration::from_mins(10)),
            // Objects of others are not watched.
            Self::NameConflict => (Duration::from_secs(15), Duration::from_mins(1)),
            Self::Conflict => (Duration::from_millis(100), Duration::from_secs(5)),
            Self::Transient => (Duration::from_millis(500), Duration::from_secs(30)),
            Self::Fault => (Duration::from_secs(2), Duration::from_mins(5)),
        };
        let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(20)));
        doubled.min(cap).mul_f64(1.0 - 0.2 * jitter.clamp(0.0, 1.0))
    }
}

impl Error {
    /// The text for the status: which request failed and how. It is the same each time, so that the same failure does not change
    /// the status.
    pub fn summary(&self) -> String {
        match self {
            Self::Request { source, .. } => match &**source {
                kube::Error::Api(status) => format!("{self}: the API server answers {} {}", status.code, status.reason),
                _ => format!("{self}: there is no answer of the API server"),
            },
            _ => self.to_string(),
        }
    }

    /// The error's class. An unknown error is transient.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Request { source, .. } => class_of(source),
            Self::Timeout { .. } => ErrorClass::Transient,
            Self::Malformed { .. } => ErrorClass::Fault,
            Self::NameConflict { .. } => ErrorClass::NameConflict,
            Self::Invalid(_) => ErrorClass::Invalid,
        }
    }

    /// Whether the API server refused the object itself, so that the same request would be refused again.
    pub fn is_refusal(&self) -> bool {
        matches!(self.class(), ErrorClass::Fault)
    }

    /// Whether the API server found that the object breaks a rule of its kind.
    pub fn is_unprocessable(&self) -> bool {
        matches!(self, Self::Request { source, .. } if matches!(&**source, kube::Error::Api(status) if status.is_invalid()))
    }

    /// Whether an object of that name was made in between.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Request { source, .. } if matches!(&**source, kube::Error::Api(status) if status.is_already_exists()))
    }

    /// The wait that the API server asks for; zero if it asks for none.
    pub fn retry_after(&self) -> Duration {
        let seconds = match self {
            Self::Request { source, .. } => match &**source {
                kube::Error::Api(status) => status.details.as_ref().map_or(0, |details| details.retry_after_seconds),
                _ => 0,
            },
            _ => 0,
        };
        Duration::from_secs(seconds.into())
    }

    /// Whether the object is gone already.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Request { source, .. } if matches!(&**source, kube::Error::Api(status) if status.is_not_found()))
    }
}

fn class_of(error: &kube::Error) -> ErrorClass {
    let kube::Error::Api(status) = error else {
        return ErrorClass::Transient;
    };
    if status.is_conflict() || status.is_already_exists() {
        return ErrorClass::Conflict;
    }
    match status.code {
        // 404 for a write: the namespace or the object went away, and a watch event of that comes or came.
        400 | 401 | 403 | 405 | 406 | 413 | 415 | 422 => ErrorClass::Fault,
        _ => ErrorClass::Transient,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16, reason: &str) -> Error {
        Error::Request {
            verb: Verb::Apply,
            kind: "Service".into(),
            name: "esperanca-api".into(),
            source: Box::new(kube::Error::Api(Status::failure("no", reason).with_code(code).boxed())),
        }
    }

    #[test]
    fn every_answer_of_the_api_server_has_a_class() {
        for (code, reason, class) in [
            (409, "Conflict", ErrorClass::Conflict),
            (409, "AlreadyExists", ErrorClass::Conflict),
            (422, "Invalid", ErrorClass::Fault),
            (403, "Forbidden", ErrorClass::Fault),
            (404, "NotFound", ErrorClass::Transient),
            (429, "TooManyRequests", ErrorClass::Transient),
            (500, "InternalError", ErrorClass::Transient),
            (503, "ServiceUnavailable", ErrorClass::Transient),
        ] {
            assert_eq!(refused(code, reason).class(), class, "{code} {reason}");
        }
    }

    #[test]
    fn waits_grow_up_to_a_cap_and_never_reach_zero() {
        for class in ErrorClass::ALL {
            let mut before = Duration::ZERO;
            for failures in 1..40 {
                let delay = class.delay(failures, 0.0);
                assert!(delay >= before, "{class:?} after {failures}");
                assert!(class.delay(failures, 1.0) >= delay.mul_f64(0.79), "{class:?} after {failures}");
                before = delay;
            }
            assert!(class.delay(1, 1.0) >= Duration::from_millis(80), "{class:?}: no hot loop");
            assert!(before <= Duration::from_mins(10), "{class:?}: no wait without end");
        }
        assert!(ErrorClass::Conflict.delay(1, 0.0) < ErrorClass::Transient.delay(1, 0.0));
        assert!(ErrorClass::Transient.delay(1, 0.0) < ErrorClass::Fault.delay(1, 0.0));
    }
}

//! Whether this process is fit to take donations: it makes one, from account to confirmation, and undoes it, before it is ready for
//! the first time. Once that has worked, an outage is an outage, which [`health`](crate::health) sees.
//!
//! Redis is tried likewise, with what limits and caches do. Without it the API works, so it is only reported and tried again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::service::rehearsal;
use crate::state::Core;
use crate::telemetry::chain;

const AGAIN: Duration = Duration::from_secs(1);

/// How far the rehearsal is, read by the readiness check.
#[derive(Debug, Default)]
pub struct Rehearsal(Mutex<State>);

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Pending,
    Failed(String),
    Passed,
}

impl Rehearsal {
    /// Why the process is not ready, where it is not.
    pub fn unready(&self) -> Option<String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Pending => Some("the rehearsal of a donation has not finished".to_owned()),
            State::Failed(reason) => Some(reason.clone()),
            State::Passed => None,
        }
    }

    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// Rehearses until both have worked, or a stop is asked for. Redis has its first turn before the process is ready, so that what is
/// wrong with it is known by then.
pub async fn run(core: &Core) {
    let mut redis = redis_works(core, None).await;
    let mut told = None;
    while !core.shutdown.has_begun() {
        match rehearsal::run(core).await {
            Ok(()) => break,
            Err(error) => {
                let reason = chain(&error);
                if told.as_ref() != Some(&reason) {
                    tracing::warn!(error = reason, "a donation would not work here; refusing readiness");
                }
                core.rehearsal.set(State::Failed(reason.clone()));
                told = Some(reason);
            }
        }
        core.shutdown.pause(AGAIN).await;
    }
    if core.shutdown.has_begun() {
        return;
    }
    core.rehearsal.set(State::Passed);
    while redis.is_some() && !core.shutdown.has_begun() {
        core.shutdown.pause(AGAIN).await;
        redis = redis_works(core, redis).await;
    }
}

/// Why it does not, where it does not; `before` is what was said last.
async fn redis_works(core: &Core, before: Option<String>) -> Option<String> {
    let failure = core.limits.rehearse().await.err().map(|error| chain(&error));
    core.health.note_refusal(failure.is_some());
    match &failure {
        Some(reason) if before.as_ref() != Some(reason) => {
            tracing::warn!(error = reason, "Redis does not do what is asked of it; going on without it");
        }
        None if before.is_some() => tracing::info!("Redis does what is asked of it"),
        _ => {}
    }
    failure
}

//! Tests whether this process is fit to take donations: it makes one, from account to confirmation, and undoes it, before it is ready
//! for the first time. Once that has worked, an outage is an outage, which [`health`](crate::health) sees.
//!
//! Redis is tested likewise, with what limits and caches do. Without it the API works, so a failure is only reported and tested again.

use std::time::Duration;

use crate::readiness::SelfTestState;
use crate::service::self_test;
use crate::state::Core;
use crate::telemetry::chain;

/// Time until the next test, after one that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Tests until both have worked, or a stop is asked for. Redis has its first turn before the process is ready, so that what is
/// wrong with it is known by then.
pub async fn run(core: &Core) {
    let mut redis = redis_works(core, None).await;
    let mut told = None;
    while !core.shutdown.has_begun() {
        match self_test::run(core).await {
            Ok(()) => break,
            Err(error) => {
                let reason = chain(&error);
                if told.as_ref() != Some(&reason) {
                    tracing::warn!(error = reason, "a donation would not work here; refusing readiness");
                }
                core.readiness.self_test.set(SelfTestState::Failed(reason.clone()));
                told = Some(reason);
            }
        }
        core.shutdown.pause(RETRY_INTERVAL).await;
    }
    if core.shutdown.has_begun() {
        return;
    }
    core.readiness.self_test.set(SelfTestState::Passed);
    while redis.is_some() && !core.shutdown.has_begun() {
        core.shutdown.pause(RETRY_INTERVAL).await;
        redis = redis_works(core, redis).await;
    }
}

/// Why it does not, where it does not; `before` is what was said last.
async fn redis_works(core: &Core, before: Option<String>) -> Option<String> {
    let failure = core.limits.self_test().await.err().map(|error| chain(&error));
    core.readiness.stores.note_refusal(failure.is_some());
    match &failure {
        Some(reason) if before.as_ref() != Some(reason) => {
            tracing::warn!(error = reason, "Redis does not do what is asked of it; going on without it");
        }
        None if before.is_some() => tracing::info!("Redis does what is asked of it"),
        _ => {}
    }
    failure
}

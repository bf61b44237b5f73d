//! Tests that this process can take donations, before it becomes ready: makes one, from account to confirmation, and rolls it back.
//! Once that has worked it is not repeated; [`health`](crate::health::stores) detects later outages.
//!
//! Redis is tested with the commands of limits and caches. The API works without it, so a failure is only reported, and tested
//! again.

use std::time::Duration;

use crate::process::readiness::SelfTestState;
use crate::service::self_test;
use crate::state::Core;
use crate::telemetry::chain;

/// Time from a failed test to the next one.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Tests until a donation and Redis have both worked, or the process is to stop. Redis is tested once before the process becomes
/// ready, so that `/readyz` can report a failure from the start.
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

/// Tests Redis and returns why it failed; `None` if it works. Logs the reason if it differs from `before`, the last one.
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

//! Waiting until something holds, or until nothing happens any more.

use std::time::{Duration, Instant};

use super::Result;

/// Time within which the running operator undoes what others change.
pub(crate) const REPAIR_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest that one step of a platform may take. On an idle machine it takes far less; other tests and two API servers share this
/// one.
pub(crate) const STEP_TIMEOUT: Duration = Duration::from_mins(2);

/// Pause before a condition is asked for the second time; each further pause is twice as long, up to [`PAUSE_MAX`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Longest pause between two questions. What takes seconds is Kubernetes' work, which more questions would only slow down.
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// Time within which it must become quiet. After two minutes the status changes once more where an autoscaler finds no metrics,
/// of which there are none here.
const REST_TIMEOUT: Duration = Duration::from_mins(1);

/// Waits until `condition` holds. Fails if it does not within [`STEP_TIMEOUT`].
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> Result<bool>) -> Result {
    within(STEP_TIMEOUT, what, condition).await
}

/// Waits until `condition` holds. Fails if it does not within `limit`.
pub(crate) async fn within(limit: Duration, what: &str, condition: impl AsyncFn() -> Result<bool>) -> Result {
    let (start, mut pause) = (Instant::now(), FIRST_PAUSE);
    while !condition().await? {
        if start.elapsed() > limit {
            return Err(format!("not within {} s: {what}", limit.as_secs()).into());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(())
}

/// Waits until a number, such as that of the operator's writes, has not grown for as long as `quiet`. Fails if that does not
/// happen within [`REST_TIMEOUT`].
pub(crate) async fn rests(count: impl Fn() -> u64, quiet: Duration) -> Result {
    let (start, mut last, mut since) = (Instant::now(), count(), Instant::now());
    while since.elapsed() < quiet {
        tokio::time::sleep(PAUSE_MAX).await;
        if count() != last {
            (last, since) = (count(), Instant::now());
        }
        if start.elapsed() > REST_TIMEOUT {
            return Err(format!("there is no rest for {quiet:?} within {REST_TIMEOUT:?}").into());
        }
    }
    Ok(())
}

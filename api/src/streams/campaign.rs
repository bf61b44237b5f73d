//! The task that shows a campaign's totals to its followers, for as long as there are any.
//!
//! A push into the cache wakes it. While this process hears nothing from others it looks by itself, at what the cache loads
//! for `/totais` as well.

use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Shown, Streams};
use crate::cache::{Resource, Subject};
use crate::state::AppState;

/// Changes within this time are shown as one. One by one, they would be amounts of donations.
pub(super) const STEP: Duration = Duration::from_secs(1);
/// How often to look while others are not heard.
const UNHEARD: Duration = Duration::from_secs(1);
/// How often all the same, in case something was missed.
const HEARD: Duration = Duration::from_secs(15);

/// Why to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// There is a newer answer in this process, or the old one was dropped.
    Told,
    /// It is time.
    Due,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Newer totals are shown.
    Newer,
    /// Nothing new, or nobody could be asked.
    Same,
    /// The campaign is there for the public no more.
    Gone,
}

/// Forgets the campaign however the task ends: a stream that nobody keeps current is worse than one that ends.
struct Keeping<'a> {
    streams: &'a Streams,
    subject: &'a Subject,
    shown: &'a watch::Sender<Shown>,
}

impl Drop for Keeping<'_> {
    fn drop(&mut self) {
        self.streams.abandon(self.subject, self.shown);
    }
}

/// Keeps `shown` current until nobody follows it, the campaign is not public any more, or a stop is asked for.
pub(super) async fn keep_current<R: Resource + Clone>(state: AppState, resource: R, shown: watch::Sender<Shown>) {
    let subject = resource.subject();
    let _keeping = Keeping { streams: &state.streams, subject: &subject, shown: &shown };
    let mut changes = state.cache.watch(&subject);
    // What changed before the watch began was not told.
    let mut cause = Cause::Due;
    loop {
        let (looked, heard) = (Instant::now(), state.cache.hears_since());
        match look(&state, &resource, &shown, cause).await {
            Look::Newer => tokio::select! {
                () = tokio::time::sleep(STEP) => {}
                () = state.shutdown.begun() => return,
            },
            Look::Same => {}
            Look::Gone => return,
        }
        cause = loop {
            tokio::select! {
                () = changes.changed() => break Cause::Told,
                () = tokio::time::sleep(about(UNHEARD)) => {
                    // Also when others were not heard for a moment only: what they pushed in it is lost.
                    if heard.is_none() || heard != state.cache.hears_since() || looked.elapsed() >= HEARD {
                        break Cause::Due;
                    }
                }
                () = shown.closed() => if state.streams.leave(&subject, &shown) { return },
                () = state.shutdown.begun() => return,
            }
        };
    }
}

async fn look<R: Resource + Clone>(state: &AppState, resource: &R, shown: &watch::Sender<Shown>, cause: Cause) -> Look {
    // What was pushed is here; for all else a few go at a time, since thousands of campaigns may have followers.
    let _turn = match cause {
        Cause::Told => None,
        Cause::Due => state.streams.looks.acquire().await.ok(),
    };
    let Ok(answer) = state.cache.get(state, resource.clone()).await else { return Look::Same };
    let Some(found) = &answer.entry.found else { return Look::Gone };
    if found.seq <= shown.borrow().seq {
        return Look::Same;
    }
    shown.send_replace(Shown::new(found));
    Look::Newer
}

/// A fifth more or less, so that what was begun together does not go on together.
pub(super) fn about(time: Duration) -> Duration {
    time.mul_f64(rand::rng().random_range(0.8..=1.2))
}

//! The task that shows a campaign's totals to its subscribers, for as long as there are any.
//!
//! A push into the cache wakes it. While this process does not hear other processes, it asks the cache once a second, as a request
//! for `/totais` does.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Shown, Streams};
use crate::cache::{Resource, Subject};

/// Changes within this time are shown as one. One by one, they would be amounts of donations.
pub(super) const STEP: Duration = Duration::from_secs(1);
/// Time between two looks at the totals while this process does not hear what other processes push.
const LOOK_INTERVAL_UNHEARD: Duration = Duration::from_secs(1);
/// Time between two looks while this process hears them, in case a push was missed.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);

/// Why the task looks at the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    /// There is a newer answer in this process, or the old one was dropped.
    Told,
    /// The interval between two looks is over.
    Due,
}

/// The result of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// There were newer totals, which are shown now.
    Newer,
    /// There was nothing newer, or the cache could not answer.
    Same,
    /// The campaign is no longer public.
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

/// Keeps `shown` current until it has no subscriber, the campaign is no longer public, or the process is to stop.
pub(super) async fn keep_current<R: Resource + Clone>(streams: Arc<Streams>, source: R::Source, resource: R, shown: watch::Sender<Shown>) {
    let subject = resource.subject();
    let _keeping = Keeping { streams: &streams, subject: &subject, shown: &shown };
    let mut changes = streams.cache.watch(&subject);
    // What changed before the watch began was not told.
    let mut cause = Trigger::Due;
    loop {
        let (looked, heard) = (Instant::now(), streams.cache.hears_since());
        match look(&streams, &source, &resource, &shown, cause).await {
            Look::Newer => tokio::select! {
                () = tokio::time::sleep(STEP) => {}
                () = streams.shutdown.begun() => return,
            },
            Look::Same => {}
            Look::Gone => return,
        }
        cause = loop {
            tokio::select! {
                () = changes.changed() => break Trigger::Told,
                () = tokio::time::sleep(about(LOOK_INTERVAL_UNHEARD)) => {
                    // Also when others were not heard for a moment only: what they pushed in it is lost.
                    if heard.is_none() || heard != streams.cache.hears_since() || looked.elapsed() >= LOOK_INTERVAL {
                        break Trigger::Due;
                    }
                }
                () = shown.closed() => if streams.leave(&subject, &shown) { return },
                () = streams.shutdown.begun() => return,
            }
        };
    }
}

async fn look<R: Resource + Clone>(
    streams: &Streams,
    source: &R::Source,
    resource: &R,
    shown: &watch::Sender<Shown>,
    cause: Trigger,
) -> Look {
    // Pushed totals are in this process. All other looks leave it, so only a few happen at a time: thousands of campaigns may be
    // followed.
    let _turn = match cause {
        Trigger::Told => None,
        Trigger::Due => streams.looks.acquire().await.ok(),
    };
    let Ok(answer) = streams.cache.get(source, resource.clone()).await else { return Look::Same };
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

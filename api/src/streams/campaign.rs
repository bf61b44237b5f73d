//! The task that shows a campaign's totals to its subscribers, for as long as there are any.
//!
//! A push into the cache wakes it. While this process does not receive the messages of other processes, it asks the cache once a second, as a
//! request for `/totais` does.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Shown, Streams};
use crate::cache::{Resource, Subject};

/// Changes within this time are shown as one. One by one, they would be amounts of donations.
pub(super) const MIN_EVENT_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two refreshes while this process does not receive what other processes push.
const POLL_INTERVAL_DISCONNECTED: Duration = Duration::from_secs(1);
/// Time between two refreshes while this process receives it, in case a push was missed.
const POLL_INTERVAL: Duration = Duration::from_secs(15);

/// Why the task refreshes the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    /// There is a newer answer in this process, or the old one was dropped.
    Notified,
    /// The interval between two refreshes is over.
    Due,
}

/// The result of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
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
        self.streams.end(self.subject, self.shown);
    }
}

/// Keeps `shown` current until it has no subscriber, the campaign is no longer public, or the process is to stop.
pub(super) async fn keep_current<R: Resource + Clone>(streams: Arc<Streams>, source: R::Source, resource: R, shown: watch::Sender<Shown>) {
    let subject = resource.subject();
    let _keeping = Keeping { streams: &streams, subject: &subject, shown: &shown };
    let mut changes = streams.cache.watch(&subject);
    // The watch does not notify of changes before it began.
    let mut cause = Trigger::Due;
    loop {
        let (refreshed, epoch) = (Instant::now(), streams.cache.connection_epoch());
        match refresh(&streams, &source, &resource, &shown, cause).await {
            Refresh::Newer => tokio::select! {
                () = tokio::time::sleep(MIN_EVENT_INTERVAL) => {}
                () = streams.shutdown.begun() => return,
            },
            Refresh::Same => {}
            Refresh::Gone => return,
        }
        cause = loop {
            tokio::select! {
                () = changes.changed() => break Trigger::Notified,
                () = tokio::time::sleep(about(POLL_INTERVAL_DISCONNECTED)) => {
                    // Also after a short loss of the connection: what others pushed during it is lost.
                    if epoch.is_none() || epoch != streams.cache.connection_epoch() || refreshed.elapsed() >= POLL_INTERVAL {
                        break Trigger::Due;
                    }
                }
                () = shown.closed() => if streams.leave(&subject, &shown) { return },
                () = streams.shutdown.begun() => return,
            }
        };
    }
}

async fn refresh<R: Resource + Clone>(
    streams: &Streams,
    source: &R::Source,
    resource: &R,
    shown: &watch::Sender<Shown>,
    cause: Trigger,
) -> Refresh {
    // Pushed totals are in this process. All other refreshes ask Redis or the database, so only a few happen at a time: thousands
    // of campaigns may have subscribers.
    let _turn = match cause {
        Trigger::Notified => None,
        Trigger::Due => streams.refreshes.acquire().await.ok(),
    };
    let Ok(answer) = streams.cache.get(source, resource.clone()).await else { return Refresh::Same };
    let Some(found) = &answer.entry.found else { return Refresh::Gone };
    if found.seq <= shown.borrow().seq {
        return Refresh::Same;
    }
    shown.send_replace(Shown::new(found));
    Refresh::Newer
}

/// A fifth more or less, so that what was begun together does not go on together.
pub(super) fn about(time: Duration) -> Duration {
    time.mul_f64(rand::rng().random_range(0.8..=1.2))
}

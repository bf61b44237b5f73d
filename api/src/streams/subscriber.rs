//! What one client is sent: totals, a heartbeat when there are none, and the time after which to open a new stream.

use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use prometheus::IntCounter;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::campaign::{MIN_EVENT_INTERVAL, about};
use super::{Shown, StreamPermit};
use crate::process::shutdown::Shutdown;

/// Time without totals after which a comment is sent. Silence for much longer would make proxies close the connection.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// Time after which a stream ends and its client opens a new one, maybe to a process that has fewer of them.
const STREAM_LIFE: Duration = Duration::from_mins(10);
/// Milliseconds after which a client whose process stopped or died opens a new stream; spread, since all of its clients do.
const RETRY_AFTER_STOP_MILLIS: RangeInclusive<u32> = 1_000..=8_000;
/// Milliseconds after which a client whose stream reached its end opens a new one. Streams end one by one.
const RETRY_AFTER_END_MILLIS: RangeInclusive<u32> = 1_000..=2_000;

/// The times of a stream.
#[derive(Clone, Copy, Debug)]
struct Pace {
    step: Duration,
    heartbeat: Duration,
    life: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { step: MIN_EVENT_INTERVAL, heartbeat: about(HEARTBEAT_INTERVAL), life: about(STREAM_LIFE) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    Over,
}

/// A client's subscription to the totals of a campaign.
pub struct Subscriber {
    totals: watch::Receiver<Shown>,
    /// The `seq` of what was sent last.
    seen: i64,
    /// Whether there are totals that were not read yet.
    pending: bool,
    phase: Phase,
    pace: Pace,
    /// The earliest time of the next totals.
    next: Instant,
    /// The time of the next heartbeat, unless totals are sent before.
    beat: Instant,
    end: Instant,
    shutdown: Shutdown,
    events: IntCounter,
    _permit: StreamPermit,
}

impl Subscriber {
    pub(super) fn new(
        totals: watch::Receiver<Shown>,
        permit: StreamPermit,
        last_seen: Option<i64>,
        shutdown: Shutdown,
        events: IntCounter,
    ) -> Self {
        let pace = Pace::default();
        let now = Instant::now();
        let current = totals.borrow().seq;
        // A client that has seen newer totals saw them from another process; it is sent the next change, as all others are.
        let seen = last_seen.map_or(i64::MIN, |seen| seen.min(current));
        Self {
            totals,
            seen,
            pending: false,
            phase: Phase::Opening,
            pace,
            next: now,
            beat: now + pace.heartbeat,
            end: now + pace.life,
            shutdown,
            events,
            _permit: permit,
        }
    }

    /// The pieces of the answer's body, `text/event-stream`.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        futures_util::stream::unfold(self, async |mut this| {
            let bytes = this.next().await?;
            Some((Ok(bytes), this))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        match self.phase {
            Phase::Opening => {
                self.phase = Phase::Open;
                Some(self.open())
            }
            Phase::Open => Some(self.go_on().await),
            Phase::Over => None,
        }
    }

    /// The `retry` for a connection that breaks, and the present totals.
    fn open(&mut self) -> Bytes {
        let mut bytes = retry_field(RETRY_AFTER_STOP_MILLIS).to_vec();
        bytes.extend(self.newer().into_iter().flatten());
        bytes.into()
    }

    async fn go_on(&mut self) -> Bytes {
        loop {
            tokio::select! {
                // A stream that ought to end may have much to say.
                biased;
                () = self.shutdown.begun() => return self.close(RETRY_AFTER_STOP_MILLIS),
                () = tokio::time::sleep_until(self.end) => return self.close(RETRY_AFTER_END_MILLIS),
                moved = self.totals.changed(), if !self.pending => match moved {
                    Ok(()) => self.pending = true,
                    Err(_) => return self.close(RETRY_AFTER_END_MILLIS),
                },
                () = tokio::time::sleep_until(self.next), if self.pending => if let Some(event) = self.newer() { return event },
                () = tokio::time::sleep_until(self.beat) => {
                    self.beat = Instant::now() + self.pace.heartbeat;
                    return Bytes::from_static(b": \n\n");
                }
            }
        }
    }

    /// The latest totals, where the client has not seen them.
    fn newer(&mut self) -> Option<Bytes> {
        self.pending = false;
        let shown = self.totals.borrow_and_update().clone();
        if shown.seq <= self.seen {
            return None;
        }
        self.seen = shown.seq;
        let now = Instant::now();
        self.next = now + self.pace.step;
        self.beat = now + self.pace.heartbeat;
        self.events.inc();
        Some(shown.event)
    }

    fn close(&mut self, when: RangeInclusive<u32>) -> Bytes {
        self.phase = Phase::Over;
        retry_field(when)
    }
}

/// A random time within `when`, so that clients whose streams end together do not all come back together.
fn retry_field(when: RangeInclusive<u32>) -> Bytes {
    format!("retry: {}\n\n", rand::rng().random_range(when)).into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::cache::{Cache, CacheMetrics};
    use crate::limits::load_shed::QueueMetrics;
    use crate::redis_client::budget::REQUEST_BUDGET;
    use crate::redis_client::{RedisClient, RedisMetrics};
    use crate::streams::{StreamMetrics, Streams};
    use prometheus::Registry;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    /// Without the spread that keeps clients apart. Time is paused, so that nobody waits for it.
    const EVEN: Pace = Pace { step: MIN_EVENT_INTERVAL, heartbeat: HEARTBEAT_INTERVAL, life: STREAM_LIFE };
    /// The finest step of tokio's timers.
    const TICK: Duration = Duration::from_millis(1);

    impl Subscriber {
        fn at_pace(self, pace: Pace) -> Self {
            Self { pace, beat: self.next + pace.heartbeat, end: self.next + pace.life, ..self }
        }
    }

    struct Stage {
        shown: watch::Sender<Shown>,
        streams: Streams,
        shutdown: Shutdown,
    }

    fn totals(seq: i64) -> Shown {
        Shown { seq, event: format!("id: {seq}\n\n").into() }
    }

    impl Stage {
        fn new() -> Self {
            let (registry, shutdown) = (Registry::new(), Shutdown::default());
            // The port of the discard service, where nothing listens.
            let redis =
                RedisClient::new(&"redis://127.0.0.1:9".to_owned().into(), "", REQUEST_BUDGET, RedisMetrics::new(&registry).unwrap())
                    .unwrap();
            let cache = Arc::new(Cache::new(Arc::new(redis), CacheMetrics::new(&registry).unwrap()));
            let (metrics, queues) = (StreamMetrics::new(&registry).unwrap(), QueueMetrics::new(&registry).unwrap());
            let streams = Streams::new(cache, shutdown.clone(), metrics, &queues);
            Self { shown: watch::channel(totals(7)).0, streams, shutdown }
        }

        fn subscriber(&self, pace: Pace, last_seen: Option<i64>) -> Subscriber {
            let permit = self.streams.enter(Ipv4Addr::LOCALHOST.into()).unwrap();
            let (totals, events) = (self.shown.subscribe(), self.streams.metrics.events.clone());
            Subscriber::new(totals, permit, last_seen, self.shutdown.clone(), events).at_pace(pace)
        }
    }

    async fn text(subscriber: &mut Subscriber) -> String {
        let bytes = tokio::time::timeout(STREAM_LIFE * 2, subscriber.next()).await.unwrap();
        bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).unwrap_or_default()
    }

    /// The next totals, past signs of life.
    async fn event(subscriber: &mut Subscriber) -> String {
        loop {
            let text = text(subscriber).await;
            if text != ": \n\n" {
                return text;
            }
        }
    }

    fn pause(text: &str) -> u32 {
        text.strip_prefix("retry: ").unwrap().split('\n').next().unwrap().parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_with_what_the_client_has_not_seen() {
        let stage = Stage::new();
        for (last_seen, sends) in [(None, true), (Some(6), true), (Some(-1), true), (Some(7), false), (Some(i64::MAX), false)] {
            let mut subscriber = stage.subscriber(EVEN, last_seen);
            let opening = text(&mut subscriber).await;
            assert!(RETRY_AFTER_STOP_MILLIS.contains(&pause(&opening)), "{opening}");
            assert_eq!(opening.ends_with("\n\nid: 7\n\n"), sends, "{last_seen:?}: {opening}");
            let silent = Instant::now();
            assert_eq!(text(&mut subscriber).await, ": \n\n");
            assert!((HEARTBEAT_INTERVAL..=HEARTBEAT_INTERVAL + TICK).contains(&silent.elapsed()), "{:?}", silent.elapsed());
        }
        // A number from another world does not silence the stream for good.
        let mut subscriber = stage.subscriber(EVEN, Some(i64::MAX));
        text(&mut subscriber).await;
        stage.shown.send_replace(totals(8));
        assert_eq!(event(&mut subscriber).await, "id: 8\n\n");
        assert_eq!(stage.streams.metrics.events.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn between_two_totals_is_a_step_and_the_last_one_always_comes() {
        let stage = Stage::new();
        let mut subscriber = stage.subscriber(EVEN, None);
        text(&mut subscriber).await;
        let mut seq = 7;
        for _ in 0..3 {
            for _ in 0..10 {
                seq += 1;
                stage.shown.send_replace(totals(seq));
            }
            let due = subscriber.next;
            assert_eq!(event(&mut subscriber).await, format!("id: {seq}\n\n"));
            assert!((due..=due + TICK).contains(&Instant::now()), "{:?} after it was due", due.elapsed());
            assert_eq!(subscriber.next, Instant::now() + MIN_EVENT_INTERVAL);
        }
        // What is not newer is not sent.
        stage.shown.send_replace(totals(seq));
        assert_eq!(text(&mut subscriber).await, ": \n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_its_life_with_its_campaign_and_with_the_process() {
        let stage = Stage::new();
        let (mut old, began) = (stage.subscriber(EVEN, None), Instant::now());
        text(&mut old).await;
        assert!(RETRY_AFTER_END_MILLIS.contains(&pause(&event(&mut old).await)));
        assert!((STREAM_LIFE..=STREAM_LIFE + TICK).contains(&began.elapsed()), "{:?}", began.elapsed());
        assert_eq!(text(&mut old).await, "");
        let mut stopped = stage.subscriber(EVEN, None);
        text(&mut stopped).await;
        let mut last = stage.subscriber(EVEN, None);
        text(&mut last).await;
        // What was shown before its end is sent first.
        let Stage { shown, shutdown, streams } = stage;
        shown.send_replace(totals(8));
        drop(shown);
        assert_eq!(event(&mut last).await, "id: 8\n\n");
        assert!(RETRY_AFTER_END_MILLIS.contains(&pause(&event(&mut last).await)));
        assert_eq!(text(&mut last).await, "");
        shutdown.begin();
        assert!(RETRY_AFTER_STOP_MILLIS.contains(&pause(&text(&mut stopped).await)));
        assert_eq!(text(&mut stopped).await, "");
        assert_eq!(streams.metrics.open.get(), 3);
        drop((old, stopped, last));
        assert_eq!(streams.metrics.open.get(), 0);
    }
}

//! Clients that are subscribed to the totals of a campaign, by Server-Sent Events.
//!
//! One task reads the totals of a campaign for all of its subscribers (`campaign`), and each client's connection (`subscriber`)
//! shows the latest value: nothing queues up behind a slow client. The number of clients is bounded here.

mod addresses;
mod campaign;
mod subscriber;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prometheus::{IntCounter, IntGauge, Registry};
use tokio::sync::{Semaphore, watch};

use crate::cache::{Cache, Found, LoadError, Resource, Subject};
use crate::limits::load_shed::{LoadShed, Permit, QueueMetrics, WaitQueue};
use crate::process::shutdown::Shutdown;
use crate::telemetry::metrics::{counter, gauge};
use addresses::{AddressPermit, Addresses};
pub use subscriber::Subscriber;

/// Streams that a process serves at a time at most.
const MAX_STREAMS: usize = 2_000;
/// Streams that it serves to one address at a time at most.
const MAX_STREAMS_PER_ADDRESS: u32 = 50;
/// Campaigns whose totals are loaded from Redis or the database at the same time for streams. Few, so that requests come first.
const MAX_CONCURRENT_REFRESHES: usize = 2;

/// Why a client gets no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The process serves the most streams that it may.
    #[error("the process serves the most streams that it may")]
    Process,
    /// The process serves the most streams that it may to the client's address.
    #[error("the process serves the most streams to one address that it may")]
    Address,
}

/// The right to one stream; dropping it gives the right back.
pub struct StreamPermit {
    _process: Permit,
    _address: AddressPermit,
}

/// What the subscribers of a campaign are shown.
#[derive(Clone, Debug)]
struct Shown {
    seq: i64,
    /// Ready to be sent.
    event: Bytes,
}

impl Shown {
    fn new(found: &Found) -> Self {
        // Cached JSON is of one line.
        let head = format!("event: totais\nid: {}\ndata: ", found.seq);
        Self { seq: found.seq, event: [head.as_bytes(), &found.body, b"\n\n"].concat().into() }
    }
}

/// The metrics of the streams.
pub struct StreamMetrics {
    open: IntGauge,
    events: IntCounter,
    campaigns: IntGauge,
}

impl StreamMetrics {
    /// Registers every metric in `registry`; fails if one of their names is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            open: gauge(registry, "doacoes_streams_open", "Clients that are subscribed to the totals of a campaign.")?,
            events: counter(registry, "doacoes_stream_events_total", "Totals sent to subscribers.")?,
            campaigns: gauge(registry, "doacoes_campaigns_followed", "Campaigns that have subscribers, a task each.")?,
        })
    }
}

/// Every stream of the process.
pub struct Streams {
    campaigns: Mutex<HashMap<Subject, watch::Sender<Shown>>>,
    permits: LoadShed,
    addresses: Addresses,
    refreshes: Semaphore,
    metrics: StreamMetrics,
    cache: Arc<Cache>,
    shutdown: Shutdown,
}

impl Streams {
    /// Makes the streams of a process, without subscribers. Totals come from `cache`; streams and tasks end once `shutdown` has
    /// begun.
    pub fn new(cache: Arc<Cache>, shutdown: Shutdown, metrics: StreamMetrics, queues: &QueueMetrics) -> Self {
        Self {
            campaigns: Mutex::default(),
            permits: LoadShed::counted(MAX_STREAMS, metrics.open.clone(), queues.shed(WaitQueue::Streams)),
            addresses: Addresses::new(MAX_STREAMS_PER_ADDRESS, queues.shed(WaitQueue::StreamsOfAddress)),
            refreshes: Semaphore::new(MAX_CONCURRENT_REFRESHES),
            metrics,
            cache,
            shutdown,
        }
    }

    /// A permit for a stream to `address`. Fails if the address or the process has the most that it may; that is counted.
    pub fn enter(&self, address: IpAddr) -> Result<StreamPermit, Full> {
        let address = self.addresses.enter(address).ok_or(Full::Address)?;
        let process = self.permits.enter().ok_or(Full::Process)?;
        Ok(StreamPermit { _process: process, _address: address })
    }

    /// Subscribes a client to the totals `resource`. `last_seen` is the `seq` that the client has seen last; only newer totals are
    /// sent. `None` if the campaign is not public; fails if the totals cannot be loaded.
    pub async fn subscribe<R>(
        self: &Arc<Self>,
        source: &R::Source,
        permit: StreamPermit,
        resource: R,
        last_seen: Option<i64>,
    ) -> Result<Option<Subscriber>, Arc<LoadError>>
    where
        R: Resource + Clone,
    {
        let answer = self.cache.get(source, resource.clone()).await?;
        let Some(found) = &answer.entry.found else { return Ok(None) };
        let totals = self.join(source, resource, found);
        Ok(Some(Subscriber::new(totals, permit, last_seen, self.shutdown.clone(), self.metrics.events.clone())))
    }

    /// The channel of what the campaign's subscribers are shown. The first subscriber starts the task that keeps it current.
    fn join<R: Resource + Clone>(self: &Arc<Self>, source: &R::Source, resource: R, found: &Found) -> watch::Receiver<Shown> {
        let subject = resource.subject();
        let mut campaigns = self.campaigns();
        if let Some(shown) = campaigns.get(&subject) {
            return shown.subscribe();
        }
        let (shown, receiver) = watch::channel(Shown::new(found));
        campaigns.insert(subject, shown.clone());
        self.metrics.campaigns.inc();
        self.shutdown.spawn(campaign::keep_current(Arc::clone(self), source.clone(), resource, shown));
        receiver
    }

    fn campaigns(&self) -> MutexGuard<'_, HashMap<Subject, watch::Sender<Shown>>> {
        self.campaigns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a campaign that has no subscribers, and returns whether it had none.
    fn leave(&self, subject: &Subject, shown: &watch::Sender<Shown>) -> bool {
        // Counted under the lock: otherwise a client could join the channel just before it is removed.
        let mut campaigns = self.campaigns();
        let deserted = shown.receiver_count() == 0;
        if deserted {
            self.remove(&mut campaigns, subject, shown);
        }
        deserted
    }

    /// Removes a campaign; the streams of its subscribers end.
    fn end(&self, subject: &Subject, shown: &watch::Sender<Shown>) {
        self.remove(&mut self.campaigns(), subject, shown);
    }

    fn remove(&self, campaigns: &mut HashMap<Subject, watch::Sender<Shown>>, subject: &Subject, shown: &watch::Sender<Shown>) {
        // The entry may belong to the next task by now.
        if campaigns.get(subject).is_some_and(|there| there.same_channel(shown)) {
            campaigns.remove(subject);
            self.metrics.campaigns.dec();
        }
    }
}

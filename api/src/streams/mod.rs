//! Clients that follow the totals of a campaign, by Server-Sent Events.
//!
//! However many follow a campaign, one task looks at its totals for all of them (`campaign`), and each client's connection
//! (`follower`) shows the latest value: nothing queues up behind a slow one. The number of clients is bounded here.

mod addresses;
mod campaign;
mod follower;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::{Semaphore, watch};

use crate::cache::{Found, LoadError, Resource, Subject};
use crate::load_shed::{LoadShed, Permit};
use crate::metrics::{Metrics, WaitQueue};
use crate::state::AppState;
use addresses::{Addresses, Share};
pub use follower::Follower;

/// Clients at a time.
const PLACES: usize = 2_000;
/// Of them, those behind one address.
const PLACES_OF_ADDRESS: u32 = 50;
/// Campaigns whose totals are looked for beyond this process at the same time, so that requests come first.
const LOOKS: usize = 2;

/// Why a client finds no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The process has as many as it takes.
    #[error("as many clients follow totals as one process takes")]
    Process,
    /// So has the client's address.
    #[error("as many clients of one address follow totals as one process takes")]
    Address,
}

/// A client's place, until it is dropped.
pub struct Seat {
    _place: Permit,
    _share: Share,
}

/// What the followers of a campaign are shown.
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

/// Every stream of the process.
pub struct Streams {
    campaigns: Mutex<HashMap<Subject, watch::Sender<Shown>>>,
    places: LoadShed,
    addresses: Addresses,
    looks: Semaphore,
    events: IntCounter,
    followed: IntGauge,
}

impl Streams {
    /// Without anybody.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            campaigns: Mutex::default(),
            places: LoadShed::counted(PLACES, metrics.streams_open(), metrics.shed(WaitQueue::Streams)),
            addresses: Addresses::new(PLACES_OF_ADDRESS, metrics.shed(WaitQueue::StreamsOfAddress)),
            looks: Semaphore::new(LOOKS),
            events: metrics.stream_events(),
            followed: metrics.campaigns_followed(),
        }
    }

    /// A place for a client at `address`.
    pub fn enter(&self, address: IpAddr) -> Result<Seat, Full> {
        let share = self.addresses.enter(address).ok_or(Full::Address)?;
        let place = self.places.enter().ok_or(Full::Process)?;
        Ok(Seat { _place: place, _share: share })
    }

    /// Follows the totals that `resource` is, for a client who has seen those of `last_seen`; nothing where they are not there for
    /// the public.
    pub async fn follow<R>(state: &AppState, seat: Seat, resource: R, last_seen: Option<i64>) -> Result<Option<Follower>, Arc<LoadError>>
    where
        R: Resource + Clone,
    {
        let answer = state.cache.get(state, resource.clone()).await?;
        let Some(found) = &answer.entry.found else { return Ok(None) };
        let totals = Self::join(state, resource, found);
        Ok(Some(Follower::new(totals, seat, last_seen, state.shutdown.clone(), state.streams.events.clone())))
    }

    /// What the campaign's followers are shown; the first of them starts the task that keeps it current.
    fn join<R: Resource + Clone>(state: &AppState, resource: R, found: &Found) -> watch::Receiver<Shown> {
        let subject = resource.subject();
        let mut campaigns = state.streams.campaigns();
        if let Some(shown) = campaigns.get(&subject) {
            return shown.subscribe();
        }
        let (shown, receiver) = watch::channel(Shown::new(found));
        campaigns.insert(subject, shown.clone());
        state.streams.followed.inc();
        state.shutdown.spawn(campaign::keep_current(Arc::clone(state), resource, shown));
        receiver
    }

    fn campaigns(&self) -> MutexGuard<'_, HashMap<Subject, watch::Sender<Shown>>> {
        self.campaigns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a campaign, unless it has followers; whether it did.
    fn leave(&self, subject: &Subject, shown: &watch::Sender<Shown>) -> bool {
        // Under the lock, or somebody could join what is just about to go.
        let mut campaigns = self.campaigns();
        let deserted = shown.receiver_count() == 0;
        if deserted {
            self.remove(&mut campaigns, subject, shown);
        }
        deserted
    }

    /// Forgets a campaign with its followers, whose streams end.
    fn abandon(&self, subject: &Subject, shown: &watch::Sender<Shown>) {
        self.remove(&mut self.campaigns(), subject, shown);
    }

    fn remove(&self, campaigns: &mut HashMap<Subject, watch::Sender<Shown>>, subject: &Subject, shown: &watch::Sender<Shown>) {
        // By now it may be the next task's.
        if campaigns.get(subject).is_some_and(|there| there.same_channel(shown)) {
            campaigns.remove(subject);
            self.followed.dec();
        }
    }
}

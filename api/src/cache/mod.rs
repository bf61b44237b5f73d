//! What many people read, kept near: in this process for seconds (`local`), in Redis for an hour (`remote`), and in
//! PostgreSQL for good.
//!
//! A change names the [`Tag`]s it touches. They are written to the outbox in the change's own transaction and invalidated
//! everywhere right after it; what Redis did not acknowledge is repeated until it does. A load that began before an
//! invalidation is never seen after it, neither here nor from Redis.

mod entry;
mod events;
mod local;
mod metrics;
mod remote;
mod subject;
mod watch;

pub use entry::{Entry, Found, GZIP_MARK};
pub use events::listen;
pub use metrics::{CacheLayer, CacheMetrics, CacheOutcome, Fill};
pub use remote::{Lookup, LookupResult, Stored};
pub use subject::{CacheClass, Subject, Tag};
pub use watch::Watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use crate::config::keys::random_hex;
use crate::domain::totals::Totals;
use crate::redis_client::RedisClient;
use crate::redis_client::budget::{spawn_budgeted, wait_within_budget};
use crate::store::{FailureClass, StoreError};
use local::LocalCache;
use remote::RemoteCache;
use watch::Watchers;

/// Further lookups in Redis while another process loads the answer, before this process loads it too.
const MAX_REPEATED_LOOKUPS: u32 = 3;
/// Time before each of these lookups.
const REPEATED_LOOKUP_INTERVAL: Duration = Duration::from_millis(10);

/// Totals that moved within this time may be published again: as long as Redis keeps a list of donations, which they invalidate.
const REPUBLISH_WINDOW: time::Duration = time::Duration::minutes(15);

/// A load that takes longer than this is given up, so that what is kept can be shown before the request's deadline.
const LOAD_TIMEOUT: Duration = Duration::from_millis(1_200);
/// Totals that one script gives to Redis at most. It must be done within the time that a command has.
const MAX_TOTALS_PER_SCRIPT: usize = 200;

/// The longest time that an answer is kept in this process.
const MAX_LOCAL_LIFE: Duration = Duration::from_secs(4);
/// The same while invalidations by other processes do not arrive.
const MAX_LOCAL_LIFE_DISCONNECTED: Duration = Duration::from_secs(1);

/// Why something could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer could not be written as JSON, or not be read again.
    #[error("a cached answer is no JSON")]
    Json(#[from] serde_json::Error),
    /// The stores did not answer in time.
    #[error("the stores took longer than a load may")]
    Late,
    /// The loading task was stopped.
    #[error("the loading task was stopped")]
    Stopped,
}

impl LoadError {
    /// Whether trying again can help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.class() == FailureClass::Unavailable,
            Self::Late | Self::Stopped => true,
            Self::Json(_) => false,
        }
    }
}

/// Something public that can be cached.
pub trait Resource: Send + Sync + 'static {
    /// What the resource is loaded from, for instance the shared state; cheap to clone.
    type Source: Clone + Send + Sync + 'static;

    /// The name under which the resource is cached.
    fn subject(&self) -> Subject;

    /// Loads the resource from the database; `None` if it does not exist for the public.
    fn load(&self, from: &Self::Source) -> impl Future<Output = Result<Option<Stored>, LoadError>> + Send;

    /// Whether many readers ask for this resource. If not, only this process caches it, so that Redis does not fill up with rare
    /// ones.
    fn is_common(&self) -> bool {
        true
    }

    /// Updates the parts of an answer from Redis that change more often than the copy there, for instance totals in a list.
    fn freshen(&self, _from: &Self::Source, stored: Stored) -> impl Future<Output = Result<Stored, LoadError>> + Send {
        async { Ok(stored) }
    }
}

/// What readers get.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The ready-made answer.
    pub entry: Arc<Entry>,
    /// Whether it is old, because the stores could not be asked.
    pub stale: bool,
}

/// The two caches in front of the database.
pub struct Cache {
    local: LocalCache,
    remote: RemoteCache,
    /// Of this process, in messages.
    name: String,
    /// Whether this process receives the messages of other processes, with their invalidations.
    connected: AtomicBool,
    /// Number of times that the connection to the other processes was lost since this process began.
    interruptions: AtomicU64,
    /// The `seq` of totals that Redis has taken from this process.
    published: moka::sync::Cache<String, i64>,
    /// The `seq` of the newest totals that this process got, from its own totals roll-up or from another process.
    told: moka::sync::Cache<Tag, i64>,
    /// Up to when Redis has taken all that moved, in microseconds of Unix time.
    published_until: AtomicI64,
    watchers: Watchers,
    metrics: CacheMetrics,
}

impl Cache {
    /// Empty, on `redis`.
    pub fn new(redis: Arc<RedisClient>, metrics: CacheMetrics) -> Self {
        Self {
            local: LocalCache::new(),
            remote: RemoteCache::new(redis),
            name: random_hex().chars().take(16).collect(),
            connected: AtomicBool::new(false),
            interruptions: AtomicU64::new(0),
            published: moka::sync::Cache::builder().time_to_live(REPUBLISH_WINDOW.unsigned_abs()).build(),
            told: moka::sync::Cache::builder().time_to_live(REPUBLISH_WINDOW.unsigned_abs()).build(),
            published_until: AtomicI64::new(0),
            watchers: Watchers::default(),
            metrics,
        }
    }

    /// The answer for `resource`, from this process, from Redis, or loaded from `source`. Readers who ask at the same time share
    /// one load. If the load fails for a passing reason, the last answer is returned as stale; the error means that there is none.
    pub async fn get<R: Resource>(self: &Arc<Self>, source: &R::Source, resource: R) -> Result<Answer, Arc<LoadError>> {
        let subject = resource.subject();
        let class = subject.class();
        if let Some(entry) = self.local.fresh(&subject).await {
            self.metrics.request(CacheLayer::Local, class, CacheOutcome::Hit);
            return Ok(Answer { entry, stale: false });
        }
        let kept = self.local.kept(&subject);
        if let Some(entry) = &kept
            && self.local.is_database_away()
        {
            if self.local.may_retry(&subject) {
                // Nobody waits for it.
                drop(spawn_budgeted(load(Arc::clone(self), source.clone(), subject, resource)));
            }
            self.metrics.request(CacheLayer::Local, class, CacheOutcome::Stale);
            return Ok(Answer { entry: Arc::clone(entry), stale: true });
        }
        self.metrics.request(CacheLayer::Local, class, CacheOutcome::Miss);
        // In a task of its own: a reader who leaves does not stop the load that others wait for.
        let loaded = spawn_budgeted(load(Arc::clone(self), source.clone(), subject.clone(), resource)).await;
        match (loaded.unwrap_or_else(|_| Err(Arc::new(LoadError::Stopped))), kept) {
            // Newer totals may have been pushed during the load, and other readers may have seen them.
            (Ok(entry), _) => match self.local.fresh(&subject).await.filter(|pushed| pushed.seq() > entry.seq()) {
                Some(pushed) => Ok(Answer { entry: pushed, stale: false }),
                None => Ok(Answer { entry, stale: false }),
            },
            (Err(error), Some(entry)) if error.is_passing() => {
                self.metrics.request(CacheLayer::Local, class, CacheOutcome::Stale);
                Ok(Answer { entry, stale: true })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// What Redis has of something that is one person's, and so never kept in this process.
    pub async fn look_up(&self, subject: &Subject) -> Lookup {
        let lookup = self.remote.look_up(subject).await;
        self.metrics.request(CacheLayer::Redis, subject.class(), lookup.outcome());
        lookup
    }

    /// Gives Redis what the database said after [`Cache::look_up`]. Nobody waits for it.
    pub fn fill(self: &Arc<Self>, subject: Subject, lookup: Lookup, value: Option<Stored>) {
        self.metrics.request(CacheLayer::Postgres, subject.class(), CacheOutcome::Hit);
        if lookup.may_fill() {
            let cache = Arc::clone(self);
            tokio::spawn(async move {
                let outcome = match cache.remote.fill(&lookup, &subject, value.as_ref()).await {
                    Ok(true) => Fill::Stored,
                    Ok(false) => Fill::Outdated,
                    Err(_) => Fill::Failed,
                };
                cache.metrics.fill(subject.class(), outcome);
            });
        }
    }

    /// Invalidates what `tags` name: in Redis, in this process and in all others. Returns whether Redis has acknowledged it.
    pub async fn invalidate(&self, tags: &[Tag]) -> bool {
        // First there: what is loaded here in between must not come from what is about to go.
        let taken = self.remote.invalidate(tags, &events::write(&self.name, tags, &[])).await.is_ok();
        self.invalidate_here(tags);
        taken
    }

    /// Watches `subject` for invalidations and pushed answers. While the connection to the other processes is lost, their changes are
    /// not seen.
    pub fn watch(&self, subject: &Subject) -> Watch<'_> {
        self.watchers.watch(subject.tag())
    }

    /// The number of times that the connection to the other processes was lost before the present one; `None` while it is lost. If it
    /// is the same at two moments, no message was missed between them.
    pub fn connection_epoch(&self) -> Option<u64> {
        // In this order, or the next interruption could pass for the last one.
        let since = self.interruptions.load(Ordering::SeqCst);
        self.connected.load(Ordering::SeqCst).then_some(since)
    }

    /// From when on totals have moved that Redis may not have.
    pub fn unpublished_since(&self, now: OffsetDateTime) -> OffsetDateTime {
        let until = i128::from(self.published_until.load(Ordering::Relaxed)) * 1_000;
        let until = OffsetDateTime::from_unix_timestamp_nanos(until).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        until.max(now - REPUBLISH_WINDOW)
    }

    /// Gives new totals to Redis and to every process, and invalidates the campaigns' lists of donations. These are all that moved
    /// from [`Cache::unpublished_since`] to `until`; those of them that Redis took already are left out.
    pub async fn publish_totals(&self, totals: Vec<(String, Totals)>, until: OffsetDateTime) {
        let new = totals.into_iter().filter(|(slug, totals)| self.published.get(slug).is_none_or(|seq| seq < totals.seq));
        // Numbers and times always serialise.
        let new: Vec<(String, Stored)> = new.filter_map(|(slug, totals)| Some((slug, Stored::totals(&totals).ok()?))).collect();
        let mut taken = true;
        for some in new.chunks(MAX_TOTALS_PER_SCRIPT) {
            taken = self.remote.publish_totals(some, &events::write(&self.name, &[], some)).await.is_ok();
            if !taken {
                break;
            }
            for (slug, stored) in some {
                self.published.insert(slug.clone(), stored.seq);
            }
        }
        if taken {
            let until = i64::try_from(until.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
            self.published_until.store(until, Ordering::Relaxed);
        }
        self.take_totals(new).await;
    }

    /// Notes whether the database answers; while it does not, what was kept is shown at once.
    pub fn note_database(&self, answers: bool) {
        self.local.database_is_away(!answers);
    }

    /// The totals of campaigns that Redis has, in the order of `slugs`.
    pub async fn totals_in_redis(&self, slugs: &[&str]) -> Vec<Option<Stored>> {
        if slugs.is_empty() {
            return Vec::new();
        }
        let subjects: Vec<Subject> = slugs.iter().map(|slug| Subject::totals(slug)).collect();
        self.remote.read(&subjects).await.unwrap_or_else(|_| vec![None; slugs.len()])
    }

    /// Takes the totals of campaign `slug` from Redis into this process, and returns whether Redis has any. Pushed totals reach
    /// processes at different moments, so a reader may have seen newer ones from another process.
    pub async fn catch_up(&self, slug: &str) -> bool {
        let Some(stored) = self.totals_in_redis(&[slug]).await.pop().flatten() else { return false };
        self.take_totals(vec![(slug.to_owned(), stored)]).await;
        true
    }

    /// Says for a second that no invalidation waits for Redis, so that sessions there can be believed.
    pub async fn vouch(&self) {
        // Where Redis does not take it, it is not believed.
        let _ = self.remote.vouch().await;
    }

    /// What another process said.
    async fn take(&self, message: events::Announcement) {
        self.invalidate_here(&message.invalidated);
        self.take_totals(message.totals).await;
    }

    fn invalidate_here(&self, tags: &[Tag]) {
        self.local.invalidate(tags);
        for tag in tags {
            self.told.invalidate(tag);
        }
        self.watchers.wake(tags);
    }

    async fn take_totals(&self, totals: Vec<(String, Stored)>) {
        for (slug, stored) in totals {
            // While Redis is away they are published again and again.
            let tag = Tag::totals(&slug);
            if self.told.get(&tag).is_some_and(|seq| seq >= stored.seq) {
                continue;
            }
            self.told.insert(tag, stored.seq);
            self.invalidate_here(&[Tag::feed(&slug)]);
            let subject = Subject::totals(&slug);
            self.local.replace(&subject, Entry::new(Some(stored), self.life(CacheClass::Totals))).await;
            self.watchers.wake(std::slice::from_ref(subject.tag()));
        }
    }

    /// Notes whether messages of other processes arrive.
    fn note_connected(&self, connected: bool) {
        let before = self.connected.swap(connected, Ordering::SeqCst);
        if !connected {
            self.interruptions.fetch_add(1, Ordering::SeqCst);
        }
        if connected != before {
            // What they invalidate from now on, or have invalidated in the meantime, is not known here; what is here may live for seconds.
            self.local.invalidate_all();
        }
        self.metrics.connected(connected);
    }

    /// Loads the resource from `source`, and notes whether the database answered.
    async fn load_from<R: Resource>(&self, source: &R::Source, resource: &R) -> Result<Option<Stored>, LoadError> {
        let loaded = resource.load(source).await;
        match &loaded {
            Ok(_) => self.note_database(true),
            // Only a lost connection counts: a slow statement or a lack of connections is no reason to show everyone old answers.
            Err(LoadError::Store(error)) if error.is_cut_off() => self.note_database(false),
            Err(_) => {}
        }
        loaded
    }

    /// Time for which this process keeps an answer of `class`; at most one second while it does not receive the invalidations of others.
    fn life(&self, class: CacheClass) -> Duration {
        let longest = if self.connected.load(Ordering::Relaxed) { MAX_LOCAL_LIFE } else { MAX_LOCAL_LIFE_DISCONNECTED };
        longest.min(class.local_life())
    }
}

async fn load<R: Resource>(cache: Arc<Cache>, source: R::Source, subject: Subject, resource: R) -> Result<Arc<Entry>, Arc<LoadError>> {
    cache
        .local
        .load(&subject, resource.is_common(), async {
            // On the heap and only for the one who loads: all who wait hold a copy of what is in line.
            let loading = tokio::time::timeout(LOAD_TIMEOUT, Box::pin(load_stored(&cache, &source, &subject, resource)));
            let stored = loading.await.unwrap_or(Err(LoadError::Late))?;
            Ok(Entry::new(stored, cache.life(subject.class())))
        })
        .await
}

/// Returns the answer from Redis; if there is none, loads it from `source` and stores it in Redis.
async fn load_stored<R: Resource>(
    cache: &Arc<Cache>,
    source: &R::Source,
    subject: &Subject,
    resource: R,
) -> Result<Option<Stored>, LoadError> {
    if !resource.is_common() {
        cache.metrics.request(CacheLayer::Postgres, subject.class(), CacheOutcome::Hit);
        return cache.load_from(source, &resource).await;
    }
    let mut lookup = cache.look_up(subject).await;
    for _ in 0..MAX_REPEATED_LOOKUPS {
        if !lookup.is_loading_elsewhere() || !wait_within_budget(REPEATED_LOOKUP_INTERVAL).await {
            break;
        }
        lookup = cache.look_up(subject).await;
    }
    let shown = match lookup.take() {
        LookupResult::Miss | LookupResult::Failed => {
            let loaded = cache.load_from(source, &resource).await?;
            cache.fill(subject.clone(), lookup, loaded.clone());
            return Ok(loaded);
        }
        LookupResult::Hit(stored) => match resource.freshen(source, stored).await {
            Ok(fresh) => Some(fresh),
            // What cannot be read is no answer.
            Err(LoadError::Json(_)) => cache.load_from(source, &resource).await?,
            Err(error) => return Err(error),
        },
        LookupResult::Absent => None,
    };
    if lookup.may_fill() {
        // It will soon expire; it is renewed while it is still there.
        let (cache, source, subject) = (Arc::clone(cache), source.clone(), subject.clone());
        tokio::spawn(async move {
            if let Ok(loaded) = cache.load_from(&source, &resource).await {
                cache.fill(subject, lookup, loaded);
            }
        });
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::redis_client::RedisMetrics;
    use crate::redis_client::budget::REQUEST_BUDGET;
    use prometheus::Registry;

    #[tokio::test]
    async fn what_redis_did_not_take_is_to_be_published_again() {
        let registry = Registry::new();
        // Nobody listens on the port of the discard service.
        let redis =
            RedisClient::new(&"redis://127.0.0.1:9".to_owned().into(), "", REQUEST_BUDGET, RedisMetrics::new(&registry).unwrap()).unwrap();
        let cache = Cache::new(Arc::new(redis), CacheMetrics::new(&registry).unwrap());
        let now = time::macros::datetime!(2026-11-24 12:00 UTC);
        let totals = Totals {
            arrecadado_centavos: 1,
            declarado_centavos: 0,
            devolvido_centavos: 0,
            doacoes_qtd: 1,
            doadores_qtd: 1,
            seq: 1,
            atualizado_em: now,
        };
        cache.publish_totals(vec![("a".to_owned(), totals)], now).await;
        assert_eq!(cache.unpublished_since(now), now - REPUBLISH_WINDOW);
        assert!(cache.local.fresh(&Subject::totals("a")).await.is_some(), "here they are known");
        cache.publish_totals(vec![], now).await;
        assert_eq!(cache.unpublished_since(now), now, "there was nothing that Redis could miss");
    }
}

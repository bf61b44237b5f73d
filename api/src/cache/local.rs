//! The cache inside this process.
//!
//! A tag's version is part of the key under which an answer is found. An invalidation raises the version, so an answer that
//! was being loaded at that moment is put under a key that nobody asks for, and readers who come after the invalidation never join that
//! load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use moka::Expiry;
use moka::ops::compute::{CompResult, Op};
use tokio::time::Instant;

use super::entry::Entry;
use super::subject::{Subject, Tag};

/// Bytes of answers. Few, because a process is to stay below 64 MiB; docs/performance.md tells what it comes to.
const CAPACITY_BYTES: u64 = 12 * 1024 * 1024;
/// Bytes of answers for the time without stores; most of them are the same as those above.
const STALE_CAPACITY_BYTES: u64 = 6 * 1024 * 1024;
/// How long an answer may be shown while neither store can be asked.
const STALE_ANSWER_LIFE: Duration = Duration::from_hours(1);
/// How long a version is remembered: longer than a load and the longest life of its answer together.
const VERSION_LIFE: Duration = Duration::from_mins(65);
/// Time between two tries to load a subject while the stores are away.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

type CacheKey = (Subject, u64);

pub(super) struct LocalCache {
    fresh: moka::future::Cache<CacheKey, Arc<Entry>>,
    /// The last answer of each subject, and the version that it is of.
    kept: moka::sync::Cache<Subject, (u64, Arc<Entry>)>,
    versions: moka::sync::Cache<Tag, u64>,
    clock: AtomicU64,
    /// Below this, every version counts as this one.
    floor: AtomicU64,
    /// One replacement at a time, or an older one could come last.
    replacing: tokio::sync::Mutex<()>,
    away: AtomicBool,
    /// When the loading of each subject was last tried while the database was away.
    tried: moka::sync::Cache<Subject, Instant>,
}

struct OwnLife;

impl Expiry<CacheKey, Arc<Entry>> for OwnLife {
    fn expire_after_create(&self, _: &CacheKey, entry: &Arc<Entry>, _: std::time::Instant) -> Option<Duration> {
        Some(entry.life)
    }
}

impl LocalCache {
    pub(super) fn new() -> Self {
        Self {
            fresh: moka::future::Cache::builder()
                .max_capacity(CAPACITY_BYTES)
                .weigher(|_, entry: &Arc<Entry>| entry.weight())
                .expire_after(OwnLife)
                .build(),
            kept: moka::sync::Cache::builder()
                .max_capacity(STALE_CAPACITY_BYTES)
                .weigher(|_, (_, entry): &(u64, Arc<Entry>)| entry.weight())
                .time_to_live(STALE_ANSWER_LIFE)
                .build(),
            versions: moka::sync::Cache::builder().time_to_live(VERSION_LIFE).build(),
            clock: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            replacing: tokio::sync::Mutex::new(()),
            away: AtomicBool::new(false),
            tried: moka::sync::Cache::builder().time_to_live(RETRY_INTERVAL).max_capacity(10_000).build(),
        }
    }

    /// The number of the last invalidation of any of its tags; each has a higher number than all before it.
    fn last_invalidation(&self, subject: &Subject) -> u64 {
        subject.tags().filter_map(|tag| self.versions.get(tag)).max().unwrap_or(0)
    }

    fn key(&self, subject: &Subject) -> CacheKey {
        (subject.clone(), self.last_invalidation(subject).max(self.floor.load(Ordering::SeqCst)))
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The answer that is young enough.
    pub(super) async fn fresh(&self, subject: &Subject) -> Option<Arc<Entry>> {
        self.fresh.get(&self.key(subject)).await
    }

    /// Loads, or waits for whoever is loading already. What is `common` is also kept for the time without stores.
    pub(super) async fn load<E: Send + Sync + 'static>(
        &self,
        subject: &Subject,
        common: bool,
        load: impl Future<Output = Result<Entry, E>>,
    ) -> Result<Arc<Entry>, Arc<E>> {
        let key = self.key(subject);
        let version = key.1;
        let entry = self.fresh.try_get_with(key, async { load.await.map(Arc::new) }).await?;
        if common {
            self.kept.insert(subject.clone(), (version, Arc::clone(&entry)));
        }
        Ok(entry)
    }

    /// Puts a newer answer in the place of what there is; one with a lower `seq` is passed over, since two processes that roll
    /// totals up one after the other may publish the other way round.
    pub(super) async fn replace(&self, subject: &Subject, entry: Entry) {
        let _turn = self.replacing.lock().await;
        let there = self.fresh(subject).await.or_else(|| self.kept(subject));
        if there.is_some_and(|there| there.seq() > entry.seq()) {
            return;
        }
        self.invalidate(std::slice::from_ref(subject.tag()));
        let (key, entry) = (self.key(subject), Arc::new(entry));
        self.kept.insert(subject.clone(), (key.1, Arc::clone(&entry)));
        self.fresh.insert(key, entry).await;
    }

    /// The last answer, for the time that there is no better one; `None` if it was invalidated since.
    pub(super) fn kept(&self, subject: &Subject) -> Option<Arc<Entry>> {
        let (version, entry) = self.kept.get(subject)?;
        (version >= self.last_invalidation(subject)).then_some(entry)
    }

    /// Invalidates what `tags` name: later readers see nothing that was loaded before.
    pub(super) fn invalidate(&self, tags: &[Tag]) {
        let version = self.tick();
        for tag in tags.iter().filter(|tag| tag.is_public()) {
            self.versions.insert(tag.clone(), version);
        }
    }

    /// Invalidates everything, except for readers while the stores are away: which answers other processes invalidated is not known.
    pub(super) fn invalidate_all(&self) {
        self.floor.store(self.tick(), Ordering::SeqCst);
    }

    /// Notes whether the database answered.
    pub(super) fn database_is_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// Whether the last load found the database away.
    pub(super) fn is_database_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Whether the caller is to try again to load this subject while the database is away: true once per [`RETRY_INTERVAL`], however many
    /// ask.
    pub(super) fn may_retry(&self, subject: &Subject) -> bool {
        let now = Instant::now();
        let is_recent = |last: Instant| now.duration_since(last) < RETRY_INTERVAL;
        // During an outage most readers return here, without taking a lock.
        if self.tried.get(subject).is_some_and(is_recent) {
            return false;
        }
        let noted = self.tried.entry_by_ref(subject).and_compute_with(|last| match last {
            Some(last) if is_recent(*last.value()) => Op::Nop,
            _ => Op::Put(now),
        });
        matches!(noted, CompResult::Inserted(_) | CompResult::ReplacedWith(_))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::LoadError;
    use super::super::remote::Stored;
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn entry() -> Entry {
        Entry::new(None, Duration::from_secs(4))
    }

    #[tokio::test(start_paused = true)]
    async fn readers_who_come_together_load_once() {
        let local = Arc::new(LocalCache::new());
        let loads = Arc::new(AtomicU32::new(0));
        let readers: Vec<_> = (0..100)
            .map(|_| {
                let (local, loads) = (Arc::clone(&local), Arc::clone(&loads));
                tokio::spawn(async move {
                    local
                        .load(&Subject::campaign("a"), true, async {
                            loads.fetch_add(1, Ordering::SeqCst);
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            Ok::<_, LoadError>(entry())
                        })
                        .await
                        .unwrap()
                })
            })
            .collect();
        for reader in readers {
            reader.await.unwrap();
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_was_loading_when_it_was_invalidated_is_never_seen() {
        let local = LocalCache::new();
        let subject = Subject::campaign("a");
        local
            .load(&subject, true, async {
                local.invalidate(&[Tag::campaign("a")]);
                Ok::<_, LoadError>(entry())
            })
            .await
            .unwrap();
        assert!(local.fresh(&subject).await.is_none());
        assert!(local.kept(&subject).is_none(), "also not while the stores are away");
        local.load(&subject, true, async { Ok::<_, LoadError>(entry()) }).await.unwrap();
        assert!(local.fresh(&subject).await.is_some());
        local.invalidate(&[Tag::campaign("b")]);
        assert!(local.fresh(&subject).await.is_some(), "another's invalidation changes nothing");
        local.invalidate_all();
        assert!(local.fresh(&subject).await.is_none());
        assert!(local.kept(&subject).is_some(), "for the time without stores it is better than nothing");
        let rare = Subject::feed("a", 7);
        local.load(&rare, false, async { Ok::<_, LoadError>(entry()) }).await.unwrap();
        assert!(local.fresh(&rare).await.is_some() && local.kept(&rare).is_none());
    }

    #[tokio::test]
    async fn a_page_goes_with_each_of_its_tags_and_with_no_other() {
        let local = LocalCache::new();
        let page = Subject::page("a", Tag::organizadora("a"), &[Tag::campaigns()]);
        for (tag, goes) in [(Tag::campaigns(), true), (Tag::campaign("a"), false), (Tag::organizadora("a"), true)] {
            local.load(&page, false, async { Ok::<_, LoadError>(entry()) }).await.unwrap();
            local.invalidate(std::slice::from_ref(&tag));
            assert_eq!(local.fresh(&page).await.is_none(), goes, "{tag:?}");
        }
        assert_ne!(Subject::page("a", Tag::campaigns(), &[]), Subject::page("b", Tag::campaigns(), &[]));
    }

    #[tokio::test]
    async fn an_older_number_replaces_no_newer_one() {
        let numbered = |seq| Entry::new(Some(Stored { seq, ..Stored::new(None, &seq).unwrap() }), Duration::from_secs(4));
        let local = LocalCache::new();
        let subject = Subject::totals("a");
        for (told, shown) in [(5, 5), (4, 5), (6, 6)] {
            local.replace(&subject, numbered(told)).await;
            assert_eq!(local.fresh(&subject).await.unwrap().seq(), shown);
        }
        local.invalidate(&[Tag::totals("a")]);
        local.replace(&subject, numbered(1)).await;
        assert!(local.fresh(&subject).await.is_some(), "after an invalidation there is nothing to be older than");
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_database_is_away_a_subject_is_tried_once_a_second() {
        let local = LocalCache::new();
        let subject = Subject::campaign("a");
        for _ in 0..3 {
            assert!(local.may_retry(&subject));
            assert!(!local.may_retry(&subject));
            tokio::time::advance(RETRY_INTERVAL.saturating_sub(Duration::from_millis(1))).await;
            assert!(!local.may_retry(&subject), "not yet a second, however often it is asked");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(local.may_retry(&Subject::campaign("b")), "each subject has its own time");
    }
}

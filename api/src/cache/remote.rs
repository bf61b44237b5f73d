//! The cache in Redis, shared by all processes. Redis holds the only copy of nothing.
//!
//! A value says to which generation of its tag it belongs. A tag that a subject has to itself has one generation, and an
//! invalidation deletes the value; a shared tag's generation is the time of its last invalidation, and values of older ones count as
//! not there, until they are written over. Whoever finds nothing takes the subject's lock; only its holder may fill, and an
//! invalidation takes the lock away or makes it one of a generation gone by. So a slow reader can never put back what it read before a change.
//! Keys are named by scripts, which a Redis Cluster would not allow.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rand::RngExt as _;
use redis::Script;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::metrics::CacheOutcome;
use super::subject::{CacheClass, Subject, Tag};
use crate::domain::totals::Totals;
use crate::redis_client::{RedisClient, RedisError};

/// The channel on which processes tell each other what changed.
pub(super) const CHANNEL: &str = "eventos";
/// The key that exists while no invalidation waits for Redis.
const VOUCHER_KEY: &str = "em-dia";
/// Time for which the voucher is believed.
const VOUCHER_LIFE: Duration = Duration::from_secs(1);
/// Time after which the lock of a subject expires: a loader that takes longer may be overtaken.
const LOCK_LIFE: Duration = Duration::from_secs(2);
/// The last part of the life of an answer, in which it is renewed.
const RENEWAL_WINDOW: Duration = Duration::from_secs(5);
/// Time for which Redis keeps that the database has nothing to show.
const ABSENT_LIFE: Duration = Duration::from_secs(30);
/// Values that another release wrote count as not there, for its answers may have had another shape. It is no part of the
/// keys: while a rollout is under way, an invalidation by either release must hit what the other wrote.
pub(super) const FORMAT: &str = concat!("2-", env!("CARGO_PKG_VERSION"));
/// The generation of a tag that is not shared, and of one that was not invalidated for longer than any value is kept. So whoever
/// only asks leaves nothing in Redis but a lock of two seconds.
const UNSHARED_GENERATION: &str = "0";

/// An answer as Redis keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// The strong `ETag`, with its quotes.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The value of the header `Link`, which names the next page.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The body, as JSON.
    #[serde(rename = "b")]
    pub body: Box<RawValue>,
    /// The version of totals, of which only a higher one replaces what is stored; 0 for everything else.
    #[serde(skip)]
    pub seq: i64,
}

impl Stored {
    /// An answer with `body` as JSON and `version`, if given, as its `ETag`. Fails if `body` cannot be serialised.
    pub fn new(version: Option<String>, body: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self { etag: version.map(|version| format!("\"{version}\"")), link: None, body: serde_json::value::to_raw_value(body)?, seq: 0 })
    }

    /// The answer for `totals`, with their `seq` as `ETag` and as version.
    pub fn totals(totals: &Totals) -> Result<Self, serde_json::Error> {
        Ok(Self { seq: totals.seq, ..Self::new(Some(totals.seq.to_string()), totals)? })
    }
}

/// The result of asking Redis for a subject.
#[derive(Clone, Debug)]
pub enum LookupResult {
    /// Redis has this answer.
    Hit(Stored),
    /// Redis has noted that the database has nothing to show.
    Absent,
    /// Redis has no value for the subject, or one of another release or generation.
    Miss,
    /// Redis could not be asked, or its answer cannot be relied on.
    Failed,
}

/// A lookup in Redis: its result, and the lock to fill if it gave one.
#[derive(Debug)]
pub struct Lookup {
    result: LookupResult,
    /// The lock that gives the right to fill; `None` if somebody else has it or none is needed.
    lock: Option<Lock>,
}

#[derive(Debug)]
struct Lock {
    key: String,
    generation: String,
    token: String,
}

impl Lookup {
    /// Returns the result and leaves [`LookupResult::Miss`]; the right to fill stays.
    pub const fn take(&mut self) -> LookupResult {
        std::mem::replace(&mut self.result, LookupResult::Miss)
    }

    /// Whether the caller may fill, because nothing was there or because it will soon expire.
    pub const fn may_fill(&self) -> bool {
        self.lock.is_some()
    }

    /// Whether another process is loading it right now.
    pub(super) const fn is_loading_elsewhere(&self) -> bool {
        matches!(self.result, LookupResult::Miss) && self.lock.is_none()
    }

    pub(super) const fn outcome(&self) -> CacheOutcome {
        match self.result {
            LookupResult::Hit(_) | LookupResult::Absent => CacheOutcome::Hit,
            LookupResult::Miss => CacheOutcome::Miss,
            LookupResult::Failed => CacheOutcome::Failed,
        }
    }

    const FAILED: Self = Self { result: LookupResult::Failed, lock: None };
}

// ARGV: prefix, tag, variant or '', token, lock in ms, time left in ms from which on to refresh, voucher or '', release.
static LOOK_UP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local key, generation = ARGV[1] .. ARGV[2], '0'
        if ARGV[7] ~= '' and redis.call('EXISTS', ARGV[1] .. ARGV[7]) == 0 then
            return {key, generation, false, 0}
        end
        if ARGV[3] ~= '' then
            local name = ARGV[1] .. 'ger:' .. ARGV[2]
            generation = redis.call('GET', name) or generation
            key = key .. ':' .. ARGV[3]
        end
        local head = ARGV[8] .. ' ' .. generation .. ' '
        local value = redis.call('GET', key)
        if value and value:sub(1, #head) ~= head then value = false end
        if value and redis.call('PTTL', key) > tonumber(ARGV[6]) then
            return {key, generation, value, 0}
        end
        local mine = redis.call('SET', ARGV[1] .. 'trava:' .. generation .. ':' .. key, ARGV[4], 'NX', 'PX', ARGV[5])
        return {key, generation, value, mine and 1 or 0}
        ",
    )
});

// ARGV: prefix, full key, generation, token, value, life in ms, seq or 0, name of the generation or ''.
static FILL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local lock = ARGV[1] .. 'trava:' .. ARGV[3] .. ':' .. ARGV[2]
        if redis.call('GET', lock) ~= ARGV[4] then return 0 end
        redis.call('DEL', lock)
        if ARGV[8] ~= '' and (redis.call('GET', ARGV[1] .. ARGV[8]) or '0') ~= ARGV[3] then return 0 end
        local there = tonumber(ARGV[7]) > 0 and redis.call('GET', ARGV[2])
        if there and tonumber(there:match('^%S+ %S+ (%d+)') or 0) > tonumber(ARGV[7]) then return 0 end
        redis.call('SET', ARGV[2], ARGV[5], 'PX', ARGV[6])
        return 1
        ",
    )
});

// ARGV: prefix, channel, message, then tags that begin with `x` (a key of its own) or `g` (a generation).
static INVALIDATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local generation = string.format('%d%06d', time[1], time[2])
        for i = 4, #ARGV do
            local tag = ARGV[i]:sub(2)
            if ARGV[i]:sub(1, 1) == 'g' then
                redis.call('SET', ARGV[1] .. 'ger:' .. tag, generation, 'EX', 86400)
            else
                redis.call('DEL', ARGV[1] .. tag, ARGV[1] .. 'trava:0:' .. ARGV[1] .. tag)
            end
        end
        redis.call('PUBLISH', ARGV[2], ARGV[3])
        return 1
        ",
    )
});

// ARGV: prefix, channel, message, life in ms, then slug, seq and value of each campaign.
static PUBLISH_TOTALS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local generation = string.format('%d%06d', time[1], time[2])
        for i = 5, #ARGV, 3 do
            local key = ARGV[1] .. 'totais:' .. ARGV[i]
            local there = redis.call('GET', key)
            if not there or tonumber(there:match('^%S+ %S+ (%d+)') or 0) < tonumber(ARGV[i + 1]) then
                redis.call('SET', key, ARGV[i + 2], 'PX', ARGV[4])
            end
            redis.call('SET', ARGV[1] .. 'ger:doacoes:' .. ARGV[i], generation, 'EX', 86400)
        end
        redis.call('PUBLISH', ARGV[2], ARGV[3])
        return 1
        ",
    )
});

static PUBLISH: LazyLock<Script> = LazyLock::new(|| Script::new("redis.call('PUBLISH', ARGV[1], ARGV[2]) return 1"));
static VOUCH: LazyLock<Script> = LazyLock::new(|| Script::new("redis.call('SET', ARGV[1], '1', 'PX', ARGV[2]) return 1"));
static READ: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('MGET', unpack(ARGV))"));

pub(super) struct RemoteCache {
    redis: Arc<RedisClient>,
}

impl RemoteCache {
    pub(super) const fn new(redis: Arc<RedisClient>) -> Self {
        Self { redis }
    }

    pub(super) async fn look_up(&self, subject: &Subject) -> Lookup {
        let class = subject.class();
        // A log-out may wait in a socket behind this question.
        if class == CacheClass::Session && !self.redis.is_steady() {
            return Lookup::FAILED;
        }
        let token = format!("{:016x}", rand::rng().random::<u64>());
        let mut call = LOOK_UP.prepare_invoke();
        call.arg(self.redis.prefix()).arg(subject.tag().as_str()).arg(subject.variant().unwrap_or("")).arg(&token);
        // The last seconds of its life are for renewing it while it is still there.
        call.arg(millis(LOCK_LIFE)).arg(millis(RENEWAL_WINDOW.min(class.redis_life() / 10)));
        call.arg(if class == CacheClass::Session { VOUCHER_KEY } else { "" }).arg(FORMAT);
        match self.redis.run::<(String, String, Option<String>, i64)>(&call).await {
            Ok((key, generation, value, mine)) => {
                let lock = (mine == 1).then_some(Lock { key, generation, token });
                Lookup { result: value.map_or(LookupResult::Miss, |text| read(&text)), lock }
            }
            Err(_) => Lookup::FAILED,
        }
    }

    /// Whether the value was taken; it is not where the subject was invalidated since the lookup.
    pub(super) async fn fill(&self, lookup: &Lookup, subject: &Subject, value: Option<&Stored>) -> Result<bool, RedisError> {
        let Some(Lock { key, generation, token }) = &lookup.lock else { return Ok(false) };
        let life = if value.is_some() { jitter(subject.class().redis_life()) } else { ABSENT_LIFE };
        let mut call = FILL.prepare_invoke();
        call.arg(self.redis.prefix()).arg(key).arg(generation).arg(token).arg(write(generation, value)).arg(millis(life));
        call.arg(value.map_or(0, |stored| stored.seq));
        call.arg(if subject.variant().is_some() { format!("ger:{}", subject.tag().as_str()) } else { String::new() });
        Ok(self.redis.run::<i64>(&call).await? == 1)
    }

    pub(super) async fn invalidate(&self, tags: &[Tag], message: &str) -> Result<(), RedisError> {
        let mut call = INVALIDATE.prepare_invoke();
        call.arg(self.redis.prefix()).arg(self.redis.key(CHANNEL)).arg(message);
        for tag in tags {
            call.arg(format!("{}{}", if tag.is_shared() { 'g' } else { 'x' }, tag.as_str()));
        }
        self.redis.insist::<i64>(call).await.map(drop)
    }

    pub(super) async fn publish_totals(&self, totals: &[(String, Stored)], message: &str) -> Result<(), RedisError> {
        let mut call = PUBLISH_TOTALS.prepare_invoke();
        call.arg(self.redis.prefix()).arg(self.redis.key(CHANNEL)).arg(message).arg(millis(CacheClass::Totals.redis_life()));
        for (slug, stored) in totals {
            call.arg(slug).arg(stored.seq).arg(write(UNSHARED_GENERATION, Some(stored)));
        }
        self.redis.run::<i64>(&call).await.map(drop)
    }

    /// What there is of several subjects with tags of their own.
    pub(super) async fn read(&self, subjects: &[Subject]) -> Result<Vec<Option<Stored>>, RedisError> {
        let mut call = READ.prepare_invoke();
        for subject in subjects {
            call.arg(self.redis.key(subject.tag().as_str()));
        }
        let values: Vec<Option<String>> = self.redis.run(&call).await?;
        let answer = |text: String| match read(&text) {
            LookupResult::Hit(stored) => Some(stored),
            LookupResult::Absent | LookupResult::Miss | LookupResult::Failed => None,
        };
        Ok(values.into_iter().map(|text| text.and_then(answer)).collect())
    }

    pub(super) async fn publish(&self, message: &str) -> Result<(), RedisError> {
        let mut call = PUBLISH.prepare_invoke();
        call.arg(self.redis.key(CHANNEL)).arg(message);
        self.redis.run::<i64>(&call).await.map(drop)
    }

    pub(super) async fn vouch(&self) -> Result<(), RedisError> {
        let mut call = VOUCH.prepare_invoke();
        call.arg(self.redis.key(VOUCHER_KEY)).arg(millis(VOUCHER_LIFE));
        self.redis.run::<i64>(&call).await.map(drop)
    }

    pub(super) async fn subscribe(&self) -> Result<redis::aio::PubSub, redis::RedisError> {
        self.redis.subscribe(CHANNEL).await
    }
}

/// Release, generation and `seq` in one line, then the JSON of the answer, or `null` where there is none.
fn write(generation: &str, value: Option<&Stored>) -> String {
    // Strings and raw JSON always serialise.
    let json = serde_json::to_string(&value).unwrap_or_default();
    format!("{FORMAT} {generation} {}\n{json}", value.map_or(0, |stored| stored.seq))
}

/// Parses a value of Redis. A text that is damaged or from another release gives [`LookupResult::Miss`].
fn read(text: &str) -> LookupResult {
    match parse(text) {
        Some((seq, Some(stored))) => LookupResult::Hit(Stored { seq, ..stored }),
        Some((_, None)) => LookupResult::Absent,
        None => LookupResult::Miss,
    }
}

/// The `seq` and the answer in a text of this release; `None` for any other text.
fn parse(text: &str) -> Option<(i64, Option<Stored>)> {
    let (head, json) = text.split_once('\n')?;
    let mut words = head.split(' ');
    let (release, _generation, seq) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
    if release == FORMAT { Some((seq, serde_json::from_str(json).ok()?)) } else { None }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Up to a tenth more or less, so that what was filled together does not expire together.
fn jitter(life: Duration) -> Duration {
    life.mul_f64(rand::rng().random_range(0.9..=1.1))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let stored = Stored { seq: 7, ..Stored::new(Some("3".into()), &serde_json::json!({"a": "b\n"})).unwrap() };
        let LookupResult::Hit(again) = read(&write("17", Some(&stored))) else { panic!("no answer") };
        assert_eq!((again.seq, again.etag.as_deref(), again.body.get()), (7, Some("\"3\""), r#"{"a":"b\n"}"#));
        assert!(matches!(read(&write(UNSHARED_GENERATION, None)), LookupResult::Absent));
        let head = format!("{FORMAT} 0 7");
        let damaged = [String::new(), head.clone(), format!("{FORMAT} 0 x\nnull"), format!("{head}\n{{"), format!("{head}\n{{\"b\"")];
        let of_another_release = "1-0.0.1 0 7\nnull".to_owned();
        for text in damaged.into_iter().chain([of_another_release, "7\nnull".to_owned()]) {
            assert!(matches!(read(&text), LookupResult::Miss), "{text:?}");
        }
    }

    #[test]
    fn lives_differ_by_a_tenth() {
        for _ in 0..1_000 {
            let life = jitter(Duration::from_hours(1)).as_secs();
            assert!((3_240..=3_960).contains(&life), "{life}");
        }
    }
}

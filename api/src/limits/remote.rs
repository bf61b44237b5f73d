//! The buckets that all processes share. Of each Redis keeps the theoretical arrival time of [`super::gcra`], in microseconds of
//! its own clock, so that processes need not agree on theirs.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Script, ScriptInvocation};

use super::Bucket;
use super::gcra::Verdict;
use crate::redis_client::{RedisClient, RedisError};

// ARGV: for each bucket its key, the interval of one in microseconds, and the limit. Answers the time, then remaining, reset and
// retry of each bucket. An arrival time that is too far ahead is put right even where nothing is taken, or it would stay too far
// ahead until it has come. Keys outlive their arrival time by a millisecond, since that is how finely they expire.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local taken, capped, answer, allowed = {}, {}, { now }, true
        for i = 1, #ARGV, 3 do
            local interval, limit = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
            local last = now + interval * limit
            local stored = tonumber(redis.call('GET', ARGV[i]) or now)
            local before = math.min(math.max(stored, now), last)
            local arrival = before + interval
            local wait = math.max(0, arrival - last)
            if wait > 0 then
                allowed = false
                arrival = before
            end
            taken[i] = arrival
            capped[i] = stored > last and before
            answer[i + 1] = math.floor((last - arrival) / interval)
            answer[i + 2] = arrival - now
            answer[i + 3] = wait
        end
        for i = 1, #ARGV, 3 do
            local arrival = allowed and taken[i] or capped[i]
            if arrival then
                redis.call('SET', ARGV[i], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
            end
        end
        return answer
        ",
    )
});

// ARGV and answer as above.
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local answer = { now }
        for i = 1, #ARGV, 3 do
            local interval, limit = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
            local last = now + interval * limit
            local before = math.min(tonumber(redis.call('GET', ARGV[i]) or now), last)
            local arrival = math.max(before - interval, now)
            if arrival > now then
                redis.call('SET', ARGV[i], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
            else
                redis.call('DEL', ARGV[i])
            end
            answer[i + 1] = math.floor((last - arrival) / interval)
            answer[i + 2] = arrival - now
            answer[i + 3] = 0
        end
        return answer
        ",
    )
});

/// What Redis says of some buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// When, by its clock, in microseconds.
    pub at: u64,
    /// How each stands.
    pub verdicts: Vec<Verdict>,
}

/// Buckets in Redis.
pub struct RemoteBuckets {
    redis: Arc<RedisClient>,
}

impl RemoteBuckets {
    /// Buckets in `redis`.
    pub const fn new(redis: Arc<RedisClient>) -> Self {
        Self { redis }
    }

    /// Takes one from each bucket, or from none where one of them is empty.
    pub async fn take(&self, buckets: &[Bucket]) -> Result<Judged, RedisError> {
        self.run(&TAKE, buckets).await
    }

    /// Gives one back to each bucket.
    pub async fn give_back(&self, buckets: &[Bucket]) -> Result<Judged, RedisError> {
        self.run(&GIVE_BACK, buckets).await
    }

    /// Runs the script that takes one from each bucket, to test that Redis can run it; the verdicts are ignored.
    pub async fn self_test(&self, id: &str, buckets: &[Bucket]) -> Result<(), redis::RedisError> {
        self.redis.self_test(id, &self.call(&TAKE, buckets)).await
    }

    async fn run(&self, script: &Script, buckets: &[Bucket]) -> Result<Judged, RedisError> {
        let answer: Vec<u64> = self.redis.run(&self.call(script, buckets)).await?;
        let (at, numbers) = answer.split_first().map_or((0, [].as_slice()), |(at, numbers)| (*at, numbers));
        let verdict = |numbers: &[u64]| {
            let [remaining, reset, retry] = *numbers else { return None };
            let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
            Some(Verdict { remaining, reset: Duration::from_micros(reset), retry: Duration::from_micros(retry) })
        };
        Ok(Judged { at, verdicts: numbers.chunks(3).filter_map(verdict).collect() })
    }

    fn call<'a>(&self, script: &'a Script, buckets: &[Bucket]) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for Bucket { rule, subject, quota } in buckets {
            call.arg(self.redis.key(&format!("limite:{}:{subject}", rule.as_str())));
            call.arg(quota.interval_micros()).arg(quota.limit);
        }
        call
    }
}

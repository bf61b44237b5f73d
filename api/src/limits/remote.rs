//! The limits that all processes share. For each subject Redis keeps the theoretical arrival time, in microseconds of its own
//! clock: when everything taken so far will have been earned again.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Script, ScriptInvocation};

use super::{Quota, Use, Verdict};
use crate::redis_client::{RedisClient, RedisError};

// ARGV: for each use its key, the interval of one in microseconds, and the limit. Answers remaining, reset and retry of each.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local arrivals, answer, allowed = {}, {}, true
        for i = 1, #ARGV, 3 do
            local interval, limit = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
            local before = math.max(tonumber(redis.call('GET', ARGV[i]) or now), now)
            local arrival = before + interval
            local wait = arrival - interval * limit - now
            if wait > 0 then
                allowed = false
                arrival = before
            else
                wait = 0
            end
            arrivals[i] = arrival
            answer[i] = math.max(0, math.floor((now + interval * limit - arrival) / interval))
            answer[i + 1] = arrival - now
            answer[i + 2] = wait
        end
        if allowed then
            for i = 1, #ARGV, 3 do
                redis.call('SET', ARGV[i], string.format('%.0f', arrivals[i]), 'PX', math.ceil((arrivals[i] - now) / 1000))
            end
        end
        return answer
        ",
    )
});

// ARGV as above.
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        for i = 1, #ARGV, 3 do
            local arrival = tonumber(redis.call('GET', ARGV[i]) or now) - tonumber(ARGV[i + 1])
            if arrival > now then
                redis.call('SET', ARGV[i], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
            else
                redis.call('DEL', ARGV[i])
            end
        end
        return 1
        ",
    )
});

pub(super) struct Remote {
    redis: Arc<RedisClient>,
}

impl Remote {
    pub(super) const fn new(redis: Arc<RedisClient>) -> Self {
        Self { redis }
    }

    pub(super) async fn take(&self, uses: &[(&Use, Quota)]) -> Result<Vec<Verdict>, RedisError> {
        let answer: Vec<u64> = self.redis.run(&self.call(&TAKE, uses)).await?;
        let verdict = |numbers: &[u64]| {
            let [remaining, reset, retry] = *numbers else { return None };
            let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
            Some(Verdict { remaining, reset: Duration::from_micros(reset), retry: Duration::from_micros(retry) })
        };
        Ok(answer.chunks(3).filter_map(verdict).collect())
    }

    pub(super) async fn give_back(&self, uses: &[(&Use, Quota)]) -> Result<(), RedisError> {
        self.redis.run::<i64>(&self.call(&GIVE_BACK, uses)).await.map(drop)
    }

    fn call<'a>(&self, script: &'a Script, uses: &[(&Use, Quota)]) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for (one, quota) in uses {
            call.arg(self.redis.key(&format!("limite:{}:{}", one.rule.as_str(), one.subject)));
            call.arg(u64::try_from(quota.interval().as_micros()).unwrap_or(u64::MAX)).arg(quota.limit);
        }
        call
    }
}

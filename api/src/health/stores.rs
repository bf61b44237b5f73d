//! Asks the stores once a second whether they answer. It has a task of its own, so that probes are answered at once even while a
//! store hangs.

use std::time::Duration;

use crate::process::readiness::Store;
use crate::state::Core;

/// Time from one check to the next.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Time within which a store must answer. Redis has less: a ping has the time limit of every other command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks the stores until a stop is asked for.
pub async fn watch(core: &Core) {
    let stores = &core.readiness.stores;
    while !core.shutdown.has_begun() {
        let postgres = async { tokio::time::timeout(ANSWER_TIMEOUT, core.db.answers()).await.unwrap_or(false) };
        let redis = async { tokio::time::timeout(ANSWER_TIMEOUT, core.redis.ping()).await.unwrap_or(false) };
        let (postgres, redis) = tokio::join!(postgres, redis);
        stores.note(Store::Postgres, postgres);
        core.cache.note_database(!stores.is_away(Store::Postgres));
        stores.note(Store::Redis, redis);
        core.shutdown.pause(CHECK_INTERVAL).await;
    }
}

//! Checks that the pooler keeps the statements of different clients apart.
//!
//! sqlx prepares a statement in one round trip and runs it in the next. A pooler in transaction mode that does not follow
//! prepared statements may send the two to different servers, and another client's rows come back. So before this process
//! serves anything, many connections run two texts of the same shape against each other.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::PgPool;

use crate::config::Pooler;
use crate::process::readiness::PoolerState;
use crate::state::AppState;
use crate::store::StoreError;
use crate::telemetry::chain;

/// Connections that run statements at the same time at most; fewer if the pool is smaller.
const MAX_CLIENTS: u32 = 64;
/// Statements that each connection runs.
const STATEMENTS_PER_CLIENT: i32 = 25;
/// Time after which a statement counts as mixed up, since its answer may have gone to another client.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Time from a check that did not pass to the next one.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Repeats the check until it passes or the process is to stop; a mix-up may end when the pooler is replaced. Without a pooler it
/// passes at once.
pub async fn run(state: AppState, pooler: Pooler) {
    if pooler == Pooler::Direct {
        state.readiness.pooler.set(PoolerState::Passed);
        return;
    }
    while !state.shutdown.has_begun() {
        match interleave(state.db.pool()).await {
            Ok(0) => {
                state.readiness.pooler.set(PoolerState::Passed);
                return;
            }
            Ok(wrong) => {
                state.readiness.pooler.set(PoolerState::MixedUp);
                tracing::error!(wrong, "statements get mixed up between clients; refusing readiness");
            }
            Err(error) => tracing::warn!(error = chain(&error), "the pooler check could not finish"),
        }
        state.shutdown.pause(RETRY_INTERVAL).await;
    }
}

/// How many answers were wrong, late, or failed in a way that a healthy server never does. An error means that the database
/// was away, so nothing was learnt.
pub async fn interleave(db: &PgPool) -> Result<u32, StoreError> {
    let clients = MAX_CLIENTS.min(db.options().get_max_connections());
    let mut wrong = 0;
    let mut away = None;
    for result in join_all((0..clients).map(|client| one_client(db, client))).await {
        match result {
            Ok(count) => wrong += count,
            Err(error) => away = Some(error),
        }
    }
    match away {
        Some(error) if wrong == 0 => Err(error),
        _ => Ok(wrong),
    }
}

async fn one_client(db: &PgPool, client: u32) -> Result<u32, StoreError> {
    let client = i32::try_from(client).unwrap_or(0);
    let mut wrong = 0;
    for round in 0..STATEMENTS_PER_CLIENT {
        let value = client * STATEMENTS_PER_CLIENT + round;
        let (text, expected) = if round % 2 == 0 {
            ("SELECT $1::int4 + 1000000", value + 1_000_000)
        } else {
            ("SELECT $1::int4 - 1000000", value - 1_000_000)
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, answer(db, text, value)).await {
            Ok(Ok(answer)) if answer == expected => {}
            Ok(Err(error)) if !error.is_garbled() => return Err(error),
            // Another's row, a statement the server does not know, or an answer that went to somebody else.
            Ok(Ok(_) | Err(_)) | Err(_) => wrong += 1,
        }
    }
    Ok(wrong)
}

/// Outside of a transaction, as reads are.
async fn answer(db: &PgPool, text: &'static str, value: i32) -> Result<i32, StoreError> {
    Ok(sqlx::query_scalar(text).bind(value).fetch_one(db).await?)
}

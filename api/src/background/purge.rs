//! Deletes what is no longer needed: kept answers, sign-ups, tokens, sessions, former owners, and access records past their term.

use time::Duration;

use super::{Task, Turn, end_turn, take_turn};
use crate::service::organizadoras::FORMER_OWNER_NOTICE_PERIOD;
use crate::state::Core;
use crate::store::{StoreError, access_log, idempotency, members, people, sessions};

/// Rows of a table that one turn deletes at most.
const BATCH_ROWS: i64 = 1_000;
const BATCH_ROWS_I32: i32 = 1_000;
/// Time for which a repeated request gets the result of the first.
const KEPT_RESULT_LIFE: Duration = Duration::hours(72);
/// Access records are kept for six months (Marco Civil da Internet, art. 15); the database holds the exact bound.
const ACCESS_RECORD_LIFE: Duration = Duration::days(180);

pub(super) async fn turn(core: &Core) -> Result<Option<Turn>, StoreError> {
    let Some(mut tx) = take_turn(core, Task::Purge).await? else { return Ok(None) };
    let now = core.clock.now();
    let answers = idempotency::purge(&mut tx, now - KEPT_RESULT_LIFE, BATCH_ROWS).await?;
    let accounts = people::purge(&mut tx, now, BATCH_ROWS).await?;
    let ended = sessions::purge(&mut tx, now, BATCH_ROWS).await?;
    let access = access_log::purge(&mut tx, now - ACCESS_RECORD_LIFE, BATCH_ROWS_I32).await?;
    let owners = members::purge_former_owners(&mut tx, now - FORMER_OWNER_NOTICE_PERIOD, BATCH_ROWS).await?;
    let most = [answers, accounts, ended, owners, u64::try_from(access).unwrap_or(0)].into_iter().max().unwrap_or(0);
    end_turn(tx, usize::try_from(most).unwrap_or(0), BATCH_ROWS).await
}

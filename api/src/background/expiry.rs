//! Expires donations whose time to pay is over. A payment that comes later still confirms them.

use super::{Task, Turn, end_turn, take_turn};
use crate::domain::donation::DonationStatus;
use crate::state::Core;
use crate::store::{StoreError, donations};

/// Donations that one turn expires at most.
const BATCH_DONATIONS: i64 = 500;

pub(super) async fn turn(core: &Core) -> Result<Option<Turn>, StoreError> {
    let Some(mut tx) = take_turn(core, Task::Expiry).await? else { return Ok(None) };
    let expired = donations::expire(&mut tx, BATCH_DONATIONS, core.clock.now()).await?;
    let turn = end_turn(tx, expired.len(), BATCH_DONATIONS).await?;
    core.metrics.donations(DonationStatus::Expired, expired.len());
    Ok(turn)
}

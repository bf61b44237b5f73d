//! The tasks of background work.

use std::time::Duration;

use crate::domain::text_enum::texts;

/// The background tasks. Each has a lock number, an interval and a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Moves deltas into the totals of campaigns and publishes them.
    TotalsRollup,
    /// Delivers the e-mails in the outbox.
    Outbox,
    /// Expires donations whose time to pay is over.
    Expiry,
    /// Closes campaigns whose end has come.
    CampaignEnd,
    /// Deletes rows that are no longer needed.
    Purge,
    /// Checks that donations, receipts, ledger and totals agree.
    Books,
    /// Repeats invalidations of cached answers that Redis has not acknowledged.
    Invalidation,
}

texts!(Task {
    TotalsRollup = "totals_rollup",
    Outbox = "outbox",
    Expiry = "expiry",
    CampaignEnd = "campaign_end",
    Purge = "purge",
    Books = "books",
    Invalidation = "invalidation",
});

impl Task {
    pub(super) const fn lock(self) -> i32 {
        match self {
            Self::TotalsRollup => 1,
            Self::Outbox => 2,
            Self::Expiry => 3,
            Self::CampaignEnd => 4,
            Self::Purge => 5,
            Self::Books => 6,
            Self::Invalidation => 7,
        }
    }

    pub(super) const fn every(self) -> Duration {
        match self {
            Self::TotalsRollup => Duration::from_millis(250),
            Self::Invalidation => Duration::from_millis(500),
            Self::Outbox | Self::Books => Duration::from_secs(1),
            Self::Expiry | Self::CampaignEnd => Duration::from_secs(5),
            Self::Purge => Duration::from_mins(1),
        }
    }
}

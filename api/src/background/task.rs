//! The tasks of background work.

use std::time::Duration;

use crate::domain::text_enum::texts;

/// The tasks, by lock number and metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Adds up totals.
    TotalsRollup,
    /// Delivers the outbox.
    Outbox,
    /// Expires donations.
    Expiry,
    /// Closes campaigns that are over.
    CampaignEnd,
    /// Deletes what is no longer needed.
    Purge,
    /// Checks the books.
    Books,
    /// Drops cached answers that Redis has not acknowledged.
    Drops,
}

texts!(Task {
    TotalsRollup = "folder",
    Outbox = "outbox",
    Expiry = "expiry",
    CampaignEnd = "campaign_end",
    Purge = "purge",
    Books = "books",
    Drops = "drops",
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
            Self::Drops => 7,
        }
    }

    pub(super) const fn every(self) -> Duration {
        match self {
            Self::TotalsRollup => Duration::from_millis(250),
            Self::Drops => Duration::from_millis(500),
            Self::Outbox | Self::Books => Duration::from_secs(1),
            Self::Expiry | Self::CampaignEnd => Duration::from_secs(5),
            Self::Purge => Duration::from_mins(1),
        }
    }
}

//! Campaigns: categories, states, and which step leads where.

use super::text_enum::text_enum;

text_enum! {
    /// What a campaign is for.
    #[expect(missing_docs, reason = "the names are the documentation")]
    pub enum Category {
        Health = "saude",
        Education = "educacao",
        Animals = "animais",
        Environment = "meio_ambiente",
        Emergency = "emergencia",
        Culture = "cultura",
        Sports = "esporte",
        Social = "social",
        Others = "outras",
    }
}

text_enum! {
    /// The state of a campaign.
    pub enum CampaignStatus {
        /// Being written; only members see it.
        Draft = "rascunho",
        /// With moderation.
        InReview = "em_analise",
        /// Public, and takes donations between its start and its end.
        Published = "publicada",
        /// Public, takes no donations for now.
        Paused = "pausada",
        /// Public, takes no donations any more.
        Ended = "encerrada",
        /// Refused by moderation.
        Rejected = "rejeitada",
    }
}

/// What is done to a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignStep {
    /// `publicacao`
    Publish,
    /// `pausa`
    Pause,
    /// `retomada`
    Resume,
    /// `encerramento`
    Close,
}

impl CampaignStatus {
    /// The state after `step`, or nothing where the step is not legal in this state.
    pub const fn next(self, step: CampaignStep) -> Option<Self> {
        match (self, step) {
            (Self::Draft, CampaignStep::Publish) | (Self::Paused, CampaignStep::Resume) => Some(Self::Published),
            (Self::Published, CampaignStep::Pause) => Some(Self::Paused),
            (Self::Published | Self::Paused, CampaignStep::Close) => Some(Self::Ended),
            _ => None,
        }
    }

    /// Whether anyone may see the campaign.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Published | Self::Paused | Self::Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_or_rejected_campaign_stays_so() {
        for status in [CampaignStatus::Ended, CampaignStatus::Rejected, CampaignStatus::InReview] {
            for step in [CampaignStep::Publish, CampaignStep::Pause, CampaignStep::Resume, CampaignStep::Close] {
                assert_eq!(status.next(step), None, "{status:?} {step:?}");
            }
        }
    }

    #[test]
    fn a_draft_can_only_be_published() {
        assert_eq!(CampaignStatus::Draft.next(CampaignStep::Publish), Some(CampaignStatus::Published));
        for step in [CampaignStep::Pause, CampaignStep::Resume, CampaignStep::Close] {
            assert_eq!(CampaignStatus::Draft.next(step), None, "{step:?}");
        }
    }
}

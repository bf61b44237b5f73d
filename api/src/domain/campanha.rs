//! Campaigns: categories, states, and which step leads where.

use super::text_enum::text_enum;

text_enum! {
    /// What a campaign is for.
    #[expect(missing_docs, reason = "the names are the documentation")]
    pub enum Category {
        Saude = "saude",
        Educacao = "educacao",
        Animais = "animais",
        MeioAmbiente = "meio_ambiente",
        Emergencia = "emergencia",
        Cultura = "cultura",
        Esporte = "esporte",
        Social = "social",
        Outras = "outras",
    }
}

text_enum! {
    /// The state of a campaign.
    pub enum CampaignStatus {
        /// Being written; only members see it.
        Rascunho = "rascunho",
        /// With moderation.
        EmAnalise = "em_analise",
        /// Public, and takes donations between its start and its end.
        Publicada = "publicada",
        /// Public, takes no donations for now.
        Pausada = "pausada",
        /// Public, takes no donations any more.
        Encerrada = "encerrada",
        /// Refused by moderation.
        Rejeitada = "rejeitada",
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
            (Self::Rascunho, CampaignStep::Publish) | (Self::Pausada, CampaignStep::Resume) => Some(Self::Publicada),
            (Self::Publicada, CampaignStep::Pause) => Some(Self::Pausada),
            (Self::Publicada | Self::Pausada, CampaignStep::Close) => Some(Self::Encerrada),
            _ => None,
        }
    }

    /// Whether anyone may see the campaign.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Publicada | Self::Pausada | Self::Encerrada)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_or_rejected_campaign_stays_so() {
        for status in [CampaignStatus::Encerrada, CampaignStatus::Rejeitada, CampaignStatus::EmAnalise] {
            for step in [CampaignStep::Publish, CampaignStep::Pause, CampaignStep::Resume, CampaignStep::Close] {
                assert_eq!(status.next(step), None, "{status:?} {step:?}");
            }
        }
    }

    #[test]
    fn a_draft_can_only_be_published() {
        assert_eq!(CampaignStatus::Rascunho.next(CampaignStep::Publish), Some(CampaignStatus::Publicada));
        for step in [CampaignStep::Pause, CampaignStep::Resume, CampaignStep::Close] {
            assert_eq!(CampaignStatus::Rascunho.next(step), None, "{step:?}");
        }
    }
}

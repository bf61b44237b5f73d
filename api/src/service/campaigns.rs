//! Campaigns from draft to end.

use super::Actor;
use super::change::Change;
use crate::cache::Tag;
use crate::domain::campaign::{CampaignStatus, CampaignStep};
use crate::domain::ids::{CampaignId, OrganizadoraId, PersonId};
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::slug::Slug;
use crate::state::Core;
use crate::store::campaigns::{self as store, Campaign, CampaignChanges, CampaignRow, NewCampaign, UpdateCampaignError};
use crate::store::{StoreError, ledger, organizadoras};

/// Why a campaign did not change.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// There is no such campaign.
    #[error("no such campaign")]
    NotFound,
    /// The slug is taken.
    #[error("the slug is taken")]
    SlugTaken,
    /// It was changed by somebody else.
    #[error("the campaign has another version")]
    Stale,
    /// The step is not legal in this state.
    #[error("not legal in state {0:?}")]
    Transition(CampaignStatus),
    /// The organisation is not verified.
    #[error("the organizadora is not verified")]
    NotVerified,
    /// The organisation has no PIX key in force, so nobody could donate.
    #[error("the organizadora has no PIX key in force")]
    NoPixKey,
    /// Its end has come already.
    #[error("the end has passed")]
    Ended,
    /// What changes is refused by a rule of the campaign.
    #[error(transparent)]
    Refused(UpdateCampaignError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<UpdateCampaignError> for CampaignError {
    fn from(error: UpdateCampaignError) -> Self {
        match error {
            UpdateCampaignError::Store(error) => Self::Store(error),
            refused => Self::Refused(refused),
        }
    }
}

/// Makes a draft.
pub async fn create(
    core: &Core,
    organizadora: OrganizadoraId,
    by: PersonId,
    slug: Option<&Slug>,
    new: &NewCampaign,
) -> Result<Campaign, CampaignError> {
    let mut change = Change::begin(core, Actor::Person(by)).await?;
    let (id, now) = (CampaignId(change.new_id()), change.now());
    let mut chosen = slug.cloned().unwrap_or_else(|| Slug::from_title(new.titulo.as_str(), "campanha"));
    let row = CampaignRow { id, organizadora_id: organizadora, slug: &chosen, campaign: new };
    if !store::insert(change.db(), &row, now).await? {
        if slug.is_some() {
            return Err(CampaignError::SlugTaken);
        }
        let longer = chosen.with_suffix(id.0);
        if !store::insert(change.db(), &CampaignRow { slug: &longer, ..row }, now).await? {
            return Err(CampaignError::SlugTaken);
        }
        chosen = longer;
    }
    ledger::open_campaign(change.db(), id).await?;
    change.audit("campanha.criada", id, serde_json::json!({})).await?;
    let made = store::get(change.db(), chosen.as_str()).await?.ok_or(CampaignError::NotFound)?;
    change.commit().await?;
    Ok(made)
}

/// Changes a campaign where `version` is still the current one.
pub async fn update(core: &Core, slug: &str, version: i32, changes: &CampaignChanges, by: PersonId) -> Result<Campaign, CampaignError> {
    let mut change = Change::begin(core, Actor::Person(by)).await?;
    let now = change.now();
    if !store::update(change.db(), slug, version, changes, now).await? {
        return Err(CampaignError::Stale);
    }
    let changed = store::get(change.db(), slug).await?.ok_or(CampaignError::NotFound)?;
    change.audit("campanha.alterada", changed.id, serde_json::json!({})).await?;
    change.invalidate(Tag::all_of_campaigns([slug]));
    change.commit().await?;
    Ok(changed)
}

/// Publishes, pauses, resumes or closes a campaign.
pub async fn step(core: &Core, slug: &str, step: CampaignStep, by: PersonId) -> Result<Campaign, CampaignError> {
    let mut change = Change::begin(core, Actor::Person(by)).await?;
    let now = change.now();
    let campaign = store::get(change.db(), slug).await?.ok_or(CampaignError::NotFound)?;
    let next = campaign.situacao.next(step).ok_or(CampaignError::Transition(campaign.situacao))?;
    if next == CampaignStatus::Published {
        check_publishable(&mut change, &campaign).await?;
    }
    if !store::advance(change.db(), campaign.id, campaign.situacao, next, now).await? {
        return Err(CampaignError::Transition(campaign.situacao));
    }
    let action = match step {
        CampaignStep::Publish => "campanha.publicada",
        CampaignStep::Pause => "campanha.pausada",
        CampaignStep::Resume => "campanha.retomada",
        CampaignStep::Close => "campanha.encerrada",
    };
    change.audit(action, campaign.id, serde_json::json!({})).await?;
    let changed = store::get(change.db(), slug).await?.ok_or(CampaignError::NotFound)?;
    change.invalidate(Tag::all_of_campaigns([slug]));
    change.commit().await?;
    Ok(changed)
}

async fn check_publishable(change: &mut Change<'_>, campaign: &Campaign) -> Result<(), CampaignError> {
    let (core, now) = (change.core(), change.now());
    let organizadora = organizadoras::get(change.db(), &campaign.organizadora_slug).await?.ok_or(CampaignError::NotVerified)?;
    if organizadora.situacao != OrganizadoraStatus::Verified {
        return Err(CampaignError::NotVerified);
    }
    if core.gateways.all_need_pix_key() && organizadoras::pix_key(change.db(), organizadora.id, now).await?.is_none() {
        return Err(CampaignError::NoPixKey);
    }
    if campaign.fim_em.is_some_and(|end| end <= now) {
        return Err(CampaignError::Ended);
    }
    Ok(())
}

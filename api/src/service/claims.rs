//! A guest's donation becomes a person's.

use super::Actor;
use super::change::Change;
use super::donations::guest_token_matches;
use crate::domain::ids::{DonationId, PersonId};
use crate::state::Core;
use crate::store::donations::{self as store, Donation};
use crate::store::{StoreError, people};

/// Why a donation was not claimed. One answer for all: it says nothing about other people's donations.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// No such donation, somebody else's, or no proof.
    #[error("no such donation, or no proof")]
    NotFound,
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Claims a donation by its capability token, or by an address that both share and the person has proven. Claiming again
/// is no error.
pub async fn claim(core: &Core, person_id: PersonId, donation_id: DonationId, token: Option<&str>) -> Result<Donation, ClaimError> {
    let mut change = Change::begin(core, Actor::Person(person_id)).await?;
    let now = change.now();
    let donation = store::lock(change.db(), donation_id).await?.ok_or(ClaimError::NotFound)?;
    if donation.pessoa_id == Some(person_id) {
        return Ok(donation);
    }
    let proven = if let Some(token) = token {
        guest_token_matches(&core.keys.token, token, donation_id.0)
    } else {
        let person = people::get(change.db(), person_id).await?.ok_or(ClaimError::NotFound)?;
        person.email_verificado_em.is_some() && donation.email_contato.as_deref() == Some(person.email.as_str())
    };
    if !proven || !store::claim(change.db(), donation_id, person_id, now).await? {
        return Err(ClaimError::NotFound);
    }
    let claimed = store::get(change.db(), donation_id).await?.ok_or(ClaimError::NotFound)?;
    change.commit().await?;
    Ok(claimed)
}

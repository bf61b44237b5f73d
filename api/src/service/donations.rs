//! Making a donation, and what its donor may do with it.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Actor;
use super::change::Change;
use super::idempotency::{self, Attempt, IdempotencyError, Outcome};
use crate::cache::Tag;
use crate::config::keys::{KeyRing, sha256};
use crate::domain::campaign::CampaignStatus;
use crate::domain::donation::{DonationEvent, DonationStatus, Visibility};
use crate::domain::email::Email;
use crate::domain::ids::{CampaignId, ChargeId, DonationId, PersonId};
use crate::domain::money::{AmountError, Centavos};
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::provider::Provider;
use crate::domain::text::{DisplayName, Message};
use crate::gateway::{ChargeError, ChargeRequest, PaymentGateway};
use crate::state::Core;
use crate::store::campaigns::DonationTarget;
use crate::store::charges::{self, Charge, NewCharge};
use crate::store::donations::{self as store, Donation, DonationOrigin, DonationStep, DonorChanges, NewDonation};
use crate::store::idempotency::Scope;
use crate::store::{StoreError, campaigns, organizadoras, people};

/// A donation has at most this many charges.
const MAX_CHARGES: usize = 5;

/// What somebody wants to give.
#[derive(Clone, Debug)]
pub struct DonationOrder {
    /// How much.
    pub valor: Centavos,
    /// The name to show.
    pub nome_exibicao: Option<DisplayName>,
    /// Where news of the donation goes.
    pub email: Option<Email>,
    /// Who sees the donor.
    pub visibilidade: Visibility,
    /// Whether the feed hides the amount.
    pub oculta_valor: bool,
    /// A message.
    pub mensagem: Option<Message>,
    /// The payment provider; the default one where there is none.
    pub provedor: Option<Provider>,
}

/// The donor of a new donation.
#[derive(Clone, Copy, Debug)]
pub enum Giver {
    /// A person who is logged in to an account.
    Person(PersonId),
    /// A donor who is not logged in.
    Guest {
        /// SHA-256 of the device's id, where the device named one.
        device: Option<[u8; 32]>,
    },
}

impl Giver {
    /// The id of the person; `None` for a guest.
    pub const fn person(self) -> Option<PersonId> {
        match self {
            Self::Person(person_id) => Some(person_id),
            Self::Guest { .. } => None,
        }
    }

    /// The actor that the donation's first events are recorded with.
    const fn actor(self) -> Actor {
        match self {
            Self::Person(person_id) => Actor::Person(person_id),
            Self::Guest { .. } => Actor::Guest,
        }
    }

    /// The owner of the idempotency keys that make donations to the campaign: the person, or the guest's device. Guests whose devices
    /// name no id share the keys of the campaign.
    fn key_owner(self, campaign_id: CampaignId) -> String {
        match self {
            Self::Person(person_id) => person_owner(person_id),
            Self::Guest { device: None } => format!("campanha:{campaign_id}"),
            Self::Guest { device: Some(hash) } => format!("campanha:{campaign_id} dispositivo:{}", hex::encode(hash)),
        }
    }
}

/// The sender of a request for a donation.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The donor.
    pub giver: Giver,
    /// The client's IP address, for the access record that the Marco Civil requires.
    pub ip: IpAddr,
}

/// A donation as it was made, kept as the result of its idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Donated {
    /// The donation, which awaits its payment.
    pub doacao: Donation,
    /// The first charge of the donation.
    pub cobranca: Charge,
}

/// Why there is no donation.
#[derive(Debug, thiserror::Error)]
pub enum DonationError {
    /// There is no such public campaign.
    #[error("no such campaign")]
    NotFound,
    /// The campaign takes no donations now.
    #[error("the campaign takes no donations now")]
    Closed,
    /// Less than the campaign's minimum or more than its maximum.
    #[error("outside the campaign's limits")]
    Limits {
        /// The least amount in centavos.
        minimo: i64,
        /// The largest amount in centavos.
        maximo: i64,
    },
    /// The provider is not in use here.
    #[error("the provider is not in use")]
    Provider,
    /// The provider cannot keep the donor as hidden as asked, with the reason for the donor.
    #[error("the provider refuses the visibility")]
    Visibility(&'static str),
    /// No charge can be made.
    #[error(transparent)]
    Charge(#[from] ChargeError),
    /// The idempotency key cannot be used; nothing was stored.
    #[error(transparent)]
    Idempotency(#[from] IdempotencyError),
    /// A statement of the donation failed; nothing was stored, unless the connection broke during COMMIT.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a donation with its first charge, once per key. It updates no row that another donation touches, so donations do not wait
/// for each other.
pub async fn create(
    core: Arc<Core>,
    slug: String,
    sender: Sender,
    order: DonationOrder,
    attempt: Attempt,
) -> Result<Outcome<Donated>, DonationError> {
    let mut change = Change::begin(&core, sender.giver.actor()).await?;
    let donated = create_within(&mut change, &slug, sender, order, &attempt).await;
    let donated = change.conclude(donated).await?;
    if donated.as_new().is_some() {
        core.metrics.donations(DonationStatus::AwaitingPayment, 1);
    }
    Ok(donated)
}

/// The donation that was made with this key and body; `None` where there is none, or no such public campaign. Runs two look-ups by
/// key, without a transaction or a lock.
pub async fn kept_donation(core: &Core, slug: &str, giver: Giver, attempt: &Attempt) -> Result<Option<Donated>, DonationError> {
    let mut db = core.db.connection().await?;
    let Some(target) = public_target(&mut db, slug).await? else { return Ok(None) };
    match idempotency::kept(core, &mut db, &creation(giver, target.id, attempt.key), attempt).await {
        // Another body is no repetition.
        Err(IdempotencyError::Reused) => Ok(None),
        kept => Ok(kept?),
    }
}

/// The donation that was made with this key, whatever its order was; `None` where there is none, or no such public campaign. Whoever has
/// the key made it.
pub async fn earlier_donation(core: &Core, slug: &str, giver: Giver, key: Uuid) -> Result<Option<Donated>, DonationError> {
    let mut db = core.db.connection().await?;
    let Some(target) = public_target(&mut db, slug).await? else { return Ok(None) };
    Ok(idempotency::earlier(core, &mut db, &creation(giver, target.id, key)).await?)
}

/// The scope in which the result of making a donation is kept.
fn creation(giver: Giver, campaign_id: CampaignId, key: Uuid) -> Scope {
    Scope { owner: giver.key_owner(campaign_id), route: "POST /campanhas/{slug}/doacoes", key }
}

async fn public_target(db: &mut PgConnection, slug: &str) -> Result<Option<DonationTarget>, StoreError> {
    Ok(campaigns::donation_target(db, slug).await?.filter(DonationTarget::is_public))
}

/// Like [`create`], in a transaction that the caller commits or rolls back.
pub(super) async fn create_within(
    change: &mut Change<'_>,
    slug: &str,
    sender: Sender,
    order: DonationOrder,
    attempt: &Attempt,
) -> Result<Outcome<Donated>, DonationError> {
    let target = public_target(change.db(), slug).await?.ok_or(DonationError::NotFound)?;
    let scope = creation(sender.giver, target.id, attempt.key);
    idempotency::run_within(change, &scope, attempt, |change| Box::pin(donate(change, target, sender, order))).await
}

async fn donate(change: &mut Change<'_>, target: DonationTarget, sender: Sender, order: DonationOrder) -> Result<Donated, DonationError> {
    let (core, now, donor) = (change.core(), change.now(), sender.giver.person());
    let gateway = core.gateways.get(order.provedor).ok_or(DonationError::Provider)?;
    check(&target, &order, gateway, now)?;
    let email = match (&order.email, donor) {
        (Some(email), _) => Some(email.as_str().to_owned()),
        (None, Some(person_id)) => people::address(change.db(), person_id).await?.map(|(_, email)| email),
        (None, None) => None,
    };
    let id = DonationId(change.new_id());
    let payment = charge(change, gateway, &target, id, order.valor).await?;
    let new = NewDonation {
        id,
        campanha_id: target.id,
        pessoa_id: donor,
        doador_chave: donor_key(&core.keys.email, email.as_deref(), id),
        nome_exibicao: order.nome_exibicao,
        email_contato: email,
        valor: order.valor,
        visibilidade: order.visibilidade,
        oculta_valor: order.oculta_valor,
        mensagem: order.mensagem,
        provedor: gateway.provider(),
        aviso_privacidade: crate::state::PRIVACY_NOTICE.to_owned(),
        expira_em: payment.expira_em,
    };
    let actor = change.actor().to_string();
    let origin = DonationOrigin { actor: &actor, access_id: change.new_id(), ip: sender.ip };
    let donation = store::insert(change.db(), &new, &payment, &origin, now).await?;
    Ok(Donated { doacao: donation, cobranca: payment.stored(now) })
}

fn check(target: &DonationTarget, order: &DonationOrder, gateway: &dyn PaymentGateway, now: OffsetDateTime) -> Result<(), DonationError> {
    if !is_open(target, now) {
        return Err(DonationError::Closed);
    }
    if !(target.minimo_centavos..=target.maximo_centavos).contains(&order.valor.get()) {
        return Err(DonationError::Limits { minimo: target.minimo_centavos, maximo: target.maximo_centavos });
    }
    gateway.refuses(order.visibilidade).map_or(Ok(()), |reason| Err(DonationError::Visibility(reason)))
}

/// Whether the campaign takes money at `now`.
fn is_open(target: &DonationTarget, now: OffsetDateTime) -> bool {
    target.situacao == CampaignStatus::Published
        && target.organizadora_situacao == OrganizadoraStatus::Verified
        && target.inicio_em.is_none_or(|start| start <= now)
        && target.fim_em.is_none_or(|end| now < end)
}

/// A charge of `amount` for a donation, still to be stored.
async fn charge(
    change: &mut Change<'_>,
    gateway: &dyn PaymentGateway,
    target: &DonationTarget,
    donation_id: DonationId,
    amount: Centavos,
) -> Result<NewCharge, DonationError> {
    let (id, now) = (ChargeId(change.new_id()), change.now());
    let key = organizadoras::pix_key(change.db(), target.organizadora_id, now).await?;
    let charge = gateway.charge(&ChargeRequest { id, amount, receiver: key.as_ref().map(|key| &key.receiver), cnpj: &target.cnpj })?;
    Ok(NewCharge {
        id,
        doacao_id: donation_id,
        provedor: gateway.provider(),
        txid: charge.txid,
        valor: amount,
        br_code: charge.br_code,
        expira_em: now + gateway.lifetime(),
    })
}

/// The hash a donor is counted by: of the address, or of the donation itself where nobody said who gives.
pub fn donor_key(keys: &KeyRing, email: Option<&str>, donation_id: DonationId) -> [u8; 32] {
    email.map_or_else(|| sha256(donation_id.0.as_bytes()), |email| keys.stable_hash(email.to_lowercase().as_bytes()))
}

/// The capability token of a guest's donation.
pub fn guest_token(keys: &KeyRing, donation_id: Uuid) -> String {
    keys.token(token_message(donation_id).as_bytes())
}

/// Whether `token` is the capability token of a guest's donation.
pub fn guest_token_matches(keys: &KeyRing, token: &str, donation_id: Uuid) -> bool {
    keys.verify_token(token, token_message(donation_id).as_bytes())
}

fn token_message(donation_id: Uuid) -> String {
    format!("doacao/{donation_id}")
}

/// Why a donor's wish was refused.
#[derive(Debug, thiserror::Error)]
pub enum DonorError {
    /// There is no such donation, or it is somebody else's.
    #[error("no such donation")]
    NotFound,
    /// It was changed by somebody else.
    #[error("the donation has another version")]
    Stale,
    /// Not legal in this state.
    #[error("not legal in state {0:?}")]
    Transition(DonationStatus),
    /// It has as many charges as it may have.
    #[error("too many charges")]
    TooManyCharges,
    /// The new charge was refused.
    #[error(transparent)]
    Create(#[from] DonationError),
    /// The provider cannot keep the donor as hidden as asked, with the reason for the donor.
    #[error("the provider refuses the visibility")]
    Visibility(&'static str),
    /// The stored amount of the donation is outside the bounds of [`Centavos`], so no further charge can be made.
    #[error("the donation has an amount that no charge can have")]
    Amount(#[source] AmountError),
    /// The idempotency key cannot be used; nothing was changed.
    #[error(transparent)]
    Idempotency(#[from] IdempotencyError),
    /// A statement failed; nothing was changed, unless the connection broke during COMMIT.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives up a donation that was not paid yet.
pub async fn cancel(core: &Core, id: DonationId, actor: Actor) -> Result<Donation, DonorError> {
    let mut change = Change::begin(core, actor).await?;
    let now = change.now();
    let donation = store::lock(change.db(), id).await?.ok_or(DonorError::NotFound)?;
    let to = donation.situacao.next(DonationEvent::Cancel).ok_or(DonorError::Transition(donation.situacao))?;
    let actor = actor.to_string();
    let step = DonationStep { id, from: donation.situacao, to, actor: &actor, reason: None, settled: None, refunded: None };
    store::advance(change.db(), &step, now).await?.ok_or(DonorError::Transition(donation.situacao))?;
    charges::cancel_open(change.db(), id).await?;
    let cancelled = store::get(change.db(), id).await?.ok_or(DonorError::NotFound)?;
    change.commit().await?;
    core.metrics.donations(to, 1);
    Ok(cancelled)
}

/// Makes a further charge for a donation that was not paid yet, once per key; the time to pay starts again.
pub async fn second_charge(core: Arc<Core>, donation: Donation, actor: Actor, attempt: Attempt) -> Result<Outcome<Charge>, DonorError> {
    let change = Change::begin(&core, actor).await?;
    let scope = Scope { owner: donor_owner(&donation), route: "POST /doacoes/{id}/pagamentos", key: attempt.key };
    idempotency::run(change, &scope, &attempt, |change| Box::pin(charge_again(change, donation.id))).await
}

async fn charge_again(change: &mut Change<'_>, id: DonationId) -> Result<Charge, DonorError> {
    let now = change.now();
    let donation = store::lock(change.db(), id).await?.ok_or(DonorError::NotFound)?;
    if donation.situacao != DonationStatus::AwaitingPayment {
        return Err(DonorError::Transition(donation.situacao));
    }
    if charges::of_donations(change.db(), &[id]).await?.len() >= MAX_CHARGES {
        return Err(DonorError::TooManyCharges);
    }
    let target = campaigns::donation_target(change.db(), &donation.campanha_slug).await?.ok_or(DonorError::NotFound)?;
    if !is_open(&target, now) {
        return Err(DonationError::Closed.into());
    }
    let gateway = change.core().gateways.get(Some(donation.provedor)).ok_or(DonationError::Provider)?;
    let amount = Centavos::try_from(donation.valor_centavos).map_err(DonorError::Amount)?;
    let payment = charge(change, gateway, &target, id, amount).await?;
    charges::insert(change.db(), &payment, now).await?;
    store::extend(change.db(), id, payment.expira_em, now).await?;
    Ok(payment.stored(now))
}

/// Changes a donation where `version` is still the current one.
pub async fn update(core: &Core, donation: &Donation, version: i32, changes: &DonorChanges, actor: Actor) -> Result<Donation, DonorError> {
    if let Some(visibilidade) = changes.visibilidade {
        let gateway = core.gateways.get(Some(donation.provedor)).ok_or(DonationError::Provider)?;
        if let Some(reason) = gateway.refuses(visibilidade) {
            return Err(DonorError::Visibility(reason));
        }
    }
    let mut change = Change::begin(core, actor).await?;
    let now = change.now();
    if !store::update(change.db(), donation.id, version, changes, now).await? {
        return Err(DonorError::Stale);
    }
    let changed = store::get(change.db(), donation.id).await?.ok_or(DonorError::NotFound)?;
    change.invalidate([Tag::feed(&changed.campanha_slug)]);
    change.commit().await?;
    Ok(changed)
}

/// The owner of the idempotency keys that a donor uses on an existing donation: the person, or else the donation itself.
fn donor_owner(donation: &Donation) -> String {
    donation.pessoa_id.map_or_else(|| format!("doacao:{}", donation.id), person_owner)
}

fn person_owner(person_id: PersonId) -> String {
    format!("pessoa:{person_id}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::store::charges::PaymentStatus;
    use time::macros::datetime;

    fn donated() -> Donated {
        let at = datetime!(2026-11-24 10:30:00.123456 UTC);
        let (donation_id, charge_id) = (DonationId(Uuid::from_u128(1)), ChargeId(Uuid::from_u128(2)));
        Donated {
            doacao: Donation {
                id: donation_id,
                campanha_id: CampaignId(Uuid::from_u128(3)),
                campanha_slug: "agasalho".to_owned(),
                campanha_titulo: "Campanha do “agasalho”".to_owned(),
                organizadora_id: crate::domain::ids::OrganizadoraId(Uuid::from_u128(4)),
                pessoa_id: None,
                nome_exibicao: Some("Ana\n😀".to_owned()),
                email_contato: None,
                valor_centavos: 5_000,
                recebido_centavos: 0,
                devolvido_centavos: 0,
                visibilidade: Visibility::Anonymous,
                oculta_valor: true,
                mensagem: None,
                provedor: Provider::StaticPix,
                situacao: DonationStatus::AwaitingPayment,
                expira_em: at,
                confirmada_em: Some(at),
                versao: 1,
                criada_em: datetime!(2026-11-24 10:30 UTC),
            },
            cobranca: Charge {
                id: charge_id,
                doacao_id: donation_id,
                provedor: Provider::StaticPix,
                txid: "TX".to_owned(),
                valor_centavos: 5_000,
                br_code: "000201".to_owned(),
                situacao: PaymentStatus::Pending,
                expira_em: at,
                criado_em: at,
            },
        }
    }

    #[test]
    fn a_kept_donation_reads_back_whole() {
        let donated = donated();
        let kept = serde_json::to_vec(&donated).unwrap();
        assert_eq!(serde_json::from_slice::<Donated>(&kept).unwrap(), donated);
    }

    /// Earlier releases kept the HTTP answer instead of the result. Such a row must not be read as a result.
    #[test]
    fn the_kept_answer_of_an_earlier_build_is_no_result() {
        let kept = r#"{"subject":"00000000-0000-0000-0000-000000000001","location":"/api/v1/doacoes/1","body":"{}"}"#;
        assert!(serde_json::from_str::<Donated>(kept).is_err());
        assert!(serde_json::from_str::<Charge>(kept).is_err());
    }
}

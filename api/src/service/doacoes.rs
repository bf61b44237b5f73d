//! Making a donation, and what its donor may do with it.

use std::net::IpAddr;
use std::sync::Arc;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Actor;
use super::drops::Drops;
use super::once::{self, Answer, Attempt, OnceError};
use crate::cache::Tag;
use crate::domain::campanha::CampaignStatus;
use crate::domain::doacao::{DonationEvent, DonationStatus, Visibility};
use crate::domain::email::Email;
use crate::domain::ids::{CampanhaId, DoacaoId, PagamentoId, PessoaId};
use crate::domain::money::Centavos;
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::provider::Provider;
use crate::domain::text::{DisplayName, Message};
use crate::gateway::{ChargeError, ChargeRequest, PaymentGateway};
use crate::keys::{KeyRing, sha256};
use crate::state::Core;
use crate::store::campanhas::DonationTarget;
use crate::store::doacoes::{self as store, Doacao, NewDonation, Step};
use crate::store::idempotency::Scope;
use crate::store::pagamentos::{self, NewPayment, Pagamento};
use crate::store::{StoreError, campanhas, commit, conclude, organizadoras, pessoas};

/// A donation has at most this many charges.
const MAX_CHARGES: usize = 5;

/// What somebody wants to give.
#[derive(Clone, Debug)]
pub struct Order {
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

/// Who gives.
#[derive(Clone, Copy, Debug)]
pub enum Giver {
    /// A person with an account.
    Pessoa(PessoaId),
    /// Somebody without one.
    Guest {
        /// SHA-256 of the device's id, where the device named one.
        device: Option<[u8; 32]>,
    },
}

impl Giver {
    /// The person, where it is one.
    pub const fn pessoa(self) -> Option<PessoaId> {
        match self {
            Self::Pessoa(pessoa) => Some(pessoa),
            Self::Guest { .. } => None,
        }
    }

    /// The owner of the idempotency keys that make donations to `campanha`. A guest's key is the device's own where it names one; else
    /// all guests of a campaign who name none share theirs.
    fn key_owner(self, campanha: CampanhaId) -> String {
        match self {
            Self::Pessoa(pessoa) => person_owner(pessoa),
            Self::Guest { device: None } => format!("campanha:{campanha}"),
            Self::Guest { device: Some(hash) } => format!("campanha:{campanha} dispositivo:{}", hex::encode(hash)),
        }
    }
}

/// Writes the JSON answer of a donation with its charges.
pub type Render = fn(&Doacao, &[Pagamento]) -> String;

/// Why there is no donation.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
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
    /// The idempotency key cannot be used.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a donation with its first charge, once per key; the answer, and whether it is new. Updates no row that another donation
/// touches.
pub async fn create(
    core: Arc<Core>,
    slug: String,
    giver: Giver,
    order: Order,
    attempt: Attempt,
    ip: IpAddr,
    render: Render,
) -> Result<(Answer, bool), CreateError> {
    let mut tx = core.db.begin().await?;
    let made = create_once(&core, &mut tx, &slug, giver, order, &attempt, ip, render).await;
    let (answer, fresh) = conclude(tx, made).await?;
    core.metrics.donations(DonationStatus::AguardandoPagamento, usize::from(fresh));
    Ok((answer, fresh))
}

/// The answer that a donation made with this key and body got, if it was made. Two look-ups by key, no transaction, no lock.
pub async fn answered(core: &Core, slug: &str, giver: Giver, attempt: &Attempt) -> Result<Option<Answer>, CreateError> {
    let mut db = core.db.connection().await?;
    let Some(target) = public_target(&mut db, slug).await? else { return Ok(None) };
    match once::kept(core, &mut db, &creation(giver, target.id, attempt), attempt).await {
        // Another body is no repetition.
        Err(OnceError::Reused) => Ok(None),
        kept => Ok(kept?),
    }
}

/// Where the answer to making a donation is kept.
fn creation(giver: Giver, campanha: CampanhaId, attempt: &Attempt) -> Scope {
    Scope { owner: giver.key_owner(campanha), route: "POST /campanhas/{slug}/doacoes", key: attempt.key }
}

async fn public_target(db: &mut PgConnection, slug: &str) -> Result<Option<DonationTarget>, StoreError> {
    Ok(campanhas::donation_target(db, slug).await?.filter(DonationTarget::is_public))
}

#[expect(clippy::too_many_arguments, reason = "the request's parts, each of a type of its own")]
pub(super) async fn create_once(
    core: &Core,
    db: &mut PgConnection,
    slug: &str,
    giver: Giver,
    order: Order,
    attempt: &Attempt,
    ip: IpAddr,
    render: Render,
) -> Result<(Answer, bool), CreateError> {
    let now = core.clock.now();
    let target = public_target(db, slug).await?.ok_or(CreateError::NotFound)?;
    let donor = giver.pessoa();
    let scope = creation(giver, target.id, attempt);
    if let Some(answer) = once::claim(core, db, &scope, attempt).await? {
        return Ok((answer, false));
    }
    let gateway = core.gateways.get(order.provedor).ok_or(CreateError::Provider)?;
    check(&target, &order, gateway, now)?;
    let email = match (&order.email, donor) {
        (Some(email), _) => Some(email.as_str().to_owned()),
        (None, Some(pessoa)) => pessoas::address(db, pessoa).await?.map(|(_, email)| email),
        (None, None) => None,
    };
    let id = DoacaoId(core.clock.new_id());
    let payment = charge(core, db, gateway, &target, id, order.valor, now).await?;
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
    let actor = donor.map_or(Actor::Guest, Actor::Pessoa).to_string();
    let made = store::insert(db, &new, &payment, (core.clock.new_id(), ip), &actor, now).await?;
    let answer = Answer { subject: id.0, location: Some(format!("/api/v1/doacoes/{id}")), body: render(&made, &[payment.stored(now)]) };
    once::keep(core, db, &scope, attempt, &answer).await?;
    Ok((answer, true))
}

fn check(target: &DonationTarget, order: &Order, gateway: &dyn PaymentGateway, now: OffsetDateTime) -> Result<(), CreateError> {
    if !is_open(target, now) {
        return Err(CreateError::Closed);
    }
    if !(target.minimo_centavos..=target.maximo_centavos).contains(&order.valor.get()) {
        return Err(CreateError::Limits { minimo: target.minimo_centavos, maximo: target.maximo_centavos });
    }
    gateway.refuses(order.visibilidade).map_or(Ok(()), |reason| Err(CreateError::Visibility(reason)))
}

/// Whether the campaign takes money at `now`.
fn is_open(target: &DonationTarget, now: OffsetDateTime) -> bool {
    target.situacao == CampaignStatus::Publicada
        && target.organizadora_situacao == OrganizadoraStatus::Verificada
        && target.inicio_em.is_none_or(|start| start <= now)
        && target.fim_em.is_none_or(|end| now < end)
}

/// A charge of `amount` for a donation, still to be stored.
async fn charge(
    core: &Core,
    db: &mut PgConnection,
    gateway: &dyn PaymentGateway,
    target: &DonationTarget,
    doacao: DoacaoId,
    amount: Centavos,
    now: OffsetDateTime,
) -> Result<NewPayment, CreateError> {
    let id = PagamentoId(core.clock.new_id());
    let key = organizadoras::pix_key(db, target.organizadora_id, now).await?;
    let charge = gateway.charge(&ChargeRequest { id, amount, receiver: key.as_ref().map(|key| &key.receiver), cnpj: &target.cnpj })?;
    Ok(NewPayment {
        id,
        doacao_id: doacao,
        provedor: gateway.provider(),
        txid: charge.txid,
        valor: amount,
        br_code: charge.br_code,
        expira_em: now + gateway.lifetime(),
    })
}

/// The hash a donor is counted by: of the address, or of the donation itself where nobody said who gives.
pub fn donor_key(keys: &KeyRing, email: Option<&str>, doacao: DoacaoId) -> [u8; 32] {
    email.map_or_else(|| sha256(doacao.0.as_bytes()), |email| keys.stable_hash(email.to_lowercase().as_bytes()))
}

/// The capability token of a guest's donation.
pub fn guest_token(keys: &KeyRing, doacao: Uuid) -> String {
    keys.token(token_message(doacao).as_bytes())
}

/// Whether `token` is the capability token of a guest's donation.
pub fn guest_token_matches(keys: &KeyRing, token: &str, doacao: Uuid) -> bool {
    keys.verify_token(token, token_message(doacao).as_bytes())
}

fn token_message(doacao: Uuid) -> String {
    format!("doacao/{doacao}")
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
    Create(#[from] CreateError),
    /// The provider cannot keep the donor as hidden as asked, with the reason for the donor.
    #[error("the provider refuses the visibility")]
    Visibility(&'static str),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives up a donation that was not paid yet.
pub async fn cancel(core: &Core, id: DoacaoId, actor: Actor) -> Result<Doacao, DonorError> {
    let now = core.clock.now();
    let mut tx = core.db.begin().await?;
    let donation = store::lock(&mut tx, id).await?.ok_or(DonorError::NotFound)?;
    let to = donation.situacao.next(DonationEvent::Cancel).ok_or(DonorError::Transition(donation.situacao))?;
    let actor = actor.to_string();
    let step = Step { id, from: donation.situacao, to, actor: &actor, reason: None, settled: None, refunded: None };
    store::advance(&mut tx, &step, now).await?.ok_or(DonorError::Transition(donation.situacao))?;
    pagamentos::cancel_open(&mut tx, id).await?;
    let cancelled = store::get(&mut tx, id).await?.ok_or(DonorError::NotFound)?;
    commit(tx).await?;
    core.metrics.donations(to, 1);
    Ok(cancelled)
}

/// Makes a further charge for a donation that was not paid yet, once per key; the time to pay starts again.
pub async fn second_charge(
    core: Arc<Core>,
    id: DoacaoId,
    attempt: Attempt,
    owner: String,
    render: fn(&Pagamento) -> String,
) -> Result<Answer, DonorError> {
    let mut tx = core.db.begin().await?;
    let charged = charge_once(&core, &mut tx, id, &attempt, owner, render).await;
    conclude(tx, charged).await
}

async fn charge_once(
    core: &Core,
    db: &mut PgConnection,
    id: DoacaoId,
    attempt: &Attempt,
    owner: String,
    render: fn(&Pagamento) -> String,
) -> Result<Answer, DonorError> {
    let now = core.clock.now();
    let scope = Scope { owner, route: "POST /doacoes/{id}/pagamentos", key: attempt.key };
    if let Some(answer) = once::claim(core, db, &scope, attempt).await.map_err(CreateError::from)? {
        return Ok(answer);
    }
    let donation = store::lock(db, id).await?.ok_or(DonorError::NotFound)?;
    if donation.situacao != DonationStatus::AguardandoPagamento {
        return Err(DonorError::Transition(donation.situacao));
    }
    if pagamentos::of_donations(db, &[id]).await?.len() >= MAX_CHARGES {
        return Err(DonorError::TooManyCharges);
    }
    let target = campanhas::donation_target(db, &donation.campanha_slug).await?.ok_or(DonorError::NotFound)?;
    if !is_open(&target, now) {
        return Err(CreateError::Closed.into());
    }
    let gateway = core.gateways.get(Some(donation.provedor)).ok_or(CreateError::Provider)?;
    let amount = Centavos::try_from(donation.valor_centavos).map_err(|_| StoreError::from(sqlx::Error::RowNotFound))?;
    let payment = charge(core, db, gateway, &target, id, amount, now).await?;
    pagamentos::insert(db, &payment, now).await?;
    store::extend(db, id, payment.expira_em, now).await?;
    let answer = Answer { subject: id.0, location: Some(format!("/api/v1/doacoes/{id}")), body: render(&payment.stored(now)) };
    once::keep(core, db, &scope, attempt, &answer).await.map_err(CreateError::from)?;
    Ok(answer)
}

/// What a donor may change of a donation; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct DonorChanges {
    /// Who sees the donor.
    pub visibilidade: Option<Visibility>,
    /// Whether the feed hides the amount.
    pub oculta_valor: Option<bool>,
    /// The message; can be taken away.
    pub mensagem: Option<Option<Message>>,
}

/// Changes a donation where `version` is still the current one.
pub async fn update(core: &Core, donation: &Doacao, version: i32, changes: &DonorChanges) -> Result<Doacao, DonorError> {
    if let Some(visibilidade) = changes.visibilidade {
        let gateway = core.gateways.get(Some(donation.provedor)).ok_or(CreateError::Provider)?;
        if let Some(reason) = gateway.refuses(visibilidade) {
            return Err(DonorError::Visibility(reason));
        }
    }
    let mut tx = core.db.begin().await?;
    let message = changes.mensagem.as_ref().map(Option::as_ref);
    if !store::update(&mut tx, donation.id, version, changes.visibilidade, changes.oculta_valor, message, core.clock.now()).await? {
        return Err(DonorError::Stale);
    }
    let changed = store::get(&mut tx, donation.id).await?.ok_or(DonorError::NotFound)?;
    let drops = Drops::announce(&mut tx, vec![Tag::feed(&changed.campanha_slug)], core.clock.now()).await?;
    commit(tx).await?;
    drops.carry_out(core).await;
    Ok(changed)
}

/// The owner of the idempotency keys that a donor uses on an existing donation.
pub fn donor_scope(donation: &Doacao) -> String {
    donation.pessoa_id.map_or_else(|| format!("doacao:{}", donation.id), person_owner)
}

fn person_owner(pessoa: PessoaId) -> String {
    format!("pessoa:{pessoa}")
}

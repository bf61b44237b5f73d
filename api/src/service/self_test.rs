//! Makes a donation, from sign-up to confirmation, in one transaction and rolls it back. This tests that every statement works with
//! the rights of this role, through this pooler and on this schema.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};

use uuid::Uuid;

use super::change::Change;
use super::idempotency::{Attempt, Outcome};
use super::{Actor, donations, settle};
use crate::cache::Tag;
use crate::config::keys::{random_hex, sha256};
use crate::domain::br_code::{City, ReceiverName};
use crate::domain::campaign::{CampaignStatus, Category};
use crate::domain::cnpj::{Cnpj, CnpjError};
use crate::domain::donation::{DonationStatus, Evidence, Visibility};
use crate::domain::email::Email;
use crate::domain::ids::{CampaignId, DonationId, OrganizadoraId, PersonId};
use crate::domain::money::Centavos;
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::pix_key::{PixKey, PixKeyType};
use crate::domain::role::Role;
use crate::domain::slug::Slug;
use crate::domain::text::{Description, DisplayName, Message, Name, Title};
use crate::domain::text_enum::texts;
use crate::service::donations::{Donated, DonationOrder, Giver, Sender};
use crate::service::settle::Proof;
use crate::state::{Core, PRIVACY_NOTICE};
use crate::store::access_log::{self, Access};
use crate::store::campaigns::{self, CampaignRow, NewCampaign};
use crate::store::organizadoras::{self, NewPixKey, OrganizadoraRow};
use crate::store::people::{self, NewSignUp};
use crate::store::{charges, check_deferred, ledger, members, totals};

/// The steps of the self-test, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTestStep {
    /// Reaching the database.
    Connection,
    /// Somebody signs up.
    Account,
    /// They make an organizadora with a PIX key.
    Organizadora,
    /// They publish a campaign of it.
    Campaign,
    /// A guest donates.
    Donation,
    /// The guest sends the same request again.
    Repetition,
    /// The payment arrives.
    Confirmation,
    /// The constraints that are otherwise checked at COMMIT hold.
    Balance,
    /// The totals are read.
    Totals,
    /// All of it is undone.
    Rollback,
}

texts!(SelfTestStep {
    Connection = "the connection to the database",
    Account = "the account",
    Organizadora = "the organizadora",
    Campaign = "the campaign",
    Donation = "the donation",
    Repetition = "the repeated request",
    Confirmation = "the confirmation",
    Balance = "the balance of the ledger",
    Totals = "the totals",
    Rollback = "the rollback",
});

/// Why a donation would not work here.
#[derive(Debug, thiserror::Error)]
#[error("the self-test of a donation failed at {}", step.as_str())]
pub struct SelfTestError {
    /// The step that failed.
    pub step: SelfTestStep,
    source: Box<dyn Error + Send + Sync>,
}

/// A statement succeeded, but its answer was not the one that the self-test expects.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unexpected(&'static str);

trait At<T> {
    fn at(self, step: SelfTestStep) -> Result<T, SelfTestError>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> At<T> for Result<T, E> {
    fn at(self, step: SelfTestStep) -> Result<T, SelfTestError> {
        self.map_err(|source| SelfTestError { step, source: source.into() })
    }
}

fn holds(what: bool, otherwise: &'static str) -> Result<(), Unexpected> {
    if what { Ok(()) } else { Err(Unexpected(otherwise)) }
}

/// Runs every step once and rolls back. What remains are gaps in the sequences of row numbers, which nobody is shown.
pub async fn run(core: &Core) -> Result<(), SelfTestError> {
    let mut change = Change::begin_in_background(core, Actor::Guest).await.at(SelfTestStep::Connection)?;
    let donated = donate(&mut change).await;
    let undone = change.roll_back().await.at(SelfTestStep::Rollback);
    donated.and(undone)
}

async fn donate(change: &mut Change<'_>) -> Result<(), SelfTestError> {
    // Each run has its own id: two processes that test at once must not wait for each other's unique rows.
    let id = change.new_id();
    let slug = Slug::parse(&format!("ensaio-{}", id.simple())).at(SelfTestStep::Connection)?;
    let owner = sign_up(change, id).await.at(SelfTestStep::Account)?;
    change.act_as(Actor::Person(owner));
    let organizadora = organise(change, &slug, owner).await.at(SelfTestStep::Organizadora)?;
    publish(change, &slug, organizadora).await.at(SelfTestStep::Campaign)?;
    change.act_as(Actor::Guest);
    let donation = give(change, &slug).await?;
    change.act_as(Actor::Psp);
    confirm(change, donation).await.at(SelfTestStep::Confirmation)?;
    check_deferred(change.db()).await.at(SelfTestStep::Balance)?;
    let read = totals::get_public(change.db(), slug.as_str()).await.at(SelfTestStep::Totals)?;
    holds(read.is_some_and(|totals| totals.seq == 0), "the campaign has no totals").at(SelfTestStep::Totals)
}

type Attempted<T> = Result<T, Box<dyn Error + Send + Sync>>;

async fn sign_up(change: &mut Change<'_>, id: Uuid) -> Attempted<PersonId> {
    let (now, access) = (change.now(), change.new_id());
    let token_hash = sha256(random_hex().as_bytes());
    let new = NewSignUp {
        token_hash,
        pessoa_id: PersonId(id),
        nome: Name::parse("Ensaio")?,
        email: Email::parse(&format!("ensaio-{}@doacoes.invalid", id.simple()))?,
        // No password hashes to this.
        senha_hash: "-".to_owned(),
        aviso_privacidade: PRIVACY_NOTICE.to_owned(),
    };
    people::insert_sign_up(change.db(), &new, now, now + time::Duration::MINUTE).await?;
    let person_id = people::complete_sign_up(change.db(), &token_hash, now).await?.ok_or(Unexpected("the sign-up made nobody"))?;
    access_log::record(change.db(), access, SELF_TEST_ADDRESS, Access::SignUp(person_id), now).await?;
    Ok(person_id)
}

/// The address that is recorded for the donor and the organizer.
const SELF_TEST_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn organise(change: &mut Change<'_>, slug: &Slug, owner: PersonId) -> Attempted<OrganizadoraId> {
    let (id, now) = (OrganizadoraId(change.new_id()), change.now());
    let cnpj = cnpj()?;
    let nome = Name::parse("Ensaio")?;
    let row = OrganizadoraRow { id, slug, nome: &nome, cnpj: &cnpj, situacao: OrganizadoraStatus::Verified };
    organizadoras::insert(change.db(), &row, now).await?;
    ledger::open_organizadora(change.db(), id).await?;
    members::insert(change.db(), id, owner, Role::Owner, now).await?;
    let key = PixKey::parse(PixKeyType::Cnpj, cnpj.as_str())?;
    let (receiver, city) = (ReceiverName::parse("Ensaio")?, City::parse("Brasilia")?);
    let row = NewPixKey {
        id: change.new_id(),
        organizadora_id: id,
        key: &key,
        nome_recebedor: receiver.as_str(),
        cidade: city.as_str(),
        criada_por: owner,
        vigora_em: now,
    };
    organizadoras::insert_pix_key(change.db(), &row, now).await?;
    change.audit("organizadora.criada", id, serde_json::json!({})).await?;
    Ok(id)
}

/// A random CNPJ with valid check digits, so that no two runs use the same.
fn cnpj() -> Result<Cnpj, CnpjError> {
    Cnpj::with_check_digits(random_hex().get(..12).unwrap_or_default())
}

async fn publish(change: &mut Change<'_>, slug: &Slug, organizadora: OrganizadoraId) -> Attempted<()> {
    let (id, now) = (CampaignId(change.new_id()), change.now());
    let new = NewCampaign {
        titulo: Title::parse("Ensaio")?,
        descricao: Description::parse("Uma doação de ensaio, que é desfeita.")?,
        categoria: Category::Others,
        meta: None,
        minimo: SELF_TEST_CENTAVOS.try_into()?,
        maximo: SELF_TEST_CENTAVOS.try_into()?,
        inicio_em: None,
        fim_em: None,
        mostra_valores: true,
    };
    let row = CampaignRow { id, organizadora_id: organizadora, slug, campaign: &new };
    holds(campaigns::insert(change.db(), &row, now).await?, "the campaign's name is taken")?;
    ledger::open_campaign(change.db(), id).await?;
    let published = campaigns::advance(change.db(), id, CampaignStatus::Draft, CampaignStatus::Published, now).await?;
    holds(published, "the campaign cannot be published")?;
    // Written to the outbox to test that; nothing is dropped, since nobody has seen what is about to be rolled back.
    change.invalidate([Tag::campaign(slug.as_str())]);
    let _ = change.announce().await?;
    Ok(())
}

/// The amount of the donation, in centavos.
const SELF_TEST_CENTAVOS: i64 = 100;

/// Makes a guest's donation and sends the same request once more, which must give the same result.
async fn give(change: &mut Change<'_>, slug: &Slug) -> Result<DonationId, SelfTestError> {
    let attempt = Attempt { key: change.new_id(), fingerprint: sha256(slug.as_str().as_bytes()) };
    let Outcome::New(first) = give_once(change, slug, &attempt).await.at(SelfTestStep::Donation)? else {
        return Err(Unexpected("the donation is not new")).at(SelfTestStep::Donation);
    };
    let again = give_once(change, slug, &attempt).await.at(SelfTestStep::Repetition)?;
    let id = first.doacao.id;
    holds(again == Outcome::Repeated(first), "the request made a second donation").at(SelfTestStep::Repetition)?;
    Ok(id)
}

async fn give_once(change: &mut Change<'_>, slug: &Slug, attempt: &Attempt) -> Attempted<Outcome<Donated>> {
    let order = DonationOrder {
        valor: SELF_TEST_CENTAVOS.try_into()?,
        nome_exibicao: Some(DisplayName::parse("Ensaio")?),
        email: Some(Email::parse("ensaio@doacoes.invalid")?),
        visibilidade: Visibility::Public,
        oculta_valor: false,
        mensagem: Some(Message::parse("Ensaio")?),
        provedor: None,
    };
    let sender = Sender { giver: Giver::Guest { device: None }, ip: SELF_TEST_ADDRESS };
    Ok(donations::create_within(change, slug.as_str(), sender, order, attempt).await?)
}

async fn confirm(change: &mut Change<'_>, donation: DonationId) -> Attempted<()> {
    let payment = charges::newest_of(change.db(), donation).await?.ok_or(Unexpected("the donation has no charge"))?;
    let proof = Proof {
        valor: Centavos::try_from(SELF_TEST_CENTAVOS)?,
        horario: change.now(),
        e2eid: None,
        evidencia: Evidence::Psp,
        justificativa: None,
        registrado_por: None,
    };
    let settled = settle::settle(change, payment, &proof).await?;
    Ok(holds(settled.fresh && settled.donation.situacao == DonationStatus::Confirmed, "the donation is not confirmed")?)
}

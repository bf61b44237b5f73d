//! `/doacoes/{id}/pix`: paying, and what a donor may do while it is not paid.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::form::see_other;
use crate::domain::br_code::BrCode;
use crate::domain::donation::DonationStatus;
use crate::domain::ids::client_uuid;
use crate::domain::money::Centavos;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::provider::Provider;
use crate::domain::qr;
use crate::domain::slug::Slug;
use crate::domain::txid::Txid;
use crate::http::campaigns::CampaignBody;
use crate::http::campaigns::get::PublicCampaign;
use crate::http::donations::get::view;
use crate::http::donations::{ChargeBody, DonationBody};
use crate::http::extract::conditional::{etag, not_modified_or};
use crate::http::extract::donor::Donor;
use crate::http::extract::idempotency::IdempotencyKey;
use crate::http::layers::ToldOnPage;
use crate::http::organizadoras::OrganizadoraBody;
use crate::http::organizadoras::get::PublicOrganizadora;
use crate::http::problem::{Code, Problem};
use crate::http::simulated::pay;
use crate::service::donations;
use crate::state::AppState;
use crate::web::form::Form;
use crate::web::format::{self, Moment};
use crate::web::language::Language;
use crate::web::page::{self, Here, Shell};
use crate::web::public::organizadora::Organizer;

#[derive(Template)]
#[template(path = "donate/pix.html", whitespace = "minimize")]
struct PixPage {
    shell: Shell,
    stage: PixStage,
    /// The donation's state, as the API names it.
    status: &'static str,
    heading: &'static str,
    label: &'static str,
    /// What keeps the donor's wish from being done.
    notice: Option<&'static str>,
    amount: String,
    campaign: String,
    /// The paths of the campaign's page, of the donation's pages and of a form for another donation, without the language's prefix.
    campaign_path: String,
    path: String,
    again: String,
    /// The text to copy.
    code: String,
    qr: Qr,
    /// As the bank shows it.
    receiver: String,
    cnpj: Option<String>,
    until: Moment,
    /// The key of a further charge.
    key: Uuid,
    /// Whether the donor asked whether the money came.
    asked: bool,
    /// Whether the page asks again by itself, without a script.
    by_itself: bool,
    simulates: bool,
}

/// A picture of a BR Code, which this process drew.
struct Qr(String);

impl fmt::Display for Qr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// It is a drawing that holds no text of anybody's.
impl HtmlSafe for Qr {}

/// How far a donation that is not paid is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PixStage {
    /// Its newest charge can be paid.
    Payable,
    /// The charge's time is over, but it can have another one.
    Overdue,
    /// Its time is over.
    Over,
    /// The donor gave it up.
    Cancelled,
}

impl PixStage {
    /// `None` for a donation that was paid.
    fn of(status: DonationStatus, charge_until: OffsetDateTime, now: OffsetDateTime) -> Option<Self> {
        match status {
            DonationStatus::AwaitingPayment if charge_until <= now => Some(Self::Overdue),
            DonationStatus::Created | DonationStatus::AwaitingPayment | DonationStatus::InReview => Some(Self::Payable),
            DonationStatus::Expired | DonationStatus::Failed => Some(Self::Over),
            DonationStatus::Cancelled => Some(Self::Cancelled),
            DonationStatus::Confirmed
            | DonationStatus::PartlyRefunded
            | DonationStatus::Refunded
            | DonationStatus::Contested
            | DonationStatus::Reversed => None,
        }
    }

    pub(crate) fn is_payable(self) -> bool {
        self == Self::Payable
    }
}

/// What the page is shown for.
#[derive(Clone, Copy, Default)]
struct Occasion {
    asked: bool,
    by_itself: bool,
    notice: Option<&'static str>,
}

/// The page; a donation that was paid is thanked for instead.
pub(crate) async fn get(State(state): State<AppState>, donor: Donor, RawQuery(query): RawQuery, here: Here) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let has = |wanted: &str| form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == wanted && value == "1");
    let occasion = Occasion { asked: has("verificar"), by_itself: has("auto"), notice: None };
    match pix_page(&state, &donor, here.language, occasion).await? {
        Some(page) => page::private(StatusCode::OK, &page),
        None => Ok(see_other(here.language, &path_of(&donor))),
    }
}

/// The path of the donation's page, without the language's prefix.
fn path_of(donor: &Donor) -> String {
    format!("/doacoes/{}", donor.donation.id)
}

async fn pix_page(state: &AppState, donor: &Donor, language: Language, occasion: Occasion) -> Result<Option<PixPage>, Problem> {
    let donation = view(state, donor).await?;
    let charge = newest(&donation)?;
    let Some(stage) = PixStage::of(donation.situacao, charge.expira_em, state.clock.now()) else { return Ok(None) };
    let t = &language.texts().pix;
    let (heading, label) = match stage {
        PixStage::Payable => (t.heading, t.waiting),
        PixStage::Overdue | PixStage::Over => (t.expired_heading, t.expired),
        PixStage::Cancelled => (t.cancelled_heading, t.cancelled),
    };
    let path = path_of(donor);
    let amount = format::number(charge.valor_centavos, language);
    let code = BrCode::parse(&charge.pix_copia_e_cola).map_err(Problem::internal)?;
    Ok(Some(PixPage {
        shell: Shell::private(language, format!("{path}/pix"), (t.title)(&format::reais(charge.valor_centavos, language))),
        stage,
        status: donation.situacao.as_str(),
        heading,
        label,
        notice: occasion.notice,
        amount,
        campaign_path: format!("/campanhas/{}", donation.campanha.slug),
        again: format!("/doar/{}?valor={}", donation.campanha.slug, donation.valor_centavos),
        path,
        qr: Qr(qr::svg(&charge.pix_copia_e_cola).map_err(Problem::internal)?),
        receiver: code.receiver_name().to_owned(),
        cnpj: organizer(state, &donation.campanha.slug).await?.map(|organizer| organizer.cnpj),
        until: Moment::of(charge.expira_em, language),
        key: Uuid::new_v4(),
        asked: occasion.asked,
        by_itself: occasion.by_itself,
        simulates: charge.provedor == Provider::Simulated,
        code: charge.pix_copia_e_cola.clone(),
        campaign: donation.campanha.titulo,
    }))
}

fn newest(donation: &DonationBody) -> Result<&ChargeBody, Problem> {
    donation.pagamento.as_ref().ok_or_else(|| Problem::internal(WithoutCharge))
}

/// A donation has a charge from its first moment.
#[derive(Debug, thiserror::Error)]
#[error("a donation has no charge")]
struct WithoutCharge;

/// Who gets the money of campaign `slug`, while the public may see both.
pub(super) async fn organizer(state: &AppState, slug: &str) -> Result<Option<Organizer>, Problem> {
    let slug = Slug::parse(slug).map_err(Problem::internal)?;
    let Some(campaign) = page::part::<CampaignBody, _>(state, PublicCampaign(slug)).await? else { return Ok(None) };
    let slug = Slug::parse(&campaign.value.organizadora.slug).map_err(Problem::internal)?;
    Ok(page::part::<OrganizadoraBody, _>(state, PublicOrganizadora(slug)).await?.map(|part| Organizer::new(part.value)))
}

/// `GET …/pix/situacao`: the state alone, which the page's script asks for every few seconds.
pub(crate) async fn status(donor: Donor, request: HeaderMap) -> Response {
    let body = Json(json!({"situacao": donor.donation.situacao}));
    not_modified_or(&request, etag(donor.donation.versao), body)
}

/// `GET …/pix/qr.svg`: the picture to keep or to show on another screen.
pub(crate) async fn picture(State(state): State<AppState>, donor: Donor) -> Result<Response, Problem> {
    let donation = view(&state, &donor).await?;
    let image = qr::svg(&newest(&donation)?.pix_copia_e_cola).map_err(Problem::internal)?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], image).into_response())
}

/// `POST …/pix/segunda-cobranca`: a further charge for the same donation.
pub(crate) async fn charge_again(State(state): State<AppState>, donor: Donor, here: Here, form: Form) -> Result<Response, Problem> {
    let id = donor.donation.id.to_string();
    let key = client_uuid(form.text("chave")).unwrap_or_else(Uuid::new_v4);
    let attempt = IdempotencyKey(key).attempt(&id, b"{}");
    let work = donations::second_charge(state.clone(), donor.donation.clone(), donor.actor, attempt);
    let made = state.shutdown.complete(work).await?.map(drop).map_err(Problem::from);
    after(&state, &donor, here.language, made).await
}

/// `POST …/pix/cancelar`: the donor gives up.
pub(crate) async fn cancel(State(state): State<AppState>, donor: Donor, here: Here) -> Result<Response, Problem> {
    let cancelled = donations::cancel(&state, donor.donation.id, donor.actor).await.map(drop).map_err(Problem::from);
    after(&state, &donor, here.language, cancelled).await
}

/// `POST …/pix/simular`, in development: the bank of the developer's machine pays. Pressed twice, it is one payment.
pub(crate) async fn simulate(State(state): State<AppState>, donor: Donor, here: Here) -> Result<Response, Problem> {
    let donation = view(&state, &donor).await?;
    let charge = newest(&donation)?;
    let txid = Txid::parse(&charge.txid).map_err(Problem::internal)?;
    let amount = Centavos::try_from(charge.valor_centavos).map_err(Problem::internal)?;
    let serial: String = charge.txid.chars().rev().take(11).collect();
    let e2eid = EndToEndId::parse(&format!("E{:020}{serial:0>11}", 0)).map_err(Problem::internal)?;
    let paid = pay::receive(&state, txid, amount, e2eid).await.map(drop);
    after(&state, &donor, here.language, paid).await
}

/// Back to the page, which shows what is now. What was refused because it is no longer so needs no words of its own there.
async fn after(state: &AppState, donor: &Donor, language: Language, done: Result<(), Problem>) -> Result<Response, Problem> {
    let t = language.texts();
    let problem = match done {
        Ok(()) => return Ok(see_other(language, &format!("{}/pix", path_of(donor)))),
        Err(problem) => problem,
    };
    let notice = match problem.code {
        Code::InvalidTransition | Code::KeyInFlight | Code::KeyReused => {
            return Ok(see_other(language, &format!("{}/pix", path_of(donor))));
        }
        Code::TooManyCharges => t.pix.too_many,
        Code::CampaignClosed => t.donate.closed,
        Code::NoPixKey => t.donate.no_pix_key,
        _ => return Err(problem),
    };
    let occasion = Occasion { notice: Some(notice), ..Occasion::default() };
    let Some(page) = pix_page(state, donor, language, occasion).await? else {
        return Ok(see_other(language, &path_of(donor)));
    };
    let mut response = page::private(problem.code.status(), &page)?;
    response.extensions_mut().insert(ToldOnPage(problem));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;
    use time::macros::datetime;

    #[test]
    fn a_donation_that_was_paid_has_no_stage_and_any_other_has_one() {
        let now = datetime!(2026-12-01 12:00 UTC);
        for status in DonationStatus::ALL {
            assert_eq!(PixStage::of(*status, now + Duration::HOUR, now).is_none(), status.is_paid(), "{status:?}");
        }
        let of = |status, left| PixStage::of(status, now + left, now);
        assert_eq!(of(DonationStatus::AwaitingPayment, Duration::SECOND), Some(PixStage::Payable));
        assert_eq!(of(DonationStatus::AwaitingPayment, Duration::ZERO), Some(PixStage::Overdue));
        assert_eq!(of(DonationStatus::Expired, Duration::ZERO), Some(PixStage::Over));
    }
}

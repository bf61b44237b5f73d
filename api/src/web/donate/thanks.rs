//! `GET /doacoes/{id}`: thanks, and what became of a donation that was paid.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::form::see_other;
use super::pix::organizer;
use crate::domain::donation::DonationStatus;
use crate::domain::slug::Slug;
use crate::domain::totals::Totals;
use crate::http::campaigns::CampaignBody;
use crate::http::campaigns::get::PublicCampaign;
use crate::http::campaigns::totals::CampaignTotals;
use crate::http::extract::donor::Donor;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::web::bar::{Bar, Raised};
use crate::web::format::{self, Moment};
use crate::web::language::Language;
use crate::web::page::{self, Here, Shell};
use crate::web::public::organizadora::Organizer;
use crate::web::share::Share;

#[derive(Template)]
#[template(path = "donate/thanks.html", whitespace = "minimize")]
struct ThanksPage {
    shell: Shell,
    heading: String,
    lead: &'static str,
    label: &'static str,
    /// Whether all of it is with the campaign.
    is_whole: bool,
    amount: String,
    campaign: String,
    /// The path of the campaign's page, without the language's prefix.
    campaign_path: String,
    moved: Option<Moved>,
    received_at: Option<Moment>,
    organizer: Option<Organizer>,
    /// By which donor and organizadora can speak of it.
    number: String,
    share: Share,
}

/// What the donation did to a campaign with a goal.
struct Moved {
    bar: Bar,
    text: String,
    goal: String,
}

/// The page; a donation that was not paid is to be paid first.
pub(crate) async fn get(State(state): State<AppState>, donor: Donor, here: Here) -> Result<Response, Problem> {
    let Here { language, path } = here;
    let donation = &donor.donation;
    let t = &language.texts().thanks;
    let (heading, lead, label) = match donation.situacao {
        DonationStatus::Created
        | DonationStatus::AwaitingPayment
        | DonationStatus::InReview
        | DonationStatus::Expired
        | DonationStatus::Failed
        | DonationStatus::Cancelled => return Ok(see_other(language, &format!("{path}/pix"))),
        DonationStatus::Confirmed => (None, t.arrived, t.confirmed),
        DonationStatus::PartlyRefunded => (None, t.arrived, t.partly_refunded),
        DonationStatus::Contested | DonationStatus::Reversed => (None, t.arrived, t.disputed),
        DonationStatus::Refunded => (Some(t.refunded_heading.to_owned()), t.refunded_note, t.refunded),
    };
    let is_whole = donation.situacao == DonationStatus::Confirmed;
    let thanks = || donation.nome_exibicao.as_ref().map_or_else(|| t.heading.to_owned(), |name| (t.heading_to)(name));
    let campaign_path = format!("/campanhas/{}", donation.campanha_slug);
    let shell = Shell::private(language, path, t.title.to_owned());
    let address = format!("{}{}", state.public_url.origin(), shell.href(&campaign_path));
    let id = donation.id.0.simple().to_string();
    let page = ThanksPage {
        heading: heading.unwrap_or_else(thanks),
        lead,
        label,
        is_whole,
        amount: format::number(donation.recebido_centavos, language),
        campaign: donation.campanha_titulo.clone(),
        campaign_path,
        moved: if is_whole { moved(&state, &donor, language).await? } else { None },
        received_at: donation.confirmada_em.map(|at| Moment::of(at, language)),
        organizer: organizer(&state, &donation.campanha_slug).await?,
        number: format!("{}-{}", id.get(..8).unwrap_or_default(), id.get(24..).unwrap_or_default()),
        share: Share::new(&donation.campanha_titulo, address),
        shell,
    };
    page::private(StatusCode::OK, &page)
}

/// How far the campaign was without the donation, and how far it is; nothing where that is the same whole percentage.
async fn moved(state: &AppState, donor: &Donor, language: Language) -> Result<Option<Moved>, Problem> {
    let donation = &donor.donation;
    let slug = Slug::parse(&donation.campanha_slug).map_err(Problem::internal)?;
    let Some(campaign) = page::part::<CampaignBody, _>(state, PublicCampaign(slug.clone())).await? else { return Ok(None) };
    let Some(goal) = campaign.value.meta_centavos else { return Ok(None) };
    let Some(totals) = page::part::<Totals, _>(state, CampaignTotals(slug)).await? else { return Ok(None) };
    let own = donation.recebido_centavos;
    let shown = Raised::of(&totals.value);
    // The roll-up may not have come to this donation yet.
    let includes_own = donation.confirmada_em.is_none_or(|at| at <= totals.value.atualizado_em);
    let net = |net: i64| Raised { net: net.max(0), declared: 0 };
    let (before, after) = if includes_own { (net(shown.net - own), net(shown.net)) } else { (net(shown.net), net(shown.net + own)) };
    let (from, to) = (before.percent(goal), after.percent(goal));
    if from == to {
        return Ok(None);
    }
    let t = language.texts();
    Ok(Some(Moved {
        bar: Bar::own(before, after, goal, language),
        text: (t.thanks.moved)(&from, &to),
        goal: format!("{}.", (t.common.the_goal)(&format::reais(goal, language))),
    }))
}

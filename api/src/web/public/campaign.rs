//! `GET /campanhas/{slug}`

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use time::OffsetDateTime;

use super::donations::Gift;
use crate::cache::{Subject, Tag};
use crate::domain::campaign::CampaignStatus;
use crate::domain::markdown::{self, SanitizedHtml};
use crate::domain::slug::Slug;
use crate::domain::totals::Totals;
use crate::http::campaigns::CampaignBody;
use crate::http::campaigns::feed::{FeedItem, FeedPage};
use crate::http::campaigns::get::PublicCampaign;
use crate::http::campaigns::totals::CampaignTotals;
use crate::http::cursor::Page;
use crate::http::extract::path::SlugPath;
use crate::http::organizadoras::OrganizadoraBody;
use crate::http::organizadoras::get::PublicOrganizadora;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::web::bar::{Bar, Raised};
use crate::web::donate::amounts;
use crate::web::format::{self, Moment};
use crate::web::language::Language;
use crate::web::page::{self, Here, MadePage, PagePart, Shell};
use crate::web::public::organizadora::Organizer;
use crate::web::share::Share;

/// Donations that the page shows.
const LATEST: usize = 5;

#[derive(Template)]
#[template(path = "public/campaign.html", whitespace = "minimize")]
struct CampaignPage {
    shell: Shell,
    title: String,
    picture: &'static str,
    organizer: Organizer,
    story: SanitizedHtml,
    open: Openness,
    numbers: Numbers,
    /// What can be given with one touch.
    chips: Vec<AmountLink>,
    /// The path of the form, without the language's prefix.
    donate: String,
    /// The path of this page, without the language's prefix.
    path: String,
    slug: String,
    latest: Vec<Gift>,
    share: Share,
}

/// A link to the form with an amount.
struct AmountLink {
    label: String,
    path: String,
}

/// Whether a campaign takes donations now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Openness {
    /// It does.
    Open,
    /// Not yet, but from this day and time on.
    Later(String),
    /// Not for now.
    Paused,
    /// Not any more, since this day, where it is known.
    Ended(Option<String>),
}

impl Openness {
    /// What holds for `campaign` at `now`.
    pub(crate) fn of(campaign: &CampaignBody, now: OffsetDateTime, language: Language) -> Self {
        let over = campaign.fim_em.filter(|end| *end <= now);
        match campaign.situacao {
            CampaignStatus::Published => match (campaign.inicio_em.filter(|start| now < *start), over) {
                (_, Some(end)) => Self::Ended(Some(Moment::of(end, language).day)),
                (Some(start), None) => Self::Later(Moment::of(start, language).text()),
                (None, None) => Self::Open,
            },
            CampaignStatus::Paused => Self::Paused,
            CampaignStatus::Ended | CampaignStatus::Draft | CampaignStatus::InReview | CampaignStatus::Rejected => {
                Self::Ended(campaign.encerrada_em.map(|at| Moment::of(at, language).day))
            }
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

/// The totals as the page shows them, and as the script takes them up.
struct Numbers {
    raised: String,
    confirmed: String,
    declared: String,
    refunded: String,
    donors: String,
    donors_text: String,
    /// How far the campaign is, where it has a goal.
    goal: Option<GoalLine>,
    until: Option<String>,
    seq: i64,
}

struct GoalLine {
    centavos: i64,
    percent: String,
    text: String,
    bar: Bar,
}

impl Numbers {
    fn new(campaign: &CampaignBody, totals: &Totals, language: Language) -> Self {
        let t = language.texts();
        let raised = Raised::of(totals);
        let donors = format::count(totals.doadores_qtd, language);
        let goal = campaign.meta_centavos.map(|goal| GoalLine {
            centavos: goal,
            percent: raised.percent(goal),
            text: (t.common.the_goal)(&format::reais(goal, language)),
            bar: Bar::new(raised, goal, language),
        });
        Self {
            raised: format::number(raised.net, language),
            confirmed: format::number(raised.net - raised.declared, language),
            declared: format::number(raised.declared, language),
            refunded: format::number(totals.devolvido_centavos, language),
            donors_text: (t.common.donors)(totals.doadores_qtd, "").trim().to_owned(),
            donors,
            goal,
            until: campaign.fim_em.map(|end| (t.common.until)(&Moment::of(end, language).day)),
            seq: totals.seq,
        }
    }
}

/// The page.
pub(crate) async fn get(
    State(state): State<AppState>,
    SlugPath(slug): SlugPath,
    here: Here,
    request: HeaderMap,
) -> Result<Response, Problem> {
    // Its organizadora's changes drop it as well: they name its campaigns.
    let subject = Subject::page(&format!("{} {}", here.language.tag(), here.path), Tag::campaign(slug.as_str()), &[]);
    page::kept(&state, &request, &subject, || compose(&state, slug, here)).await
}

async fn compose(state: &AppState, slug: Slug, here: Here) -> Result<MadePage<CampaignPage>, Problem> {
    let language = here.language;
    let campaign: PagePart<CampaignBody> = page::part(state, PublicCampaign(slug.clone())).await?.ok_or_else(Problem::not_found)?;
    let owner = Slug::parse(&campaign.value.organizadora.slug).map_err(Problem::internal)?;
    let (organizer, totals, latest) = tokio::try_join!(
        page::part::<OrganizadoraBody, _>(state, PublicOrganizadora(owner)),
        page::part::<Totals, _>(state, CampaignTotals(slug.clone())),
        page::part::<Page<FeedItem>, _>(state, FeedPage::first(slug)),
    )?;
    let (Some(organizer), Some(totals), Some(latest)) = (organizer, totals, latest) else { return Err(Problem::not_found()) };
    let stale = campaign.stale || organizer.stale || totals.stale || latest.stale;
    let campaign = campaign.value;
    let mut shell = Shell::public(state, language, here.path, campaign.titulo.clone());
    shell.description = page::beginning(&campaign.descricao);
    shell.stale = stale;
    let donate = format!("/doar/{}", campaign.slug);
    let chips = amounts::suggested(campaign.minimo_centavos, campaign.maximo_centavos);
    let page = CampaignPage {
        share: Share::new(&campaign.titulo, shell.url()),
        picture: campaign.categoria.as_str(),
        organizer: Organizer::new(organizer.value),
        story: markdown::render(&campaign.descricao),
        open: Openness::of(&campaign, state.clock.now(), language),
        numbers: Numbers::new(&campaign, &totals.value, language),
        chips: chips
            .into_iter()
            .map(|centavos| AmountLink { label: format::round_reais(centavos, language), path: format!("{donate}?valor={centavos}") })
            .collect(),
        donate,
        path: format!("/campanhas/{}", campaign.slug),
        latest: latest.value.itens.into_iter().take(LATEST).map(|item| Gift::new(item, language)).collect(),
        title: campaign.titulo,
        slug: campaign.slug,
        shell,
    };
    Ok(MadePage { page, stale })
}

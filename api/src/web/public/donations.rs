//! `GET /campanhas/{slug}/doacoes`: who gave.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use crate::cache::{LoadError, Resource as _, Subject, Tag};
use crate::http::campaigns::CampaignBody;
use crate::http::campaigns::feed::{FeedItem, FeedPage};
use crate::http::campaigns::get::PublicCampaign;
use crate::http::cursor::{Page, PageQuery};
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::web::format::{Moment, Money};
use crate::web::language::Language;
use crate::web::page::{self, Here, MadePage, PagePart, Shell};

#[derive(Template)]
#[template(path = "public/donations.html", whitespace = "minimize")]
struct DonationsPage {
    shell: Shell,
    campaign: String,
    /// The path of the campaign's page, without the language's prefix.
    campaign_path: String,
    gifts: Vec<Gift>,
    /// The address of the next page, without the language's prefix.
    next: Option<String>,
}

/// A donation as everyone sees it.
pub(crate) struct Gift {
    /// Nothing of donors who hide, and of those who gave no name.
    pub(crate) name: Option<String>,
    /// Nothing where the donor or the campaign hides it.
    pub(crate) amount: Option<Money>,
    pub(crate) message: Option<String>,
    pub(crate) at: Moment,
}

impl Gift {
    pub(crate) fn new(item: FeedItem, language: Language) -> Self {
        Self {
            name: item.nome_exibicao,
            amount: item.valor_centavos.map(|centavos| Money::of(centavos, language)),
            message: item.mensagem,
            at: Moment::of(item.confirmada_em, language),
        }
    }
}

/// The page.
pub(crate) async fn get(
    State(state): State<AppState>,
    SlugPath(slug): SlugPath,
    RawQuery(query): RawQuery,
    here: Here,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let cursor = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "cursor").map(|(_, value)| value.into_owned());
    let wanted = FeedPage::at(&state, slug.clone(), &PageQuery { cursor, limite: None })?;
    let campaign = async || page::part::<CampaignBody, _>(&state, PublicCampaign(slug.clone())).await?.ok_or_else(Problem::not_found);
    if !wanted.is_first() {
        let stored = wanted.load(&state).await.map_err(|error: LoadError| Problem::from(std::sync::Arc::new(error)))?;
        let stored = stored.ok_or_else(Problem::not_found)?;
        let found = serde_json::from_str(stored.body.get()).map_err(Problem::internal)?;
        return page::rare(&request, &donations(&state, here, campaign().await?.value, found));
    }
    let subject = Subject::page(&format!("{} {}", here.language.tag(), here.path), Tag::campaign(slug.as_str()), &[]);
    let compose = async || {
        let campaign = campaign().await?;
        let feed: PagePart<Page<FeedItem>> = page::part(&state, wanted).await?.ok_or_else(Problem::not_found)?;
        let stale = campaign.stale || feed.stale;
        let mut page = donations(&state, here, campaign.value, feed.value);
        page.shell.stale = stale;
        Ok(MadePage { page, stale })
    };
    page::kept(&state, &request, &subject, compose).await
}

fn donations(state: &AppState, here: Here, campaign: CampaignBody, found: Page<FeedItem>) -> DonationsPage {
    let Here { language, path } = here;
    let title = (language.texts().campaign.donations_of)(&campaign.titulo);
    let next = found.proximo_cursor.map(|cursor| format!("{path}?cursor={cursor}"));
    DonationsPage {
        shell: Shell::public(state, language, path, title),
        campaign_path: format!("/campanhas/{}", campaign.slug),
        campaign: campaign.titulo,
        gifts: found.itens.into_iter().map(|item| Gift::new(item, language)).collect(),
        next,
    }
}

//! `GET /organizadoras/{slug}`

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::cache::{Subject, Tag};
use crate::domain::cnpj::Cnpj;
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::slug::Slug;
use crate::http::campaigns::list::{CampaignItem, CampaignsPage, CampaignsQuery};
use crate::http::cursor::Page;
use crate::http::extract::path::SlugPath;
use crate::http::organizadoras::OrganizadoraBody;
use crate::http::organizadoras::get::PublicOrganizadora;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::web::card::Card;
use crate::web::page::{self, Here, MadePage, Shell};

#[derive(Template)]
#[template(path = "public/organizadora.html", whitespace = "minimize")]
struct OrganizadoraPage {
    shell: Shell,
    organizer: Organizer,
    cards: Vec<Card>,
}

/// Who asks for donations.
pub(crate) struct Organizer {
    pub(crate) name: String,
    /// The path of its page, without the language's prefix.
    pub(crate) path: String,
    /// With its points, slash and hyphen.
    pub(crate) cnpj: String,
    pub(crate) is_verified: bool,
}

impl Organizer {
    pub(crate) fn new(body: OrganizadoraBody) -> Self {
        Self {
            path: format!("/organizadoras/{}", body.slug),
            cnpj: Cnpj::parse(&body.cnpj).map_or(body.cnpj, |cnpj| cnpj.to_string()),
            is_verified: body.situacao == OrganizadoraStatus::Verified,
            name: body.nome,
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
    let name = format!("{} {}", here.language.tag(), here.path);
    let subject = Subject::page(&name, Tag::organizadora(slug.as_str()), &[Tag::campaigns()]);
    page::kept(&state, &request, &subject, || compose(&state, slug, here)).await
}

async fn compose(state: &AppState, slug: Slug, here: Here) -> Result<MadePage<OrganizadoraPage>, Problem> {
    let Here { language, path } = here;
    let query = CampaignsQuery { organizadora: Some(slug.as_str().to_owned()), ..CampaignsQuery::default() };
    let (organizer, campaigns) = tokio::try_join!(
        page::part::<OrganizadoraBody, _>(state, PublicOrganizadora(slug)),
        page::part::<Page<CampaignItem>, _>(state, CampaignsPage::at(state, query)?),
    )?;
    let (Some(organizer), Some(campaigns)) = (organizer, campaigns) else { return Err(Problem::not_found()) };
    let stale = organizer.stale || campaigns.stale;
    let organizer = Organizer::new(organizer.value);
    let mut shell = Shell::public(state, language, path, organizer.name.clone());
    shell.description = (language.texts().organizadora.description)(&organizer.name);
    shell.stale = stale;
    let cards = campaigns.value.itens.into_iter().map(|item| Card::new(item, language)).collect();
    Ok(MadePage { page: OrganizadoraPage { shell, organizer, cards }, stale })
}

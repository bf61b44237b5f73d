//! `GET /`

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::campaigns::CampaignList;
use crate::cache::{Subject, Tag};
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::web::language::Language;
use crate::web::page::{self, MadePage, Shell};

#[derive(Template)]
#[template(path = "public/home.html", whitespace = "minimize")]
struct Home {
    shell: Shell,
    list: CampaignList,
}

/// The page.
pub(crate) async fn get(State(state): State<AppState>, language: Language, request: HeaderMap) -> Result<Response, Problem> {
    let subject = Subject::page(&format!("{} /", language.tag()), Tag::campaigns(), &[]);
    page::kept(&state, &request, &subject, || compose(&state, language)).await
}

async fn compose(state: &AppState, language: Language) -> Result<MadePage<Home>, Problem> {
    let (list, stale) = CampaignList::first(state, language).await?;
    let t = language.texts();
    let mut shell = Shell::public(state, language, "/".to_owned(), t.lists.home_title.to_owned());
    t.lists.home_description.clone_into(&mut shell.description);
    shell.stale = stale;
    Ok(MadePage { page: Home { shell, list }, stale })
}

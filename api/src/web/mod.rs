//! The pages that people donate on, rendered here and the same without JavaScript. They stand above `http`: a page takes what the JSON
//! endpoints take, from the same services and the same cached answers, and writes it for people.
//!
//! One file per page, with its view and its handlers; templates are in `api/templates`, under the same names. Each page is there in
//! every language; the path says in which.

pub mod assets;
mod bar;
mod card;
mod donate;
pub mod failure;
mod form;
mod format;
mod headers;
mod language;
mod page;
mod public;
mod share;
mod text;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{MethodRouter, get, post};

use crate::config::Profile;
use crate::http::layers::Pages;
use crate::state::AppState;

/// How pages answer, for the layers that surround them.
pub const PAGES: Pages = Pages { problem: failure::page, headers: headers::apply };

/// The page's address in each language.
fn page(router: Router<AppState>, path: &str, methods: &MethodRouter<AppState>) -> Router<AppState> {
    language::Language::ALL
        .into_iter()
        .fold(router, |router, language| router.route(&format!("{}{path}", language.prefix()), methods.clone()))
}

/// Every page, and the files that they name. Only a developer's machine has a bank that pays at the press of a button.
pub fn routes(profile: Profile) -> Router<AppState> {
    let pages: [(&str, MethodRouter<AppState>); 12] = [
        ("/", get(public::home::get)),
        ("/campanhas", get(public::campaigns::get)),
        ("/campanhas/{slug}", get(public::campaign::get)),
        ("/campanhas/{slug}/doacoes", get(public::donations::get)),
        ("/organizadoras/{slug}", get(public::organizadora::get)),
        ("/doar/{slug}", get(donate::form::get).post(donate::form::post)),
        ("/doacoes/{id}", get(donate::thanks::get)),
        ("/doacoes/{id}/pix", get(donate::pix::get)),
        ("/doacoes/{id}/pix/situacao", get(donate::pix::status)),
        ("/doacoes/{id}/pix/qr.svg", get(donate::pix::picture)),
        ("/doacoes/{id}/pix/segunda-cobranca", post(donate::pix::charge_again)),
        ("/doacoes/{id}/pix/cancelar", post(donate::pix::cancel)),
    ];
    let simulated = match profile {
        Profile::Development => Some(("/doacoes/{id}/pix/simular", post(donate::pix::simulate))),
        Profile::Production => None,
    };
    let router = pages.into_iter().chain(simulated).fold(Router::new(), |router, (path, methods)| page(router, path, &methods));
    router
        // A relative link on the page would not know whether it is in a folder.
        .route("/en", get(|| async { Redirect::permanent("/en/") }))
        .route("/estatico/{file}", get(assets::get))
}

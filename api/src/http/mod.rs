//! The public API. One file per endpoint, with its request and answer; `extract` holds what handlers take, `layers` what
//! surrounds them all.

pub mod admin;
pub mod caching;
pub mod campanhas;
pub mod cursor;
pub mod doacoes;
pub mod emails;
pub mod eu;
pub mod extract;
mod failures;
pub mod layers;
pub mod metrics;
mod notice;
pub mod openapi;
pub mod organizadoras;
pub mod pessoas;
pub mod problem;
mod rate_limit;
pub mod senhas;
pub mod sessoes;
pub mod simulado;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::metrics::HttpMetrics;
use crate::config::Profile;
use crate::state::AppState;

/// Every route with its description, below `/api/v1`.
pub fn described(profile: Profile) -> OpenApiRouter<AppState> {
    // Of nested documents only the outermost one's title and version count.
    OpenApiRouter::with_openapi(openapi::base()).nest("/api/v1", api(profile))
}

fn api(profile: Profile) -> OpenApiRouter<AppState> {
    let api = OpenApiRouter::new()
        .routes(routes!(pessoas::create::create))
        .routes(routes!(sessoes::log_in::log_in))
        .routes(routes!(sessoes::log_out::log_out))
        .routes(routes!(senhas::ask_reset::ask_reset))
        .routes(routes!(senhas::reset::reset))
        .routes(routes!(emails::verify::verify))
        .routes(routes!(eu::get::get, eu::update::update))
        .routes(routes!(eu::sessions::list))
        .routes(routes!(eu::end_session::end))
        .routes(routes!(eu::reauthenticate::reauthenticate))
        .routes(routes!(eu::organizadoras::list))
        .routes(routes!(eu::donations::list))
        .routes(routes!(eu::claim::claim))
        .routes(routes!(organizadoras::list::list, organizadoras::create::create))
        .routes(routes!(organizadoras::get::get, organizadoras::update::update))
        .routes(routes!(organizadoras::pix_key::get, organizadoras::pix_key::put))
        .routes(routes!(organizadoras::campaigns::list))
        .routes(routes!(organizadoras::pending_payments::list))
        .routes(routes!(organizadoras::members::list::list, organizadoras::members::add::add))
        .routes(routes!(organizadoras::members::change::change, organizadoras::members::remove::remove))
        .routes(routes!(campanhas::list::list, campanhas::create::create))
        .routes(routes!(campanhas::get::get, campanhas::update::update))
        .routes(routes!(campanhas::steps::publish))
        .routes(routes!(campanhas::steps::pause))
        .routes(routes!(campanhas::steps::resume))
        .routes(routes!(campanhas::steps::close))
        .routes(routes!(campanhas::totals::get))
        .routes(routes!(campanhas::events::follow))
        .routes(routes!(campanhas::feed::list, campanhas::donate::donate))
        .routes(routes!(doacoes::get::get, doacoes::update::update))
        .routes(routes!(doacoes::cancel::cancel))
        .routes(routes!(doacoes::charge::charge))
        .routes(routes!(doacoes::qr::get))
        .routes(routes!(doacoes::confirm::confirm))
        .routes(routes!(doacoes::refund::refund));
    match profile {
        Profile::Development => api.routes(routes!(simulado::pay::pay)),
        Profile::Production => api,
    }
}

/// The whole public router.
pub fn router(state: AppState, allowed_origins: &[HeaderValue], metrics: Arc<HttpMetrics>) -> Router {
    let (api, mut document) = described(state.profile).split_for_parts();
    openapi::finish(&mut document);
    let router = api.merge(openapi::routes(document));
    layers::around(router, state, allowed_origins, metrics)
}

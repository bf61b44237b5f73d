//! The public API. One file per endpoint, with its request and answer; only the steps of a campaign share one, and reading and setting
//! a PIX key. `extract` holds what handlers take, `layers` what surrounds them all.

pub mod admin;
pub mod caching;
pub mod campaigns;
pub mod cursor;
pub mod donations;
pub mod emails;
pub mod extract;
mod failures;
pub mod layers;
pub mod me;
pub mod metrics;
mod notice;
pub mod openapi;
pub mod organizadoras;
pub mod passwords;
pub mod people;
pub mod problem;
mod rate_limit;
pub mod sessions;
pub mod simulated;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Profile;
use crate::state::AppState;

/// Every route with its description, below `/api/v1`.
pub fn described(profile: Profile) -> OpenApiRouter<AppState> {
    // Of nested documents only the outermost one's title and version count.
    OpenApiRouter::with_openapi(openapi::base()).nest("/api/v1", api(profile))
}

fn api(profile: Profile) -> OpenApiRouter<AppState> {
    let api = OpenApiRouter::new()
        .routes(routes!(people::create::create))
        .routes(routes!(sessions::log_in::log_in))
        .routes(routes!(sessions::log_out::log_out))
        .routes(routes!(passwords::ask_reset::ask_reset))
        .routes(routes!(passwords::reset::reset))
        .routes(routes!(emails::verify::verify))
        .routes(routes!(me::get::get, me::update::update))
        .routes(routes!(me::sessions::list))
        .routes(routes!(me::end_session::end))
        .routes(routes!(me::reauthenticate::reauthenticate))
        .routes(routes!(me::organizadoras::list))
        .routes(routes!(me::donations::list))
        .routes(routes!(me::claim::claim))
        .routes(routes!(organizadoras::list::list, organizadoras::create::create))
        .routes(routes!(organizadoras::get::get, organizadoras::update::update))
        .routes(routes!(organizadoras::pix_key::get, organizadoras::pix_key::put))
        .routes(routes!(organizadoras::campaigns::list))
        .routes(routes!(organizadoras::pending_payments::list))
        .routes(routes!(organizadoras::members::list::list, organizadoras::members::add::add))
        .routes(routes!(organizadoras::members::change::change, organizadoras::members::remove::remove))
        .routes(routes!(campaigns::list::list, campaigns::create::create))
        .routes(routes!(campaigns::get::get, campaigns::update::update))
        .routes(routes!(campaigns::steps::publish))
        .routes(routes!(campaigns::steps::pause))
        .routes(routes!(campaigns::steps::resume))
        .routes(routes!(campaigns::steps::close))
        .routes(routes!(campaigns::totals::get))
        .routes(routes!(campaigns::events::follow))
        .routes(routes!(campaigns::feed::list, campaigns::donate::donate))
        .routes(routes!(donations::get::get, donations::update::update))
        .routes(routes!(donations::cancel::cancel))
        .routes(routes!(donations::charge::charge))
        .routes(routes!(donations::qr::get))
        .routes(routes!(donations::confirm::confirm))
        .routes(routes!(donations::refund::refund));
    match profile {
        Profile::Development => api.routes(routes!(simulated::pay::pay)),
        Profile::Production => api,
    }
}

/// The routes of the API and of its documentation, still without the layers that surround them.
pub fn routes(profile: Profile) -> Router<AppState> {
    let (api, mut document) = described(profile).split_for_parts();
    openapi::finish(&mut document);
    api.merge(openapi::routes(document))
}

//! `/sessoes`

pub mod log_in;
pub mod log_out;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{PersonId, SessionId};
use crate::http::extract::session::set_cookie;
use crate::service::sessions::Opened;
use crate::state::Core;

/// A session that was opened; its secret is in the cookie only.
#[derive(Serialize, ToSchema)]
#[schema(as = SessaoAberta)]
pub struct OpenedBody {
    id: SessionId,
    pessoa_id: PersonId,
}

/// An answer with a session cookie.
pub type WithCookie = (StatusCode, [(HeaderName, HeaderValue); 1], Json<OpenedBody>);

/// The answer that gives a browser its session.
pub fn opened(core: &Core, status: StatusCode, opened: &Opened) -> WithCookie {
    let body = OpenedBody { id: opened.id, pessoa_id: opened.pessoa_id };
    (status, [(header::SET_COOKIE, set_cookie(core, opened))], Json(body))
}

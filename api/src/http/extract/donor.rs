//! Who may see and change a donation: the person it belongs to, or, while it belongs to nobody, the holder of its token.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use super::cookies::{self, Cookie};
use super::path::uuid;
use super::session::SignedIn;
use crate::domain::ids::DonationId;
use crate::domain::pasted;
use crate::http::problem::{Code, Problem};
use crate::service::Actor;
use crate::service::donations::guest_token_matches;
use crate::state::{AppState, Core};
use crate::store::donations::{self, Donation};

/// The header that carries a guest's capability token.
pub const TOKEN_HEADER: &str = "doacao-token";
/// How long a browser keeps the cookie with the token: as long as a PIX can be sent back, in seconds.
const COOKIE_LIFE: i64 = 90 * 24 * 60 * 60;

/// The cookie that carries the token to pages, which a form cannot do in a header.
fn cookie_name(core: &Core) -> &'static str {
    if core.public_url.is_secure() { "__Secure-doacao" } else { "doacao" }
}

/// The `Set-Cookie` with the token of one donation, for the pages below `path` alone.
pub fn token_cookie(core: &Core, path: &str, token: &str) -> HeaderValue {
    cookies::set(core, &Cookie { name: cookie_name(core), value: token, path, max_age: COOKIE_LIFE })
}

/// The donor of the donation that the path names. Anything else is 404.
#[derive(Clone, Debug)]
pub struct Donor {
    /// The donation.
    pub donation: Donation,
    /// Who asks.
    pub actor: Actor,
}

impl FromRequestParts<AppState> for Donor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let id = DonationId(uuid(parts, state, "id").await?);
        let tokens = tokens(&parts.headers, state);
        let (session, ended) = match <SignedIn as axum::extract::OptionalFromRequestParts<AppState>>::from_request_parts(parts, state).await
        {
            // The token alone gives the right, even if the session in the cookie has ended.
            Err(problem) if problem.code == Code::Unauthenticated && !tokens.is_empty() => (None, Some(problem)),
            session => (session?, None),
        };
        let donation = {
            let mut db = state.db.connection().await?;
            donations::get(&mut db, id).await?.ok_or_else(Problem::not_found)?
        };
        let holds_token = || tokens.iter().any(|token| guest_token_matches(&state.keys.token, token, id.0));
        let actor = match (donation.pessoa_id, session) {
            (Some(owner), Some(session)) if session.person() == owner => Actor::Person(owner),
            // A claimed donation is its person's alone: the token has done its work. Whoever has it may be that person, logged out.
            (Some(_), _) => return Err(ended.filter(|_| holds_token()).unwrap_or_else(Problem::not_found)),
            (None, _) if holds_token() => Actor::Guest,
            (None, _) => return Err(Problem::not_found()),
        };
        Ok(Self { donation, actor })
    }
}

/// Cookies of one request that are tried. A browser sends several if another site of the same domain has set one of this name.
const MAX_TOKEN_COOKIES: usize = 4;

/// The token in the header; where there is no such header, those in the cookies.
fn tokens(headers: &HeaderMap, core: &Core) -> Vec<String> {
    let read = |bytes: &[u8]| pasted::id(&String::from_utf8_lossy(bytes));
    let tokens = match headers.get(TOKEN_HEADER) {
        Some(value) => vec![read(value.as_bytes())],
        None => cookies::values(headers, cookie_name(core)).take(MAX_TOKEN_COOKIES).map(read).collect(),
    };
    tokens.into_iter().filter(|token| !token.is_empty()).collect()
}

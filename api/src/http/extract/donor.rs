//! Who may see and change a donation: the person it belongs to, or, while it belongs to nobody, the holder of its token.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::path::uuid;
use super::session::SignedIn;
use crate::domain::ids::DonationId;
use crate::domain::pasted;
use crate::http::problem::{Code, Problem};
use crate::service::Actor;
use crate::service::donations::guest_token_matches;
use crate::state::AppState;
use crate::store::donations::{self, Donation};

/// The header that carries a guest's capability token.
pub const TOKEN_HEADER: &str = "doacao-token";

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
        let token = parts.headers.get(TOKEN_HEADER).map(|value| pasted::id(&String::from_utf8_lossy(value.as_bytes())));
        let token = token.filter(|token| !token.is_empty());
        let (session, ended) = match <SignedIn as axum::extract::OptionalFromRequestParts<AppState>>::from_request_parts(parts, state).await
        {
            // The token alone gives the right, even if the session in the cookie has ended.
            Err(problem) if problem.code == Code::Unauthenticated && token.is_some() => (None, Some(problem)),
            session => (session?, None),
        };
        let donation = {
            let mut db = state.db.connection().await?;
            donations::get(&mut db, id).await?.ok_or_else(Problem::not_found)?
        };
        let holds_token = || guest_token_matches(&state.keys.token, token.as_deref().unwrap_or_default(), id.0);
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

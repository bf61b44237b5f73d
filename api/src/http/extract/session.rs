//! Who is logged in. The cookie holds a random token; the database has its hash.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use super::cookies::{self, Cookie};
use crate::cache::{LookupResult, Stored, Subject};
use crate::config::keys::sha256;
use crate::domain::ids::PersonId;
use crate::http::problem::{Code, Problem};
use crate::service::sessions::Opened;
use crate::state::{AppState, Core};
use crate::store::sessions::{self, Session};

/// A person who is logged in.
#[derive(Clone, Debug)]
pub struct SignedIn(pub Session);

impl SignedIn {
    /// Who.
    pub fn person(&self) -> PersonId {
        self.0.pessoa_id
    }
}

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        find(parts, state).await?.map(Self).ok_or_else(unauthenticated)
    }
}

/// `Option<SignedIn>` is for routes that guests use too: `None` without a session cookie. If the session of the cookie has ended,
/// the rejection is 401, so that the request of a person is never taken for a guest's.
impl OptionalFromRequestParts<AppState> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Option<Self>, Problem> {
        if token_hashes(&parts.headers, state).is_empty() {
            return Ok(None);
        }
        find(parts, state).await?.map(|session| Some(Self(session))).ok_or_else(ended)
    }
}

/// A person who was logged in at most a minute ago, as Redis remembers: for reading what is no money. Redis is believed only
/// while no log-out waits for it; otherwise the database is asked.
#[derive(Clone, Copy, Debug)]
pub struct Viewer(pub PersonId);

impl FromRequestParts<AppState> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        for hash in token_hashes(&parts.headers, state) {
            let subject = Subject::session(&hash);
            let mut lookup = state.cache.look_up(&subject).await;
            if let LookupResult::Hit(stored) = lookup.take()
                && let Ok(person_id) = serde_json::from_str(stored.body.get())
            {
                return Ok(Self(person_id));
            }
            if let Some(session) = find_one(state, &hash).await? {
                if let Ok(stored) = Stored::new(None, &session.pessoa_id) {
                    state.cache.fill(subject, lookup, Some(stored));
                }
                return Ok(Self(session.pessoa_id));
            }
        }
        Err(unauthenticated())
    }
}

async fn find(parts: &Parts, core: &Core) -> Result<Option<Session>, Problem> {
    for hash in token_hashes(&parts.headers, core) {
        if let Some(session) = find_one(core, &hash).await? {
            return Ok(Some(session));
        }
    }
    Ok(None)
}

async fn find_one(core: &Core, hash: &[u8; 32]) -> Result<Option<Session>, Problem> {
    let now = core.clock.now();
    let mut db = core.db.connection().await?;
    let session = sessions::find(&mut db, hash, now).await?;
    if let Some(session) = &session {
        sessions::touch(&mut db, session, now).await?;
    }
    Ok(session)
}

/// Session cookies of one request that are tried. A browser sends several if another site of the same domain has set one of this
/// name.
const MAX_SESSION_COOKIES: usize = 4;

/// The hashes of the tokens in the session cookies, in the order sent; empty if there is no such cookie with a value. A hash may
/// belong to no live session.
pub(super) fn token_hashes(headers: &HeaderMap, core: &Core) -> Vec<[u8; 32]> {
    let tokens = cookies::values(headers, cookie_name(core)).filter(|token| !token.is_empty());
    let mut hashes: Vec<[u8; 32]> = Vec::new();
    for hash in tokens.take(MAX_SESSION_COOKIES).map(sha256) {
        if !hashes.contains(&hash) {
            hashes.push(hash);
        }
    }
    hashes
}

/// Browsers take `__Host-` cookies only over https, which Development need not have.
fn cookie_name(core: &Core) -> &'static str {
    if core.public_url.is_secure() { "__Host-sessao" } else { "sessao" }
}

/// The `Set-Cookie` of a session.
pub fn set_cookie(core: &Core, opened: &Opened) -> HeaderValue {
    session_cookie(core, &opened.token, opened.life.whole_seconds())
}

/// The `Set-Cookie` that ends a session.
pub fn clear_cookie(core: &Core) -> HeaderValue {
    session_cookie(core, "", 0)
}

fn session_cookie(core: &Core, token: &str, max_age: i64) -> HeaderValue {
    cookies::set(core, &Cookie { name: cookie_name(core), value: token, path: "/", max_age })
}

/// The problem of a request that needs a log-in.
pub fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated, "Entre com POST /api/v1/sessoes e envie o cookie que vem na resposta.")
}

/// The problem of a request with the cookie of a session that has ended, on a route that guests may use without a cookie.
fn ended() -> Problem {
    Problem::new(
        Code::Unauthenticated,
        "Sua sessão terminou. Entre de novo com POST /api/v1/sessoes, ou repita sem o cookie da sessão para continuar sem conta.",
    )
}

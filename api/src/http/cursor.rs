//! Pages of lists. A cursor is sealed: nobody can read positions out of it, forge one, or use it for another list.

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Code, Problem};
use crate::cache::Stored;
use crate::config::keys::KeyRing;
use crate::state::Core;

/// Time for which a cursor is accepted.
const CURSOR_LIFE: Duration = Duration::hours(24);
/// Items of a page whose request does not say how many.
pub const DEFAULT_PAGE_SIZE: u8 = 20;
/// Items of a page at most.
const MAX_PAGE_SIZE: u8 = 100;

/// How lists are paged.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// `proximo_cursor` of the page before; valid for 24 hours, for the same list, filter and reader.
    #[param(max_length = 1024)]
    pub cursor: Option<String>,
    /// Items of a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limite: Option<u8>,
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub itens: Vec<T>,
    /// Whether there are more.
    pub tem_mais: bool,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proximo_cursor: Option<String>,
}

/// What a cursor is for: sealed with it, it opens nowhere else.
#[derive(Clone, Debug)]
pub struct List {
    context: String,
    path: String,
}

#[derive(Serialize, Deserialize)]
struct Sealed<P> {
    until: i64,
    position: P,
}

impl List {
    /// The list at `path` with its filters in `query` (without cursor and limit), for `reader`.
    pub fn new(path: &str, query: &str, reader: &str) -> Self {
        let joined = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        Self { context: format!("cursor\n{joined}\n{reader}"), path: joined }
    }

    /// Where the page begins, and how many items it has.
    pub fn start<P: DeserializeOwned>(&self, core: &Core, query: &PageQuery) -> Result<(Option<P>, u8), Problem> {
        let limit = query.limite.unwrap_or(DEFAULT_PAGE_SIZE);
        if !(1..=MAX_PAGE_SIZE).contains(&limit) {
            return Err(Problem::invalid("limite", format!("vai de 1 a {MAX_PAGE_SIZE}")));
        }
        let position = match &query.cursor {
            Some(cursor) => Some(self.open(&core.keys.cursor, cursor, core.clock.now()).ok_or_else(bad_cursor)?),
            None => None,
        };
        Ok((position, limit))
    }

    fn open<P: DeserializeOwned>(&self, keys: &KeyRing, cursor: &str, now: OffsetDateTime) -> Option<P> {
        let sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let plain = keys.open(&sealed, self.context.as_bytes())?;
        let sealed: Sealed<P> = serde_json::from_slice(&plain).ok()?;
        (now.unix_timestamp() <= sealed.until).then_some(sealed.position)
    }

    /// The page of `rows`, of which one more than `limit` was asked for.
    pub fn page<R, P: Serialize>(&self, core: &Core, mut rows: Vec<R>, limit: u8, position: impl Fn(&R) -> P) -> Linked<R> {
        let tem_mais = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let next = rows.last().filter(|_| tem_mais).map(|row| {
            let sealed = Sealed { until: (core.clock.now() + CURSOR_LIFE).unix_timestamp(), position: position(row) };
            // Numbers and ids always serialise.
            let plain = serde_json::to_vec(&sealed).unwrap_or_default();
            URL_SAFE_NO_PAD.encode(core.keys.cursor.seal(&plain, self.context.as_bytes()))
        });
        let link = next.as_ref().map(|cursor| {
            let separator = if self.path.contains('?') { '&' } else { '?' };
            format!("<{}{separator}cursor={cursor}&limite={limit}>; rel=\"next\"", self.path)
        });
        Linked { link, page: Page { itens: rows, tem_mais, proximo_cursor: next } }
    }
}

/// A page and its `Link` header.
#[derive(Clone, Debug)]
pub struct Linked<T> {
    link: Option<String>,
    page: Page<T>,
}

impl<R> Linked<R> {
    /// Maps each row of the page by `item`; the cursor and the link stay.
    pub fn map<T>(self, item: impl FnMut(R) -> T) -> Linked<T> {
        let Page { itens, tem_mais, proximo_cursor } = self.page;
        Linked { link: self.link, page: Page { itens: itens.into_iter().map(item).collect(), tem_mais, proximo_cursor } }
    }
}

impl<T: Serialize> Linked<T> {
    /// For the cache.
    pub fn stored(self) -> Result<Stored, serde_json::Error> {
        Ok(Stored { link: self.link, ..Stored::new(None, &self.page)? })
    }
}

impl<T: Serialize> IntoResponse for Linked<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.page).into_response();
        if let Some(link) = self.link.and_then(|link| HeaderValue::try_from(link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

/// One more than the page has, to see whether there is a next one.
pub fn rows(limit: u8) -> i64 {
    i64::from(limit) + 1
}

fn bad_cursor() -> Problem {
    Problem::new(Code::BadCursor, "O cursor foi alterado, venceu ou é de outra lista. Comece sem cursor.")
}

//! `GET /campanhas/{slug}/doacoes`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::cache::{LoadError, Resource, Stored, Subject};
use crate::domain::ids::DonationId;
use crate::domain::slug::Slug;
use crate::http::caching;
use crate::http::cursor::{DEFAULT_PAGE_SIZE, List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::{AppState, Core};
use crate::store::campaigns::Position;
use crate::store::donations::{self, FeedRow};

/// A confirmed donation. Anonymous ones carry neither id nor name, and their time is cut to the minute; secret ones are
/// not here at all.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = DoacaoNoMural)]
pub struct FeedItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) id: Option<DonationId>,
    pub(crate) nome_exibicao: Option<String>,
    pub(crate) anonima: bool,
    /// Hidden where the donor or the campaign does not show it.
    pub(crate) valor_centavos: Option<i64>,
    pub(crate) mensagem: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) confirmada_em: OffsetDateTime,
}

impl From<FeedRow> for FeedItem {
    fn from(row: FeedRow) -> Self {
        Self {
            id: row.id,
            nome_exibicao: row.nome_exibicao,
            anonima: row.anonima,
            valor_centavos: row.valor_centavos,
            mensagem: row.mensagem,
            confirmada_em: row.confirmada_em,
        }
    }
}

/// The confirmed donations of a campaign
#[utoipa::path(get, path = "/campanhas/{slug}/doacoes", tag = "campanhas", operation_id = "listarDoacoesDaCampanha",
    params(("slug" = String, Path, description = "O endereço da campanha"), PageQuery),
    responses((status = 200, description = "Uma página, da mais nova à mais velha", body = Page<FeedItem>)))]
pub async fn list(
    State(state): State<AppState>,
    SlugPath(slug): SlugPath,
    request: HeaderMap,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Response, Problem> {
    let page = FeedPage::at(&state, slug, &query)?;
    let is_first = page.is_first();
    caching::page(&state, &request, page, is_first).await
}

fn pages(slug: &Slug) -> List {
    List::new(&format!("/api/v1/campanhas/{}/doacoes", slug.as_str()), "", "")
}

/// A page of a campaign's confirmed donations.
pub struct FeedPage {
    slug: Slug,
    after: Option<Position>,
    limit: u8,
}

impl FeedPage {
    /// The first page, of the size that is kept in Redis.
    pub const fn first(slug: Slug) -> Self {
        Self { slug, after: None, limit: DEFAULT_PAGE_SIZE }
    }

    /// The page that `query` asks for.
    pub fn at(core: &Core, slug: Slug, query: &PageQuery) -> Result<Self, Problem> {
        let (after, limit) = pages(&slug).start::<Position>(core, query)?;
        Ok(Self { slug, after, limit })
    }

    /// Whether it is where everyone begins.
    pub const fn is_first(&self) -> bool {
        self.after.is_none()
    }
}

impl Resource for FeedPage {
    type Source = AppState;

    fn subject(&self) -> Subject {
        Subject::feed(self.slug.as_str(), self.limit)
    }

    fn is_common(&self) -> bool {
        self.limit == DEFAULT_PAGE_SIZE
    }

    async fn load(&self, state: &AppState) -> Result<Option<Stored>, LoadError> {
        let found = {
            let mut db = state.db.connection().await?;
            donations::feed(&mut db, self.slug.as_str(), self.after, rows(self.limit)).await?
        };
        let page = |rows| pages(&self.slug).page(state, rows, self.limit, FeedRow::position).map(FeedItem::from);
        Ok(found.map(|rows| page(rows).stored()).transpose()?)
    }
}

//! `GET /campanhas/{slug}/doacoes`

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::ids::DoacaoId;
use crate::http::caching;
use crate::http::cursor::{List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::campanhas::Position;
use crate::store::doacoes::{self, FeedRow};

/// A confirmed donation. Anonymous ones carry neither id nor name, and their time is cut to the minute; secret ones are
/// not here at all.
#[derive(Serialize, ToSchema)]
#[schema(as = DoacaoNoMural)]
pub struct FeedItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<DoacaoId>,
    nome_exibicao: Option<String>,
    anonima: bool,
    /// Hidden where the donor or the campaign does not show it.
    valor_centavos: Option<i64>,
    mensagem: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    confirmada_em: OffsetDateTime,
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
    uri: OriginalUri,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<(HeaderMap, Json<Page<FeedItem>>), Problem> {
    let now = state.clock.now();
    let list = List::new(uri.path(), "", "");
    let (after, limit) = list.start::<Position>(&state.keys.cursor, &query, now)?;
    let mut db = state.connection().await?;
    let found = doacoes::feed(&mut db, slug.as_str(), after, rows(limit)).await?.ok_or_else(Problem::not_found)?;
    let (mut headers, page) = list.page(&state.keys.cursor, found, limit, now, FeedRow::position, FeedItem::from);
    caching::public(&request, &mut headers);
    Ok((headers, Json(page)))
}

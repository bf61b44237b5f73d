//! `GET /campanhas/{slug}/totais`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::http::caching;
use crate::http::extract::conditional::{etag, not_modified_or};
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::totals::{self, Totals};

/// The totals of a campaign, at most a second old.
#[derive(Serialize, ToSchema)]
#[schema(as = Totais)]
pub struct TotalsBody {
    /// All that was confirmed. What went back is not taken off.
    arrecadado_centavos: i64,
    /// The part of it that rests on the organizadora's word.
    declarado_centavos: i64,
    /// What went back to donors.
    devolvido_centavos: i64,
    doacoes_qtd: i64,
    doadores_qtd: i64,
    /// Grows with each change.
    seq: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    atualizado_em: OffsetDateTime,
}

impl From<Totals> for TotalsBody {
    fn from(row: Totals) -> Self {
        Self {
            arrecadado_centavos: row.arrecadado_centavos,
            declarado_centavos: row.declarado_centavos,
            devolvido_centavos: row.devolvido_centavos,
            doacoes_qtd: row.doacoes_qtd,
            doadores_qtd: row.doadores_qtd,
            seq: row.seq,
            atualizado_em: row.atualizado_em,
        }
    }
}

/// The totals of a campaign
#[utoipa::path(get, path = "/campanhas/{slug}/totais", tag = "campanhas", operation_id = "lerTotais",
    params(("slug" = String, Path, description = "O endereço da campanha")),
    responses((status = 200, description = "Os totais", body = TotalsBody, headers(("etag" = String))), (status = 304, description = "Não mudaram")))]
pub async fn get(State(state): State<AppState>, SlugPath(slug): SlugPath, headers: HeaderMap) -> Result<Response, Problem> {
    let mut db = state.connection().await?;
    let found = totals::get_public(&mut db, slug.as_str()).await?.ok_or_else(Problem::not_found)?;
    let mut response = not_modified_or(&headers, etag(found.seq), Json(TotalsBody::from(found)));
    caching::public(&headers, response.headers_mut());
    Ok(response)
}

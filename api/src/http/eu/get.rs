//! `GET /eu`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::PessoaBody;
use crate::http::extract::conditional::{etag, not_modified_or};
use crate::http::extract::session::SignedIn;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::pessoas;

/// My account
#[utoipa::path(get, path = "/eu", tag = "contas", operation_id = "lerConta", security(("sessao" = [])),
    responses((status = 200, description = "A conta", body = PessoaBody, headers(("etag" = String))), (status = 304, description = "Não mudou")))]
pub async fn get(State(state): State<AppState>, who: SignedIn, headers: HeaderMap) -> Result<Response, Problem> {
    let mut db = state.connection().await?;
    let pessoa = pessoas::get(&mut db, who.pessoa()).await?.ok_or_else(Problem::not_found)?;
    Ok(not_modified_or(&headers, etag(pessoa.versao), Json(PessoaBody::from(pessoa))))
}

//! `GET /eu/doacoes`

use axum::extract::State;
use uuid::Uuid;

use crate::http::cursor::{Linked, List, Page, PageQuery, rows};
use crate::http::doacoes::DoacaoBody;
use crate::http::extract::body::ApiQuery;
use crate::http::extract::session::SignedIn;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::{doacoes, pagamentos};

/// My donations
#[utoipa::path(get, path = "/eu/doacoes", tag = "contas", operation_id = "listarMinhasDoacoes", params(PageQuery), security(("sessao" = [])),
    responses((status = 200, description = "Uma página, da mais nova à mais velha", body = Page<DoacaoBody>)))]
pub async fn list(
    State(state): State<AppState>,
    who: SignedIn,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Linked<DoacaoBody>, Problem> {
    let list = List::new("/api/v1/eu/doacoes", "", &who.pessoa().to_string());
    let (before, limit) = list.start::<Uuid>(&state, &query)?;
    let mut db = state.db.connection().await?;
    let found = doacoes::list_of(&mut db, who.pessoa(), before, rows(limit)).await?;
    let ids: Vec<_> = found.iter().map(|row| row.id).collect();
    let payments = pagamentos::of_donations(&mut db, &ids).await?;
    Ok(list.page(&state, found, limit, |row| row.id.0).map(|row| DoacaoBody::new(&row, &payments)))
}

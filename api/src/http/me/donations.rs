//! `GET /eu/doacoes`

use axum::extract::State;
use uuid::Uuid;

use crate::http::cursor::{Linked, List, Page, PageQuery, rows};
use crate::http::donations::DonationBody;
use crate::http::extract::body::ApiQuery;
use crate::http::extract::session::SignedIn;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::{charges, donations};

/// My donations
#[utoipa::path(get, path = "/eu/doacoes", tag = "contas", operation_id = "listarMinhasDoacoes", params(PageQuery), security(("sessao" = [])),
    responses((status = 200, description = "Uma página, da mais nova à mais velha", body = Page<DonationBody>)))]
pub async fn list(
    State(state): State<AppState>,
    who: SignedIn,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Linked<DonationBody>, Problem> {
    let list = List::new("/api/v1/eu/doacoes", "", &who.person().to_string());
    let (before, limit) = list.start::<Uuid>(&state, &query)?;
    let mut db = state.db.connection().await?;
    let found = donations::list_of(&mut db, who.person(), before, rows(limit)).await?;
    let ids: Vec<_> = found.iter().map(|row| row.id).collect();
    let payments = charges::of_donations(&mut db, &ids).await?;
    Ok(list.page(&state, found, limit, |row| row.id.0).map(|row| DonationBody::new(&row, &payments)))
}

//! `DELETE /organizadoras/{slug}/membros/{pessoa_id}`

use axum::extract::State;
use axum::http::StatusCode;

use crate::domain::ids::PersonId;
use crate::http::extract::member::{Member, OfOrganizadora, RecentOwner};
use crate::http::extract::path::PersonPath;
use crate::http::problem::Problem;
use crate::service::organizadoras;
use crate::state::AppState;

/// Remove a member
#[utoipa::path(delete, path = "/organizadoras/{slug}/membros/{pessoa_id}", tag = "organizadoras", operation_id = "removerMembro",
    security(("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da organizadora"), ("pessoa_id" = uuid::Uuid, Path, description = "O membro")),
    responses((status = 204, description = "Não é mais membro")))]
pub async fn remove(
    State(state): State<AppState>,
    member: Member<OfOrganizadora, RecentOwner>,
    PersonPath(person_id): PersonPath,
) -> Result<StatusCode, Problem> {
    organizadoras::remove_member(&state, member.organizadora, member.person, PersonId(person_id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

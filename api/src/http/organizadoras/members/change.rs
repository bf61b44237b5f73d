//! `PATCH /organizadoras/{slug}/membros/{pessoa_id}`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::MemberBody;
use crate::domain::ids::PersonId;
use crate::domain::role::Role;
use crate::http::extract::body::ApiJson;
use crate::http::extract::member::{Member, OfOrganizadora, RecentOwner};
use crate::http::extract::path::PersonPath;
use crate::http::problem::Problem;
use crate::service::organizadoras;
use crate::state::AppState;

/// The new role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlteracaoDeMembro)]
pub struct RoleChangeBody {
    /// The role.
    papel: Role,
}

/// Change a member's role
#[utoipa::path(patch, path = "/organizadoras/{slug}/membros/{pessoa_id}", tag = "organizadoras", operation_id = "alterarMembro", request_body = RoleChangeBody,
    security(("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da organizadora"), ("pessoa_id" = uuid::Uuid, Path, description = "O membro")),
    responses((status = 200, description = "O membro", body = MemberBody)))]
pub async fn change(
    State(state): State<AppState>,
    member: Member<OfOrganizadora, RecentOwner>,
    PersonPath(person_id): PersonPath,
    ApiJson(body, _): ApiJson<RoleChangeBody>,
) -> Result<Json<MemberBody>, Problem> {
    let changed = organizadoras::change_member(&state, member.organizadora, member.person, PersonId(person_id), body.papel).await?;
    Ok(Json(changed.into()))
}

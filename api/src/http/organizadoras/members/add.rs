//! `POST /organizadoras/{slug}/membros`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::MemberBody;
use crate::domain::ids::PersonId;
use crate::domain::role::Role;
use crate::http::extract::body::{ApiJson, pasted_id};
use crate::http::extract::member::{Member, OfOrganizadora, RecentOwner};
use crate::http::problem::Problem;
use crate::service::organizadoras;
use crate::state::AppState;

/// Who, as what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NovoMembro)]
pub struct NewMemberBody {
    /// The person's `id`, which they see at `GET /eu`. An e-mail would tell whether it has an account.
    #[serde(deserialize_with = "pasted_id")]
    pessoa_id: PersonId,
    /// The role.
    papel: Role,
}

/// Add a member
#[utoipa::path(post, path = "/organizadoras/{slug}/membros", tag = "organizadoras", operation_id = "adicionarMembro", request_body = NewMemberBody,
    security(("sessao" = [])), params(("slug" = String, Path, description = "O endereço da organizadora")),
    responses((status = 201, description = "O membro", body = MemberBody)))]
pub async fn add(
    State(state): State<AppState>,
    member: Member<OfOrganizadora, RecentOwner>,
    ApiJson(body, _): ApiJson<NewMemberBody>,
) -> Result<(StatusCode, Json<MemberBody>), Problem> {
    let added = organizadoras::add_member(&state, member.organizadora, member.person, body.pessoa_id, body.papel).await?;
    Ok((StatusCode::CREATED, Json(added.into())))
}

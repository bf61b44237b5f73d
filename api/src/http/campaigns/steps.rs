//! `POST /campanhas/{slug}/publicacao`, `/pausa`, `/retomada`, `/encerramento`: one step of the state machine each.

use axum::extract::State;

use super::{CampaignBody, Tagged, tagged};
use crate::domain::campaign::CampaignStep;
use crate::http::extract::body::NoBody;
use crate::http::extract::member::{Editor, Member, OfCampaign};
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::service::campaigns;
use crate::state::AppState;

/// Publish a draft
#[utoipa::path(post, path = "/campanhas/{slug}/publicacao", tag = "campanhas", operation_id = "publicarCampanha", security(("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da campanha")),
    responses((status = 200, description = "A campanha publicada", body = CampaignBody)))]
pub async fn publish(state: State<AppState>, member: Member<OfCampaign, Editor>, slug: SlugPath, _: NoBody) -> Result<Tagged, Problem> {
    step(state, member, slug, CampaignStep::Publish).await
}

/// Pause a campaign
#[utoipa::path(post, path = "/campanhas/{slug}/pausa", tag = "campanhas", operation_id = "pausarCampanha", security(("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da campanha")),
    responses((status = 200, description = "A campanha pausada", body = CampaignBody)))]
pub async fn pause(state: State<AppState>, member: Member<OfCampaign, Editor>, slug: SlugPath, _: NoBody) -> Result<Tagged, Problem> {
    step(state, member, slug, CampaignStep::Pause).await
}

/// Resume a paused campaign
#[utoipa::path(post, path = "/campanhas/{slug}/retomada", tag = "campanhas", operation_id = "retomarCampanha", security(("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da campanha")),
    responses((status = 200, description = "A campanha publicada", body = CampaignBody)))]
pub async fn resume(state: State<AppState>, member: Member<OfCampaign, Editor>, slug: SlugPath, _: NoBody) -> Result<Tagged, Problem> {
    step(state, member, slug, CampaignStep::Resume).await
}

/// Close a campaign for good
#[utoipa::path(post, path = "/campanhas/{slug}/encerramento", tag = "campanhas", operation_id = "encerrarCampanha", security(("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da campanha")),
    responses((status = 200, description = "A campanha encerrada", body = CampaignBody)))]
pub async fn close(state: State<AppState>, member: Member<OfCampaign, Editor>, slug: SlugPath, _: NoBody) -> Result<Tagged, Problem> {
    step(state, member, slug, CampaignStep::Close).await
}

async fn step(
    State(state): State<AppState>,
    member: Member<OfCampaign, Editor>,
    SlugPath(slug): SlugPath,
    step: CampaignStep,
) -> Result<Tagged, Problem> {
    Ok(tagged(campaigns::step(&state, slug.as_str(), step, member.person).await?))
}

//! `PATCH /campanhas/{slug}`

use axum::extract::State;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{CampaignBody, CampaignTag, Tagged, tagged};
use crate::domain::calendar::within_calendar;
use crate::domain::campaign::Category;
use crate::domain::money::{Centavos, Goal};
use crate::domain::text::{Description, Title};
use crate::http::extract::body::{ApiJson, clearable, clearable_timestamp, present};
use crate::http::extract::conditional::IfMatch;
use crate::http::extract::member::{Editor, Member, OfCampaign};
use crate::http::extract::path::SlugPath;
use crate::http::problem::{Problem, Violations};
use crate::service::campaigns;
use crate::state::AppState;
use crate::store::campaigns::CampaignChanges;

/// What changes; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlteracaoDeCampanha)]
pub struct CampaignChangesBody {
    /// Title.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, format = "linha", min_length = 3, max_length = 120, example = "Natal solidário 2026")]
    titulo: Option<String>,
    /// Text.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, format = "texto", min_length = 1, max_length = 20000)]
    descricao: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    categoria: Option<Category>,
    /// Goal; `null` takes it away. Frozen once published.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 100_000_000_000_i64)]
    meta_centavos: Option<Option<i64>>,
    /// The least donation.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 1, maximum = 100_000_000)]
    minimo_centavos: Option<i64>,
    /// The largest donation.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 1, maximum = 100_000_000)]
    maximo_centavos: Option<i64>,
    /// End; `null` takes it away. Frozen once published.
    #[serde(default, deserialize_with = "clearable_timestamp")]
    #[schema(value_type = Option<String>, format = DateTime)]
    fim_em: Option<Option<OffsetDateTime>>,
    /// Whether the feed shows amounts.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    mostra_valores: Option<bool>,
}

/// Change a campaign
#[utoipa::path(patch, path = "/campanhas/{slug}", tag = "campanhas", operation_id = "alterarCampanha", request_body = CampaignChangesBody, security(("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da campanha"), ("if-match" = String, Header, description = "ETag da última leitura", pattern = "^\"[0-9]+-[0-9]+\"$", example = "\"3-1\"")),
    responses((status = 200, description = "A campanha alterada", body = CampaignBody, headers(("etag" = String)))))]
pub async fn update(
    State(state): State<AppState>,
    member: Member<OfCampaign, Editor>,
    SlugPath(slug): SlugPath,
    IfMatch(read): IfMatch<CampaignTag>,
    ApiJson(body, _): ApiJson<CampaignChangesBody>,
) -> Result<Tagged, Problem> {
    let changes = body.parse()?;
    Ok(tagged(campaigns::update(&state, slug.as_str(), read.campaign, &changes, member.person).await?))
}

impl CampaignChangesBody {
    fn parse(self) -> Result<CampaignChanges, Problem> {
        let mut wrong = Violations::default();
        let changes = CampaignChanges {
            titulo: wrong.check_optional("titulo", self.titulo, |text| Title::parse(&text)),
            descricao: wrong.check_optional("descricao", self.descricao, |text| Description::parse(&text)),
            categoria: self.categoria,
            meta: self.meta_centavos.map(|meta| wrong.check_optional("meta_centavos", meta, Goal::try_from)),
            minimo: wrong.check_optional("minimo_centavos", self.minimo_centavos, Centavos::try_from),
            maximo: wrong.check_optional("maximo_centavos", self.maximo_centavos, Centavos::try_from),
            fim_em: self.fim_em.map(|end| wrong.check_optional("fim_em", end, within_calendar)),
            mostra_valores: self.mostra_valores,
        };
        wrong.finish()?;
        Ok(changes)
    }
}

//! `POST /campanhas`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{CampaignBody, CampaignTag};
use crate::domain::calendar::within_calendar;
use crate::domain::campaign::Category;
use crate::domain::money::{Centavos, Goal, MAX_CENTAVOS};
use crate::domain::slug::Slug;
use crate::domain::text::{Description, Title};
use crate::http::extract::body::{ApiJson, optional_timestamp, present, present_text};
use crate::http::extract::conditional::etag;
use crate::http::extract::member::{Editor, require};
use crate::http::extract::session::SignedIn;
use crate::http::problem::{Problem, Violations};
use crate::service::campaigns;
use crate::state::AppState;
use crate::store::campaigns::NewCampaign;

/// A new campaign.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NovaCampanha)]
pub struct NewCampaignBody {
    /// Slug of the organizadora; it takes the role `dona` or `editora`.
    #[schema(min_length = 3, max_length = 80, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", example = "casa-do-caminho")]
    organizadora: String,
    /// Title.
    #[schema(format = "linha", min_length = 3, max_length = 120, example = "Natal solidário")]
    titulo: String,
    /// Text.
    #[schema(format = "texto", min_length = 1, max_length = 20000, example = "Cestas para cem famílias.")]
    descricao: String,
    categoria: Category,
    /// Name in URLs; made from the title where it is not given.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(nullable = false, max_length = 80, pattern = "^([a-z0-9]+(-[a-z0-9]+)*)?$", example = "natal-solidario")]
    slug: Option<String>,
    /// Goal; frozen once published.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000_000_000_i64, example = 500_000)]
    meta_centavos: Option<i64>,
    /// The least donation, 100 where it is not given.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 1, maximum = 100_000_000, example = 100)]
    minimo_centavos: Option<i64>,
    /// The largest donation, R$ 1.000.000,00 where it is not given.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 1, maximum = 100_000_000, example = 1_000_000)]
    maximo_centavos: Option<i64>,
    /// Donations are taken from here on.
    #[serde(default, deserialize_with = "optional_timestamp")]
    #[schema(value_type = Option<String>, format = DateTime)]
    inicio_em: Option<OffsetDateTime>,
    /// Donations are taken until here; frozen once published.
    #[serde(default, deserialize_with = "optional_timestamp")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2030-12-31T23:59:59Z")]
    fim_em: Option<OffsetDateTime>,
    /// Whether the feed shows amounts.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    mostra_valores: Option<bool>,
}

/// Make a campaign
///
/// It begins as a draft that only members see.
#[utoipa::path(post, path = "/campanhas", tag = "campanhas", operation_id = "criarCampanha", request_body = NewCampaignBody, security(("sessao" = [])),
    responses((status = 201, description = "O rascunho", body = CampaignBody, headers(("location" = String), ("etag" = String)))))]
pub async fn create(
    State(state): State<AppState>,
    who: SignedIn,
    ApiJson(body, _): ApiJson<NewCampaignBody>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 2], Json<CampaignBody>), Problem> {
    let (owner, slug, new) = body.parse()?;
    let organizadora = require::<Editor>(&state, &who, &owner).await?;
    let made = campaigns::create(&state, organizadora, who.person(), slug.as_ref(), &new).await?;
    let location = HeaderValue::from_str(&format!("/api/v1/campanhas/{}", made.slug)).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location), (header::ETAG, etag(CampaignTag::of(&made)))], Json(made.into())))
}

impl NewCampaignBody {
    fn parse(self) -> Result<(Slug, Option<Slug>, NewCampaign), Problem> {
        let mut wrong = Violations::default();
        let owner = wrong.check("organizadora", Slug::parse(self.organizadora.trim()));
        let titulo = wrong.check("titulo", Title::parse(&self.titulo));
        let descricao = wrong.check("descricao", Description::parse(&self.descricao));
        let slug = wrong.check_optional("slug", self.slug, |slug| Slug::parse(slug.trim()));
        let meta = wrong.check_optional("meta_centavos", self.meta_centavos, Goal::try_from);
        let minimo = wrong.check("minimo_centavos", Centavos::try_from(self.minimo_centavos.unwrap_or(100)));
        let maximo = wrong.check("maximo_centavos", Centavos::try_from(self.maximo_centavos.unwrap_or(MAX_CENTAVOS)));
        if minimo > maximo && maximo.is_some() {
            wrong.add("maximo_centavos", "não pode ser menor que `minimo_centavos`");
        }
        let inicio_em = wrong.check_optional("inicio_em", self.inicio_em, within_calendar);
        let fim_em = wrong.check_optional("fim_em", self.fim_em, within_calendar);
        if inicio_em.zip(fim_em).is_some_and(|(start, end)| end <= start) {
            wrong.add("fim_em", "tem de vir depois de `inicio_em`");
        }
        wrong.finish()?;
        let (Some(owner), Some(titulo), Some(descricao), Some(minimo), Some(maximo)) = (owner, titulo, descricao, minimo, maximo) else {
            return Err(wrong.problem());
        };
        let new = NewCampaign {
            titulo,
            descricao,
            categoria: self.categoria,
            meta,
            minimo,
            maximo,
            inicio_em,
            fim_em,
            mostra_valores: self.mostra_valores.unwrap_or(true),
        };
        Ok((owner, slug, new))
    }
}

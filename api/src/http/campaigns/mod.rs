//! `/campanhas`

pub mod create;
pub mod donate;
pub mod events;
pub mod feed;
pub mod get;
pub mod list;
pub mod steps;
pub mod totals;
pub mod update;

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::campaign::{CampaignStatus, Category};
use crate::domain::ids::CampaignId;
use crate::http::extract::conditional::etag;
use crate::store::campaigns::Campaign;

/// Whose campaign it is.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = OrganizadoraDaCampanha)]
pub struct CampaignOwner {
    pub(crate) slug: String,
    pub(crate) nome: String,
}

/// A campaign. Its totals are at `/campanhas/{slug}/totais`, since they move while the campaign stands still.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Campanha)]
pub struct CampaignBody {
    pub(crate) id: CampaignId,
    pub(crate) slug: String,
    pub(crate) organizadora: CampaignOwner,
    pub(crate) titulo: String,
    pub(crate) descricao: String,
    pub(crate) categoria: Category,
    /// The goal, where there is one.
    pub(crate) meta_centavos: Option<i64>,
    pub(crate) minimo_centavos: i64,
    pub(crate) maximo_centavos: i64,
    /// Donations are taken from here on.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) inicio_em: Option<OffsetDateTime>,
    /// Donations are taken until here.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) fim_em: Option<OffsetDateTime>,
    /// Whether the feed shows amounts.
    pub(crate) mostra_valores: bool,
    pub(crate) situacao: CampaignStatus,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    publicada_em: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) encerrada_em: Option<OffsetDateTime>,
    pub(crate) versao: i32,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) criada_em: OffsetDateTime,
}

impl From<Campaign> for CampaignBody {
    fn from(row: Campaign) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            organizadora: CampaignOwner { slug: row.organizadora_slug, nome: row.organizadora_nome },
            titulo: row.titulo,
            descricao: row.descricao,
            categoria: row.categoria,
            meta_centavos: row.meta_centavos,
            minimo_centavos: row.minimo_centavos,
            maximo_centavos: row.maximo_centavos,
            inicio_em: row.inicio_em,
            fim_em: row.fim_em,
            mostra_valores: row.mostra_valores,
            situacao: row.situacao,
            publicada_em: row.publicada_em,
            encerrada_em: row.encerrada_em,
            versao: row.versao,
            criada_em: row.criada_em,
        }
    }
}

/// What is in a campaign's tag: whoever reads the campaign reads its organizadora's name as well. A change needs the campaign's
/// version only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CampaignTag {
    /// The campaign's version.
    pub campaign: i32,
    organizadora: i32,
}

impl CampaignTag {
    /// The tag of a campaign.
    pub fn of(row: &Campaign) -> Self {
        Self { campaign: row.versao, organizadora: row.organizadora_versao }
    }
}

impl fmt::Display for CampaignTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.campaign, self.organizadora)
    }
}

impl FromStr for CampaignTag {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (campaign, organizadora) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self { campaign: campaign.parse()?, organizadora: organizadora.parse()? })
    }
}

/// A changed campaign with its new tag.
pub type Tagged = ([(HeaderName, HeaderValue); 1], Json<CampaignBody>);

/// The answer of a change.
pub fn tagged(campaign: Campaign) -> Tagged {
    ([(header::ETAG, etag(CampaignTag::of(&campaign)))], Json(campaign.into()))
}

//! `GET /campanhas`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::CampaignOwner;
use crate::domain::campanha::{CampaignStatus, Category};
use crate::domain::ids::CampanhaId;
use crate::domain::slug::Slug;
use crate::domain::text::SearchTerm;
use crate::http::caching;
use crate::http::cursor::{List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::problem::{Problem, Violations};
use crate::state::AppState;
use crate::store::campanhas::{self, Filter, ListedCampaign, Order, Position};

/// What is listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Words of title and text, or a part of the title; accents do not matter.
    #[param(format = "linha", min_length = 1, max_length = 100)]
    q: Option<String>,
    /// One category.
    #[param(inline)]
    categoria: Option<Category>,
    /// `publicada` (the default), `pausada` or `encerrada`.
    #[param(inline)]
    situacao: Option<PublicStatus>,
    /// The campaigns of one organizadora.
    #[param(min_length = 3, max_length = 80, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    organizadora: Option<String>,
    /// The order; `encerrando` leaves out campaigns without an end.
    #[serde(default)]
    #[param(inline)]
    ordem: Order,
    /// `proximo_cursor` of the page before.
    #[param(max_length = 1024)]
    cursor: Option<String>,
    /// Items of a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limite: Option<u8>,
}

/// The states that everyone sees.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublicStatus {
    /// Takes donations.
    Publicada,
    /// Takes none for now.
    Pausada,
    /// Is over.
    Encerrada,
}

/// A campaign in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = CampanhaNaLista)]
pub struct CampaignItem {
    id: CampanhaId,
    slug: String,
    organizadora: CampaignOwner,
    titulo: String,
    categoria: Category,
    meta_centavos: Option<i64>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    fim_em: Option<OffsetDateTime>,
    situacao: CampaignStatus,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    publicada_em: Option<OffsetDateTime>,
    /// As of the last fold, at most a second ago.
    arrecadado_centavos: i64,
    doadores_qtd: i64,
}

impl From<ListedCampaign> for CampaignItem {
    fn from(row: ListedCampaign) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            organizadora: CampaignOwner { slug: row.organizadora_slug, nome: row.organizadora_nome },
            titulo: row.titulo,
            categoria: row.categoria,
            meta_centavos: row.meta_centavos,
            fim_em: row.fim_em,
            situacao: row.situacao,
            publicada_em: row.publicada_em,
            arrecadado_centavos: row.arrecadado_centavos,
            doadores_qtd: row.doadores_qtd,
        }
    }
}

/// Campaigns
#[utoipa::path(get, path = "/campanhas", tag = "campanhas", operation_id = "listarCampanhas", params(Query),
    responses((status = 200, description = "Uma página", body = Page<CampaignItem>)))]
pub async fn list(
    State(state): State<AppState>,
    request: HeaderMap,
    ApiQuery(query): ApiQuery<Query>,
) -> Result<(HeaderMap, Json<Page<CampaignItem>>), Problem> {
    let now = state.clock.now();
    let (filter, query_string) = query.filter()?;
    let list = List::new("/api/v1/campanhas", &query_string, "");
    let page = PageQuery { cursor: query.cursor, limite: query.limite };
    let (after, limit) = list.start::<Position>(&state.keys.cursor, &page, now)?;
    let mut db = state.connection().await?;
    let found = campanhas::list(&mut db, &filter, after, rows(limit)).await?;
    let order = filter.order;
    let (mut headers, page) = list.page(&state.keys.cursor, found, limit, now, |row| campanhas::position(row, order), CampaignItem::from);
    caching::public(&request, &mut headers);
    Ok((headers, Json(page)))
}

impl Query {
    /// The filter, and its query string with sorted names: what a cursor is bound to.
    fn filter(&self) -> Result<(Filter, String), Problem> {
        let mut wrong = Violations::default();
        let q = wrong.check_optional("q", self.q.as_deref(), SearchTerm::parse);
        let organizadora = wrong.check_optional("organizadora", self.organizadora.as_deref(), Slug::parse);
        wrong.finish()?;
        let situacao = match self.situacao {
            None | Some(PublicStatus::Publicada) => CampaignStatus::Publicada,
            Some(PublicStatus::Pausada) => CampaignStatus::Pausada,
            Some(PublicStatus::Encerrada) => CampaignStatus::Encerrada,
        };
        let mut text = form_urlencoded::Serializer::new(String::new());
        if let Some(categoria) = self.categoria {
            text.append_pair("categoria", categoria.as_str());
        }
        text.append_pair(
            "ordem",
            match self.ordem {
                Order::Recentes => "recentes",
                Order::Arrecadado => "arrecadado",
                Order::Encerrando => "encerrando",
            },
        );
        if let Some(slug) = &organizadora {
            text.append_pair("organizadora", slug.as_str());
        }
        if let Some(q) = &q {
            text.append_pair("q", q.as_str());
        }
        text.append_pair("situacao", situacao.as_str());
        let filter = Filter { q, categoria: self.categoria, situacao, organizadora, order: self.ordem };
        Ok((filter, text.finish()))
    }
}

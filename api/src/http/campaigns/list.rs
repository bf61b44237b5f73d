//! `GET /campanhas`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::{CampaignOwner, totals};
use crate::cache::{LoadError, Resource, Stored, Subject};
use crate::domain::campaign::{CampaignStatus, Category};
use crate::domain::ids::CampaignId;
use crate::domain::slug::Slug;
use crate::domain::text::SearchTerm;
use crate::http::caching;
use crate::http::cursor::{DEFAULT_PAGE_SIZE, List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::problem::{Problem, Violations};
use crate::state::{AppState, Core};
use crate::store::campaigns::{self, Filter, ListedCampaign, Position, SortOrder};

/// What is listed.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CampaignsQuery {
    /// Words of title and text, or a part of the title; accents do not matter.
    #[param(format = "linha", max_length = 100)]
    pub(crate) q: Option<String>,
    /// One category.
    #[param(inline)]
    pub(crate) categoria: Option<Category>,
    /// `publicada` (the default), `pausada` or `encerrada`.
    #[param(inline)]
    pub(crate) situacao: Option<PublicStatus>,
    /// The campaigns of one organizadora.
    #[param(min_length = 3, max_length = 80, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    pub(crate) organizadora: Option<String>,
    /// The order, `recentes` where it is not given; `encerrando` leaves out campaigns without an end.
    #[param(inline)]
    pub(crate) ordem: Option<SortOrder>,
    /// `proximo_cursor` of the page before.
    #[param(max_length = 1024)]
    pub(crate) cursor: Option<String>,
    /// Items of a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limite: Option<u8>,
}

/// The states that everyone sees.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub enum PublicStatus {
    /// Takes donations.
    #[serde(rename = "publicada")]
    Published,
    /// Takes none for now.
    #[serde(rename = "pausada")]
    Paused,
    /// Is over.
    #[serde(rename = "encerrada")]
    Ended,
}

/// A campaign in a list.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = CampanhaNaLista)]
pub struct CampaignItem {
    pub(crate) id: CampaignId,
    pub(crate) slug: String,
    pub(crate) organizadora: CampaignOwner,
    pub(crate) titulo: String,
    pub(crate) categoria: Category,
    pub(crate) meta_centavos: Option<i64>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) fim_em: Option<OffsetDateTime>,
    pub(crate) situacao: CampaignStatus,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    publicada_em: Option<OffsetDateTime>,
    /// All that was confirmed, as of a few seconds ago; `/totais` is newer. What went back is not taken off.
    pub(crate) arrecadado_centavos: i64,
    /// What went back to donors.
    pub(crate) devolvido_centavos: i64,
    /// Of what did not go back, the part that rests on the organizadora's word alone.
    pub(crate) declarado_centavos: i64,
    /// What `ordem=arrecadado` goes by: `arrecadado_centavos` less `devolvido_centavos` less `declarado_centavos`.
    pub(crate) comprovado_centavos: i64,
    pub(crate) doadores_qtd: i64,
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
            devolvido_centavos: row.devolvido_centavos,
            declarado_centavos: row.declarado_centavos,
            comprovado_centavos: row.comprovado_centavos,
            doadores_qtd: row.doadores_qtd,
        }
    }
}

/// Campaigns
#[utoipa::path(get, path = "/campanhas", tag = "campanhas", operation_id = "listarCampanhas", params(CampaignsQuery),
    responses((status = 200, description = "Uma página", body = Page<CampaignItem>)))]
pub async fn list(
    State(state): State<AppState>,
    request: HeaderMap,
    ApiQuery(query): ApiQuery<CampaignsQuery>,
) -> Result<Response, Problem> {
    let page = CampaignsPage::at(&state, query)?;
    let is_first = page.is_first();
    caching::page(&state, &request, page, is_first).await
}

fn pages(query_string: &str) -> List {
    List::new("/api/v1/campanhas", query_string, "")
}

/// A page of public campaigns.
pub struct CampaignsPage {
    filter: Filter,
    query_string: String,
    after: Option<Position>,
    limit: u8,
}

impl CampaignsPage {
    /// The page that `query` asks for.
    pub fn at(core: &Core, query: CampaignsQuery) -> Result<Self, Problem> {
        let (filter, query_string) = query.filter()?;
        let page = PageQuery { cursor: query.cursor, limite: query.limite };
        let (after, limit) = pages(&query_string).start::<Position>(core, &page)?;
        Ok(Self { filter, query_string, after, limit })
    }

    /// Whether it is where everyone begins.
    pub const fn is_first(&self) -> bool {
        self.after.is_none()
    }

    /// What is listed, as a query string with sorted names, without cursor and limit.
    pub fn query_string(&self) -> &str {
        &self.query_string
    }
}

impl Resource for CampaignsPage {
    type Source = AppState;

    fn subject(&self) -> Subject {
        Subject::campaigns(&self.query_string, self.limit, self.filter.order == SortOrder::Raised)
    }

    fn is_common(&self) -> bool {
        self.limit == DEFAULT_PAGE_SIZE && self.filter.q.is_none() && self.filter.organizadora.is_none()
    }

    async fn load(&self, state: &AppState) -> Result<Option<Stored>, LoadError> {
        let found = {
            let mut db = state.db.connection().await?;
            campaigns::list(&mut db, &self.filter, self.after, rows(self.limit)).await?
        };
        let order = self.filter.order;
        let position = |row: &ListedCampaign| campaigns::position(row, order);
        Ok(Some(pages(&self.query_string).page(state, found, self.limit, position).map(CampaignItem::from).stored()?))
    }

    /// Redis keeps the page for an hour; the money on it is of now.
    async fn freshen(&self, state: &AppState, stored: Stored) -> Result<Stored, LoadError> {
        let mut page: Page<CampaignItem> = serde_json::from_str(stored.body.get())?;
        let slugs: Vec<&str> = page.itens.iter().map(|item| item.slug.as_str()).collect();
        let now = totals::current(state, &slugs).await?;
        for item in &mut page.itens {
            if let Some(totals) = now.get(&item.slug) {
                item.arrecadado_centavos = totals.arrecadado_centavos;
                item.devolvido_centavos = totals.devolvido_centavos;
                item.declarado_centavos = totals.declarado_centavos;
                item.comprovado_centavos = totals.proven();
                item.doadores_qtd = totals.doadores_qtd;
            }
        }
        Ok(Stored { body: serde_json::value::to_raw_value(&page)?, ..stored })
    }
}

impl CampaignsQuery {
    /// The filter, and its query string with sorted names: what a cursor is bound to.
    fn filter(&self) -> Result<(Filter, String), Problem> {
        let mut wrong = Violations::default();
        let q = wrong.check_optional("q", self.q.as_deref(), SearchTerm::parse);
        let organizadora = wrong.check_optional("organizadora", self.organizadora.as_deref(), |slug| Slug::parse(slug.trim()));
        wrong.finish()?;
        let situacao = match self.situacao {
            None | Some(PublicStatus::Published) => CampaignStatus::Published,
            Some(PublicStatus::Paused) => CampaignStatus::Paused,
            Some(PublicStatus::Ended) => CampaignStatus::Ended,
        };
        let order = self.ordem.unwrap_or_default();
        let mut text = form_urlencoded::Serializer::new(String::new());
        if let Some(categoria) = self.categoria {
            text.append_pair("categoria", categoria.as_str());
        }
        text.append_pair(
            "ordem",
            match order {
                SortOrder::Newest => "recentes",
                SortOrder::Raised => "arrecadado",
                SortOrder::EndingSoon => "encerrando",
            },
        );
        if let Some(slug) = &organizadora {
            text.append_pair("organizadora", slug.as_str());
        }
        if let Some(q) = &q {
            text.append_pair("q", q.as_str());
        }
        text.append_pair("situacao", situacao.as_str());
        let filter = Filter { q, categoria: self.categoria, situacao, organizadora, order };
        Ok((filter, text.finish()))
    }
}

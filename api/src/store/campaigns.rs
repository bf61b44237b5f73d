//! Campaigns.

use sqlx::{PgConnection, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::campaign::{CampaignStatus, Category};
use crate::domain::cnpj::Cnpj;
use crate::domain::ids::{CampaignId, OrganizadoraId};
use crate::domain::money::{Centavos, Goal};
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::slug::Slug;
use crate::domain::text::{Description, SearchTerm, Title};

/// A campaign with its organisation's name.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct Campaign {
    pub id: CampaignId,
    pub slug: String,
    pub organizadora_id: OrganizadoraId,
    pub organizadora_slug: String,
    pub organizadora_nome: String,
    pub organizadora_versao: i32,
    pub organizadora_situacao: OrganizadoraStatus,
    pub titulo: String,
    pub descricao: String,
    pub categoria: Category,
    pub meta_centavos: Option<i64>,
    pub minimo_centavos: i64,
    pub maximo_centavos: i64,
    pub inicio_em: Option<OffsetDateTime>,
    pub fim_em: Option<OffsetDateTime>,
    pub mostra_valores: bool,
    pub situacao: CampaignStatus,
    pub publicada_em: Option<OffsetDateTime>,
    pub encerrada_em: Option<OffsetDateTime>,
    pub versao: i32,
    pub criada_em: OffsetDateTime,
}

impl Campaign {
    /// Whether everyone may see it: it was published, and its organisation is not suspended.
    pub fn is_public(&self) -> bool {
        self.situacao.is_public() && self.organizadora_situacao != OrganizadoraStatus::Suspended
    }
}

/// A campaign in a list, with its totals.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct ListedCampaign {
    pub id: CampaignId,
    pub slug: String,
    pub organizadora_slug: String,
    pub organizadora_nome: String,
    pub titulo: String,
    pub categoria: Category,
    pub meta_centavos: Option<i64>,
    pub fim_em: Option<OffsetDateTime>,
    pub situacao: CampaignStatus,
    pub publicada_em: Option<OffsetDateTime>,
    pub arrecadado_centavos: i64,
    pub devolvido_centavos: i64,
    pub declarado_centavos: i64,
    pub comprovado_centavos: i64,
    pub doadores_qtd: i64,
}

/// What a donation needs to know about its campaign.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DonationTarget {
    /// The id of the campaign.
    pub id: CampaignId,
    /// The organisation that the campaign belongs to.
    pub organizadora_id: OrganizadoraId,
    /// The campaign's title, for the receipt mail.
    pub titulo: String,
    /// The campaign's state.
    pub situacao: CampaignStatus,
    /// The organisation's state.
    pub organizadora_situacao: OrganizadoraStatus,
    /// The organisation's CNPJ.
    #[sqlx(try_from = "String")]
    pub cnpj: Cnpj,
    /// The least amount of a donation, in centavos.
    pub minimo_centavos: i64,
    /// The largest amount of a donation, in centavos.
    pub maximo_centavos: i64,
    /// The time from which donations are taken.
    pub inicio_em: Option<OffsetDateTime>,
    /// The time until which donations are taken, exclusive.
    pub fim_em: Option<OffsetDateTime>,
}

impl DonationTarget {
    /// Whether everyone may see the campaign: it was published, and its organisation is not suspended.
    pub fn is_public(&self) -> bool {
        self.situacao.is_public() && self.organizadora_situacao != OrganizadoraStatus::Suspended
    }
}

/// A campaign to store.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct NewCampaign {
    pub titulo: Title,
    pub descricao: Description,
    pub categoria: Category,
    pub meta: Option<Goal>,
    pub minimo: Centavos,
    pub maximo: Centavos,
    pub inicio_em: Option<OffsetDateTime>,
    pub fim_em: Option<OffsetDateTime>,
    pub mostra_valores: bool,
}

/// What changes; `None` stays as it is. `meta` and `fim_em` can also be taken away.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct CampaignChanges {
    pub titulo: Option<Title>,
    pub descricao: Option<Description>,
    pub categoria: Option<Category>,
    pub meta: Option<Option<Goal>>,
    pub minimo: Option<Centavos>,
    pub maximo: Option<Centavos>,
    pub fim_em: Option<Option<OffsetDateTime>>,
    pub mostra_valores: Option<bool>,
}

/// How lists are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub enum SortOrder {
    /// Newest first.
    #[serde(rename = "recentes")]
    #[default]
    Newest,
    /// Most money first: what was received, less what went back, less what is only declared.
    #[serde(rename = "arrecadado")]
    Raised,
    /// Those that end soonest first; campaigns without an end are left out.
    #[serde(rename = "encerrando")]
    EndingSoon,
}

/// Where a page begins: the sort value (microseconds or centavos) and id of the row before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Sort value.
    pub key: i64,
    /// Tie-break.
    pub id: Uuid,
}

/// What is listed.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Words to search for.
    pub q: Option<SearchTerm>,
    /// One category.
    pub categoria: Option<Category>,
    /// One public state.
    pub situacao: CampaignStatus,
    /// One organisation's slug.
    pub organizadora: Option<Slug>,
    /// The order.
    pub order: SortOrder,
}

const COLUMNS: &str = "c.id, c.slug, c.organizadora_id, o.slug AS organizadora_slug, o.nome AS organizadora_nome,
    o.versao AS organizadora_versao, o.situacao AS organizadora_situacao, c.titulo, c.descricao, c.categoria, c.meta_centavos, c.minimo_centavos, c.maximo_centavos, c.inicio_em, c.fim_em, c.mostra_valores, c.situacao,
    c.publicada_em, c.encerrada_em, c.versao, c.criada_em";
const LISTED_COLUMNS: &str =
    "SELECT c.id, c.slug, o.slug AS organizadora_slug, o.nome AS organizadora_nome, c.titulo, c.categoria, c.meta_centavos,
    c.fim_em, c.situacao, c.publicada_em, t.arrecadado_centavos, t.devolvido_centavos, t.declarado_centavos, t.comprovado_centavos, t.doadores_qtd
    FROM campanhas c JOIN organizadoras o ON o.id = c.organizadora_id JOIN campanha_totais t ON t.campanha_id = c.id";

/// The sort value of a listed row under `order`.
pub fn position(row: &ListedCampaign, order: SortOrder) -> Position {
    let key = match order {
        SortOrder::Newest => micros(row.publicada_em),
        SortOrder::Raised => row.comprovado_centavos,
        SortOrder::EndingSoon => micros(row.fim_em),
    };
    Position { key, id: row.id.0 }
}

/// Microseconds since 1970, PostgreSQL's resolution.
pub(super) fn micros(at: Option<OffsetDateTime>) -> i64 {
    at.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000).ok()).unwrap_or_default()
}

/// The time of [`micros`].
pub(super) fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Public campaigns.
pub async fn list(db: &mut PgConnection, filter: &Filter, after: Option<Position>, limit: i64) -> Result<Vec<ListedCampaign>, StoreError> {
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(LISTED_COLUMNS);
    query.push(" WHERE o.situacao <> 'suspensa' AND c.situacao = ").push_bind(filter.situacao);
    if let Some(categoria) = filter.categoria {
        query.push(" AND c.categoria = ").push_bind(categoria);
    }
    if let Some(slug) = &filter.organizadora {
        query.push(" AND o.slug = ").push_bind(slug.as_str().to_owned());
    }
    if let Some(term) = &filter.q {
        query.push(" AND (c.busca @@ (websearch_to_tsquery('portuguese', ").push_bind(term.as_str().to_owned());
        query.push(") || websearch_to_tsquery('portuguese', sem_acento(").push_bind(term.as_str().to_owned());
        // Escaped last: taking accents off makes a plain % of a fullwidth one.
        query.push("))) OR sem_acento(c.titulo) LIKE '%' || regexp_replace(sem_acento(").push_bind(term.as_str().to_owned());
        query.push(r"), '[%_\\]', '\\\&', 'g') || '%')");
    }
    match (filter.order, after) {
        (SortOrder::Newest, Some(at)) => {
            query.push(" AND (c.publicada_em, c.id) < (").push_bind(from_micros(at.key)).push(", ").push_bind(at.id).push(")");
        }
        (SortOrder::Raised, Some(at)) => {
            query.push(" AND (t.comprovado_centavos, t.campanha_id) < (").push_bind(at.key).push(", ").push_bind(at.id).push(")");
        }
        (SortOrder::EndingSoon, Some(at)) => {
            query.push(" AND (c.fim_em, c.id) > (").push_bind(from_micros(at.key)).push(", ").push_bind(at.id).push(")");
        }
        (_, None) => {}
    }
    query.push(match filter.order {
        SortOrder::Newest => " ORDER BY c.publicada_em DESC, c.id DESC",
        SortOrder::Raised => " ORDER BY t.comprovado_centavos DESC, t.campanha_id DESC",
        SortOrder::EndingSoon => " AND c.fim_em IS NOT NULL ORDER BY c.fim_em, c.id",
    });
    query.push(" LIMIT ").push_bind(limit);
    Ok(query.build_query_as().fetch_all(db).await?)
}

/// Every campaign of an organisation, whatever its state, newest first.
pub async fn list_of(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ListedCampaign>, StoreError> {
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(LISTED_COLUMNS);
    query.push(" WHERE c.organizadora_id = ").push_bind(organizadora);
    if let Some(id) = before {
        query.push(" AND c.id < ").push_bind(id);
    }
    query.push(" ORDER BY c.id DESC LIMIT ").push_bind(limit);
    Ok(query.build_query_as().fetch_all(db).await?)
}

/// A campaign, whatever its state.
pub async fn get(db: &mut PgConnection, slug: &str) -> Result<Option<Campaign>, StoreError> {
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new("SELECT ");
    query
        .push(COLUMNS)
        .push(" FROM campanhas c JOIN organizadoras o ON o.id = c.organizadora_id WHERE c.slug = ")
        .push_bind(slug.to_owned());
    Ok(query.build_query_as().fetch_optional(db).await?)
}

/// The slugs of an organisation's campaigns.
pub async fn slugs(db: &mut PgConnection, organizadora: OrganizadoraId) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar("SELECT slug FROM campanhas WHERE organizadora_id = $1").bind(organizadora).fetch_all(db).await?)
}

/// The campaign that a donation goes to.
pub async fn donation_target(db: &mut PgConnection, slug: &str) -> Result<Option<DonationTarget>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT c.id, c.organizadora_id, c.titulo, c.situacao, o.situacao AS organizadora_situacao, o.cnpj, c.minimo_centavos,
                c.maximo_centavos, c.inicio_em, c.fim_em
         FROM campanhas c JOIN organizadoras o ON o.id = c.organizadora_id WHERE c.slug = $1",
    )
    .bind(slug)
    .fetch_optional(db)
    .await?)
}

/// The row of a draft to store.
#[derive(Clone, Copy, Debug)]
pub struct CampaignRow<'a> {
    /// The id that the campaign gets.
    pub id: CampaignId,
    /// The organisation that it belongs to.
    pub organizadora_id: OrganizadoraId,
    /// The slug that the campaign gets, if it is free.
    pub slug: &'a Slug,
    /// The columns that its organisation chose.
    pub campaign: &'a NewCampaign,
}

/// Stores a draft with totals of 0. Returns false, and stores nothing, if another campaign has the slug.
pub async fn insert(db: &mut PgConnection, row: &CampaignRow<'_>, now: OffsetDateTime) -> Result<bool, StoreError> {
    let new = row.campaign;
    let done = sqlx::query(
        "WITH nova AS (
             INSERT INTO campanhas (id, organizadora_id, slug, titulo, descricao, categoria, meta_centavos, minimo_centavos,
                                    maximo_centavos, inicio_em, fim_em, mostra_valores, criada_em, atualizada_em)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
             ON CONFLICT (slug) DO NOTHING RETURNING id)
         INSERT INTO campanha_totais (campanha_id, atualizado_em) SELECT id, $13 FROM nova",
    )
    .bind(row.id)
    .bind(row.organizadora_id)
    .bind(row.slug.as_str())
    .bind(new.titulo.as_str())
    .bind(new.descricao.as_str())
    .bind(new.categoria)
    .bind(new.meta.map(Goal::get))
    .bind(new.minimo.get())
    .bind(new.maximo.get())
    .bind(new.inicio_em)
    .bind(new.fim_em)
    .bind(new.mostra_valores)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
pub enum UpdateCampaignError {
    /// `meta_centavos` or `fim_em` after publication.
    #[error("goal and deadline are frozen once published")]
    Frozen,
    /// `minimo` above `maximo`, both as they would become.
    #[error("the least amount is above the largest")]
    Limits,
    /// The end is not after the start.
    #[error("the end is not after the start")]
    Period,
    /// The statement failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for UpdateCampaignError {
    fn from(error: StoreError) -> Self {
        match error.constraint() {
            Some("campanhas_promessa_congelada") => Self::Frozen,
            Some("campanhas_limites") => Self::Limits,
            Some("campanhas_periodo") => Self::Period,
            _ => Self::Store(error),
        }
    }
}

/// Applies `changes` if `version` is still the current one; whether it was.
pub async fn update(
    db: &mut PgConnection,
    slug: &str,
    version: i32,
    changes: &CampaignChanges,
    now: OffsetDateTime,
) -> Result<bool, UpdateCampaignError> {
    let done = sqlx::query(
        "UPDATE campanhas SET
             titulo = coalesce($3, titulo), descricao = coalesce($4, descricao), categoria = coalesce($5, categoria),
             meta_centavos = CASE WHEN $6 THEN $7 ELSE meta_centavos END,
             minimo_centavos = coalesce($8, minimo_centavos), maximo_centavos = coalesce($9, maximo_centavos),
             fim_em = CASE WHEN $10 THEN $11 ELSE fim_em END,
             mostra_valores = coalesce($12, mostra_valores), versao = versao + 1, atualizada_em = $13
         WHERE slug = $1 AND versao = $2",
    )
    .bind(slug)
    .bind(version)
    .bind(changes.titulo.as_ref().map(Title::as_str))
    .bind(changes.descricao.as_ref().map(Description::as_str))
    .bind(changes.categoria)
    .bind(changes.meta.is_some())
    .bind(changes.meta.flatten().map(Goal::get))
    .bind(changes.minimo.map(Centavos::get))
    .bind(changes.maximo.map(Centavos::get))
    .bind(changes.fim_em.is_some())
    .bind(changes.fim_em.flatten())
    .bind(changes.mostra_valores)
    .bind(now)
    .execute(db)
    .await
    .map_err(StoreError::from)?;
    Ok(done.rows_affected() == 1)
}

/// Moves a campaign from one state to the next; false where it was no longer in `from`.
pub async fn advance(
    db: &mut PgConnection,
    id: CampaignId,
    from: CampaignStatus,
    to: CampaignStatus,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE campanhas SET situacao = $3, versao = versao + 1, atualizada_em = $4,
             publicada_em = CASE WHEN $3 = 'publicada' THEN coalesce(publicada_em, $4) ELSE publicada_em END,
             encerrada_em = CASE WHEN $3 = 'encerrada' THEN $4 ELSE encerrada_em END
         WHERE id = $1 AND situacao = $2",
    )
    .bind(id)
    .bind(from)
    .bind(to)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Closes at most `limit` campaigns whose end has come; their slugs.
pub async fn close_ended(db: &mut PgConnection, limit: i64, now: OffsetDateTime) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "UPDATE campanhas SET situacao = 'encerrada', encerrada_em = $1, versao = versao + 1, atualizada_em = $1
         WHERE id IN (SELECT id FROM campanhas WHERE fim_em <= $1 AND situacao IN ('publicada', 'pausada')
                      ORDER BY fim_em LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING slug",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(db)
    .await?)
}

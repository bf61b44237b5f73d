//! Organisations and their PIX keys.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::br_code::{City, ReceiverName};
use crate::domain::cnpj::Cnpj;
use crate::domain::ids::{OrganizadoraId, PersonId};
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::pix_key::{PixKey, PixKeyType};
use crate::domain::pix_receiver::PixReceiver;
use crate::domain::slug::Slug;
use crate::domain::text::Name;

/// An organisation as everyone sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Organizadora {
    /// The id of the organisation.
    pub id: OrganizadoraId,
    /// Its name in URLs.
    pub slug: String,
    /// Its name.
    pub nome: String,
    /// Its CNPJ, 14 characters.
    pub cnpj: String,
    /// How far the platform trusts it.
    pub situacao: OrganizadoraStatus,
    /// Raised by each change.
    pub versao: i32,
    /// When it was made.
    pub criada_em: OffsetDateTime,
}

/// A PIX key of an organisation, as it is stored.
#[derive(Clone, Debug)]
pub struct StoredPixKey {
    /// The key, with the receiver's name and city.
    pub receiver: PixReceiver,
    /// The time from which BR Codes use it.
    pub vigora_em: OffsetDateTime,
}

#[derive(sqlx::FromRow)]
struct PixKeyRow {
    tipo: String,
    chave: String,
    nome_recebedor: String,
    cidade: String,
    vigora_em: OffsetDateTime,
}

/// Fails with [`StoreError::Value`] for a row from which no BR Code can be made. Rows are checked before they are stored, so it is a
/// fault.
impl TryFrom<PixKeyRow> for StoredPixKey {
    type Error = StoreError;

    fn try_from(row: PixKeyRow) -> Result<Self, StoreError> {
        let receiver = PixReceiver {
            key: PixKeyType::parse(&row.tipo).and_then(|kind| PixKey::parse(kind, &row.chave)).map_err(unknown("chave"))?,
            name: ReceiverName::parse(&row.nome_recebedor).map_err(unknown("nome_recebedor"))?,
            city: City::parse(&row.cidade).map_err(unknown("cidade"))?,
        };
        Ok(Self { receiver, vigora_em: row.vigora_em })
    }
}

fn unknown<E: std::error::Error + Send + Sync + 'static>(column: &'static str) -> impl FnOnce(E) -> StoreError {
    move |error| StoreError::Value { column, source: Box::new(error) }
}

const CNPJ_TAKEN: &str = "organizadoras_cnpj_unico";

/// Why an organisation was not stored.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// Another organisation has the CNPJ.
    #[error("the cnpj is taken")]
    CnpjTaken,
    /// The slug is taken.
    #[error("the slug is taken")]
    SlugTaken,
    /// The statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The row of an organisation to store.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct OrganizadoraRow<'a> {
    pub id: OrganizadoraId,
    pub slug: &'a Slug,
    pub nome: &'a Name,
    pub cnpj: &'a Cnpj,
    pub situacao: OrganizadoraStatus,
}

/// Stores an organisation.
pub async fn insert(db: &mut PgConnection, new: &OrganizadoraRow<'_>, now: OffsetDateTime) -> Result<Organizadora, InsertError> {
    let row = sqlx::query_as(
        "INSERT INTO organizadoras (id, slug, nome, cnpj, situacao, criada_em, atualizada_em) VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (slug) DO NOTHING
         RETURNING id, slug, nome, cnpj, situacao, versao, criada_em",
    )
    .bind(new.id)
    .bind(new.slug.as_str())
    .bind(new.nome.as_str())
    .bind(new.cnpj.as_str())
    .bind(new.situacao)
    .bind(now)
    .fetch_optional(db)
    .await
    .map_err(StoreError::from);
    match row {
        Ok(Some(row)) => Ok(row),
        Ok(None) => Err(InsertError::SlugTaken),
        Err(error) if error.constraint() == Some(CNPJ_TAKEN) => Err(InsertError::CnpjTaken),
        Err(error) => Err(error.into()),
    }
}

/// The name of an organisation, for mail.
pub async fn name(db: &mut PgConnection, id: OrganizadoraId) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar("SELECT nome FROM organizadoras WHERE id = $1").bind(id).fetch_one(db).await?)
}

/// The organisation with this slug; `None` if there is none or it is suspended.
pub async fn get(db: &mut PgConnection, slug: &str) -> Result<Option<Organizadora>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT id, slug, nome, cnpj, situacao, versao, criada_em FROM organizadoras WHERE slug = $1 AND situacao <> 'suspensa'",
    )
    .bind(slug)
    .fetch_optional(db)
    .await?)
}

/// Verified organisations with an id below `before`, newest first.
pub async fn list(db: &mut PgConnection, before: Option<Uuid>, limit: i64) -> Result<Vec<Organizadora>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT id, slug, nome, cnpj, situacao, versao, criada_em FROM organizadoras
         WHERE situacao = 'verificada' AND id < $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(before.unwrap_or(Uuid::max()))
    .bind(limit)
    .fetch_all(db)
    .await?)
}

/// The organisations that a person is a member of, with an id below `before`, newest first and whatever their state.
pub async fn list_of(
    db: &mut PgConnection,
    person_id: PersonId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Organizadora>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT o.id, o.slug, o.nome, o.cnpj, o.situacao, o.versao, o.criada_em
         FROM organizadora_membros m JOIN organizadoras o ON o.id = m.organizadora_id
         WHERE m.pessoa_id = $1 AND o.id < $2 ORDER BY o.id DESC LIMIT $3",
    )
    .bind(person_id)
    .bind(before.unwrap_or(Uuid::max()))
    .bind(limit)
    .fetch_all(db)
    .await?)
}

/// Changes the name, if given, and raises the version. `None`, and changes nothing, if `version` is not the current version.
pub async fn rename(
    db: &mut PgConnection,
    id: OrganizadoraId,
    version: i32,
    nome: Option<&Name>,
    now: OffsetDateTime,
) -> Result<Option<Organizadora>, StoreError> {
    Ok(sqlx::query_as(
        "UPDATE organizadoras SET nome = coalesce($3, nome), versao = versao + 1, atualizada_em = $4 WHERE id = $1 AND versao = $2
         RETURNING id, slug, nome, cnpj, situacao, versao, criada_em",
    )
    .bind(id)
    .bind(version)
    .bind(nome.map(Name::as_str))
    .bind(now)
    .fetch_optional(db)
    .await?)
}

/// Marks an organisation in state `pendente` as verified and returns its id; `None` if there is no such organisation in that state.
pub async fn verify(db: &mut PgConnection, slug: &str, now: OffsetDateTime) -> Result<Option<OrganizadoraId>, StoreError> {
    Ok(sqlx::query_scalar(
        "UPDATE organizadoras SET situacao = 'verificada', versao = versao + 1, atualizada_em = $2 WHERE slug = $1 AND situacao = 'pendente' RETURNING id",
    )
    .bind(slug)
    .bind(now)
    .fetch_optional(db)
    .await?)
}

/// An organisation whose row is locked.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct LockedOrganizadora {
    /// The id of the organisation.
    pub id: OrganizadoraId,
    /// The state at the time of the lock.
    pub situacao: OrganizadoraStatus,
}

/// Locks the row of an organisation until the transaction ends; `None` if there is none with this slug.
pub async fn lock(db: &mut PgConnection, slug: &str) -> Result<Option<LockedOrganizadora>, StoreError> {
    // NO KEY: this lock does not conflict with the key-share locks that every confirmation takes.
    Ok(sqlx::query_as("SELECT id, situacao FROM organizadoras WHERE slug = $1 FOR NO KEY UPDATE").bind(slug).fetch_optional(db).await?)
}

/// Sets an organisation's state and raises its version.
pub async fn set_status(db: &mut PgConnection, id: OrganizadoraId, to: OrganizadoraStatus, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("UPDATE organizadoras SET situacao = $2, versao = versao + 1, atualizada_em = $3 WHERE id = $1")
        .bind(id)
        .bind(to)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// A PIX key to store.
#[derive(Clone, Debug)]
pub struct NewPixKey<'a> {
    /// The id of the row.
    pub id: Uuid,
    /// The organisation that it belongs to.
    pub organizadora_id: OrganizadoraId,
    /// The key.
    pub key: &'a PixKey,
    /// The receiver's name on the BR Code.
    pub nome_recebedor: &'a str,
    /// The receiver's city on the BR Code.
    pub cidade: &'a str,
    /// The person who sets it.
    pub criada_por: PersonId,
    /// The time from which BR Codes use it.
    pub vigora_em: OffsetDateTime,
}

/// Stores a PIX key.
pub async fn insert_pix_key(db: &mut PgConnection, new: &NewPixKey<'_>, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO organizadora_chaves_pix (id, organizadora_id, tipo, chave, nome_recebedor, cidade, criada_por, criada_em, vigora_em)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.id)
    .bind(new.organizadora_id)
    .bind(new.key.kind().as_str())
    .bind(new.key.as_str())
    .bind(new.nome_recebedor)
    .bind(new.cidade)
    .bind(new.criada_por)
    .bind(now)
    .bind(new.vigora_em)
    .execute(db)
    .await?;
    Ok(())
}

// A change that was followed by another within its cool-down never comes into force.
macro_rules! valid_keys {
    () => {
        "WITH validas AS (
             SELECT id, tipo, chave, nome_recebedor, cidade, vigora_em FROM organizadora_chaves_pix k
             WHERE organizadora_id = $1 AND NOT EXISTS (
                 SELECT FROM organizadora_chaves_pix n
                 WHERE n.organizadora_id = k.organizadora_id AND n.criada_em > k.criada_em AND n.criada_em < k.vigora_em))"
    };
}

/// The key in force at `now`. A change that was followed by another within its cool-down never comes into force: that is how
/// an intruder's change is taken back.
pub async fn pix_key(db: &mut PgConnection, id: OrganizadoraId, now: OffsetDateTime) -> Result<Option<StoredPixKey>, StoreError> {
    let row: Option<PixKeyRow> = sqlx::query_as(concat!(
        valid_keys!(),
        " SELECT tipo, chave, nome_recebedor, cidade, vigora_em FROM validas
          WHERE vigora_em <= $2 ORDER BY vigora_em DESC, id DESC LIMIT 1"
    ))
    .bind(id)
    .bind(now)
    .fetch_optional(db)
    .await?;
    row.map(StoredPixKey::try_from).transpose()
}

/// The key in force, if there is one, and up to 10 that come into force later; the one that is last to come into force first.
pub async fn pix_keys(db: &mut PgConnection, id: OrganizadoraId, now: OffsetDateTime) -> Result<Vec<StoredPixKey>, StoreError> {
    let rows: Vec<PixKeyRow> = sqlx::query_as(concat!(
        valid_keys!(),
        "
         (SELECT tipo, chave, nome_recebedor, cidade, vigora_em FROM validas
          WHERE vigora_em > $2 ORDER BY vigora_em DESC, id DESC LIMIT 10)
         UNION ALL
         (SELECT tipo, chave, nome_recebedor, cidade, vigora_em FROM validas
          WHERE vigora_em <= $2 ORDER BY vigora_em DESC, id DESC LIMIT 1)"
    ))
    .bind(id)
    .bind(now)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(StoredPixKey::try_from).collect()
}

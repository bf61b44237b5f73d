//! Members of organisations. That there is always a `dona` is held by a trigger.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::ids::{OrganizadoraId, PersonId};
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::role::Role;

/// A member.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct MemberRow {
    /// The id of the person.
    pub pessoa_id: PersonId,
    /// Their name.
    pub nome: String,
    /// What they may do.
    pub papel: Role,
    /// When they became a member.
    pub criado_em: OffsetDateTime,
}

/// Why a membership did not change.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The person has no active account, or is no member.
    #[error("no such person or member")]
    NotFound,
    /// They are a member already.
    #[error("already a member")]
    AlreadyMember,
    /// The change would leave the organisation without an owner.
    #[error("the last dona stays")]
    LastOwner,
    /// The owner who asks became one too recently to remove an older owner.
    #[error("a recent dona cannot remove an older one before {until}")]
    RecentOwner {
        /// The time from which she may remove the older owner.
        until: OffsetDateTime,
    },
    /// The statement failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for MemberError {
    fn from(error: StoreError) -> Self {
        match error.constraint() {
            Some("membros_ao_menos_uma_dona") => Self::LastOwner,
            _ => Self::Store(error),
        }
    }
}

/// The organisation of a slug, its state and a person's role in it; nothing where there is no such organisation or role.
pub async fn role_in(
    db: &mut PgConnection,
    slug: &str,
    person_id: PersonId,
) -> Result<Option<(OrganizadoraId, OrganizadoraStatus, Role)>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT o.id, o.situacao, m.papel FROM organizadoras o JOIN organizadora_membros m ON m.organizadora_id = o.id WHERE o.slug = $1 AND m.pessoa_id = $2",
    )
    .bind(slug)
    .bind(person_id)
    .fetch_optional(db)
    .await?)
}

/// Members by person id.
pub async fn list(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<MemberRow>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT m.pessoa_id, p.nome, m.papel, m.criado_em FROM organizadora_membros m JOIN pessoas p ON p.id = m.pessoa_id
         WHERE m.organizadora_id = $1 AND m.pessoa_id > $2 ORDER BY m.pessoa_id LIMIT $3",
    )
    .bind(organizadora)
    .bind(after.unwrap_or(Uuid::nil()))
    .bind(limit)
    .fetch_all(db)
    .await?)
}

/// Adds a person who has an account.
pub async fn insert(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    person_id: PersonId,
    papel: Role,
    now: OffsetDateTime,
) -> Result<MemberRow, MemberError> {
    let nome: Option<String> = sqlx::query_scalar("SELECT nome FROM pessoas WHERE id = $1 AND apagada_em IS NULL AND situacao = 'ativa'")
        .bind(person_id)
        .fetch_optional(&mut *db)
        .await
        .map_err(StoreError::from)?;
    let nome = nome.ok_or(MemberError::NotFound)?;
    let done = sqlx::query(
        "INSERT INTO organizadora_membros (organizadora_id, pessoa_id, papel, criado_em, dona_desde)
         VALUES ($1, $2, $3, $4, CASE WHEN $3 = 'dona' THEN $4 END)
         ON CONFLICT ON CONSTRAINT membros_pk DO NOTHING",
    )
    .bind(organizadora)
    .bind(person_id)
    .bind(papel)
    .bind(now)
    .execute(db)
    .await
    .map_err(StoreError::from)?;
    if done.rows_affected() == 0 {
        return Err(MemberError::AlreadyMember);
    }
    Ok(MemberRow { pessoa_id: person_id, nome, papel, criado_em: now })
}

/// Changes a member's role.
pub async fn update(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    person_id: PersonId,
    papel: Role,
    now: OffsetDateTime,
) -> Result<MemberRow, MemberError> {
    if papel != Role::Owner {
        remember_owner(db, organizadora, person_id, now).await?;
    }
    let row: Option<MemberRow> = sqlx::query_as(
        "UPDATE organizadora_membros m SET papel = $3, dona_desde = CASE WHEN $3 = 'dona' THEN coalesce(m.dona_desde, $4) END FROM pessoas p
         WHERE m.organizadora_id = $1 AND m.pessoa_id = $2 AND p.id = m.pessoa_id
         RETURNING m.pessoa_id, p.nome, m.papel, m.criado_em",
    )
    .bind(organizadora)
    .bind(person_id)
    .bind(papel)
    .bind(now)
    .fetch_optional(db)
    .await
    .map_err(StoreError::from)?;
    row.ok_or(MemberError::NotFound)
}

/// Removes a member.
pub async fn delete(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    person_id: PersonId,
    now: OffsetDateTime,
) -> Result<(), MemberError> {
    remember_owner(db, organizadora, person_id, now).await?;
    let done = sqlx::query("DELETE FROM organizadora_membros WHERE organizadora_id = $1 AND pessoa_id = $2")
        .bind(organizadora)
        .bind(person_id)
        .execute(db)
        .await
        .map_err(StoreError::from)?;
    if done.rows_affected() == 0 { Err(MemberError::NotFound) } else { Ok(()) }
}

/// Records that a person ceases to own the organisation at `now`. Does nothing if they do not own it.
async fn remember_owner(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    person_id: PersonId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO donas_anteriores (organizadora_id, pessoa_id, ate)
         SELECT organizadora_id, pessoa_id, $3 FROM organizadora_membros WHERE organizadora_id = $1 AND pessoa_id = $2 AND papel = 'dona'
         ON CONFLICT ON CONSTRAINT donas_anteriores_pk DO UPDATE SET ate = excluded.ate",
    )
    .bind(organizadora)
    .bind(person_id)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The name and e-mail address of each member who has one of `roles`; at most 50.
pub async fn addresses(db: &mut PgConnection, organizadora: OrganizadoraId, roles: &[Role]) -> Result<Vec<(String, String)>, StoreError> {
    let roles: Vec<String> = roles.iter().map(|role| role.as_str().to_owned()).collect();
    Ok(sqlx::query_as(
        "SELECT p.nome, p.email FROM organizadora_membros m JOIN pessoas p ON p.id = m.pessoa_id
         WHERE m.organizadora_id = $1 AND m.papel = ANY($2) AND p.apagada_em IS NULL ORDER BY m.pessoa_id LIMIT 50",
    )
    .bind(organizadora)
    .bind(roles)
    .fetch_all(db)
    .await?)
}

/// The time since which a person owns an organisation, if it has an owner of longer standing or had another owner after
/// `former_since`. `None` if she is its only owner so far, its first, or no owner.
pub async fn later_owner_since(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    person_id: PersonId,
    former_since: OffsetDateTime,
) -> Result<Option<OffsetDateTime>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT m.dona_desde FROM organizadora_membros m WHERE m.organizadora_id = $1 AND m.pessoa_id = $2 AND m.papel = 'dona' AND (
             EXISTS (SELECT FROM organizadora_membros o WHERE o.organizadora_id = $1 AND o.papel = 'dona' AND o.dona_desde < m.dona_desde)
             OR EXISTS (SELECT FROM donas_anteriores a WHERE a.organizadora_id = $1 AND a.pessoa_id <> $2 AND a.ate > $3))",
    )
    .bind(organizadora)
    .bind(person_id)
    .bind(former_since)
    .fetch_optional(db)
    .await?)
}

/// The time since which a person owns an organisation; `None` if they do not own it.
pub async fn owner_since(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    person_id: PersonId,
) -> Result<Option<OffsetDateTime>, StoreError> {
    let query =
        sqlx::query_scalar("SELECT dona_desde FROM organizadora_membros WHERE organizadora_id = $1 AND pessoa_id = $2 AND papel = 'dona'");
    Ok(query.bind(organizadora).bind(person_id).fetch_optional(db).await?)
}

/// The name and e-mail address of each owner of an organisation, and of each person who was one after `former_since`; at most 50.
pub async fn owners_to_tell(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    former_since: OffsetDateTime,
) -> Result<Vec<(String, String)>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT p.nome, p.email FROM pessoas p WHERE p.apagada_em IS NULL AND p.id IN (
             SELECT pessoa_id FROM organizadora_membros WHERE organizadora_id = $1 AND papel = 'dona'
             UNION SELECT pessoa_id FROM donas_anteriores WHERE organizadora_id = $1 AND ate > $2)
         ORDER BY p.id LIMIT 50",
    )
    .bind(organizadora)
    .bind(former_since)
    .fetch_all(db)
    .await?)
}

/// Deletes at most `limit` records of former owners who ceased to be one before `before`. Returns how many were deleted.
pub async fn purge_former_owners(db: &mut PgConnection, before: OffsetDateTime, limit: i64) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM donas_anteriores WHERE (organizadora_id, pessoa_id) IN (
             SELECT organizadora_id, pessoa_id FROM donas_anteriores WHERE ate < $1 LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

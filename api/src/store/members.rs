//! Members of organisations. That there is always a `dona` is held by a trigger.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::ids::{OrganizadoraId, PessoaId};
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::role::Role;

/// A member.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Member {
    /// Who.
    pub pessoa_id: PessoaId,
    /// Their name.
    pub nome: String,
    /// What they may do.
    pub papel: Role,
    /// Since when.
    pub criado_em: OffsetDateTime,
}

/// Why a membership did not change.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// Nobody, or somebody who may not be seen.
    #[error("no such person or member")]
    NotFound,
    /// They are a member already.
    #[error("already a member")]
    AlreadyMember,
    /// Nobody would own the organisation.
    #[error("the last dona stays")]
    LastOwner,
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
    pessoa: PessoaId,
) -> Result<Option<(OrganizadoraId, OrganizadoraStatus, Role)>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT o.id, o.situacao, m.papel FROM organizadoras o JOIN organizadora_membros m ON m.organizadora_id = o.id WHERE o.slug = $1 AND m.pessoa_id = $2",
    )
    .bind(slug)
    .bind(pessoa)
    .fetch_optional(db)
    .await?)
}

/// Members by person id.
pub async fn list(db: &mut PgConnection, organizadora: OrganizadoraId, after: Option<Uuid>, limit: i64) -> Result<Vec<Member>, StoreError> {
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
    pessoa: PessoaId,
    papel: Role,
    now: OffsetDateTime,
) -> Result<Member, MemberError> {
    let nome: Option<String> = sqlx::query_scalar("SELECT nome FROM pessoas WHERE id = $1 AND apagada_em IS NULL AND situacao = 'ativa'")
        .bind(pessoa)
        .fetch_optional(&mut *db)
        .await
        .map_err(StoreError::from)?;
    let nome = nome.ok_or(MemberError::NotFound)?;
    let done = sqlx::query(
        "INSERT INTO organizadora_membros (organizadora_id, pessoa_id, papel, criado_em) VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT membros_pk DO NOTHING",
    )
    .bind(organizadora)
    .bind(pessoa)
    .bind(papel)
    .bind(now)
    .execute(db)
    .await
    .map_err(StoreError::from)?;
    if done.rows_affected() == 0 {
        return Err(MemberError::AlreadyMember);
    }
    Ok(Member { pessoa_id: pessoa, nome, papel, criado_em: now })
}

/// Changes a member's role.
pub async fn update(db: &mut PgConnection, organizadora: OrganizadoraId, pessoa: PessoaId, papel: Role) -> Result<Member, MemberError> {
    let row: Option<Member> = sqlx::query_as(
        "UPDATE organizadora_membros m SET papel = $3 FROM pessoas p
         WHERE m.organizadora_id = $1 AND m.pessoa_id = $2 AND p.id = m.pessoa_id
         RETURNING m.pessoa_id, p.nome, m.papel, m.criado_em",
    )
    .bind(organizadora)
    .bind(pessoa)
    .bind(papel)
    .fetch_optional(db)
    .await
    .map_err(StoreError::from)?;
    row.ok_or(MemberError::NotFound)
}

/// Removes a member.
pub async fn delete(db: &mut PgConnection, organizadora: OrganizadoraId, pessoa: PessoaId) -> Result<(), MemberError> {
    let done = sqlx::query("DELETE FROM organizadora_membros WHERE organizadora_id = $1 AND pessoa_id = $2")
        .bind(organizadora)
        .bind(pessoa)
        .execute(db)
        .await
        .map_err(StoreError::from)?;
    if done.rows_affected() == 0 { Err(MemberError::NotFound) } else { Ok(()) }
}

/// The name and address of everyone who has one of `roles`.
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

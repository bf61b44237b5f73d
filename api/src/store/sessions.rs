//! Sessions, and who may act where: one statement answers both.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::StoreError;
use crate::domain::ids::{OrganizadoraId, PersonId, SessionId};
use crate::domain::organizadora::{OrganizadoraRef, OrganizadoraStatus};
use crate::domain::role::{PlatformRole, Role};

/// Time without use after which a session ends.
pub const MAX_IDLE_TIME: Duration = Duration::days(7);
/// Shortest time between two updates of `visto_em`.
const SEEN_UPDATE_INTERVAL: Duration = Duration::minutes(5);

/// A live session and its person.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Session {
    /// The session.
    pub id: SessionId,
    /// Who.
    pub pessoa_id: PersonId,
    /// What they may do for the platform.
    pub papel: PlatformRole,
    /// When they last entered the password.
    pub reautenticada_em: OffsetDateTime,
    /// When the session was last seen.
    pub visto_em: OffsetDateTime,
}

/// A live session, with the role of its person in one organizadora.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SessionWithRole {
    /// The session.
    #[sqlx(flatten)]
    pub session: Session,
    /// The organizadora that the request is about; `None` if it does not exist.
    pub organizadora_id: Option<OrganizadoraId>,
    /// The state of that organizadora; `None` if it does not exist.
    pub organizadora_situacao: Option<OrganizadoraStatus>,
    /// The person's role in it, where they have one.
    pub papel_na_organizadora: Option<Role>,
}

/// A session in its owner's list.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ListedSession {
    /// The session.
    pub id: SessionId,
    /// The browser's name for itself.
    pub agente: Option<String>,
    /// When it began.
    pub criada_em: OffsetDateTime,
    /// When it was last seen, to five minutes.
    pub visto_em: OffsetDateTime,
    /// When it ends at the latest.
    pub expira_em: OffsetDateTime,
}

/// A session to store.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Its id.
    pub id: SessionId,
    /// SHA-256 of its token.
    pub hash: [u8; 32],
    /// Who.
    pub pessoa_id: PersonId,
    /// The generation it belongs to.
    pub versao_auth: i32,
    /// The browser's name for itself.
    pub agente: Option<&'a str>,
    /// When it ends at the latest.
    pub expira_em: OffsetDateTime,
}

// A session counts while it is not expired, not idle, of the person's current generation, and the person is active.
macro_rules! live_session {
    ($columns:literal, $joins:literal) => {
        concat!(
            "SELECT s.id, s.pessoa_id, p.papel, s.reautenticada_em, s.visto_em",
            $columns,
            " FROM sessoes s JOIN pessoas p ON p.id = s.pessoa_id",
            $joins,
            " WHERE s.hash = $1 AND s.expira_em > $2 AND s.visto_em > $3 AND s.versao_auth = p.versao_auth",
            " AND p.situacao = 'ativa' AND p.apagada_em IS NULL"
        )
    };
}

/// The live session of a token.
pub async fn find(db: &mut PgConnection, hash: &[u8; 32], now: OffsetDateTime) -> Result<Option<Session>, StoreError> {
    Ok(sqlx::query_as(live_session!("", "")).bind(hash.as_slice()).bind(now).bind(now - MAX_IDLE_TIME).fetch_optional(db).await?)
}

/// The live session of a token, with the state of the organisation that the request names and the person's role in it.
pub async fn find_with_role(
    db: &mut PgConnection,
    hash: &[u8; 32],
    organizadora: &OrganizadoraRef,
    now: OffsetDateTime,
) -> Result<Option<SessionWithRole>, StoreError> {
    let statement = match organizadora {
        OrganizadoraRef::Slug(_) => live_session!(
            ", o.id AS organizadora_id, o.situacao AS organizadora_situacao, m.papel AS papel_na_organizadora",
            " LEFT JOIN organizadoras o ON o.slug = $4
              LEFT JOIN organizadora_membros m ON m.organizadora_id = o.id AND m.pessoa_id = p.id"
        ),
        OrganizadoraRef::OfCampaign(_) => live_session!(
            ", c.organizadora_id, o.situacao AS organizadora_situacao, m.papel AS papel_na_organizadora",
            " LEFT JOIN campanhas c ON c.slug = $4 LEFT JOIN organizadoras o ON o.id = c.organizadora_id
              LEFT JOIN organizadora_membros m ON m.organizadora_id = c.organizadora_id AND m.pessoa_id = p.id"
        ),
        OrganizadoraRef::OfDonation(_) => live_session!(
            ", c.organizadora_id, o.situacao AS organizadora_situacao, m.papel AS papel_na_organizadora",
            " LEFT JOIN doacoes d ON d.id = $4 LEFT JOIN campanhas c ON c.id = d.campanha_id
              LEFT JOIN organizadoras o ON o.id = c.organizadora_id
              LEFT JOIN organizadora_membros m ON m.organizadora_id = c.organizadora_id AND m.pessoa_id = p.id"
        ),
    };
    let query = sqlx::query_as(statement).bind(hash.as_slice()).bind(now).bind(now - MAX_IDLE_TIME);
    let query = match organizadora {
        OrganizadoraRef::Slug(slug) | OrganizadoraRef::OfCampaign(slug) => query.bind(slug.as_str()),
        OrganizadoraRef::OfDonation(id) => query.bind(id.0),
    };
    Ok(query.fetch_optional(db).await?)
}

/// Notes that a session is in use, where the note is old.
pub async fn touch(db: &mut PgConnection, session: &Session, now: OffsetDateTime) -> Result<(), StoreError> {
    if now - session.visto_em >= SEEN_UPDATE_INTERVAL {
        sqlx::query("UPDATE sessoes SET visto_em = $2 WHERE id = $1 AND visto_em < $2").bind(session.id).bind(now).execute(db).await?;
    }
    Ok(())
}

/// Stores a new session.
pub async fn insert(db: &mut PgConnection, new: &NewSession<'_>, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sessoes (id, hash, pessoa_id, versao_auth, agente, criada_em, visto_em, reautenticada_em, expira_em)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $6, $7)",
    )
    .bind(new.id)
    .bind(new.hash.as_slice())
    .bind(new.pessoa_id)
    .bind(new.versao_auth)
    .bind(new.agente)
    .bind(now)
    .bind(new.expira_em)
    .execute(db)
    .await?;
    Ok(())
}

/// Gives a session a new token after the password was entered again; the hash of the old one, where there is such a session.
pub async fn renew(db: &mut PgConnection, id: SessionId, hash: &[u8; 32], now: OffsetDateTime) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(sqlx::query_scalar(
        "WITH antes AS (SELECT id, hash FROM sessoes WHERE id = $1 FOR UPDATE)
         UPDATE sessoes s SET hash = $2, visto_em = $3, reautenticada_em = $3 FROM antes WHERE s.id = antes.id RETURNING antes.hash",
    )
    .bind(id)
    .bind(hash.as_slice())
    .bind(now)
    .fetch_optional(db)
    .await?)
}

/// The live sessions of a person, newest first, from before `before`.
pub async fn list(
    db: &mut PgConnection,
    person_id: PersonId,
    before: Option<Uuid>,
    limit: i64,
    now: OffsetDateTime,
) -> Result<Vec<ListedSession>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT s.id, s.agente, s.criada_em, s.visto_em, s.expira_em FROM sessoes s JOIN pessoas p ON p.id = s.pessoa_id
         WHERE s.pessoa_id = $1 AND s.expira_em > $2 AND s.visto_em > $3 AND s.versao_auth = p.versao_auth
           AND s.id < $4
         ORDER BY s.id DESC LIMIT $5",
    )
    .bind(person_id)
    .bind(now)
    .bind(now - MAX_IDLE_TIME)
    .bind(before.unwrap_or(Uuid::max()))
    .bind(limit)
    .fetch_all(db)
    .await?)
}

/// Ends a session of `pessoa`; the hash of its token, where there was one.
pub async fn delete(db: &mut PgConnection, person_id: PersonId, id: SessionId) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(sqlx::query_scalar("DELETE FROM sessoes WHERE id = $1 AND pessoa_id = $2 RETURNING hash")
        .bind(id)
        .bind(person_id)
        .fetch_optional(db)
        .await?)
}

/// Ends every session of `pessoa`; the hashes of their tokens.
pub async fn delete_all(db: &mut PgConnection, person_id: PersonId) -> Result<Vec<Vec<u8>>, StoreError> {
    Ok(sqlx::query_scalar("DELETE FROM sessoes WHERE pessoa_id = $1 RETURNING hash").bind(person_id).fetch_all(db).await?)
}

/// Deletes at most `limit` sessions that ended before `before`; how many went.
pub async fn purge(db: &mut PgConnection, before: OffsetDateTime, limit: i64) -> Result<u64, StoreError> {
    let done = sqlx::query("DELETE FROM sessoes WHERE id IN (SELECT id FROM sessoes WHERE expira_em < $1 ORDER BY expira_em LIMIT $2)")
        .bind(before)
        .bind(limit)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}

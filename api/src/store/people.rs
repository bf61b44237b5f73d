//! People, sign-ups that wait for their e-mail, and one-time tokens.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::StoreError;
use crate::domain::email::Email;
use crate::domain::ids::PersonId;
use crate::domain::role::{PersonStatus, PlatformRole};
use crate::domain::text::Name;

/// A person as they see themselves.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Person {
    /// The id of the person.
    pub id: PersonId,
    /// Their name.
    pub nome: String,
    /// Their address, lower case.
    pub email: String,
    /// When the address was proven.
    pub email_verificado_em: Option<OffsetDateTime>,
    /// What they may do for the platform.
    pub papel: PlatformRole,
    /// Raised by each change.
    pub versao: i32,
    /// When the account was made.
    pub criada_em: OffsetDateTime,
}

/// What a log-in is checked against.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Credentials {
    /// The id of the person.
    pub id: PersonId,
    /// The password's hash as a PHC string.
    pub senha_hash: String,
    /// The generation of the person's sessions; only sessions of this generation count.
    pub versao_auth: i32,
}

/// A sign-up.
#[derive(Clone, Debug)]
pub struct NewSignUp {
    /// SHA-256 of the token in the mail.
    pub token_hash: [u8; 32],
    /// The id that the person gets.
    pub pessoa_id: PersonId,
    /// Their name.
    pub nome: Name,
    /// Their address.
    pub email: Email,
    /// PHC string of their password.
    pub senha_hash: String,
    /// Version of the privacy notice they agreed to.
    pub aviso_privacidade: String,
}

/// The active account of `email`, for a log-in.
pub async fn credentials(db: &mut PgConnection, email: &Email) -> Result<Option<Credentials>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT id, senha_hash, versao_auth FROM pessoas
         WHERE lower(email) = $1 AND apagada_em IS NULL AND situacao = 'ativa'",
    )
    .bind(email.as_str())
    .fetch_optional(db)
    .await?)
}

/// Whether `email` has an account, suspended or not.
pub async fn has_account(db: &mut PgConnection, email: &Email) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM pessoas WHERE lower(email) = $1 AND apagada_em IS NULL)")
        .bind(email.as_str())
        .fetch_one(db)
        .await?)
}

/// The stored password of a person.
pub async fn password_hash(db: &mut PgConnection, id: PersonId) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar("SELECT senha_hash FROM pessoas WHERE id = $1 AND apagada_em IS NULL").bind(id).fetch_optional(db).await?)
}

/// A person.
pub async fn get(db: &mut PgConnection, id: PersonId) -> Result<Option<Person>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT id, nome, email, email_verificado_em, papel, versao, criada_em FROM pessoas WHERE id = $1 AND apagada_em IS NULL",
    )
    .bind(id)
    .fetch_optional(db)
    .await?)
}

/// The name and e-mail address of a person whose account is not deleted, suspended or not.
pub async fn address(db: &mut PgConnection, id: PersonId) -> Result<Option<(String, String)>, StoreError> {
    Ok(sqlx::query_as("SELECT nome, email FROM pessoas WHERE id = $1 AND apagada_em IS NULL").bind(id).fetch_optional(db).await?)
}

/// Keeps a sign-up until its mail is answered.
pub async fn insert_sign_up(
    db: &mut PgConnection,
    new: &NewSignUp,
    now: OffsetDateTime,
    expires: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO cadastros (token_hash, pessoa_id, nome, email, senha_hash, aviso_privacidade, criado_em, expira_em)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.token_hash.as_slice())
    .bind(new.pessoa_id)
    .bind(new.nome.as_str())
    .bind(new.email.as_str())
    .bind(&new.senha_hash)
    .bind(&new.aviso_privacidade)
    .bind(now)
    .bind(expires)
    .execute(db)
    .await?;
    Ok(())
}

/// The password of a sign-up whose token is still worth something.
pub async fn sign_up_password_hash(
    db: &mut PgConnection,
    token_hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar("SELECT senha_hash FROM cadastros WHERE token_hash = $1 AND expira_em > $2")
        .bind(token_hash.as_slice())
        .bind(now)
        .fetch_optional(db)
        .await?)
}

/// Deletes the sign-up of a token and makes the person. `None` if the token is unknown, used or expired, or if the address has got
/// an account meanwhile.
pub async fn complete_sign_up(db: &mut PgConnection, token_hash: &[u8; 32], now: OffsetDateTime) -> Result<Option<PersonId>, StoreError> {
    Ok(sqlx::query_scalar(
        "WITH tomado AS (DELETE FROM cadastros WHERE token_hash = $1 AND expira_em > $2 RETURNING *)
         INSERT INTO pessoas (id, nome, email, email_verificado_em, senha_hash, aviso_privacidade, consentimento_em, criada_em, atualizada_em)
         SELECT pessoa_id, nome, email, $2, senha_hash, aviso_privacidade, criado_em, $2, $2 FROM tomado
         ON CONFLICT (lower(email)) WHERE apagada_em IS NULL DO NOTHING
         RETURNING id",
    )
    .bind(token_hash.as_slice())
    .bind(now)
    .fetch_optional(db)
    .await?)
}

/// Changes the profile and returns it. `None`, and changes nothing, if `version` is not the current version.
pub async fn update_profile(
    db: &mut PgConnection,
    id: PersonId,
    version: i32,
    nome: Option<&Name>,
    now: OffsetDateTime,
) -> Result<Option<Person>, StoreError> {
    Ok(sqlx::query_as(
        "UPDATE pessoas SET nome = coalesce($3, nome), versao = versao + 1, atualizada_em = $4
         WHERE id = $1 AND versao = $2 AND apagada_em IS NULL
         RETURNING id, nome, email, email_verificado_em, papel, versao, criada_em",
    )
    .bind(id)
    .bind(version)
    .bind(nome.map(Name::as_str))
    .bind(now)
    .fetch_optional(db)
    .await?)
}

/// Keeps the token of a password reset.
pub async fn insert_reset(
    db: &mut PgConnection,
    hash: &[u8; 32],
    id: PersonId,
    now: OffsetDateTime,
    expires: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO tokens_unicos (hash, pessoa_id, finalidade, criado_em, expira_em) VALUES ($1, $2, 'redefinir_senha', $3, $4)")
        .bind(hash.as_slice())
        .bind(id)
        .bind(now)
        .bind(expires)
        .execute(db)
        .await?;
    Ok(())
}

/// Whether the token of a password reset is unused, has not expired, and belongs to an active person.
pub async fn reset_is_live(db: &mut PgConnection, hash: &[u8; 32], now: OffsetDateTime) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM tokens_unicos t JOIN pessoas p ON p.id = t.pessoa_id
                        WHERE t.hash = $1 AND t.usado_em IS NULL AND t.expira_em > $2 AND p.situacao = 'ativa')",
    )
    .bind(hash.as_slice())
    .bind(now)
    .fetch_one(db)
    .await?)
}

/// Uses up the token of a password reset and every other reset token of the person, and returns the person. `None` if the token is
/// unknown, used or expired, or if the person is suspended.
pub async fn take_reset(db: &mut PgConnection, hash: &[u8; 32], now: OffsetDateTime) -> Result<Option<PersonId>, StoreError> {
    let taken: Option<PersonId> = sqlx::query_scalar(
        "UPDATE tokens_unicos t SET usado_em = $2 FROM pessoas p
         WHERE t.hash = $1 AND t.finalidade = 'redefinir_senha' AND t.usado_em IS NULL AND t.expira_em > $2
           AND p.id = t.pessoa_id AND p.situacao = 'ativa'
         RETURNING t.pessoa_id",
    )
    .bind(hash.as_slice())
    .bind(now)
    .fetch_optional(&mut *db)
    .await?;
    if let Some(id) = taken {
        void_resets(db, id, now).await?;
    }
    Ok(taken)
}

/// Marks every unused reset token of a person as used.
pub async fn void_resets(db: &mut PgConnection, id: PersonId, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("UPDATE tokens_unicos SET usado_em = $2 WHERE pessoa_id = $1 AND usado_em IS NULL").bind(id).bind(now).execute(db).await?;
    Ok(())
}

/// Replaces the password. Sessions that began before no longer count.
pub async fn set_password(db: &mut PgConnection, id: PersonId, hash: &str, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("UPDATE pessoas SET senha_hash = $2, versao_auth = versao_auth + 1, atualizada_em = $3 WHERE id = $1")
        .bind(id)
        .bind(hash)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Whether anybody is an administrator.
pub async fn has_admin(db: &mut PgConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM pessoas WHERE papel = 'admin' AND apagada_em IS NULL AND situacao = 'ativa')")
        .fetch_one(db)
        .await?)
}

/// An account that nobody signed up for.
#[derive(Clone, Debug)]
pub struct NewAdmin {
    /// The id that it gets.
    pub id: PersonId,
    /// What others call it.
    pub nome: Name,
    /// Its address, taken for proven.
    pub email: Email,
    /// PHC string of its password.
    pub senha_hash: String,
    /// Version of the privacy notice of that time.
    pub aviso_privacidade: String,
}

/// Makes the account of an administrator. Returns false, and stores nothing, if the address has an account.
pub async fn insert_admin(db: &mut PgConnection, new: &NewAdmin, now: OffsetDateTime) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO pessoas (id, nome, email, email_verificado_em, senha_hash, papel, aviso_privacidade, consentimento_em, criada_em,
                              atualizada_em)
         VALUES ($1, $2, $3, $6, $4, 'admin', $5, $6, $6, $6)
         ON CONFLICT (lower(email)) WHERE apagada_em IS NULL DO NOTHING",
    )
    .bind(new.id)
    .bind(new.nome.as_str())
    .bind(new.email.as_str())
    .bind(&new.senha_hash)
    .bind(&new.aviso_privacidade)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes the person with this e-mail an administrator and returns their id; `None` if there is none. Their sessions no longer
/// count.
pub async fn grant_admin(db: &mut PgConnection, email: &Email, now: OffsetDateTime) -> Result<Option<PersonId>, StoreError> {
    Ok(sqlx::query_scalar(
        "UPDATE pessoas SET papel = 'admin', versao_auth = versao_auth + 1, versao = versao + 1, atualizada_em = $2
         WHERE lower(email) = $1 AND apagada_em IS NULL RETURNING id",
    )
    .bind(email.as_str())
    .bind(now)
    .fetch_optional(db)
    .await?)
}

/// The account that a command of `api admin` is about, as its argument names it.
#[derive(Clone, Debug)]
pub enum PersonRef {
    /// The id of the account.
    Id(PersonId),
    /// The e-mail of the account, in any letter case.
    Email(Email),
}

/// A person whose row is locked.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct LockedPerson {
    /// The id of the person.
    pub id: PersonId,
    /// The state at the time of the lock.
    pub situacao: PersonStatus,
}

/// Locks the row of a person until the transaction ends; `None` if there is no such account.
pub async fn lock(db: &mut PgConnection, who: &PersonRef) -> Result<Option<LockedPerson>, StoreError> {
    let query = match who {
        PersonRef::Id(id) => {
            sqlx::query_as("SELECT id, situacao FROM pessoas WHERE id = $1 AND apagada_em IS NULL FOR NO KEY UPDATE").bind(*id)
        }
        PersonRef::Email(email) => {
            sqlx::query_as("SELECT id, situacao FROM pessoas WHERE lower(email) = $1 AND apagada_em IS NULL FOR NO KEY UPDATE")
                .bind(email.as_str().to_owned())
        }
    };
    Ok(query.fetch_optional(db).await?)
}

/// Sets a person's state. Sessions that began before no longer count, nor does one that is being opened at the same time.
pub async fn set_status(db: &mut PgConnection, id: PersonId, to: PersonStatus, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("UPDATE pessoas SET situacao = $2, versao_auth = versao_auth + 1, versao = versao + 1, atualizada_em = $3 WHERE id = $1")
        .bind(id)
        .bind(to)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes sign-ups and tokens that expired before `before`, at most `limit` of each. Returns how many were deleted.
pub async fn purge(db: &mut PgConnection, before: OffsetDateTime, limit: i64) -> Result<u64, StoreError> {
    let sign_ups = sqlx::query(
        "DELETE FROM cadastros WHERE token_hash IN (SELECT token_hash FROM cadastros WHERE expira_em < $1 ORDER BY expira_em LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(&mut *db)
    .await?;
    let tokens = sqlx::query(
        "DELETE FROM tokens_unicos WHERE hash IN (SELECT hash FROM tokens_unicos WHERE expira_em < $1 ORDER BY expira_em LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(sign_ups.rows_affected() + tokens.rows_affected())
}

//! Access records that the Marco Civil da Internet asks for. This role can add and expire them, not read them.

use std::net::IpAddr;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::ids::PersonId;

/// What was accessed, but for a donation, whose record comes with [`donations::insert`](super::donations::insert).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A sign-up was completed.
    SignUp(PersonId),
    /// A log-in.
    LogIn(PersonId),
    /// A password was reset.
    Reset(PersonId),
}

/// Records an access from `ip`.
pub async fn record(db: &mut PgConnection, id: Uuid, ip: IpAddr, access: Access, now: OffsetDateTime) -> Result<(), StoreError> {
    let (action, person_id) = match access {
        Access::SignUp(person_id) => ("cadastro", person_id),
        Access::LogIn(person_id) => ("entrada", person_id),
        Access::Reset(person_id) => ("redefinicao", person_id),
    };
    sqlx::query("INSERT INTO registro_acesso (id, em, ip, acao, pessoa_id) VALUES ($1, $2, $3::inet, $4, $5)")
        .bind(id)
        .bind(now)
        .bind(ip.to_string())
        .bind(action)
        .bind(person_id)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes at most `limit` records from before `before`; the database keeps those younger than six months in any case.
pub async fn purge(db: &mut PgConnection, before: OffsetDateTime, limit: i32) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT purgar_registro_acesso($1, $2)").bind(before).bind(limit).fetch_one(db).await?)
}

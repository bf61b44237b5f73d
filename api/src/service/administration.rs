//! What only a person at the command line does. Audited.

use super::Actor;
use super::accounts::AccountError;
use super::invalidation::Invalidation;
use crate::cache::Tag;
use crate::clock::Clock;
use crate::domain::email::{Email, Password};
use crate::domain::ids::PessoaId;
use crate::domain::text::Name;
use crate::keys::KeyRing;
use crate::mail::Letter;
use crate::password::Passwords;
use crate::state::PRIVACY_NOTICE;
use crate::store::audit::{self, AuditTarget, Deed};
use crate::store::consistency::{self, Finding, Part, Size};
use crate::store::pessoas::NewAdmin;
use crate::store::{StoreError, commit, database, organizadoras, outbox, pessoas, sessions};
use sqlx::PgPool;
use time::OffsetDateTime;

/// Marks an organisation as verified; false where there is none.
pub async fn verify_organizadora(db: &PgPool, clock: &Clock, slug: &str) -> Result<bool, StoreError> {
    let now = clock.now();
    let mut tx = db.begin().await?;
    let Some(id) = organizadoras::verify(&mut tx, slug, now).await? else { return Ok(false) };
    record(&mut tx, clock, "organizadora.verificada", id.into()).await?;
    announce(&mut tx, vec![Tag::organizadora(slug), Tag::organizadoras()], now).await?;
    commit(tx).await?;
    Ok(true)
}

/// Makes a person an administrator and ends their sessions; false where there is none.
pub async fn grant_admin(db: &PgPool, clock: &Clock, email: &Email) -> Result<bool, StoreError> {
    let now = clock.now();
    let mut tx = db.begin().await?;
    let Some(id) = pessoas::grant_admin(&mut tx, email, now).await? else { return Ok(false) };
    record(&mut tx, clock, "pessoa.admin", id.into()).await?;
    let sessions = sessions::delete_all(&mut tx, id).await?;
    announce(&mut tx, sessions.iter().map(|hash| Tag::session(hash)).chain([Tag::pessoa(id)]).collect(), now).await?;
    commit(tx).await?;
    Ok(true)
}

/// What became of an administrator's account that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreatedAdmin {
    /// It is there.
    Made,
    /// The address has an account already, whose owner chose its password.
    AddressTaken,
}

/// An administrator's account that nobody signs up for.
#[derive(Debug)]
pub struct AdminAccount {
    /// What others call it.
    pub nome: Name,
    /// Its address, which is taken for proven.
    pub email: Email,
    /// Its password.
    pub password: Password,
}

/// Whether anybody is an administrator.
pub async fn has_admin(db: &PgPool) -> Result<bool, StoreError> {
    let mut connection = db.acquire().await?;
    pessoas::has_admin(&mut connection).await
}

/// Makes an administrator's account.
pub async fn create_admin(db: &PgPool, clock: &Clock, passwords: &Passwords, account: AdminAccount) -> Result<CreatedAdmin, AccountError> {
    let AdminAccount { nome, email, password } = account;
    let senha_hash = passwords.hash(password.into_secret()).await?;
    let now = clock.now();
    let mut tx = db.begin().await.map_err(StoreError::from)?;
    let id = PessoaId(clock.new_id());
    let new = NewAdmin { id, nome, email, senha_hash, aviso_privacidade: PRIVACY_NOTICE.to_owned() };
    if !pessoas::insert_admin(&mut tx, &new, now).await? {
        return Ok(CreatedAdmin::AddressTaken);
    }
    record(&mut tx, clock, "pessoa.admin", id.into()).await?;
    commit(tx).await?;
    Ok(CreatedAdmin::Made)
}

/// A letter that has not been delivered.
#[derive(Clone, Debug)]
pub struct WaitingLetter {
    /// Since when it waits.
    pub since: OffsetDateTime,
    /// How long the code in it is good for, where it has one.
    pub until: Option<OffsetDateTime>,
    /// The letter.
    pub letter: Letter,
}

/// Letters that one statement reads.
const LETTERS: i64 = 200;

/// The letters in the outbox to `to`, or all, oldest first; and how many cannot be opened with `keys`.
pub async fn waiting_letters(db: &PgPool, keys: &KeyRing, to: Option<&Email>) -> Result<(Vec<WaitingLetter>, usize), StoreError> {
    let mut connection = db.acquire().await?;
    let (mut letters, mut sealed, mut after) = (Vec::new(), 0, 0);
    loop {
        let page = outbox::waiting(&mut connection, after, LETTERS).await?;
        let Some(last) = page.last() else { return Ok((letters, sealed)) };
        after = last.id;
        for kept in page {
            match Letter::open(keys, &kept.carga) {
                Ok(letter) if to.is_none_or(|to| letter.address.eq_ignore_ascii_case(to.as_str())) => {
                    letters.push(WaitingLetter { since: kept.criada_em, until: kept.vale_ate, letter });
                }
                Ok(_) => {}
                Err(_) => sealed += 1,
            }
        }
    }
}

/// The command line does not speak to Redis: a process that serves drops what was announced within a second.
async fn announce(db: &mut sqlx::PgConnection, tags: Vec<Tag>, now: OffsetDateTime) -> Result<(), StoreError> {
    Invalidation::announce(db, tags, now).await.map(drop)
}

async fn record(db: &mut sqlx::PgConnection, clock: &Clock, action: &'static str, target: AuditTarget) -> Result<(), StoreError> {
    let actor = Actor::Cli.to_string();
    let deed = Deed { actor: &actor, action, target, detail: serde_json::json!({}) };
    audit::record(db, clock.new_id(), &deed, clock.now()).await
}

/// Checks all of the books.
pub async fn check_books(db: &PgPool) -> Result<Vec<Finding>, StoreError> {
    database::collect_missing_statistics(db).await?;
    let (mut findings, mut last) = (Vec::new(), None);
    while let Some(part) = next_part(db, last.as_ref()).await? {
        findings.extend(check_part(db, &part).await?);
        last = Some(part);
    }
    Ok(findings)
}

async fn next_part(db: &PgPool, last: Option<&Part>) -> Result<Option<Part>, StoreError> {
    let mut connection = db.acquire().await?;
    consistency::next(&mut connection, last, Size::default()).await
}

async fn check_part(db: &PgPool, part: &Part) -> Result<Vec<Finding>, StoreError> {
    let mut tx = db.begin().await?;
    consistency::hold_still(&mut tx).await?;
    let findings = consistency::check(&mut tx, part, Size::default()).await?;
    commit(tx).await?;
    Ok(findings)
}

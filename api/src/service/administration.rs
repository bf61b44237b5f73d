//! What only a person at the command line does. Audited.

use super::accounts::AccountError;
use super::change::{Change, CommandLine};
use crate::cache::Tag;
use crate::config::keys::KeyRing;
use crate::domain::email::{Email, Password};
use crate::domain::ids::PersonId;
use crate::domain::text::Name;
use crate::mail::Letter;
use crate::password::Passwords;
use crate::state::PRIVACY_NOTICE;
use crate::store::consistency::{self, Finding, Part, Size};
use crate::store::people::NewAdmin;
use crate::store::{StoreError, commit, database, organizadoras, outbox, people, sessions};
use sqlx::PgPool;
use time::OffsetDateTime;

/// Marks an organisation as verified; false where there is none.
pub async fn verify_organizadora(site: &CommandLine, slug: &str) -> Result<bool, StoreError> {
    let mut change = Change::begin_at_command_line(site).await?;
    let now = change.now();
    let Some(id) = organizadoras::verify(change.db(), slug, now).await? else { return Ok(false) };
    change.audit("organizadora.verificada", id, serde_json::json!({})).await?;
    change.invalidate([Tag::organizadora(slug), Tag::organizadoras()]);
    change.commit().await?;
    Ok(true)
}

/// Makes a person an administrator and ends their sessions; false where there is none.
pub async fn grant_admin(site: &CommandLine, email: &Email) -> Result<bool, StoreError> {
    let mut change = Change::begin_at_command_line(site).await?;
    let now = change.now();
    let Some(id) = people::grant_admin(change.db(), email, now).await? else { return Ok(false) };
    change.audit("pessoa.admin", id, serde_json::json!({})).await?;
    let sessions = sessions::delete_all(change.db(), id).await?;
    change.invalidate(sessions.iter().map(|hash| Tag::session(hash)).chain([Tag::person(id)]));
    change.commit().await?;
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
    people::has_admin(&mut connection).await
}

/// Makes an administrator's account.
pub async fn create_admin(site: &CommandLine, passwords: &Passwords, account: AdminAccount) -> Result<CreatedAdmin, AccountError> {
    let AdminAccount { nome, email, password } = account;
    let senha_hash = passwords.hash(password.into_secret()).await?;
    let mut change = Change::begin_at_command_line(site).await?;
    let (id, now) = (PersonId(change.new_id()), change.now());
    let new = NewAdmin { id, nome, email, senha_hash, aviso_privacidade: PRIVACY_NOTICE.to_owned() };
    if !people::insert_admin(change.db(), &new, now).await? {
        return Ok(CreatedAdmin::AddressTaken);
    }
    change.audit("pessoa.admin", id, serde_json::json!({})).await?;
    change.commit().await?;
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

/// Letters that one statement reads at most.
const BATCH_LETTERS: i64 = 200;

/// The letters in the outbox to `to`, or all, oldest first; and how many cannot be opened with `keys`.
pub async fn waiting_letters(db: &PgPool, keys: &KeyRing, to: Option<&Email>) -> Result<(Vec<WaitingLetter>, usize), StoreError> {
    let mut connection = db.acquire().await?;
    let (mut letters, mut sealed, mut after) = (Vec::new(), 0, 0);
    loop {
        let page = outbox::waiting(&mut connection, after, BATCH_LETTERS).await?;
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

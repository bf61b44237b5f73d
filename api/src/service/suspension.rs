//! Stopping a fraud from the command line: suspending a person or an organisation, and hiding a message; each with its way back.
//!
//! Each is one transaction with its audit record (state before and after, and the reason) and the announcement to the caches. A
//! process that serves carries the announcement out within a second, since the command line does not speak to Redis.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::Actor;
use super::invalidation::Invalidation;
use crate::cache::Tag;
use crate::clock::Clock;
use crate::domain::doacao::MessageStatus;
use crate::domain::ids::DoacaoId;
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::role::PessoaStatus;
use crate::domain::slug::Slug;
use crate::domain::text::Reason;
use crate::store::audit::{self, AuditTarget, Deed};
use crate::store::pessoas::PessoaRef;
use crate::store::{StoreError, campanhas, commit, doacoes, organizadoras, pessoas, sessions};

const SUSPENDED_ORGANIZADORA: &str = "organizadora.suspensa";

/// What became of a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusChange<S> {
    /// It changed.
    Changed {
        /// The state before.
        from: S,
        /// The state after.
        to: S,
    },
    /// It was in this state already; nothing was written.
    Already(S),
}

impl<S> StatusChange<S> {
    /// The same change with each state mapped.
    pub fn map<T>(self, tell: impl Fn(S) -> T) -> StatusChange<T> {
        match self {
            Self::Changed { from, to } => StatusChange::Changed { from: tell(from), to: tell(to) },
            Self::Already(state) => StatusChange::Already(tell(state)),
        }
    }
}

/// Why nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum SuspensionError {
    /// There is nothing of this name.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The donation has no message.
    #[error("the donation has no message")]
    NoMessage,
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SuspensionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Ends every session of a person and lets them open no other; their reset codes are worth nothing any more. Their donations, and
/// what they are a member of, stay as they are.
pub async fn suspend_person(
    db: &PgPool,
    clock: &Clock,
    who: &PessoaRef,
    reason: &Reason,
) -> Result<StatusChange<PessoaStatus>, SuspensionError> {
    set_person(db, clock, who, PessoaStatus::Suspensa, reason).await
}

/// Lets a suspended person log in again.
pub async fn reinstate_person(
    db: &PgPool,
    clock: &Clock,
    who: &PessoaRef,
    reason: &Reason,
) -> Result<StatusChange<PessoaStatus>, SuspensionError> {
    set_person(db, clock, who, PessoaStatus::Ativa, reason).await
}

async fn set_person(
    db: &PgPool,
    clock: &Clock,
    who: &PessoaRef,
    to: PessoaStatus,
    reason: &Reason,
) -> Result<StatusChange<PessoaStatus>, SuspensionError> {
    let now = clock.now();
    let mut tx = db.begin().await?;
    let locked = pessoas::lock(&mut tx, who).await?.ok_or(SuspensionError::NotFound("person"))?;
    let (id, from) = (locked.id, locked.situacao);
    if from == to {
        return Ok(StatusChange::Already(to));
    }
    pessoas::set_status(&mut tx, id, to, now).await?;
    pessoas::void_resets(&mut tx, id, now).await?;
    let sessions = sessions::delete_all(&mut tx, id).await?;
    let action = match to {
        PessoaStatus::Suspensa => "pessoa.suspensa",
        PessoaStatus::Ativa => "pessoa.reativada",
    };
    record(&mut tx, clock, (action, id.into()), [from.as_str(), to.as_str()], reason).await?;
    let tags = sessions.iter().map(|hash| Tag::session(hash)).chain([Tag::pessoa(id)]).collect();
    announce(&mut tx, tags, now).await?;
    commit(tx).await?;
    Ok(StatusChange::Changed { from, to })
}

/// Hides an organisation with all of its campaigns, which take no donations and are not published meanwhile. Payments that arrive
/// all the same are recorded, and can be confirmed and refunded.
pub async fn suspend_organizadora(
    db: &PgPool,
    clock: &Clock,
    slug: &Slug,
    reason: &Reason,
) -> Result<StatusChange<OrganizadoraStatus>, SuspensionError> {
    let mut tx = db.begin().await?;
    let locked = find_organizadora(&mut tx, slug).await?;
    if locked.situacao == OrganizadoraStatus::Suspensa {
        return Ok(StatusChange::Already(locked.situacao));
    }
    let change = OrganizadoraChange { slug, locked, to: OrganizadoraStatus::Suspensa, action: SUSPENDED_ORGANIZADORA };
    let outcome = change.apply(&mut tx, clock, reason).await?;
    commit(tx).await?;
    Ok(outcome)
}

/// Gives a suspended organisation the state that it had before; `pendente` where nothing says which that was.
pub async fn reinstate_organizadora(
    db: &PgPool,
    clock: &Clock,
    slug: &Slug,
    reason: &Reason,
) -> Result<StatusChange<OrganizadoraStatus>, SuspensionError> {
    let mut tx = db.begin().await?;
    let locked = find_organizadora(&mut tx, slug).await?;
    if locked.situacao != OrganizadoraStatus::Suspensa {
        return Ok(StatusChange::Already(locked.situacao));
    }
    let detail = audit::last_detail(&mut tx, SUSPENDED_ORGANIZADORA, locked.id.into()).await?;
    let before = detail.as_ref().and_then(|detail| detail.get("antes"));
    let was_verified = before.is_some_and(|before| before == OrganizadoraStatus::Verificada.as_str());
    let to = if was_verified { OrganizadoraStatus::Verificada } else { OrganizadoraStatus::Pendente };
    let outcome = OrganizadoraChange { slug, locked, to, action: "organizadora.reativada" }.apply(&mut tx, clock, reason).await?;
    commit(tx).await?;
    Ok(outcome)
}

async fn find_organizadora(db: &mut PgConnection, slug: &Slug) -> Result<organizadoras::LockedOrganizadora, SuspensionError> {
    organizadoras::lock(db, slug.as_str()).await?.ok_or(SuspensionError::NotFound("organizadora"))
}

/// A change of an organisation's state.
struct OrganizadoraChange<'a> {
    slug: &'a Slug,
    locked: organizadoras::LockedOrganizadora,
    to: OrganizadoraStatus,
    action: &'static str,
}

impl OrganizadoraChange<'_> {
    async fn apply(self, db: &mut PgConnection, clock: &Clock, reason: &Reason) -> Result<StatusChange<OrganizadoraStatus>, StoreError> {
        let Self { slug, locked, to, action } = self;
        let (id, from, now) = (locked.id, locked.situacao, clock.now());
        organizadoras::set_status(db, id, to, now).await?;
        record(db, clock, (action, id.into()), [from.as_str(), to.as_str()], reason).await?;
        let mut tags = vec![Tag::organizadora(slug.as_str()), Tag::organizadoras(), Tag::campaigns()];
        for campaign in campanhas::slugs(db, id).await? {
            tags.extend([Tag::campaign(&campaign), Tag::totals(&campaign), Tag::feed(&campaign)]);
        }
        announce(db, tags, now).await?;
        Ok(StatusChange::Changed { from, to })
    }
}

/// Hides the message of a donation from the feed, and each that its donor puts in its place. The donor still sees it.
pub async fn hide_message(
    db: &PgPool,
    clock: &Clock,
    id: DoacaoId,
    reason: &Reason,
) -> Result<StatusChange<MessageStatus>, SuspensionError> {
    set_message(db, clock, id, MessageStatus::Oculta, reason).await
}

/// Shows the message of a donation in the feed again.
pub async fn show_message(
    db: &PgPool,
    clock: &Clock,
    id: DoacaoId,
    reason: &Reason,
) -> Result<StatusChange<MessageStatus>, SuspensionError> {
    set_message(db, clock, id, MessageStatus::Publicada, reason).await
}

async fn set_message(
    db: &PgPool,
    clock: &Clock,
    id: DoacaoId,
    to: MessageStatus,
    reason: &Reason,
) -> Result<StatusChange<MessageStatus>, SuspensionError> {
    let now = clock.now();
    let mut tx = db.begin().await?;
    let locked = doacoes::lock_message(&mut tx, id).await?.ok_or(SuspensionError::NotFound("donation"))?;
    if locked.situacao == to {
        return Ok(StatusChange::Already(to));
    }
    if to == MessageStatus::Oculta && !locked.tem_mensagem {
        return Err(SuspensionError::NoMessage);
    }
    doacoes::set_message_status(&mut tx, id, to, now).await?;
    let action = match to {
        MessageStatus::Oculta => "mensagem.oculta",
        MessageStatus::Publicada => "mensagem.publicada",
    };
    record(&mut tx, clock, (action, id.into()), [locked.situacao.as_str(), to.as_str()], reason).await?;
    announce(&mut tx, vec![Tag::feed(&locked.campanha_slug)], now).await?;
    commit(tx).await?;
    Ok(StatusChange::Changed { from: locked.situacao, to })
}

async fn announce(db: &mut PgConnection, tags: Vec<Tag>, now: OffsetDateTime) -> Result<(), StoreError> {
    Invalidation::announce(db, tags, now).await.map(drop)
}

/// Records `(action, target)` with the states before and after.
async fn record(
    db: &mut PgConnection,
    clock: &Clock,
    (action, target): (&'static str, AuditTarget),
    [before, after]: [&str; 2],
    reason: &Reason,
) -> Result<(), StoreError> {
    let actor = Actor::Cli.to_string();
    let detail = serde_json::json!({ "antes": before, "depois": after, "motivo": reason.as_str() });
    audit::record(db, clock.new_id(), &Deed { actor: &actor, action, target, detail }, clock.now()).await
}

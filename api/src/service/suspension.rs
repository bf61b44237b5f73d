//! Stopping a fraud from the command line: suspending a person or an organisation, and hiding a message; each with its way back.
//!
//! Each operation is one transaction. It changes the state, records the states before and after with the reason in the audit, and
//! writes to the outbox which cached answers are obsolete. The command line does not speak to Redis, so a process that serves drops
//! them, within a second.

use super::change::{Change, CommandLine};
use crate::cache::Tag;
use crate::domain::donation::MessageStatus;
use crate::domain::ids::{DonationId, OrganizadoraId};
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::role::PersonStatus;
use crate::domain::slug::Slug;
use crate::domain::text::Reason;
use crate::store::audit::{self, AuditTarget};
use crate::store::people::PersonRef;
use crate::store::{StoreError, campaigns, donations, organizadoras, people, sessions};

type CliChange<'a> = Change<'a, CommandLine>;

const SUSPENDED_ORGANIZADORA: &str = "organizadora.suspensa";

/// The result of a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusChange<S> {
    /// The state was changed.
    Changed {
        /// The state before the change.
        from: S,
        /// The state after the change.
        to: S,
    },
    /// The target was in this state already; nothing was written, not even to the audit.
    Already(S),
}

impl<S> StatusChange<S> {
    /// Maps each state by `tell`.
    pub fn map<T>(self, tell: impl Fn(S) -> T) -> StatusChange<T> {
        match self {
            Self::Changed { from, to } => StatusChange::Changed { from: tell(from), to: tell(to) },
            Self::Already(state) => StatusChange::Already(tell(state)),
        }
    }
}

/// Why a suspension, a reinstatement or a change of a message failed.
#[derive(Debug, thiserror::Error)]
pub enum SuspensionError {
    /// There is no such person, organizadora or donation; the text names which of them was looked for.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The donation whose message is to be hidden has none.
    #[error("the donation has no message")]
    NoMessage,
    /// A statement of the suspension failed; nothing was changed, unless the connection broke during COMMIT.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is done to a person or an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuspensionAct {
    /// Suspends a person or an organisation that is not suspended.
    Suspend,
    /// Ends the suspension of one that is.
    Reinstate,
}

/// Suspends or reinstates a person. A suspension ends every session of the person, stops them from logging in, and voids their codes
/// to reset the password. Their donations and memberships stay as they are. Reinstated, they can log in again.
pub async fn set_person(
    site: &CommandLine,
    act: SuspensionAct,
    who: &PersonRef,
    reason: &Reason,
) -> Result<StatusChange<PersonStatus>, SuspensionError> {
    let (to, action) = match act {
        SuspensionAct::Suspend => (PersonStatus::Suspended, "pessoa.suspensa"),
        SuspensionAct::Reinstate => (PersonStatus::Active, "pessoa.reativada"),
    };
    let mut change = Change::begin_at_command_line(site).await?;
    let now = change.now();
    let locked = people::lock(change.db(), who).await?.ok_or(SuspensionError::NotFound("person"))?;
    let (id, from) = (locked.id, locked.situacao);
    if from == to {
        return Ok(StatusChange::Already(to));
    }
    people::set_status(change.db(), id, to, now).await?;
    people::void_resets(change.db(), id, now).await?;
    let sessions = sessions::delete_all(change.db(), id).await?;
    record(&mut change, (action, id.into()), [from.as_str(), to.as_str()], reason).await?;
    change.invalidate(sessions.iter().map(|hash| Tag::session(hash)).chain([Tag::person(id)]));
    change.commit().await?;
    Ok(StatusChange::Changed { from, to })
}

/// Suspends or reinstates an organisation. A suspension hides it with all of its campaigns: they take no donations, and none can be
/// published. Payments that arrive all the same are recorded, and can be confirmed and refunded. Reinstated, the organisation has
/// the state that the audit says it had before; `pendente` where the audit has no record.
pub async fn set_organizadora(
    site: &CommandLine,
    act: SuspensionAct,
    slug: &Slug,
    reason: &Reason,
) -> Result<StatusChange<OrganizadoraStatus>, SuspensionError> {
    let mut change = Change::begin_at_command_line(site).await?;
    let now = change.now();
    let locked = organizadoras::lock(change.db(), slug.as_str()).await?.ok_or(SuspensionError::NotFound("organizadora"))?;
    let (id, from) = (locked.id, locked.situacao);
    let is_suspended = from == OrganizadoraStatus::Suspended;
    let (to, action) = match act {
        SuspensionAct::Suspend if !is_suspended => (OrganizadoraStatus::Suspended, SUSPENDED_ORGANIZADORA),
        SuspensionAct::Reinstate if is_suspended => (status_before_suspension(&mut change, id).await?, "organizadora.reativada"),
        SuspensionAct::Suspend | SuspensionAct::Reinstate => return Ok(StatusChange::Already(from)),
    };
    organizadoras::set_status(change.db(), id, to, now).await?;
    record(&mut change, (action, id.into()), [from.as_str(), to.as_str()], reason).await?;
    change.invalidate([Tag::organizadora(slug.as_str()), Tag::organizadoras()]);
    let campaigns = campaigns::slugs(change.db(), id).await?;
    change.invalidate(Tag::all_of_campaigns(campaigns.iter().map(String::as_str)));
    change.commit().await?;
    Ok(StatusChange::Changed { from, to })
}

/// The state that the audit says a suspended organisation had before; `pendente` where the audit has no record.
async fn status_before_suspension(change: &mut CliChange<'_>, id: OrganizadoraId) -> Result<OrganizadoraStatus, StoreError> {
    let detail = audit::last_detail(change.db(), SUSPENDED_ORGANIZADORA, id.into()).await?;
    let before = detail.as_ref().and_then(|detail| detail.get("antes"));
    let was_verified = before.is_some_and(|before| before == OrganizadoraStatus::Verified.as_str());
    Ok(if was_verified { OrganizadoraStatus::Verified } else { OrganizadoraStatus::Pending })
}

/// Hides the message of a donation from the feed, or shows it there again. While it is hidden, so is every message that the donor
/// replaces it by; the donor still sees it. Fails if a message is to be hidden that is not there.
pub async fn set_message_status(
    site: &CommandLine,
    id: DonationId,
    to: MessageStatus,
    reason: &Reason,
) -> Result<StatusChange<MessageStatus>, SuspensionError> {
    let mut change = Change::begin_at_command_line(site).await?;
    let now = change.now();
    let locked = donations::lock_message(change.db(), id).await?.ok_or(SuspensionError::NotFound("donation"))?;
    if locked.situacao == to {
        return Ok(StatusChange::Already(to));
    }
    if to == MessageStatus::Hidden && !locked.tem_mensagem {
        return Err(SuspensionError::NoMessage);
    }
    donations::set_message_status(change.db(), id, to, now).await?;
    let action = match to {
        MessageStatus::Hidden => "mensagem.oculta",
        MessageStatus::Published => "mensagem.publicada",
    };
    record(&mut change, (action, id.into()), [locked.situacao.as_str(), to.as_str()], reason).await?;
    change.invalidate([Tag::feed(&locked.campanha_slug)]);
    change.commit().await?;
    Ok(StatusChange::Changed { from: locked.situacao, to })
}

/// Records `action` on `target` in the audit, with the states before and after and the reason.
async fn record(
    change: &mut CliChange<'_>,
    (action, target): (&'static str, AuditTarget),
    [before, after]: [&str; 2],
    reason: &Reason,
) -> Result<(), StoreError> {
    let detail = serde_json::json!({ "antes": before, "depois": after, "motivo": reason.as_str() });
    change.audit(action, target, detail).await
}

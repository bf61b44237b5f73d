//! Stopping a fraud from the command line: suspending a person or an organisation, and hiding a message; each with its way back.
//!
//! Each operation is one transaction. It changes the state, records the states before and after with the reason in the audit, and
//! writes to the outbox which cached answers are obsolete. The command line does not speak to Redis, so a process that serves drops
//! them, within a second.

use super::change::{Change, CommandLine};
use crate::cache::Tag;
use crate::domain::donation::MessageStatus;
use crate::domain::ids::DonationId;
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

/// Ends every session of a person, stops them from logging in, and voids their codes to reset the password. Their donations and
/// memberships stay as they are.
pub async fn suspend_person(site: &CommandLine, who: &PersonRef, reason: &Reason) -> Result<StatusChange<PersonStatus>, SuspensionError> {
    set_person(site, who, PersonStatus::Suspended, reason).await
}

/// Lets a suspended person log in again.
pub async fn reinstate_person(site: &CommandLine, who: &PersonRef, reason: &Reason) -> Result<StatusChange<PersonStatus>, SuspensionError> {
    set_person(site, who, PersonStatus::Active, reason).await
}

async fn set_person(
    site: &CommandLine,
    who: &PersonRef,
    to: PersonStatus,
    reason: &Reason,
) -> Result<StatusChange<PersonStatus>, SuspensionError> {
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
    let action = match to {
        PersonStatus::Suspended => "pessoa.suspensa",
        PersonStatus::Active => "pessoa.reativada",
    };
    record(&mut change, (action, id.into()), [from.as_str(), to.as_str()], reason).await?;
    change.invalidate(sessions.iter().map(|hash| Tag::session(hash)).chain([Tag::person(id)]));
    change.commit().await?;
    Ok(StatusChange::Changed { from, to })
}

/// Hides an organisation and all of its campaigns. While it is suspended they take no donations and none can be published. Payments
/// that arrive all the same are recorded, and can be confirmed and refunded.
pub async fn suspend_organizadora(
    site: &CommandLine,
    slug: &Slug,
    reason: &Reason,
) -> Result<StatusChange<OrganizadoraStatus>, SuspensionError> {
    let mut change = Change::begin_at_command_line(site).await?;
    let locked = find_organizadora(&mut change, slug).await?;
    if locked.situacao == OrganizadoraStatus::Suspended {
        return Ok(StatusChange::Already(locked.situacao));
    }
    let step = OrganizadoraStep { slug, locked, to: OrganizadoraStatus::Suspended, action: SUSPENDED_ORGANIZADORA };
    let outcome = step.apply(&mut change, reason).await?;
    change.commit().await?;
    Ok(outcome)
}

/// Gives a suspended organisation back the state that the audit says it had before; `pendente` where the audit has no record.
pub async fn reinstate_organizadora(
    site: &CommandLine,
    slug: &Slug,
    reason: &Reason,
) -> Result<StatusChange<OrganizadoraStatus>, SuspensionError> {
    let mut change = Change::begin_at_command_line(site).await?;
    let locked = find_organizadora(&mut change, slug).await?;
    if locked.situacao != OrganizadoraStatus::Suspended {
        return Ok(StatusChange::Already(locked.situacao));
    }
    let detail = audit::last_detail(change.db(), SUSPENDED_ORGANIZADORA, locked.id.into()).await?;
    let before = detail.as_ref().and_then(|detail| detail.get("antes"));
    let was_verified = before.is_some_and(|before| before == OrganizadoraStatus::Verified.as_str());
    let to = if was_verified { OrganizadoraStatus::Verified } else { OrganizadoraStatus::Pending };
    let outcome = OrganizadoraStep { slug, locked, to, action: "organizadora.reativada" }.apply(&mut change, reason).await?;
    change.commit().await?;
    Ok(outcome)
}

async fn find_organizadora(change: &mut CliChange<'_>, slug: &Slug) -> Result<organizadoras::LockedOrganizadora, SuspensionError> {
    organizadoras::lock(change.db(), slug.as_str()).await?.ok_or(SuspensionError::NotFound("organizadora"))
}

/// A change of the state of a locked organisation, with the audit's name for it.
struct OrganizadoraStep<'a> {
    slug: &'a Slug,
    locked: organizadoras::LockedOrganizadora,
    to: OrganizadoraStatus,
    action: &'static str,
}

impl OrganizadoraStep<'_> {
    async fn apply(self, change: &mut CliChange<'_>, reason: &Reason) -> Result<StatusChange<OrganizadoraStatus>, StoreError> {
        let Self { slug, locked, to, action } = self;
        let (id, from, now) = (locked.id, locked.situacao, change.now());
        organizadoras::set_status(change.db(), id, to, now).await?;
        record(change, (action, id.into()), [from.as_str(), to.as_str()], reason).await?;
        change.invalidate([Tag::organizadora(slug.as_str()), Tag::organizadoras()]);
        let campaigns = campaigns::slugs(change.db(), id).await?;
        change.invalidate(Tag::all_of_campaigns(campaigns.iter().map(String::as_str)));
        Ok(StatusChange::Changed { from, to })
    }
}

/// Hides the message of a donation from the feed, as well as every message that its donor replaces it by. The donor still sees it.
pub async fn hide_message(site: &CommandLine, id: DonationId, reason: &Reason) -> Result<StatusChange<MessageStatus>, SuspensionError> {
    set_message(site, id, MessageStatus::Hidden, reason).await
}

/// Shows the message of a donation in the feed again.
pub async fn show_message(site: &CommandLine, id: DonationId, reason: &Reason) -> Result<StatusChange<MessageStatus>, SuspensionError> {
    set_message(site, id, MessageStatus::Published, reason).await
}

async fn set_message(
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

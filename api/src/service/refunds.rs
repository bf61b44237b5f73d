//! Refunds. Under `pix_estatico` no money moves here: a refund records what the organizadora did at its bank.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::Duration;

use super::Actor;
use super::change::Change;
use super::idempotency::{self, Attempt, IdempotencyError, Outcome};
use crate::domain::donation::{DonationEvent, DonationStatus, Reconciliation};
use crate::domain::ids::{DonationId, PersonId, RefundId};
use crate::domain::money::Centavos;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::text::Reason;
use crate::mail::{Mail, Recipient};
use crate::state::Core;
use crate::store::StoreError;
use crate::store::charges::{self, Receipt};
use crate::store::donations::{self as donations, Donation, DonationStep};
use crate::store::idempotency::Scope;
use crate::store::ledger::{self, LedgerEntry, Posting};
use crate::store::refunds::{self as store, NewRefund, Refund};
use crate::store::totals::{self, Delta, NewDelta};

/// How long after the payment a bank takes it back (BCB, API Pix, devolução).
const REFUND_WINDOW: Duration = Duration::days(90);

/// What is to go back.
#[derive(Clone, Debug)]
pub struct RefundOrder {
    /// How much; all that is left where there is none.
    pub valor: Option<Centavos>,
    /// Why.
    pub motivo: Option<Reason>,
    /// Of which receipt; the credited one where there is none.
    pub e2eid: Option<EndToEndId>,
}

/// A refund that was recorded, and what became of the donation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// The refund as it was stored.
    pub devolucao: Refund,
    /// The state of the donation after the refund.
    pub situacao: DonationStatus,
    /// The sum of what went back of the donation so far, in centavos; surplus is not part of it.
    pub devolvido_centavos: i64,
    /// Whether the refunded receipt is surplus. Then neither the donation nor the campaign's totals change.
    pub excedente: bool,
}

/// Why nothing went back.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// There is no such donation.
    #[error("no such donation")]
    NotFound,
    /// Nothing was received for it, or nothing under that end-to-end id.
    #[error("no such receipt")]
    NoReceipt,
    /// Everything went back already.
    #[error("nothing is left of the receipt")]
    NothingLeft,
    /// Less is left than was asked.
    #[error("more than what is left of the receipt")]
    Exceeds {
        /// What is left, in centavos.
        left: i64,
    },
    /// The payment is too long ago.
    #[error("the refund window is over")]
    TooLate,
    /// The donation is in a state in which nothing can be refunded.
    #[error("not legal in state {0:?}")]
    Transition(DonationStatus),
    /// The idempotency key cannot be used.
    #[error(transparent)]
    Idempotency(#[from] IdempotencyError),
    /// A statement of the refund failed; nothing was recorded, unless the connection broke during COMMIT.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Records a refund, once per key.
pub async fn refund(
    core: Arc<Core>,
    donation_id: DonationId,
    by: PersonId,
    order: RefundOrder,
    attempt: Attempt,
) -> Result<Outcome<Refunded>, RefundError> {
    let change = Change::begin(&core, Actor::Person(by)).await?;
    let scope = Scope { owner: format!("pessoa:{by}"), route: "POST /doacoes/{id}/devolucoes", key: attempt.key };
    let refunded = idempotency::run(change, &scope, &attempt, |change| Box::pin(record(change, donation_id, by, order))).await?;
    if let Some(refunded) = refunded.as_new().filter(|refunded| !refunded.excedente) {
        core.metrics.donations(refunded.situacao, 1);
    }
    Ok(refunded)
}

async fn record(change: &mut Change<'_>, donation_id: DonationId, by: PersonId, order: RefundOrder) -> Result<Refunded, RefundError> {
    let now = change.now();
    // The donation's lock makes refunds of one donation come one after the other, so what is left is exact.
    let donation = donations::lock(change.db(), donation_id).await?.ok_or(RefundError::NotFound)?;
    let receipt = pick(charges::receipts_of(change.db(), donation_id).await?, order.e2eid.as_ref()).ok_or(RefundError::NoReceipt)?;
    let payment = receipt.pagamento_id.ok_or(RefundError::NoReceipt)?;
    // Surplus must go back however late it is found.
    if receipt.conciliacao != Reconciliation::Duplicate && receipt.horario + REFUND_WINDOW < now {
        return Err(RefundError::TooLate);
    }
    let left = receipt.valor_centavos - store::refunded(change.db(), &receipt.e2eid).await?;
    let amount = match order.valor {
        Some(amount) => amount,
        None => Centavos::try_from(left).map_err(|_| RefundError::NothingLeft)?,
    };
    if amount.get() > left {
        return Err(RefundError::Exceeds { left });
    }
    let reason = order.motivo.as_ref().map(Reason::as_str);
    let new = NewRefund {
        id: RefundId(change.new_id()),
        doacao_id: donation_id,
        pagamento_id: payment,
        e2eid: &receipt.e2eid,
        valor: amount,
        motivo: reason,
        criada_por: by,
    };
    let made = store::insert(change.db(), &new, now).await.map_err(|error| match error {
        store::InsertRefundError::Exceeds => RefundError::Exceeds { left },
        store::InsertRefundError::Store(error) => RefundError::Store(error),
    })?;
    let surplus = receipt.conciliacao == Reconciliation::Duplicate;
    let posting = Posting {
        id: change.new_id(),
        once: &format!("devolucao:{}", new.id),
        entry: if surplus { LedgerEntry::SurplusRefund } else { LedgerEntry::Refund(donation.campanha_id) },
        organizadora: donation.organizadora_id,
        donation_id,
        amount,
    };
    ledger::post(change.db(), &posting, now).await?;
    // Surplus was never in the campaign's total nor in the donation.
    if !surplus {
        take_back(change, &donation, amount, left, reason).await?;
    }
    let detail = serde_json::json!({ "valor_centavos": amount.get(), "excedente": surplus });
    change.audit("doacao.devolvida", donation_id, detail).await?;
    if let Some(address) = &donation.email_contato {
        let mail = Mail::DonationRefunded { amount, campaign: &donation.campanha_titulo };
        change.mail(Recipient::unnamed(address), &mail).await?;
    }
    let after = donations::get(change.db(), donation_id).await?.ok_or(RefundError::NotFound)?;
    Ok(Refunded { devolucao: made, situacao: after.situacao, devolvido_centavos: after.devolvido_centavos, excedente: surplus })
}

/// Takes `amount` of the `left` centavos off the donation and the campaign's totals.
async fn take_back(
    change: &mut Change<'_>,
    donation: &Donation,
    amount: Centavos,
    left: i64,
    reason: Option<&str>,
) -> Result<(), RefundError> {
    let (now, actor) = (change.now(), change.actor().to_string());
    let event = if amount.get() == left { DonationEvent::RefundAll } else { DonationEvent::RefundPart };
    let to = donation.situacao.next(event).ok_or(RefundError::Transition(donation.situacao))?;
    let step = DonationStep { id: donation.id, from: donation.situacao, to, actor: &actor, reason, settled: None, refunded: Some(amount) };
    let seq = donations::advance(change.db(), &step, now).await?.ok_or(RefundError::Transition(donation.situacao))?;
    let delta = Delta::Refunded(amount.get());
    let new = NewDelta { campanha_id: donation.campanha_id, doacao_id: donation.id, evento_seq: seq, delta };
    totals::push(change.db(), &new, now).await?;
    Ok(())
}

/// The receipt that was named, or the credited one: it is the first of the list. A receipt whose id differs from `e2eid` in letter
/// case alone is meant if it is the only one.
fn pick(receipts: Vec<Receipt>, e2eid: Option<&EndToEndId>) -> Option<Receipt> {
    let Some(wanted) = e2eid else { return receipts.into_iter().next() };
    let is_only_one = receipts.iter().filter(|receipt| receipt.is_named_in_any_case(wanted)).count() == 1;
    receipts.into_iter().find(|receipt| receipt.is_named(wanted) || is_only_one && receipt.is_named_in_any_case(wanted))
}

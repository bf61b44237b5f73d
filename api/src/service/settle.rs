//! Payments that arrived. Whether a provider or a member says so, one transaction records and credits each of them once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::Actor;
use super::change::Change;
use super::idempotency::{self, Attempt, IdempotencyError, Outcome};
use crate::domain::donation::{DonationEvent, DonationStatus, Evidence, Reconciliation};
use crate::domain::ids::{ChargeId, DonationId, PersonId};
use crate::domain::money::Centavos;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::role::Role;
use crate::domain::text::Reason;
use crate::domain::txid::Txid;
use crate::mail::{Mail, Recipient};
use crate::state::Core;
use crate::store::charges::{self, NewReceipt, Receipt};
use crate::store::donations::{self as donations, Donation, DonationStep, Settlement};
use crate::store::idempotency::Scope;
use crate::store::ledger::{self, LedgerEntry, Posting};
use crate::store::totals::{self, Delta, NewDelta};
use crate::store::{StoreError, members};

/// A bank's clock may be ahead of ours by this much.
const CLOCK_SKEW: Duration = Duration::minutes(5);
/// Time that a payment may be before its donation: people often know only the day of a payment.
const PAYMENT_TIME_TOLERANCE: Duration = Duration::days(1);

/// A statement by a provider or a member that a payment arrived.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The amount that arrived.
    pub valor: Centavos,
    /// When it arrived.
    pub horario: OffsetDateTime,
    /// The bank's name for the payment, where it is known.
    pub e2eid: Option<EndToEndId>,
    /// What kind of proof it is.
    pub evidencia: Evidence,
    /// The reason that a member gave for declaring it.
    pub justificativa: Option<Reason>,
    /// The member who declares it; `None` for a provider.
    pub registrado_por: Option<PersonId>,
}

/// The result of a proof.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The donation afterwards.
    pub donation: Donation,
    /// The receipt as it is stored.
    pub receipt: Receipt,
    /// False if the same payment was recorded before; then nothing was credited.
    pub fresh: bool,
}

/// A receipt that a member confirmed, and what became of the donation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The id of the donation.
    pub doacao: DonationId,
    /// The state of the donation after the confirmation.
    pub situacao: DonationStatus,
    /// The receipt as it was stored.
    pub recebimento: Receipt,
}

/// Why a proof was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// There is no such charge or donation.
    #[error("no such charge")]
    NotFound,
    /// The end-to-end id is recorded for another charge or with another amount, or a member confirms a payment that is recorded.
    #[error("the end-to-end id is taken")]
    ReceiptTaken,
    /// A member typed an end-to-end id that differs from a recorded one only in the case of letters.
    #[error("the end-to-end id differs from a recorded one only in letter case")]
    ReceiptCase {
        /// The recorded end-to-end id.
        known: String,
    },
    /// The donation is paid and the proof has no end-to-end id, so this payment cannot be told from the recorded one.
    #[error("the donation has a receipt, and the confirmation has no end-to-end id")]
    ReceiptUnnamed,
    /// The donation is in a state in which money cannot arrive.
    #[error("not legal in state {0:?}")]
    Transition(DonationStatus),
    /// The payment is more than 5 minutes in the future, or more than a day older than the donation.
    #[error("the time of the receipt cannot be")]
    Time,
    /// The idempotency key cannot be used.
    #[error(transparent)]
    Idempotency(#[from] IdempotencyError),
    /// A statement failed; nothing was credited, unless the connection broke during COMMIT.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Records a payment that the provider reports for the charge of `txid`. A payment that is reported twice counts once and gives the
/// same result.
pub async fn by_provider(core: Arc<Core>, txid: Txid, proof: Proof) -> Result<Settled, SettleError> {
    let mut change = Change::begin(&core, Actor::Psp).await?;
    let settled = settle_txid(&mut change, &txid, &proof).await;
    let settled = change.conclude(settled).await?;
    if settled.fresh {
        count(&core, &settled.receipt);
    }
    Ok(settled)
}

async fn settle_txid(change: &mut Change<'_>, txid: &Txid, proof: &Proof) -> Result<Settled, SettleError> {
    let payment = charges::find_by_txid(change.db(), txid).await?.ok_or(SettleError::NotFound)?;
    settle(change, payment, proof).await
}

/// Records a payment that a member of the organizadora confirms for the newest charge of a donation, once per key.
pub async fn by_member(
    core: Arc<Core>,
    donation_id: DonationId,
    member: PersonId,
    proof: Proof,
    attempt: Attempt,
) -> Result<Outcome<Confirmed>, SettleError> {
    let change = Change::begin(&core, Actor::Person(member)).await?;
    let scope = Scope { owner: format!("pessoa:{member}"), route: "POST /doacoes/{id}/confirmacoes", key: attempt.key };
    let confirmed = idempotency::run(change, &scope, &attempt, |change| Box::pin(confirm(change, donation_id, proof))).await?;
    if let Some(confirmed) = confirmed.as_new() {
        count(&core, &confirmed.recebimento);
    }
    Ok(confirmed)
}

async fn confirm(change: &mut Change<'_>, donation_id: DonationId, proof: Proof) -> Result<Confirmed, SettleError> {
    let payment = charges::newest_of(change.db(), donation_id).await?.ok_or(SettleError::NotFound)?;
    let settled = settle(change, payment, &proof).await?;
    if !settled.fresh {
        return Err(SettleError::ReceiptTaken);
    }
    let detail = serde_json::json!({ "valor_centavos": proof.valor.get(), "conciliacao": settled.receipt.conciliacao });
    change.audit("doacao.confirmada", donation_id, detail).await?;
    Ok(Confirmed { doacao: donation_id, situacao: settled.donation.situacao, recebimento: settled.receipt })
}

/// Counts a confirmed donation in the metrics. A surplus payment confirms none.
fn count(core: &Core, receipt: &Receipt) {
    if receipt.conciliacao != Reconciliation::Duplicate {
        core.metrics.donations(DonationStatus::Confirmed, 1);
    }
}

/// Records a payment for a charge. The first payment of a donation confirms it; every further one is surplus and held to be
/// returned. A payment that is recorded already changes nothing (`fresh` is false).
pub(super) async fn settle(change: &mut Change<'_>, payment: ChargeId, proof: &Proof) -> Result<Settled, SettleError> {
    let now = change.now();
    let charge = donations::lock_for_settlement(change.db(), payment).await?.ok_or(SettleError::NotFound)?;
    let before = donations::get(change.db(), charge.doacao_id).await?.ok_or(SettleError::NotFound)?;
    if proof.horario > now + CLOCK_SKEW || proof.horario < before.criada_em - PAYMENT_TIME_TOLERANCE {
        return Err(SettleError::Time);
    }
    let e2eid = proof.e2eid.clone().unwrap_or_else(|| EndToEndId::manual(payment));
    for known in charges::receipts_like(change.db(), e2eid.as_str()).await? {
        if let Some(settled) = same_payment(known, &e2eid, payment, proof, &before)? {
            return Ok(settled);
        }
    }
    let first = !charge.situacao.is_paid();
    if !first && proof.e2eid.is_none() {
        return Err(SettleError::ReceiptUnnamed);
    }
    if !first && let Some(declared) = charges::unidentified_receipt(change.db(), charge.doacao_id, proof.valor).await? {
        if proof.evidencia == Evidence::Declared {
            return Err(SettleError::ReceiptTaken);
        }
        // A member confirmed this payment before, without its id; now the bank gives the id. It is one payment.
        let told = charges::Told { e2eid: &e2eid, horario: proof.horario, evidencia: proof.evidencia };
        charges::identify_receipt(change.db(), &declared.e2eid, &told, now).await?;
        return Ok(Settled { donation: before, receipt: Receipt { e2eid: e2eid.as_str().to_owned(), ..declared }, fresh: false });
    }
    let conciliacao = if first { Reconciliation::of(proof.valor.get(), charge.valor_centavos) } else { Reconciliation::Duplicate };
    let receipt = NewReceipt {
        e2eid: &e2eid,
        organizadora_id: charge.organizadora_id,
        txid: &charge.txid,
        pagamento_id: payment,
        valor: proof.valor,
        horario: proof.horario,
        evidencia: proof.evidencia,
        conciliacao,
        justificativa: proof.justificativa.as_ref().map(Reason::as_str),
        registrado_por: proof.registrado_por,
    };
    if !charges::insert_receipt(change.db(), &receipt, now).await? {
        // Since the look-up above, a receipt of another charge with the same id was committed.
        return Err(SettleError::ReceiptTaken);
    }
    if first {
        credit(change, &charge, proof, &e2eid).await?;
    } else {
        hold_surplus(change, &charge, proof.valor, &e2eid).await?;
    }
    let donation = donations::get(change.db(), charge.doacao_id).await?.ok_or(SettleError::NotFound)?;
    let receipt = Receipt {
        e2eid: e2eid.as_str().to_owned(),
        identificado: None,
        pagamento_id: Some(payment),
        valor_centavos: proof.valor.get(),
        horario: proof.horario,
        conciliacao,
        evidencia: proof.evidencia,
    };
    Ok(Settled { donation, receipt, fresh: true })
}

/// Compares `proof` with a recorded receipt: the result if both are the same payment, `None` if they are two payments, and an error
/// if they contradict each other.
fn same_payment(
    known: Receipt,
    e2eid: &EndToEndId,
    payment: ChargeId,
    proof: &Proof,
    donation: &Donation,
) -> Result<Option<Settled>, SettleError> {
    if !known.is_named(e2eid) {
        match (known.evidencia, proof.evidencia) {
            // Two banks may draw ids that differ in letter case alone; only what people type is doubtful.
            (Evidence::Psp | Evidence::Statement, Evidence::Psp | Evidence::Statement) => return Ok(None),
            (_, Evidence::Declared) => return Err(SettleError::ReceiptCase { known: known.e2eid }),
            (Evidence::Declared, Evidence::Psp | Evidence::Statement) => {}
        }
    }
    if known.pagamento_id == Some(payment) && known.valor_centavos == proof.valor.get() {
        Ok(Some(Settled { donation: donation.clone(), receipt: known, fresh: false }))
    } else {
        Err(SettleError::ReceiptTaken)
    }
}

async fn credit(change: &mut Change<'_>, charge: &Settlement, proof: &Proof, e2eid: &EndToEndId) -> Result<(), SettleError> {
    let now = change.now();
    let to = charge.situacao.next(DonationEvent::Settle).ok_or(SettleError::Transition(charge.situacao))?;
    let actor = change.actor().to_string();
    let step = DonationStep {
        id: charge.doacao_id,
        from: charge.situacao,
        to,
        actor: &actor,
        reason: proof.justificativa.as_ref().map(Reason::as_str),
        settled: Some((proof.valor, proof.evidencia)),
        refunded: None,
    };
    let event = donations::advance(change.db(), &step, now).await?.ok_or(SettleError::Transition(charge.situacao))?;
    charges::mark_paid(change.db(), charge.doacao_id, charge.pagamento_id).await?;
    let once = format!("recebido:{}", e2eid.as_str());
    let posting = Posting {
        id: change.new_id(),
        once: &once,
        entry: LedgerEntry::Confirmation(charge.campanha_id),
        organizadora: charge.organizadora_id,
        donation_id: charge.doacao_id,
        amount: proof.valor,
    };
    ledger::post(change.db(), &posting, now).await?;
    let delta = Delta::Confirmed { received: proof.valor.get(), evidence: proof.evidencia, donor: &charge.doador_chave };
    let new = NewDelta { campanha_id: charge.campanha_id, doacao_id: charge.doacao_id, evento_seq: event, delta };
    totals::push(change.db(), &new, now).await?;
    if let Some(address) = &charge.email_contato {
        let mail = Mail::DonationReceived { amount: proof.valor, campaign: &charge.campanha_titulo };
        change.mail(Recipient::unnamed(address), &mail).await?;
    }
    Ok(())
}

async fn hold_surplus(change: &mut Change<'_>, charge: &Settlement, amount: Centavos, e2eid: &EndToEndId) -> Result<(), SettleError> {
    let now = change.now();
    let once = format!("recebido:{}", e2eid.as_str());
    let posting = Posting {
        id: change.new_id(),
        once: &once,
        entry: LedgerEntry::Surplus,
        organizadora: charge.organizadora_id,
        donation_id: charge.doacao_id,
        amount,
    };
    ledger::post(change.db(), &posting, now).await?;
    for (name, address) in members::addresses(change.db(), charge.organizadora_id, &[Role::Owner, Role::Finance]).await? {
        let mail = Mail::SurplusReceived { amount, campaign: &charge.campanha_titulo, donation: charge.doacao_id, e2eid: e2eid.as_str() };
        change.mail(Recipient::named(&name, &address), &mail).await?;
    }
    Ok(())
}

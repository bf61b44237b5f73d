//! Money that goes back. Under `pix_estatico` this records what the organizadora did at its bank.

use std::sync::Arc;

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use super::Actor;
use super::once::{self, Answer, Attempt, OnceError};
use crate::domain::doacao::{DonationEvent, DonationStatus, Reconciliation};
use crate::domain::ids::{DevolucaoId, DoacaoId, PessoaId};
use crate::domain::money::Centavos;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::text::Reason;
use crate::mail::{Mail, post};
use crate::state::Core;
use crate::store::audit::{self, Deed};
use crate::store::doacoes::{self as donations, Doacao, Step};
use crate::store::idempotency::Scope;
use crate::store::ledger::{self, Entry, Posting};
use crate::store::pagamentos::{self, Receipt};
use crate::store::refunds::{self as store, Devolucao, NewRefund};
use crate::store::totals::{self, Delta};
use crate::store::{StoreError, conclude};

/// How long after the payment a bank takes it back (BCB, API Pix, devolução).
const WINDOW: Duration = Duration::days(90);

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
    /// The donation is in a state in which nothing goes back.
    #[error("not legal in state {0:?}")]
    Transition(DonationStatus),
    /// The idempotency key cannot be used.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Records a refund, once per key.
pub async fn refund(
    core: Arc<Core>,
    doacao: DoacaoId,
    by: PessoaId,
    order: RefundOrder,
    attempt: Attempt,
    render: fn(&Doacao, &Devolucao) -> String,
) -> Result<Answer, RefundError> {
    let mut tx = core.db.begin().await?;
    let refunded = refund_once(&core, &mut tx, doacao, by, &order, &attempt, render).await;
    let (answer, reached) = conclude(tx, refunded).await?;
    if let Some(status) = reached {
        core.metrics.donations(status, 1);
    }
    Ok(answer)
}

/// The answer, and the state that the donation newly reached.
async fn refund_once(
    core: &Core,
    db: &mut PgConnection,
    doacao: DoacaoId,
    by: PessoaId,
    order: &RefundOrder,
    attempt: &Attempt,
    render: fn(&Doacao, &Devolucao) -> String,
) -> Result<(Answer, Option<DonationStatus>), RefundError> {
    let now = core.clock.now();
    let scope = Scope { owner: format!("pessoa:{by}"), route: "POST /doacoes/{id}/devolucoes", key: attempt.key };
    if let Some(answer) = once::claim(core, db, &scope, attempt).await? {
        return Ok((answer, None));
    }
    // The donation's lock makes refunds of one donation come one after the other, so what is left is exact.
    let donation = donations::lock(db, doacao).await?.ok_or(RefundError::NotFound)?;
    let receipt = pick(pagamentos::receipts_of(db, doacao).await?, order.e2eid.as_ref()).ok_or(RefundError::NoReceipt)?;
    let payment = receipt.pagamento_id.ok_or(RefundError::NoReceipt)?;
    // Surplus must go back however late it is found.
    if receipt.conciliacao != Reconciliation::Duplicada && receipt.horario + WINDOW < now {
        return Err(RefundError::TooLate);
    }
    let left = receipt.valor_centavos - store::refunded(db, &receipt.e2eid).await?;
    let amount = match order.valor {
        Some(amount) => amount,
        None => Centavos::try_from(left).map_err(|_| RefundError::NothingLeft)?,
    };
    if amount.get() > left {
        return Err(RefundError::Exceeds { left });
    }
    let actor = Actor::Pessoa(by).to_string();
    let reason = order.motivo.as_ref().map(Reason::as_str);
    let new = NewRefund {
        id: DevolucaoId(core.clock.new_id()),
        doacao_id: doacao,
        pagamento_id: payment,
        e2eid: &receipt.e2eid,
        valor: amount,
        motivo: reason,
        criada_por: by,
    };
    let made = store::insert(db, &new, now).await.map_err(|error| match error {
        store::RefundError::Exceeds => RefundError::Exceeds { left },
        store::RefundError::Store(error) => RefundError::Store(error),
    })?;
    let surplus = receipt.conciliacao == Reconciliation::Duplicada;
    let posting = Posting {
        id: core.clock.new_id(),
        once: &format!("devolucao:{}", new.id),
        entry: if surplus { Entry::SurplusRefund } else { Entry::Refund(donation.campanha_id) },
        organizadora: donation.organizadora_id,
        doacao,
        amount,
    };
    ledger::post(db, &posting, now).await?;
    // Surplus was never in the campaign's total nor in the donation.
    let reached = if surplus { None } else { Some(take_back(db, &donation, amount, left, &actor, reason, now).await?) };
    let detail = serde_json::json!({ "valor_centavos": amount.get(), "excedente": surplus });
    let deed = Deed { actor: &actor, action: "doacao.devolvida", target_kind: "doacao", target: doacao.0, detail };
    audit::record(db, core.clock.new_id(), &deed, now).await?;
    if let Some(address) = &donation.email_contato {
        let mail = Mail::DonationRefunded { amount, campaign: &donation.campanha_titulo };
        post(db, &core.keys.body, &core.public_url, None, address, &mail, now).await?;
    }
    let after = donations::get(db, doacao).await?.ok_or(RefundError::NotFound)?;
    let answer = Answer { subject: doacao.0, location: Some(format!("/api/v1/doacoes/{doacao}")), body: render(&after, &made) };
    once::keep(core, db, &scope, attempt, &answer).await?;
    Ok((answer, reached))
}

/// Takes `amount` of the `left` centavos off the donation and the campaign's totals; the state that it reached.
async fn take_back(
    db: &mut PgConnection,
    donation: &Doacao,
    amount: Centavos,
    left: i64,
    actor: &str,
    reason: Option<&str>,
    now: OffsetDateTime,
) -> Result<DonationStatus, RefundError> {
    let event = if amount.get() == left { DonationEvent::RefundAll } else { DonationEvent::RefundPart };
    let to = donation.situacao.next(event).ok_or(RefundError::Transition(donation.situacao))?;
    let step = Step { id: donation.id, from: donation.situacao, to, actor, reason, settled: None, refunded: Some(amount) };
    let seq = donations::advance(db, &step, now).await?.ok_or(RefundError::Transition(donation.situacao))?;
    totals::push(db, donation.campanha_id, donation.id, seq, &Delta::Refunded(amount.get()), now).await?;
    Ok(to)
}

/// The receipt that was named, or the credited one: it is the first of the list.
fn pick(receipts: Vec<Receipt>, e2eid: Option<&EndToEndId>) -> Option<Receipt> {
    receipts.into_iter().find(|receipt| e2eid.is_none_or(|wanted| receipt.is_named(wanted)))
}

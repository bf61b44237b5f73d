//! A donation as rows, with everything that hangs on it: events, charge, receipt, refund and ledger.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::rows::{ColumnValue, Rows};
use super::world::{SeedCampaign, SeedPerson};
use super::{SeedError, legal, words};
use crate::config::keys::KeyRing;
use crate::domain::br_code::StaticCharge;
use crate::domain::donation::{DonationEvent, DonationStatus, Evidence, Reconciliation, Visibility};
use crate::domain::ids::{DonationId, PersonId};
use crate::domain::money::Centavos;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::provider::Provider;
use crate::domain::text::{DisplayName, Message, Reason};
use crate::domain::txid::Txid;
use crate::service::Actor;
use crate::service::donations::donor_key;
use crate::state::PRIVACY_NOTICE;
use crate::store::StoreError;
use crate::store::charges::PaymentStatus;

/// How long after a donation its donor gave it up.
const CANCELLED_AFTER: Duration = Duration::minutes(7);

/// How a donation ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Paid,
    PartlyRefunded,
    Refunded,
    Expired,
    Cancelled,
    Waiting,
}

impl Fate {
    /// The events of the donation after it was made, in order.
    pub(super) const fn events(self) -> &'static [DonationEvent] {
        match self {
            Self::Paid => &[DonationEvent::Charge, DonationEvent::Settle],
            Self::PartlyRefunded => &[DonationEvent::Charge, DonationEvent::Settle, DonationEvent::RefundPart],
            Self::Refunded => &[DonationEvent::Charge, DonationEvent::Settle, DonationEvent::RefundAll],
            Self::Expired => &[DonationEvent::Charge, DonationEvent::Expire],
            Self::Cancelled => &[DonationEvent::Charge, DonationEvent::Cancel],
            Self::Waiting => &[DonationEvent::Charge],
        }
    }
}

/// The donor of a seeded donation.
pub(super) struct SeedDonor<'a> {
    /// The person; `None` for a guest.
    pub(super) person: Option<&'a SeedPerson>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
}

/// The receipt of a seeded donation.
pub(super) struct SeedReceipt {
    pub(super) id: EndToEndId,
    pub(super) amount: i64,
    pub(super) evidence: Evidence,
    pub(super) at: OffsetDateTime,
    /// The id of the receipt's movement in the ledger.
    pub(super) movement: Uuid,
    pub(super) refund: Option<SeedRefund>,
}

/// The refund of a seeded receipt.
pub(super) struct SeedRefund {
    pub(super) id: Uuid,
    pub(super) amount: i64,
    pub(super) reason: &'static str,
    pub(super) at: OffsetDateTime,
    /// The id of the refund's movement in the ledger.
    pub(super) movement: Uuid,
}

/// A donation with its one charge.
pub(super) struct SeedDonation<'a> {
    pub(super) id: Uuid,
    pub(super) campaign: &'a SeedCampaign<'a>,
    pub(super) donor: SeedDonor<'a>,
    pub(super) amount: Centavos,
    pub(super) visibility: Visibility,
    pub(super) hides_amount: bool,
    pub(super) message: Option<&'static str>,
    pub(super) moderated: bool,
    pub(super) provider: Provider,
    pub(super) payment: Uuid,
    pub(super) txid: Txid,
    pub(super) created: OffsetDateTime,
    pub(super) expires: OffsetDateTime,
    pub(super) fate: Fate,
    pub(super) receipt: Option<SeedReceipt>,
}

/// Rows of some donations, by table.
pub(super) struct Batch {
    doacoes: Rows,
    eventos: Rows,
    pagamentos: Rows,
    recebidos: Rows,
    devolucoes: Rows,
    lancamentos: Rows,
    partidas: Rows,
}

/// The table of the ledger's movements.
const LEDGER: &str = "lancamentos";

/// The numbers of rows that a batch stored.
pub(super) struct StoredDonations {
    /// The name of each table with its number of rows.
    pub(super) tables: [(&'static str, u64); 7],
}

impl StoredDonations {
    /// The number of movements in the ledger.
    pub(super) fn movements(&self) -> u64 {
        self.tables.iter().filter(|(table, _)| *table == LEDGER).map(|(_, rows)| rows).sum()
    }
}

/// What a donation's events lead to.
struct Last {
    status: DonationStatus,
    seq: i32,
    at: OffsetDateTime,
}

/// The cause of an event.
struct EventCause<'a> {
    /// The state before the event; `None` for the first event.
    from: Option<DonationStatus>,
    actor: &'a str,
    reason: Option<&'a str>,
}

/// A movement of money into the bank, for the campaign; a negative amount goes back.
struct Movement<'a> {
    id: Uuid,
    once: &'a str,
    kind: &'static str,
    amount: i64,
    at: OffsetDateTime,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            doacoes: Rows::of(
                "doacoes (id, campanha_id, pessoa_id, doador_chave, nome_exibicao, email_contato, valor_centavos, recebido_centavos,
                          devolvido_centavos, visibilidade, oculta_valor, mensagem, mensagem_situacao, provedor, situacao, evidencia,
                          aviso_privacidade, consentimento_em, expira_em, confirmada_em, versao, criada_em, atualizada_em)",
            ),
            eventos: Rows::of("doacao_eventos (doacao_id, seq, de, para, ator, motivo, em)"),
            pagamentos: Rows::of("pagamentos (id, doacao_id, provedor, txid, valor_centavos, br_code, situacao, expira_em, criado_em)"),
            recebidos: Rows::of(
                "pix_recebidos (e2eid, organizadora_id, txid, pagamento_id, valor_centavos, horario, evidencia, conciliacao, justificativa,
                                registrado_por, criado_em)",
            ),
            devolucoes: Rows::of(
                "devolucoes (id, doacao_id, pagamento_id, e2eid, id_devolucao, valor_centavos, motivo, situacao, criada_por, criada_em)",
            ),
            lancamentos: Rows::of("lancamentos (id, idem, tipo, doacao_id, em)"),
            partidas: Rows::of("partidas (lancamento_id, conta_id, valor_centavos)"),
        }
    }

    /// Stores the rows, table by table, each after the tables that it refers to.
    pub(super) async fn store(self, db: &mut PgConnection) -> Result<StoredDonations, StoreError> {
        Ok(StoredDonations {
            tables: [
                ("doacoes", self.doacoes.store(db).await?),
                ("doacao_eventos", self.eventos.store(db).await?),
                ("pagamentos", self.pagamentos.store(db).await?),
                ("pix_recebidos", self.recebidos.store(db).await?),
                ("devolucoes", self.devolucoes.store(db).await?),
                (LEDGER, self.lancamentos.store(db).await?),
                ("partidas", self.partidas.store(db).await?),
            ],
        })
    }

    /// Adds a donation.
    pub(super) fn push(&mut self, donation: &SeedDonation<'_>, emails: &KeyRing) -> Result<(), SeedError> {
        let last = self.push_events(donation)?;
        self.push_donation(donation, emails, &last)?;
        self.push_charge(donation);
        if let Some(receipt) = &donation.receipt {
            self.push_receipt(donation, receipt)?;
            if let Some(refund) = &receipt.refund {
                self.push_refund(donation, receipt, refund)?;
            }
        }
        Ok(())
    }

    fn push_events(&mut self, donation: &SeedDonation<'_>) -> Result<Last, SeedError> {
        let donor = donation.donor.person.map_or(Actor::Guest, |person| Actor::Person(PersonId(person.id))).to_string();
        let owner = Actor::Person(PersonId(owner(donation))).to_string();
        let provider = Actor::Psp.to_string();
        let receipt = donation.receipt.as_ref();
        let mut last = Last { status: DonationStatus::Created, seq: 1, at: donation.created };
        self.push_event(donation, &last, &EventCause { from: None, actor: &donor, reason: None });
        for event in donation.fate.events() {
            let (actor, reason, at) = match (event, receipt, receipt.and_then(|receipt| receipt.refund.as_ref())) {
                (DonationEvent::Settle, Some(receipt), _) if is_declared(receipt) => (owner.as_str(), Some(words::DECLARED), receipt.at),
                (DonationEvent::Settle, Some(receipt), _) => (provider.as_str(), None, receipt.at),
                (DonationEvent::RefundPart | DonationEvent::RefundAll, _, Some(refund)) => (owner.as_str(), Some(refund.reason), refund.at),
                (DonationEvent::Expire, ..) => ("sistema", None, donation.expires),
                (DonationEvent::Cancel, ..) => (donor.as_str(), None, donation.created + CANCELLED_AFTER),
                _ => (donor.as_str(), None, donation.created),
            };
            let status = last.status.next(*event).ok_or(SeedError::Illegal("situacao"))?;
            let next = Last { status, seq: last.seq + 1, at };
            self.push_event(donation, &next, &EventCause { from: Some(last.status), actor, reason });
            last = next;
        }
        Ok(last)
    }

    fn push_event(&mut self, donation: &SeedDonation<'_>, to: &Last, cause: &EventCause<'_>) {
        self.eventos.push([
            donation.id.into(),
            to.seq.into(),
            cause.from.map(DonationStatus::as_str).into(),
            to.status.as_str().into(),
            cause.actor.into(),
            cause.reason.into(),
            to.at.into(),
        ]);
    }

    fn push_donation(&mut self, donation: &SeedDonation<'_>, emails: &KeyRing, last: &Last) -> Result<(), SeedError> {
        let donor = &donation.donor;
        let receipt = donation.receipt.as_ref();
        let refund = receipt.and_then(|receipt| receipt.refund.as_ref());
        let name = donor.name.as_deref().map(|name| legal("nome_exibicao", DisplayName::parse(name))).transpose()?;
        let message = donation.message.map(|message| legal("mensagem", Message::parse(message))).transpose()?;
        let key = donor_key(emails, donor.email.as_deref(), DonationId(donation.id));
        self.doacoes.push([
            donation.id.into(),
            donation.campaign.id.into(),
            donor.person.map(|person| person.id).into(),
            ColumnValue::Bytes(&key),
            name.as_ref().map(DisplayName::as_str).into(),
            donor.email.as_deref().into(),
            donation.amount.get().into(),
            receipt.map_or(0, |receipt| receipt.amount).into(),
            refund.map_or(0, |refund| refund.amount).into(),
            donation.visibility.as_str().into(),
            donation.hides_amount.into(),
            message.as_ref().map(Message::as_str).into(),
            (if donation.moderated { "oculta" } else { "publicada" }).into(),
            donation.provider.as_str().into(),
            last.status.as_str().into(),
            receipt.map(|receipt| receipt.evidence.as_str()).into(),
            PRIVACY_NOTICE.into(),
            donation.created.into(),
            donation.expires.into(),
            receipt.map(|receipt| receipt.at).into(),
            // Made together with its first two events, and raised by each that followed.
            (last.seq - 1).into(),
            donation.created.into(),
            last.at.into(),
        ]);
        Ok(())
    }

    fn push_charge(&mut self, donation: &SeedDonation<'_>) {
        let organisation = donation.campaign.organisation;
        let br_code = StaticCharge {
            key: &organisation.key,
            receiver_name: &organisation.receiver,
            city: &organisation.city,
            amount: donation.amount,
            txid: &donation.txid,
        }
        .encode();
        let status = match donation.fate {
            Fate::Paid | Fate::PartlyRefunded | Fate::Refunded => PaymentStatus::Paid,
            Fate::Expired => PaymentStatus::Expired,
            Fate::Cancelled => PaymentStatus::Cancelled,
            Fate::Waiting => PaymentStatus::Pending,
        };
        self.pagamentos.push([
            donation.payment.into(),
            donation.id.into(),
            donation.provider.as_str().into(),
            donation.txid.as_str().into(),
            donation.amount.get().into(),
            br_code.as_str().into(),
            status.as_str().into(),
            donation.expires.into(),
            donation.created.into(),
        ]);
    }

    fn push_receipt(&mut self, donation: &SeedDonation<'_>, receipt: &SeedReceipt) -> Result<(), SeedError> {
        let declared = is_declared(receipt);
        let reason = declared.then(|| legal("justificativa", Reason::parse(words::DECLARED))).transpose()?;
        self.recebidos.push([
            receipt.id.as_str().into(),
            donation.campaign.organisation.id.into(),
            donation.txid.as_str().into(),
            donation.payment.into(),
            receipt.amount.into(),
            receipt.at.into(),
            receipt.evidence.as_str().into(),
            Reconciliation::of(receipt.amount, donation.amount.get()).as_str().into(),
            reason.as_ref().map(Reason::as_str).into(),
            declared.then(|| owner(donation)).into(),
            receipt.at.into(),
        ]);
        let once = format!("recebido:{}", receipt.id.as_str());
        self.push_movement(
            donation,
            &Movement { id: receipt.movement, once: &once, kind: "confirmacao", amount: receipt.amount, at: receipt.at },
        );
        Ok(())
    }

    fn push_refund(&mut self, donation: &SeedDonation<'_>, receipt: &SeedReceipt, refund: &SeedRefund) -> Result<(), SeedError> {
        self.devolucoes.push([
            refund.id.into(),
            donation.id.into(),
            donation.payment.into(),
            receipt.id.as_str().into(),
            refund.id.simple().to_string().as_str().into(),
            refund.amount.into(),
            legal("motivo", Reason::parse(refund.reason))?.as_str().into(),
            "registrada".into(),
            owner(donation).into(),
            refund.at.into(),
        ]);
        let once = format!("devolucao:{}", refund.id);
        self.push_movement(
            donation,
            &Movement { id: refund.movement, once: &once, kind: "devolucao", amount: -refund.amount, at: refund.at },
        );
        Ok(())
    }

    fn push_movement(&mut self, donation: &SeedDonation<'_>, movement: &Movement<'_>) {
        let campaign = donation.campaign;
        self.lancamentos.push([movement.id.into(), movement.once.into(), movement.kind.into(), donation.id.into(), movement.at.into()]);
        self.partidas.push([movement.id.into(), campaign.organisation.bank_account.into(), movement.amount.into()]);
        self.partidas.push([movement.id.into(), campaign.account.into(), (-movement.amount).into()]);
    }
}

/// Who acts for the organisation.
fn owner(donation: &SeedDonation<'_>) -> Uuid {
    donation.campaign.organisation.owner
}

fn is_declared(receipt: &SeedReceipt) -> bool {
    receipt.evidence == Evidence::Declared
}

//! Donations with everything that hangs on them: events, charge, receipt, refund and ledger.

use sqlx::PgConnection;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::random::Random;
use super::rows::{Rows, Value};
use super::world::{self, Campaign, FAR, OPENED, Person};
use super::{SeedError, legal, words};
use crate::config::Provider;
use crate::domain::br_code::StaticCharge;
use crate::domain::campanha::CampaignStatus;
use crate::domain::doacao::{DonationEvent, DonationStatus, Evidence, Reconciliation, Visibility};
use crate::domain::ids::{DoacaoId, PagamentoId, PessoaId};
use crate::domain::money::Centavos;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::text::{DisplayName, Message, Reason};
use crate::domain::txid::Txid;
use crate::keys::KeyRing;
use crate::service::Actor;
use crate::service::doacoes::donor_key;
use crate::state::PRIVACY_NOTICE;
use crate::store::StoreError;
use crate::store::pagamentos::PaymentStatus;

/// When donations were made, counted from [`OPENED`]; the first campaign is published by then.
const MADE: (Duration, Duration) = (Duration::days(12), Duration::days(292));
/// How long a charge can be paid.
const LIFETIME: Duration = Duration::hours(72);
/// What people give, in centavos; what is there more often is given more often.
const AMOUNTS: &[i64] = &[
    500, 1_000, 1_000, 1_500, 2_000, 2_000, 2_500, 3_000, 3_000, 5_000, 5_000, 5_000, 5_000, 7_500, 10_000, 10_000, 10_000, 15_000, 20_000,
    25_000, 50_000, 100_000,
];
/// Made-up numbers of banks (ISPB).
const BANKS: &[&str] = &["99000001", "99000002", "99000003", "99000004"];

/// How a donation ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Paid,
    PartlyRefunded,
    Refunded,
    Expired,
    Cancelled,
    Waiting,
}

impl Fate {
    fn draw(random: &mut Random) -> Self {
        match random.below(1_000) {
            0..850 => Self::Paid,
            850..865 => Self::PartlyRefunded,
            865..880 => Self::Refunded,
            880..940 => Self::Expired,
            940..970 => Self::Cancelled,
            _ => Self::Waiting,
        }
    }

    /// What happens to the donation after it was charged.
    const fn events(self) -> &'static [DonationEvent] {
        match self {
            Self::Paid => &[DonationEvent::Settle],
            Self::PartlyRefunded => &[DonationEvent::Settle, DonationEvent::RefundPart],
            Self::Refunded => &[DonationEvent::Settle, DonationEvent::RefundAll],
            Self::Expired => &[DonationEvent::Expire],
            Self::Cancelled => &[DonationEvent::Cancel],
            Self::Waiting => &[],
        }
    }

    const fn is_paid(self) -> bool {
        matches!(self, Self::Paid | Self::PartlyRefunded | Self::Refunded)
    }

    const fn charge(self) -> PaymentStatus {
        match self {
            Self::Paid | Self::PartlyRefunded | Self::Refunded => PaymentStatus::Pago,
            Self::Expired => PaymentStatus::Expirado,
            Self::Cancelled => PaymentStatus::Cancelado,
            Self::Waiting => PaymentStatus::Pendente,
        }
    }
}

/// Who gives.
struct Donor<'a> {
    person: Option<&'a Person>,
    name: Option<String>,
    email: Option<String>,
}

impl Donor<'_> {
    fn actor(&self) -> Actor {
        self.person.map_or(Actor::Guest, |person| Actor::Pessoa(PessoaId(person.id)))
    }
}

/// Money that arrived for a donation.
struct Receipt {
    id: EndToEndId,
    amount: i64,
    evidence: Evidence,
    at: OffsetDateTime,
}

/// Money that went back.
struct Refund {
    id: Uuid,
    amount: i64,
    reason: &'static str,
    at: OffsetDateTime,
}

struct Donation<'a> {
    id: Uuid,
    campaign: &'a Campaign<'a>,
    donor: Donor<'a>,
    provider: Provider,
    amount: Centavos,
    fate: Fate,
    created: OffsetDateTime,
    expires: OffsetDateTime,
    payment: Uuid,
    txid: Txid,
    receipt: Option<Receipt>,
    refund: Option<Refund>,
}

impl Donation<'_> {
    fn owner(&self) -> Uuid {
        self.campaign.organisation.owner
    }
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

impl Batch {
    fn new() -> Self {
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

    /// Stores the rows, each table after those it refers to; how many movements of money there were.
    pub(super) async fn store(self, db: &mut PgConnection) -> Result<u64, StoreError> {
        self.doacoes.store(db).await?;
        self.eventos.store(db).await?;
        self.pagamentos.store(db).await?;
        self.recebidos.store(db).await?;
        self.devolucoes.store(db).await?;
        let movements = self.lancamentos.store(db).await?;
        self.partidas.store(db).await?;
        Ok(movements)
    }
}

/// Makes donations in the order of their time.
pub(super) struct Donations<'a> {
    random: Random,
    emails: &'a KeyRing,
    people: &'a [Person],
    campaigns: &'a [Campaign<'a>],
    /// How many of the campaigns are published at the time of the next donation.
    published: usize,
    made: u32,
    total: u32,
}

impl<'a> Donations<'a> {
    pub(super) fn new(random: Random, emails: &'a KeyRing, people: &'a [Person], campaigns: &'a [Campaign<'a>], total: u32) -> Self {
        Self { random, emails, people, campaigns, published: 1, made: 0, total }
    }

    /// How many were made so far.
    pub(super) const fn made(&self) -> u32 {
        self.made
    }

    /// The next `size` donations, fewer at the end and none after it.
    pub(super) fn batch(&mut self, size: u32) -> Result<Option<Batch>, SeedError> {
        let end = self.total.min(self.made.saturating_add(size));
        if self.made == end {
            return Ok(None);
        }
        let mut batch = Batch::new();
        while self.made < end {
            let donation = self.draw()?;
            self.write(&mut batch, &donation)?;
            self.made += 1;
        }
        Ok(Some(batch))
    }

    fn draw(&mut self) -> Result<Donation<'a>, SeedError> {
        let step = (MADE.1 - MADE.0) / i32::try_from(self.total).unwrap_or(i32::MAX);
        let created = OPENED + MADE.0 + step * self.made_i32() + Duration::milliseconds(self.small(step.whole_milliseconds()));
        let campaign = self.campaign(created)?;
        let id = self.random.id(created);
        let payment = self.random.id(created);
        let provider = if self.random.chance(150) { Provider::PixEstatico } else { Provider::Simulado };
        let fate = match Fate::draw(&mut self.random) {
            // Nobody waits for the payment of a campaign that takes none any more.
            Fate::Waiting if campaign.status != CampaignStatus::Publicada => Fate::Expired,
            fate => fate,
        };
        let amount = self.random.pick(AMOUNTS).copied().unwrap_or_default();
        let amount = if self.random.chance(100) { amount + self.small(1_000) } else { amount };
        let mut donation = Donation {
            id,
            campaign,
            donor: self.donor(),
            provider,
            amount: legal("valor", Centavos::try_from(amount))?,
            fate,
            created,
            expires: if fate == Fate::Waiting { FAR } else { created + LIFETIME },
            payment,
            txid: Txid::from_uuid(payment.as_u128()),
            receipt: None,
            refund: None,
        };
        if fate.is_paid() {
            let receipt = self.receipt(&donation)?;
            donation.refund = self.refund(fate, &receipt);
            donation.receipt = Some(receipt);
        }
        Ok(donation)
    }

    fn made_i32(&self) -> i32 {
        i32::try_from(self.made).unwrap_or(i32::MAX)
    }

    fn small(&mut self, bound: impl TryInto<u64>) -> i64 {
        i64::try_from(self.random.below(bound.try_into().unwrap_or_default())).unwrap_or_default()
    }

    /// One in twenty goes to the first campaign, the others to any that is published, the older the more.
    fn campaign(&mut self, at: OffsetDateTime) -> Result<&'a Campaign<'a>, SeedError> {
        while self.campaigns.get(self.published).is_some_and(|campaign| campaign.published <= at) {
            self.published += 1;
        }
        if self.random.chance(50) {
            return self.campaigns.first().ok_or(SeedError::Scale);
        }
        let others = u64::try_from(self.published.saturating_sub(1)).unwrap_or_default();
        let within = self.random.below(others) + 1;
        let index = usize::try_from(1 + self.random.below(within)).unwrap_or_default();
        let upto = self.campaigns.get(..=index.min(self.published - 1)).unwrap_or_default();
        upto.iter().rev().find(|campaign| campaign.status != CampaignStatus::Rascunho).ok_or(SeedError::Scale)
    }

    fn donor(&mut self) -> Donor<'a> {
        if self.random.chance(600)
            && let Some(person) = self.random.pick(self.people)
        {
            return Donor { person: Some(person), name: Some(person.name.clone()), email: Some(person.email.clone()) };
        }
        // Guests come back, so that there are fewer donors than donations.
        let number = 1 + self.random.below(u64::from(self.total / 5 + 1));
        let email = self.random.chance(500).then(|| format!("convidada{number}@exemplo.org.br"));
        let name = self.random.chance(700).then(|| world::guest_name(&mut self.random));
        Donor { person: None, name, email }
    }

    fn receipt(&mut self, donation: &Donation<'_>) -> Result<Receipt, SeedError> {
        let asked = donation.amount.get();
        let amount = match self.random.below(100) {
            0 => asked - asked / 5,
            1 => asked + 500,
            _ => asked,
        };
        let (from, to) = match donation.provider {
            Provider::Simulado => (Duration::seconds(15), Duration::hours(1)),
            Provider::PixEstatico => (Duration::hours(1), Duration::hours(60)),
        };
        let at = donation.created + self.random.between(from, to);
        let (id, evidence) = match donation.provider {
            Provider::Simulado => (self.end_to_end_id(donation, at)?, Evidence::Psp),
            Provider::PixEstatico => (EndToEndId::manual(PagamentoId(donation.payment)), Evidence::Declarada),
        };
        Ok(Receipt { id, amount, evidence, at })
    }

    fn end_to_end_id(&mut self, donation: &Donation<'_>, at: OffsetDateTime) -> Result<EndToEndId, SeedError> {
        let stamp = legal("horario", at.format(format_description!("[year][month][day][hour][minute]")))?;
        // The last digits of the txid are random ones, and no two charges of a minute share them.
        let tail = donation.txid.as_str().get(14..).unwrap_or_default();
        legal("e2eid", EndToEndId::parse(&format!("E{}{stamp}{tail}", self.random.word(BANKS))))
    }

    fn refund(&mut self, fate: Fate, receipt: &Receipt) -> Option<Refund> {
        let amount = match fate {
            Fate::PartlyRefunded => receipt.amount / 2,
            Fate::Refunded => receipt.amount,
            _ => return None,
        };
        let at = receipt.at + self.random.between(Duration::hours(1), Duration::days(6));
        Some(Refund { id: self.random.id(at), amount, reason: self.random.word(words::REFUND_REASONS), at })
    }

    fn write(&mut self, batch: &mut Batch, donation: &Donation<'_>) -> Result<(), SeedError> {
        let last = write_events(batch, donation)?;
        self.write_donation(batch, donation, last)?;
        write_charge(batch, donation);
        if let Some(receipt) = &donation.receipt {
            let reconciliation = Reconciliation::of(receipt.amount, donation.amount.get());
            write_receipt(batch, donation, receipt, reconciliation)?;
            self.write_movement(batch, donation, &format!("recebido:{}", receipt.id.as_str()), "confirmacao", receipt.amount, receipt.at);
            if let Some(refund) = &donation.refund {
                write_refund(batch, donation, receipt, refund)?;
                self.write_movement(batch, donation, &format!("devolucao:{}", refund.id), "devolucao", -refund.amount, refund.at);
            }
        }
        Ok(())
    }

    fn write_donation(&mut self, batch: &mut Batch, donation: &Donation<'_>, last: Last) -> Result<(), SeedError> {
        let donor = &donation.donor;
        let visibility = match self.random.below(10) {
            // The bank's statement would show the donor.
            0 if donation.provider == Provider::Simulado => Visibility::Secreta,
            0..3 => Visibility::Anonima,
            _ => Visibility::Publica,
        };
        let message =
            if self.random.chance(250) { Some(legal("mensagem", Message::parse(self.random.word(words::MESSAGES)))?) } else { None };
        let hidden = message.is_some() && self.random.chance(10);
        let name = donor.name.as_deref().map(|name| legal("nome_exibicao", DisplayName::parse(name))).transpose()?;
        let key = donor_key(self.emails, donor.email.as_deref(), DoacaoId(donation.id));
        batch.doacoes.push([
            donation.id.into(),
            donation.campaign.id.into(),
            donor.person.map(|person| person.id).into(),
            Value::Bytes(&key),
            name.as_ref().map(DisplayName::as_str).into(),
            donor.email.as_deref().into(),
            donation.amount.get().into(),
            donation.receipt.as_ref().map_or(0, |receipt| receipt.amount).into(),
            donation.refund.as_ref().map_or(0, |refund| refund.amount).into(),
            visibility.as_str().into(),
            self.random.chance(100).into(),
            message.as_ref().map(Message::as_str).into(),
            (if hidden { "oculta" } else { "publicada" }).into(),
            donation.provider.as_str().into(),
            last.status.as_str().into(),
            donation.receipt.as_ref().map(|receipt| receipt.evidence.as_str()).into(),
            PRIVACY_NOTICE.into(),
            donation.created.into(),
            donation.expires.into(),
            donation.receipt.as_ref().map(|receipt| receipt.at).into(),
            last.version.into(),
            donation.created.into(),
            last.at.into(),
        ]);
        Ok(())
    }

    /// A movement of `amount` into the bank, for the campaign; negative amounts go back.
    fn write_movement(&mut self, batch: &mut Batch, donation: &Donation<'_>, once: &str, kind: &str, amount: i64, at: OffsetDateTime) {
        let id = self.random.id(at);
        let campaign = donation.campaign;
        batch.lancamentos.push([id.into(), once.into(), kind.into(), donation.id.into(), at.into()]);
        batch.partidas.push([id.into(), campaign.organisation.bank_account.into(), amount.into()]);
        batch.partidas.push([id.into(), campaign.account.into(), (-amount).into()]);
    }
}

/// What a donation's events lead to.
struct Last {
    status: DonationStatus,
    version: i32,
    at: OffsetDateTime,
}

fn write_events(batch: &mut Batch, donation: &Donation<'_>) -> Result<Last, SeedError> {
    let donor = donation.donor.actor();
    let owner = Actor::Pessoa(PessoaId(donation.owner()));
    let id = donation.id;
    let actor = donor.to_string();
    let mut last = Last { status: DonationStatus::Criada, version: 0, at: donation.created };
    batch.eventos.push([
        id.into(),
        1_i32.into(),
        Value::Null,
        last.status.as_str().into(),
        actor.as_str().into(),
        Value::Null,
        donation.created.into(),
    ]);
    for event in std::iter::once(&DonationEvent::Charge).chain(donation.fate.events()) {
        let (actor, reason, at) = match (event, &donation.receipt, &donation.refund) {
            (DonationEvent::Settle, Some(receipt), _) if receipt.evidence == Evidence::Declarada => {
                (owner.to_string(), Some(words::DECLARED), receipt.at)
            }
            (DonationEvent::Settle, Some(receipt), _) => (Actor::Psp.to_string(), None, receipt.at),
            (DonationEvent::RefundPart | DonationEvent::RefundAll, _, Some(refund)) => (owner.to_string(), Some(refund.reason), refund.at),
            (DonationEvent::Expire, ..) => ("sistema".to_owned(), None, donation.expires),
            (DonationEvent::Cancel, ..) => (actor.clone(), None, donation.created + Duration::minutes(7)),
            _ => (actor.clone(), None, donation.created),
        };
        let next = last.status.next(*event).ok_or(SeedError::Illegal("situacao"))?;
        last.version += 1;
        batch.eventos.push([
            id.into(),
            (last.version + 1).into(),
            last.status.as_str().into(),
            next.as_str().into(),
            actor.as_str().into(),
            reason.into(),
            at.into(),
        ]);
        last = Last { status: next, at, ..last };
    }
    Ok(last)
}

fn write_charge(batch: &mut Batch, donation: &Donation<'_>) {
    let organisation = donation.campaign.organisation;
    let br_code = StaticCharge {
        key: &organisation.key,
        receiver_name: &organisation.receiver,
        city: &organisation.city,
        amount: donation.amount,
        txid: &donation.txid,
    }
    .encode();
    batch.pagamentos.push([
        donation.payment.into(),
        donation.id.into(),
        donation.provider.as_str().into(),
        donation.txid.as_str().into(),
        donation.amount.get().into(),
        br_code.as_str().into(),
        donation.fate.charge().as_str().into(),
        donation.expires.into(),
        donation.created.into(),
    ]);
}

fn write_receipt(batch: &mut Batch, donation: &Donation<'_>, receipt: &Receipt, reconciliation: Reconciliation) -> Result<(), SeedError> {
    let declared = receipt.evidence == Evidence::Declarada;
    let reason = if declared { Some(legal("justificativa", Reason::parse(words::DECLARED))?) } else { None };
    batch.recebidos.push([
        receipt.id.as_str().into(),
        donation.campaign.organisation.id.into(),
        donation.txid.as_str().into(),
        donation.payment.into(),
        receipt.amount.into(),
        receipt.at.into(),
        receipt.evidence.as_str().into(),
        reconciliation.as_str().into(),
        reason.as_ref().map(Reason::as_str).into(),
        declared.then_some(donation.owner()).into(),
        receipt.at.into(),
    ]);
    Ok(())
}

fn write_refund(batch: &mut Batch, donation: &Donation<'_>, receipt: &Receipt, refund: &Refund) -> Result<(), SeedError> {
    let number = refund.id.simple().to_string();
    batch.devolucoes.push([
        refund.id.into(),
        donation.id.into(),
        donation.payment.into(),
        receipt.id.as_str().into(),
        number.as_str().into(),
        refund.amount.into(),
        legal("motivo", Reason::parse(refund.reason))?.as_str().into(),
        "registrada".into(),
        donation.owner().into(),
        refund.at.into(),
    ]);
    Ok(())
}

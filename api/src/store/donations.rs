//! Donations and what happened to them.

use std::net::IpAddr;

use sqlx::PgConnection;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use super::StoreError;
use super::campaigns::{Position, from_micros, micros};
use super::charges::NewCharge;
use crate::domain::donation::{DonationStatus, Evidence, MessageStatus, Visibility};
use crate::domain::ids::{CampaignId, ChargeId, DonationId, OrganizadoraId, PersonId};
use crate::domain::money::Centavos;
use crate::domain::provider::Provider;
use crate::domain::text::{DisplayName, Message};

/// A donation as its donor sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct Donation {
    pub id: DonationId,
    pub campanha_id: CampaignId,
    pub campanha_slug: String,
    pub campanha_titulo: String,
    pub organizadora_id: OrganizadoraId,
    pub pessoa_id: Option<PersonId>,
    pub nome_exibicao: Option<String>,
    pub email_contato: Option<String>,
    pub valor_centavos: i64,
    pub recebido_centavos: i64,
    pub devolvido_centavos: i64,
    pub visibilidade: Visibility,
    pub oculta_valor: bool,
    pub mensagem: Option<String>,
    pub provedor: Provider,
    pub situacao: DonationStatus,
    #[serde(with = "time::serde::rfc3339")]
    pub expira_em: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub confirmada_em: Option<OffsetDateTime>,
    pub versao: i32,
    #[serde(with = "time::serde::rfc3339")]
    pub criada_em: OffsetDateTime,
}

/// A donation to store.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct NewDonation {
    pub id: DonationId,
    pub campanha_id: CampaignId,
    pub pessoa_id: Option<PersonId>,
    pub doador_chave: [u8; 32],
    pub nome_exibicao: Option<DisplayName>,
    pub email_contato: Option<String>,
    pub valor: Centavos,
    pub visibilidade: Visibility,
    pub oculta_valor: bool,
    pub mensagem: Option<Message>,
    pub provedor: Provider,
    pub aviso_privacidade: String,
    pub expira_em: OffsetDateTime,
}

/// The request that a donation is made by, as it is recorded.
#[derive(Clone, Debug)]
pub struct DonationOrigin<'a> {
    /// The actor of the donation's first events: `pessoa:{id}` or `convidada`.
    pub actor: &'a str,
    /// The id that the access record gets.
    pub access_id: Uuid,
    /// The client's IP address, for the access record.
    pub ip: IpAddr,
}

/// What a donor may change of a donation; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct DonorChanges {
    /// Who sees the donor.
    pub visibilidade: Option<Visibility>,
    /// Whether the feed hides the amount.
    pub oculta_valor: Option<bool>,
    /// The message; can be taken away.
    pub mensagem: Option<Option<Message>>,
}

/// A transition of a donation from one state to another.
#[derive(Clone, Debug)]
pub struct DonationStep<'a> {
    /// The id of the donation.
    pub id: DonationId,
    /// The state it must be in.
    pub from: DonationStatus,
    /// The state it goes to.
    pub to: DonationStatus,
    /// The actor of the event: `pessoa:{id}`, `convidada` or `psp`.
    pub actor: &'a str,
    /// The reason that the actor gave, if any.
    pub reason: Option<&'a str>,
    /// The amount that arrived and its evidence, on a confirmation.
    pub settled: Option<(Centavos, Evidence)>,
    /// The amount that went back, on a refund.
    pub refunded: Option<Centavos>,
}

/// A confirmed donation in the public feed. What the donor's visibility hides is not even selected.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct FeedRow {
    /// The donation; hidden for anonymous ones.
    pub id: Option<DonationId>,
    /// The donor's name; hidden for anonymous ones.
    pub nome_exibicao: Option<String>,
    /// Whether the donor is hidden.
    pub anonima: bool,
    /// What was received; hidden where the donor or the campaign says so.
    pub valor_centavos: Option<i64>,
    /// The message, unless moderation hid it.
    pub mensagem: Option<String>,
    /// When it was confirmed, cut to the minute for anonymous ones.
    pub confirmada_em: OffsetDateTime,
    /// Where the next page begins; never shown but inside a sealed cursor.
    pub posicao_em: OffsetDateTime,
    /// Tie-break of the position.
    pub posicao_id: Uuid,
}

impl FeedRow {
    /// Where the page after this row begins.
    pub fn position(&self) -> Position {
        Position { key: micros(Some(self.posicao_em)), id: self.posicao_id }
    }
}

/// The columns of [`Donation`], from `from AS d`.
macro_rules! select {
    ($from:literal) => {
        concat!(
            "SELECT d.id, d.campanha_id, c.slug AS campanha_slug, c.titulo AS campanha_titulo, c.organizadora_id, d.pessoa_id,
             d.nome_exibicao, d.email_contato, d.valor_centavos, d.recebido_centavos, d.devolvido_centavos, d.visibilidade,
             d.oculta_valor, d.mensagem, d.provedor, d.situacao, d.expira_em, d.confirmada_em, d.versao, d.criada_em FROM ",
            $from,
            " d JOIN campanhas c ON c.id = d.campanha_id "
        )
    };
}

/// Stores a donation that awaits its payment, with its first two events, its first charge and the access record of its request. One
/// statement does all of it, since each further round trip would keep the connection from other requests.
pub async fn insert(
    db: &mut PgConnection,
    new: &NewDonation,
    charge: &NewCharge,
    origin: &DonationOrigin<'_>,
    now: OffsetDateTime,
) -> Result<Donation, StoreError> {
    Ok(sqlx::query_as(concat!(
        "WITH nova AS (
             INSERT INTO doacoes (id, campanha_id, pessoa_id, doador_chave, nome_exibicao, email_contato, valor_centavos, visibilidade,
                                  oculta_valor, mensagem, provedor, situacao, aviso_privacidade, consentimento_em, expira_em, criada_em,
                                  atualizada_em)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'aguardando_pagamento', $12, $14, $13, $14, $14) RETURNING *
         ), eventos AS (
             INSERT INTO doacao_eventos (doacao_id, seq, de, para, ator, em)
             SELECT nova.id, e.seq, e.de, e.para, $15, $14
             FROM nova, (VALUES (1, NULL, 'criada'), (2, 'criada', 'aguardando_pagamento')) AS e (seq, de, para)
         ), cobranca AS (
             INSERT INTO pagamentos (id, doacao_id, provedor, txid, valor_centavos, br_code, situacao, expira_em, criado_em)
             SELECT $16, id, $17, $18, $19, $20, 'pendente', $21, $14 FROM nova
         ), acesso AS (
             INSERT INTO registro_acesso (id, em, ip, acao, pessoa_id, doacao_id)
             SELECT $22, $14, $23::inet, 'doacao', pessoa_id, id FROM nova
         ) ",
        select!("nova")
    ))
    .bind(new.id)
    .bind(new.campanha_id)
    .bind(new.pessoa_id)
    .bind(new.doador_chave.as_slice())
    .bind(new.nome_exibicao.as_ref().map(DisplayName::as_str))
    .bind(new.email_contato.as_deref())
    .bind(new.valor.get())
    .bind(new.visibilidade)
    .bind(new.oculta_valor)
    .bind(new.mensagem.as_ref().map(Message::as_str))
    .bind(new.provedor)
    .bind(&new.aviso_privacidade)
    .bind(new.expira_em)
    .bind(now)
    .bind(origin.actor)
    .bind(charge.id)
    .bind(charge.provedor)
    .bind(charge.txid.as_str())
    .bind(charge.valor.get())
    .bind(&charge.br_code)
    .bind(charge.expira_em)
    .bind(origin.access_id)
    .bind(origin.ip.to_string())
    .fetch_one(db)
    .await?)
}

/// A donation.
pub async fn get(db: &mut PgConnection, id: DonationId) -> Result<Option<Donation>, StoreError> {
    Ok(sqlx::query_as(concat!(select!("doacoes"), "WHERE d.id = $1")).bind(id).fetch_optional(db).await?)
}

/// A donation, whose row is locked until the transaction ends, so that its transitions happen one after the other.
pub async fn lock(db: &mut PgConnection, id: DonationId) -> Result<Option<Donation>, StoreError> {
    Ok(sqlx::query_as(concat!(select!("doacoes"), "WHERE d.id = $1 FOR NO KEY UPDATE OF d")).bind(id).fetch_optional(db).await?)
}

/// The hash that a donor is counted by.
pub async fn donor_key(db: &mut PgConnection, id: DonationId) -> Result<Vec<u8>, StoreError> {
    Ok(sqlx::query_scalar("SELECT doador_chave FROM doacoes WHERE id = $1").bind(id).fetch_one(db).await?)
}

/// Carries out a transition and records its event. Returns the event's number; `None`, and changes nothing, if the donation is not
/// in `from`.
pub async fn advance(db: &mut PgConnection, step: &DonationStep<'_>, now: OffsetDateTime) -> Result<Option<i32>, StoreError> {
    Ok(sqlx::query_scalar(
        "WITH mudada AS (
             UPDATE doacoes SET situacao = $3, versao = versao + 1, atualizada_em = $6,
                 recebido_centavos = coalesce($7, recebido_centavos), evidencia = coalesce($8, evidencia),
                 confirmada_em = CASE WHEN $7::bigint IS NULL THEN confirmada_em ELSE $6 END,
                 devolvido_centavos = devolvido_centavos + $9
             WHERE id = $1 AND situacao = $2 RETURNING id)
         INSERT INTO doacao_eventos (doacao_id, seq, de, para, ator, motivo, em)
         SELECT id, (SELECT max(seq) + 1 FROM doacao_eventos WHERE doacao_id = $1), $2, $3, $4, $5, $6 FROM mudada
         RETURNING seq",
    )
    .bind(step.id)
    .bind(step.from)
    .bind(step.to)
    .bind(step.actor)
    .bind(step.reason)
    .bind(now)
    .bind(step.settled.map(|(amount, _)| amount.get()))
    .bind(step.settled.map(|(_, evidence)| evidence))
    .bind(step.refunded.map_or(0, Centavos::get))
    .fetch_optional(db)
    .await?)
}

/// Expires at most `limit` donations whose time to pay is over, with their open charges. Returns the ids of the donations.
pub async fn expire(db: &mut PgConnection, limit: i64, now: OffsetDateTime) -> Result<Vec<DonationId>, StoreError> {
    Ok(sqlx::query_scalar(
        "WITH vencidas AS (
             SELECT id FROM doacoes WHERE situacao = 'aguardando_pagamento' AND expira_em <= $1
             ORDER BY expira_em LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
         ), mudadas AS (
             UPDATE doacoes SET situacao = 'expirada', versao = versao + 1, atualizada_em = $1
             WHERE id IN (SELECT id FROM vencidas) AND situacao = 'aguardando_pagamento' RETURNING id
         ), cobrancas AS (
             UPDATE pagamentos SET situacao = 'expirado' WHERE doacao_id IN (SELECT id FROM mudadas) AND situacao = 'pendente'
         )
         INSERT INTO doacao_eventos (doacao_id, seq, de, para, ator, em)
         SELECT m.id, (SELECT max(seq) + 1 FROM doacao_eventos e WHERE e.doacao_id = m.id), 'aguardando_pagamento', 'expirada', 'sistema', $1
         FROM mudadas m RETURNING doacao_id",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(db)
    .await?)
}

/// Changes what a donor may change. Returns false, and changes nothing, if `version` is not the current version.
pub async fn update(
    db: &mut PgConnection,
    id: DonationId,
    version: i32,
    changes: &DonorChanges,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE doacoes SET visibilidade = coalesce($3, visibilidade), oculta_valor = coalesce($4, oculta_valor),
             mensagem = CASE WHEN $5 THEN $6 ELSE mensagem END, versao = versao + 1, atualizada_em = $7
         WHERE id = $1 AND versao = $2",
    )
    .bind(id)
    .bind(version)
    .bind(changes.visibilidade)
    .bind(changes.oculta_valor)
    .bind(changes.mensagem.is_some())
    .bind(changes.mensagem.as_ref().and_then(Option::as_ref).map(Message::as_str))
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The message of a donation whose row is locked.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct LockedMessage {
    /// The slug of the donation's campaign.
    pub campanha_slug: String,
    /// Whether the donation has a message.
    pub tem_mensagem: bool,
    /// Whether the feed shows it.
    pub situacao: MessageStatus,
}

/// Locks the row of a donation until the transaction ends; `None` if there is no such donation.
pub async fn lock_message(db: &mut PgConnection, id: DonationId) -> Result<Option<LockedMessage>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT c.slug AS campanha_slug, d.mensagem IS NOT NULL AS tem_mensagem, d.mensagem_situacao AS situacao
         FROM doacoes d JOIN campanhas c ON c.id = d.campanha_id WHERE d.id = $1 FOR NO KEY UPDATE OF d",
    )
    .bind(id)
    .fetch_optional(db)
    .await?)
}

/// Hides a donation's message, and every message that its donor replaces it by, or shows it again.
pub async fn set_message_status(db: &mut PgConnection, id: DonationId, to: MessageStatus, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("UPDATE doacoes SET mensagem_situacao = $2, atualizada_em = $3 WHERE id = $1")
        .bind(id)
        .bind(to)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Gives more time to pay.
pub async fn extend(db: &mut PgConnection, id: DonationId, expires: OffsetDateTime, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("UPDATE doacoes SET expira_em = $2, versao = versao + 1, atualizada_em = $3 WHERE id = $1")
        .bind(id)
        .bind(expires)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Gives a guest's donation to a person. Returns false, and changes nothing, if it belongs to a person already.
pub async fn claim(db: &mut PgConnection, id: DonationId, person_id: PersonId, now: OffsetDateTime) -> Result<bool, StoreError> {
    let done =
        sqlx::query("UPDATE doacoes SET pessoa_id = $2, versao = versao + 1, atualizada_em = $3 WHERE id = $1 AND pessoa_id IS NULL")
            .bind(id)
            .bind(person_id)
            .bind(now)
            .execute(db)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// A time later than any donation, at which the newest page begins.
const NEWEST: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// The public feed of a public campaign, newest first; `None` where there is no such campaign.
pub async fn feed(db: &mut PgConnection, slug: &str, after: Option<Position>, limit: i64) -> Result<Option<Vec<FeedRow>>, StoreError> {
    let campaign: Option<(CampaignId, bool)> = sqlx::query_as(
        "SELECT c.id, c.mostra_valores FROM campanhas c JOIN organizadoras o ON o.id = c.organizadora_id
             WHERE c.slug = $1 AND c.situacao IN ('publicada', 'pausada', 'encerrada') AND o.situacao <> 'suspensa'",
    )
    .bind(slug)
    .fetch_optional(&mut *db)
    .await?;
    let Some((campaign, shows_amounts)) = campaign else { return Ok(None) };
    // ORDER BY names the columns of the table. Bare names would mean the selected values, whose times are cut to the minute.
    let rows = sqlx::query_as(
        "SELECT CASE WHEN visibilidade = 'publica' THEN id END AS id,
                CASE WHEN visibilidade = 'publica' THEN nome_exibicao END AS nome_exibicao,
                visibilidade <> 'publica' AS anonima,
                CASE WHEN $2 AND NOT oculta_valor THEN recebido_centavos END AS valor_centavos,
                CASE WHEN mensagem_situacao = 'publicada' THEN mensagem END AS mensagem,
                CASE WHEN visibilidade = 'publica' THEN confirmada_em ELSE date_trunc('minute', confirmada_em, 'UTC') END AS confirmada_em,
                confirmada_em AS posicao_em, id AS posicao_id
         FROM doacoes
         WHERE campanha_id = $1 AND situacao IN ('confirmada', 'parcialmente_devolvida') AND visibilidade <> 'secreta'
           AND (confirmada_em, id) < ($3, $4)
         ORDER BY doacoes.confirmada_em DESC, doacoes.id DESC LIMIT $5",
    )
    .bind(campaign)
    .bind(shows_amounts)
    .bind(after.map_or(NEWEST, |at| from_micros(at.key)))
    .bind(after.map_or(Uuid::max(), |at| at.id))
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(Some(rows))
}

/// The donations of a person, newest first, from before `before`.
pub async fn list_of(db: &mut PgConnection, person_id: PersonId, before: Option<Uuid>, limit: i64) -> Result<Vec<Donation>, StoreError> {
    Ok(sqlx::query_as(concat!(select!("doacoes"), "WHERE d.pessoa_id = $1 AND d.id < $2 ORDER BY d.id DESC LIMIT $3"))
        .bind(person_id)
        .bind(before.unwrap_or(Uuid::max()))
        .bind(limit)
        .fetch_all(db)
        .await?)
}

/// What settling a payment needs to know.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct Settlement {
    pub doacao_id: DonationId,
    pub pagamento_id: ChargeId,
    pub campanha_id: CampaignId,
    pub campanha_titulo: String,
    pub organizadora_id: OrganizadoraId,
    pub situacao: DonationStatus,
    pub doador_chave: Vec<u8>,
    pub email_contato: Option<String>,
    pub pessoa_id: Option<PersonId>,
    pub txid: String,
    pub valor_centavos: i64,
}

/// Holds the donation of a charge until the transaction ends.
pub async fn lock_for_settlement(db: &mut PgConnection, charge_id: ChargeId) -> Result<Option<Settlement>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT d.id AS doacao_id, p.id AS pagamento_id, d.campanha_id, c.titulo AS campanha_titulo, c.organizadora_id, d.situacao,
                d.doador_chave, d.email_contato, d.pessoa_id, p.txid, p.valor_centavos
         FROM pagamentos p JOIN doacoes d ON d.id = p.doacao_id JOIN campanhas c ON c.id = d.campanha_id
         WHERE p.id = $1 FOR NO KEY UPDATE OF d",
    )
    .bind(charge_id)
    .fetch_optional(db)
    .await?)
}

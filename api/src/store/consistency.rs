//! Do the books agree? They are checked a part at a time, so that no statement takes long however large a database is: first the
//! donations in the order of their ids, next to which in every table lies what belongs to them, then the totals of campaigns. Each
//! donation agrees with its receipts, refunds, events and ledger, and the totals with the donations: so they agree with the ledger.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// A rule about donations, each by itself.
struct BookRule {
    name: &'static str,
    /// Selects the id of every row that breaks it, of the donations whose ids are in `$1`.
    sql: &'static str,
}

/// Rows that break a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub check: &'static str,
    /// Some of the rows.
    pub rows: Vec<Uuid>,
}

const TOTALS_AND_DONATIONS: &str = "totais_iguais_as_doacoes";

/// Every rule's name, a metric label.
pub const CHECKS: [&str; 7] =
    [RULES[0].name, RULES[1].name, RULES[2].name, RULES[3].name, RULES[4].name, RULES[5].name, TOTALS_AND_DONATIONS];

const RULES: [BookRule; 6] = [
    BookRule {
        name: "lancamentos_balanceados",
        sql: "SELECT l.id FROM lancamentos l LEFT JOIN partidas p ON p.lancamento_id = l.id
              WHERE l.doacao_id = ANY($1) GROUP BY l.id HAVING count(p.conta_id) < 2 OR sum(p.valor_centavos) <> 0",
    },
    BookRule {
        name: "confirmada_com_recibo",
        sql: "SELECT d.id FROM doacoes d WHERE d.id = ANY($1) AND d.recebido_centavos <> (
                  SELECT coalesce(sum(r.valor_centavos), 0) FROM pagamentos p JOIN pix_recebidos r ON r.pagamento_id = p.id
                  WHERE p.doacao_id = d.id AND r.conciliacao IN ('exata', 'a_maior', 'a_menor'))",
    },
    BookRule {
        name: "devolucoes_iguais_a_doacao",
        sql: "SELECT d.id FROM doacoes d WHERE d.id = ANY($1) AND d.devolvido_centavos <> (
                  SELECT coalesce(sum(v.valor_centavos), 0) FROM devolucoes v JOIN pix_recebidos r ON r.e2eid = v.e2eid
                  WHERE v.doacao_id = d.id AND r.conciliacao <> 'duplicada')",
    },
    BookRule {
        name: "situacao_igual_ao_ultimo_evento",
        sql: "SELECT d.id FROM doacoes d WHERE d.id = ANY($1) AND d.situacao IS DISTINCT FROM (
                  SELECT e.para FROM doacao_eventos e WHERE e.doacao_id = d.id ORDER BY e.seq DESC LIMIT 1)",
    },
    BookRule {
        name: "doacoes_iguais_ao_razao",
        sql: "SELECT d.id FROM doacoes d WHERE d.id = ANY($1) AND (d.recebido_centavos, d.devolvido_centavos) <> (
                  SELECT coalesce(-sum(p.valor_centavos) FILTER (WHERE l.tipo = 'confirmacao'), 0),
                         coalesce(sum(p.valor_centavos) FILTER (WHERE l.tipo = 'devolucao'), 0)
                  FROM lancamentos l JOIN partidas p ON p.lancamento_id = l.id JOIN contas c ON c.id = p.conta_id
                  WHERE l.doacao_id = d.id AND c.tipo = 'campanha' AND c.dono = d.campanha_id)",
    },
    // Finds one payment that is recorded as two receipts: one without the bank's id and one with it, or two whose ids differ only
    // in letter case and of which a member typed one. Receipts that were refunded whole are ignored, so refunding the wrong one
    // settles it.
    BookRule {
        name: "um_recibo_por_pagamento",
        sql: "WITH recibos AS (
                  SELECT p.doacao_id, r.e2eid, r.valor_centavos, r.evidencia
                  FROM pagamentos p JOIN pix_recebidos r ON r.pagamento_id = p.id
                  WHERE p.doacao_id = ANY($1)
                    AND r.valor_centavos > (SELECT coalesce(sum(v.valor_centavos), 0) FROM devolucoes v WHERE v.e2eid = r.e2eid))
              SELECT a.doacao_id FROM recibos a JOIN recibos b ON b.doacao_id = a.doacao_id AND b.e2eid <> a.e2eid
              WHERE a.e2eid LIKE 'manual:%' AND b.valor_centavos = a.valor_centavos
                AND NOT EXISTS (SELECT FROM pix_identificados i WHERE i.declarado = a.e2eid)
              UNION
              SELECT a.doacao_id FROM recibos a JOIN pix_recebidos b ON lower(b.e2eid) = lower(a.e2eid) AND b.e2eid <> a.e2eid
              WHERE 'declarada' IN (a.evidencia, b.evidencia)
                AND b.valor_centavos > (SELECT coalesce(sum(v.valor_centavos), 0) FROM devolucoes v WHERE v.e2eid = b.e2eid)",
    },
];

/// How much is read at once.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Donations whose rules are checked by one statement each, a fraction of the second that it may take.
    pub donations: i64,
    /// Campaigns whose totals are checked in one snapshot.
    pub campaigns: i64,
    /// Donations of campaigns that one statement reads, which lie far from each other.
    pub page: i64,
}

impl Default for Size {
    fn default() -> Self {
        Self { donations: 5_000, campaigns: 20, page: 1_000 }
    }
}

/// A part of the books, never an empty one: neighbours by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Donations, each by itself.
    Donations {
        /// Which.
        ids: Vec<Uuid>,
        /// The newest when the first part was asked for. Who went on to what is made meanwhile would not come to the campaigns.
        newest: Uuid,
    },
    /// Campaigns, with the sum of their donations.
    Campaigns {
        /// Which.
        ids: Vec<Uuid>,
    },
}

/// What a donation adds to the totals of its campaign.
#[derive(sqlx::FromRow)]
struct BookedDonation {
    campanha_id: Uuid,
    id: Uuid,
    recebido: i64,
    devolvido: i64,
    e_declarada: bool,
    e_confirmada: bool,
    doador: [u8; 16],
}

/// The totals of a campaign with the deltas that are not rolled up yet.
#[derive(sqlx::FromRow)]
struct CheckedTotals {
    campanha_id: Uuid,
    arrecadado: i64,
    declarado: i64,
    devolvido: i64,
    doacoes: i64,
    /// Donors are counted by the roll-up, so they are unknown while deltas wait.
    doadores: Option<i64>,
}

/// What the donations of a campaign come to.
#[derive(Default)]
struct Sums {
    raised: i64,
    declared: i64,
    refunded: i64,
    donations: i64,
    donors: HashSet<[u8; 16]>,
}

/// Lets a transaction see what was committed before its next statement, and nothing later. Its first statement.
pub async fn hold_still(db: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(db).await?;
    Ok(())
}

/// Collects statistics, in this transaction, if there are rows but none of them: until autovacuum comes by, a database that was just
/// restored has its checks planned so that they read whole tables for each page, which takes longer than a statement may.
pub async fn collect_statistics_if_missing(db: &mut PgConnection) -> Result<(), StoreError> {
    let missing: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM tabelas_com_linhas(true))").fetch_one(&mut *db).await?;
    if missing {
        collect_statistics(db).await?;
    }
    Ok(())
}

/// Collects statistics of all tables, with what this transaction stored. Lifts the time limit of its later statements, which its end
/// brings back.
pub async fn collect_statistics(db: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *db).await?;
    sqlx::query("SELECT coletar_estatisticas()").execute(db).await?;
    Ok(())
}

/// The part that comes after `last`, or the first; nothing after the last.
pub async fn next(db: &mut PgConnection, last: Option<&Part>, size: Size) -> Result<Option<Part>, StoreError> {
    let donations = match last {
        None => newest_donation(db).await?.map(|newest| (Uuid::nil(), newest)),
        Some(Part::Donations { ids, newest }) => ids.last().map(|last| (*last, *newest)),
        Some(Part::Campaigns { .. }) => None,
    };
    if let Some((after, newest)) = donations {
        let query = sqlx::query_scalar("SELECT id FROM doacoes WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3");
        let ids: Vec<Uuid> = query.bind(after).bind(newest).bind(size.donations).fetch_all(&mut *db).await?;
        if !ids.is_empty() {
            return Ok(Some(Part::Donations { ids, newest }));
        }
    }
    let after = match last {
        Some(Part::Campaigns { ids }) => ids.last().copied(),
        Some(Part::Donations { .. }) | None => None,
    };
    let query = sqlx::query_scalar("SELECT id FROM campanhas WHERE id > $1 ORDER BY id LIMIT $2");
    let ids: Vec<Uuid> = query.bind(after.unwrap_or(Uuid::nil())).bind(size.campaigns).fetch_all(db).await?;
    Ok((!ids.is_empty()).then_some(Part::Campaigns { ids }))
}

async fn newest_donation(db: &mut PgConnection) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar("SELECT id FROM doacoes ORDER BY id DESC LIMIT 1").fetch_optional(db).await?)
}

/// What breaks a rule in a part of the books; of each rule some rows are told. Campaigns are checked in one snapshot if the transaction
/// [holds still](hold_still).
pub async fn check(db: &mut PgConnection, part: &Part, size: Size) -> Result<Vec<Finding>, StoreError> {
    let broken = match part {
        Part::Donations { ids, .. } => broken_rules(db, ids).await?,
        Part::Campaigns { ids } => vec![(TOTALS_AND_DONATIONS, wrong_totals(db, ids, size.page).await?)],
    };
    let some = broken.into_iter().filter(|(_, rows)| !rows.is_empty());
    Ok(some.map(|(check, rows)| Finding { check, rows: rows.into_iter().take(20).collect() }).collect())
}

/// Checks all of the books on one connection, as its transaction sees them.
pub async fn check_all(db: &mut PgConnection, size: Size) -> Result<Vec<Finding>, StoreError> {
    let (mut findings, mut last) = (Vec::new(), None);
    while let Some(part) = next(db, last.as_ref(), size).await? {
        findings.extend(check(db, &part, size).await?);
        last = Some(part);
    }
    Ok(findings)
}

async fn broken_rules(db: &mut PgConnection, donations: &[Uuid]) -> Result<Vec<(&'static str, Vec<Uuid>)>, StoreError> {
    let mut broken = Vec::with_capacity(RULES.len());
    for rule in &RULES {
        broken.push((rule.name, sqlx::query_scalar(rule.sql).bind(donations).fetch_all(&mut *db).await?));
    }
    Ok(broken)
}

/// The campaigns of `campaigns` whose totals are not what their donations come to.
async fn wrong_totals(db: &mut PgConnection, campaigns: &[Uuid], page: i64) -> Result<Vec<Uuid>, StoreError> {
    let mut sums: HashMap<Uuid, Sums> = HashMap::new();
    let mut place = campaigns.first().map(|first| (*first, Uuid::nil()));
    while let (Some(after), Some(last)) = (place, campaigns.last()) {
        let donations = donations_of(db, after, *last, page).await?;
        place = donations.last().map(|donation| (donation.campanha_id, donation.id));
        for donation in donations {
            let sum = sums.entry(donation.campanha_id).or_default();
            sum.raised += donation.recebido;
            sum.declared += if donation.e_declarada { donation.recebido - donation.devolvido } else { 0 };
            sum.refunded += donation.devolvido;
            if donation.e_confirmada {
                sum.donations += 1;
                sum.donors.insert(donation.doador);
            }
        }
    }
    let mut wrong = Vec::new();
    for totals in totals(db, campaigns).await? {
        let sums = sums.remove(&totals.campanha_id).unwrap_or_default();
        if (totals.arrecadado, totals.devolvido, totals.declarado, totals.doacoes)
            != (sums.raised, sums.refunded, sums.declared, sums.donations)
            || totals.doadores.is_some_and(|donors| usize::try_from(donors) != Ok(sums.donors.len()))
        {
            wrong.push(totals.campanha_id);
        }
    }
    Ok(wrong)
}

/// The next donations, by campaign and id, after `place` and of campaigns up to `last`. All of them, or one statement would have to pass
/// over all that were never paid.
async fn donations_of(db: &mut PgConnection, place: (Uuid, Uuid), last: Uuid, limit: i64) -> Result<Vec<BookedDonation>, StoreError> {
    // Half of a keyed hash tells donors apart as well as the whole.
    Ok(sqlx::query_as(
        "SELECT campanha_id, id, recebido_centavos AS recebido, devolvido_centavos AS devolvido,
                evidencia IS NOT DISTINCT FROM 'declarada' AS e_declarada, confirmada_em IS NOT NULL AS e_confirmada,
                substring(doador_chave FOR 16) AS doador
         FROM doacoes WHERE (campanha_id, id) > ($1, $2) AND campanha_id <= $3 ORDER BY campanha_id, id LIMIT $4",
    )
    .bind(place.0)
    .bind(place.1)
    .bind(last)
    .bind(limit)
    .fetch_all(db)
    .await?)
}

async fn totals(db: &mut PgConnection, campaigns: &[Uuid]) -> Result<Vec<CheckedTotals>, StoreError> {
    Ok(sqlx::query_as(
        "WITH deltas AS (
             SELECT campanha_id, sum(arrecadado_centavos) AS arrecadado, sum(devolvido_centavos) AS devolvido,
                    sum(declarado_centavos) AS declarado, sum(doacoes_qtd) AS doacoes
             FROM totais_delta WHERE campanha_id = ANY($1) GROUP BY campanha_id
         )
         SELECT t.campanha_id, (t.arrecadado_centavos + coalesce(d.arrecadado, 0))::bigint AS arrecadado,
                (t.declarado_centavos + coalesce(d.declarado, 0))::bigint AS declarado,
                (t.devolvido_centavos + coalesce(d.devolvido, 0))::bigint AS devolvido,
                (t.doacoes_qtd + coalesce(d.doacoes, 0))::bigint AS doacoes,
                CASE WHEN d.campanha_id IS NULL THEN t.doadores_qtd END AS doadores
         FROM campanha_totais t LEFT JOIN deltas d USING (campanha_id) WHERE t.campanha_id = ANY($1)",
    )
    .bind(campaigns)
    .fetch_all(db)
    .await?)
}

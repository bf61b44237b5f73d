//! Do the books agree? Donations are read a page at a time, so that no statement takes long however large a campaign is. What
//! is summed over pages must all be of one snapshot: see [`hold_still`].

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// A rule about donations, each by itself.
struct Rule {
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

const TOTALS_AND_LEDGER: &str = "totais_iguais_ao_razao";
const TOTALS_AND_DONATIONS: &str = "totais_iguais_as_doacoes";

/// Every rule's name, a metric label.
pub const CHECKS: [&str; 6] = [TOTALS_AND_LEDGER, TOTALS_AND_DONATIONS, RULES[0].name, RULES[1].name, RULES[2].name, RULES[3].name];

const RULES: [Rule; 4] = [
    Rule {
        name: "lancamentos_balanceados",
        sql: "SELECT l.id FROM lancamentos l LEFT JOIN partidas p ON p.lancamento_id = l.id
              WHERE l.doacao_id = ANY($1) GROUP BY l.id HAVING count(p.conta_id) < 2 OR sum(p.valor_centavos) <> 0",
    },
    Rule {
        name: "confirmada_com_recibo",
        sql: "SELECT d.id FROM doacoes d WHERE d.id = ANY($1) AND d.recebido_centavos <> (
                  SELECT coalesce(sum(r.valor_centavos), 0) FROM pagamentos p JOIN pix_recebidos r ON r.pagamento_id = p.id
                  WHERE p.doacao_id = d.id AND r.conciliacao IN ('exata', 'a_maior', 'a_menor'))",
    },
    Rule {
        name: "devolucoes_iguais_a_doacao",
        sql: "SELECT d.id FROM doacoes d WHERE d.id = ANY($1) AND d.devolvido_centavos <> (
                  SELECT coalesce(sum(v.valor_centavos), 0) FROM devolucoes v JOIN pix_recebidos r ON r.e2eid = v.e2eid
                  WHERE v.doacao_id = d.id AND r.conciliacao <> 'duplicada')",
    },
    Rule {
        name: "situacao_igual_ao_ultimo_evento",
        sql: "SELECT d.id FROM doacoes d WHERE d.id = ANY($1) AND d.situacao IS DISTINCT FROM (
                  SELECT e.para FROM doacao_eventos e WHERE e.doacao_id = d.id ORDER BY e.seq DESC LIMIT 1)",
    },
];

/// What the confirmed donations of a page come to, by campaign.
#[derive(sqlx::FromRow)]
struct PageOfDonations {
    campanha_id: Uuid,
    arrecadado: i64,
    declarado: i64,
    devolvido: i64,
    doacoes: i64,
    doadores: Vec<[u8; 16]>,
}

/// What the ledger says of the donations of a page, by campaign.
#[derive(sqlx::FromRow)]
struct PageOfLedger {
    campanha_id: Uuid,
    arrecadado: i64,
    devolvido: i64,
}

/// The totals of a campaign with what is not yet folded.
#[derive(sqlx::FromRow)]
struct Totals {
    campanha_id: Uuid,
    arrecadado: i64,
    declarado: i64,
    devolvido: i64,
    doacoes: i64,
    /// Donors are counted when folding, so they are unknown until everything is folded.
    doadores: Option<i64>,
}

/// What the pages of a campaign come to.
#[derive(Default)]
struct Sums {
    raised: i64,
    declared: i64,
    refunded: i64,
    donations: i64,
    donors: HashSet<[u8; 16]>,
    raised_in_ledger: i64,
    refunded_in_ledger: i64,
}

/// Lets a transaction see what was committed before its next statement, and nothing later. Its first statement.
pub async fn hold_still(db: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(db).await?;
    Ok(())
}

/// Collects statistics, in this transaction, if there are rows but none of them: until autovacuum comes by, a database that was just
/// restored has its checks planned so that they read whole tables for each page, which takes longer than a statement may.
pub async fn collect_statistics_if_missing(db: &mut PgConnection) -> Result<(), StoreError> {
    let missing: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND reltuples < 0
                        AND pg_relation_size(oid) > 0)",
    )
    .fetch_one(&mut *db)
    .await?;
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

/// The next campaigns to check, by id, after `after`.
pub async fn campaigns(db: &mut PgConnection, after: Option<Uuid>, limit: i64) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar("SELECT id FROM campanhas WHERE id > $1 ORDER BY id LIMIT $2")
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(limit)
        .fetch_all(db)
        .await?)
}

/// What breaks a rule in the books of `campaigns`, which are neighbours by id; `page` donations are read at a time, and of each
/// rule some rows are told. Within a transaction.
pub async fn check(db: &mut PgConnection, campaigns: &[Uuid], page: i64) -> Result<Vec<Finding>, StoreError> {
    let mut findings = CHECKS.map(|check| Finding { check, rows: vec![] });
    let mut find = |name: &str, rows: Vec<Uuid>| {
        for finding in findings.iter_mut().filter(|finding| finding.check == name) {
            finding.rows.extend(rows.iter().take(20_usize.saturating_sub(finding.rows.len())));
        }
    };
    let mut sums: HashMap<Uuid, Sums> = HashMap::new();
    let mut after = campaigns.first().map(|first| (*first, Uuid::nil()));
    while let (Some(place), Some(last)) = (after, campaigns.last()) {
        let donations = donations(db, place, *last, page).await?;
        let ids: Vec<Uuid> = donations.iter().map(|(_, id)| *id).collect();
        for rule in &RULES {
            find(rule.name, sqlx::query_scalar(rule.sql).bind(&ids).fetch_all(&mut *db).await?);
        }
        add_page(db, &ids, &mut sums).await?;
        after = donations.last().copied();
    }
    for totals in totals(db, campaigns).await? {
        let sums = sums.remove(&totals.campanha_id).unwrap_or_default();
        if (totals.arrecadado, totals.devolvido) != (sums.raised_in_ledger, sums.refunded_in_ledger) {
            find(TOTALS_AND_LEDGER, vec![totals.campanha_id]);
        }
        if (totals.arrecadado, totals.devolvido, totals.declarado, totals.doacoes)
            != (sums.raised, sums.refunded, sums.declared, sums.donations)
            || totals.doadores.is_some_and(|donors| usize::try_from(donors) != Ok(sums.donors.len()))
        {
            find(TOTALS_AND_DONATIONS, vec![totals.campanha_id]);
        }
    }
    Ok(findings.into_iter().filter(|finding| !finding.rows.is_empty()).collect())
}

/// The next donations, by campaign and id, after `place` and of campaigns up to `last`.
async fn donations(db: &mut PgConnection, place: (Uuid, Uuid), last: Uuid, limit: i64) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT campanha_id, id FROM doacoes WHERE (campanha_id, id) > ($1, $2) AND campanha_id <= $3 ORDER BY campanha_id, id LIMIT $4",
    )
    .bind(place.0)
    .bind(place.1)
    .bind(last)
    .bind(limit)
    .fetch_all(db)
    .await?)
}

/// Adds what the donations with `ids` and their ledger come to.
async fn add_page(db: &mut PgConnection, ids: &[Uuid], sums: &mut HashMap<Uuid, Sums>) -> Result<(), StoreError> {
    // Half of a keyed hash tells donors apart as well as the whole.
    let donations: Vec<PageOfDonations> = sqlx::query_as(
        "SELECT campanha_id, sum(recebido_centavos)::bigint AS arrecadado,
                coalesce(sum(recebido_centavos) FILTER (WHERE evidencia = 'declarada'), 0)::bigint AS declarado,
                sum(devolvido_centavos)::bigint AS devolvido, count(*) AS doacoes,
                array_agg(DISTINCT substring(doador_chave FOR 16)) AS doadores
         FROM doacoes WHERE id = ANY($1) AND confirmada_em IS NOT NULL GROUP BY campanha_id",
    )
    .bind(ids)
    .fetch_all(&mut *db)
    .await?;
    for page in donations {
        let sum = sums.entry(page.campanha_id).or_default();
        sum.raised += page.arrecadado;
        sum.declared += page.declarado;
        sum.refunded += page.devolvido;
        sum.donations += page.doacoes;
        sum.donors.extend(page.doadores);
    }
    let ledger: Vec<PageOfLedger> = sqlx::query_as(
        "SELECT d.campanha_id, coalesce(-sum(p.valor_centavos) FILTER (WHERE l.tipo = 'confirmacao'), 0)::bigint AS arrecadado,
                coalesce(sum(p.valor_centavos) FILTER (WHERE l.tipo = 'devolucao'), 0)::bigint AS devolvido
         FROM doacoes d JOIN lancamentos l ON l.doacao_id = d.id JOIN partidas p ON p.lancamento_id = l.id
              JOIN contas c ON c.id = p.conta_id AND c.tipo = 'campanha' AND c.dono = d.campanha_id
         WHERE d.id = ANY($1) GROUP BY d.campanha_id",
    )
    .bind(ids)
    .fetch_all(db)
    .await?;
    for page in ledger {
        let sum = sums.entry(page.campanha_id).or_default();
        sum.raised_in_ledger += page.arrecadado;
        sum.refunded_in_ledger += page.devolvido;
    }
    Ok(())
}

async fn totals(db: &mut PgConnection, campaigns: &[Uuid]) -> Result<Vec<Totals>, StoreError> {
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

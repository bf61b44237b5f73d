//! Do the books agree? Each check is one statement, so it sees one snapshot.

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// A rule that must hold for every row.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, a metric label.
    pub name: &'static str,
    /// Selects the id of every row that breaks it, of the campaigns whose ids are in `$1`.
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

/// Every rule.
pub const CHECKS: &[Check] = &[
    Check {
        name: "totais_iguais_ao_razao",
        sql: "WITH razao AS (
                  SELECT c.dono AS campanha_id,
                         -coalesce(sum(p.valor_centavos) FILTER (WHERE l.tipo = 'confirmacao'), 0) AS arrecadado,
                         coalesce(sum(p.valor_centavos) FILTER (WHERE l.tipo = 'devolucao'), 0) AS devolvido
                  FROM contas c LEFT JOIN partidas p ON p.conta_id = c.id LEFT JOIN lancamentos l ON l.id = p.lancamento_id
                  WHERE c.tipo = 'campanha' AND c.dono = ANY($1) GROUP BY c.dono
              ), deltas AS (
                  SELECT campanha_id, sum(arrecadado_centavos) AS arrecadado, sum(devolvido_centavos) AS devolvido
                  FROM totais_delta WHERE campanha_id = ANY($1) GROUP BY campanha_id
              )
              SELECT t.campanha_id FROM campanha_totais t LEFT JOIN razao r USING (campanha_id) LEFT JOIN deltas d USING (campanha_id)
              WHERE t.campanha_id = ANY($1)
                AND (t.arrecadado_centavos + coalesce(d.arrecadado, 0) IS DISTINCT FROM coalesce(r.arrecadado, 0)
                     OR t.devolvido_centavos + coalesce(d.devolvido, 0) IS DISTINCT FROM coalesce(r.devolvido, 0))",
    },
    Check {
        name: "totais_iguais_as_doacoes",
        sql: "WITH soma AS (
                  SELECT campanha_id, sum(recebido_centavos) AS arrecadado, sum(devolvido_centavos) AS devolvido,
                         sum(recebido_centavos) FILTER (WHERE evidencia = 'declarada') AS declarado,
                         count(*) AS doacoes, count(DISTINCT doador_chave) AS doadores
                  FROM doacoes WHERE campanha_id = ANY($1) AND confirmada_em IS NOT NULL GROUP BY campanha_id
              ), deltas AS (
                  SELECT campanha_id, sum(arrecadado_centavos) AS arrecadado, sum(devolvido_centavos) AS devolvido,
                         sum(declarado_centavos) AS declarado, sum(doacoes_qtd) AS doacoes
                  FROM totais_delta WHERE campanha_id = ANY($1) GROUP BY campanha_id
              )
              SELECT t.campanha_id FROM campanha_totais t LEFT JOIN soma s USING (campanha_id) LEFT JOIN deltas d USING (campanha_id)
              WHERE t.campanha_id = ANY($1)
                AND (t.arrecadado_centavos + coalesce(d.arrecadado, 0) <> coalesce(s.arrecadado, 0)
                     OR t.devolvido_centavos + coalesce(d.devolvido, 0) <> coalesce(s.devolvido, 0)
                     OR t.declarado_centavos + coalesce(d.declarado, 0) <> coalesce(s.declarado, 0)
                     OR t.doacoes_qtd + coalesce(d.doacoes, 0) <> coalesce(s.doacoes, 0)
                     OR (d.campanha_id IS NULL AND t.doadores_qtd <> coalesce(s.doadores, 0)))",
    },
    Check {
        name: "lancamentos_balanceados",
        sql: "SELECT l.id FROM doacoes d JOIN lancamentos l ON l.doacao_id = d.id LEFT JOIN partidas p ON p.lancamento_id = l.id
              WHERE d.campanha_id = ANY($1) GROUP BY l.id HAVING count(p.conta_id) < 2 OR sum(p.valor_centavos) <> 0",
    },
    Check {
        name: "confirmada_com_recibo",
        sql: "WITH recibos AS (
                  SELECT d.id, sum(r.valor_centavos) AS valor
                  FROM doacoes d JOIN pagamentos p ON p.doacao_id = d.id JOIN pix_recebidos r ON r.pagamento_id = p.id
                  WHERE d.campanha_id = ANY($1) AND r.conciliacao IN ('exata', 'a_maior', 'a_menor') GROUP BY d.id
              )
              SELECT d.id FROM doacoes d LEFT JOIN recibos r USING (id)
              WHERE d.campanha_id = ANY($1) AND d.recebido_centavos <> coalesce(r.valor, 0)",
    },
    Check {
        name: "devolucoes_iguais_a_doacao",
        sql: "WITH voltas AS (
                  SELECT d.id, sum(v.valor_centavos) AS valor
                  FROM doacoes d JOIN devolucoes v ON v.doacao_id = d.id JOIN pix_recebidos r ON r.e2eid = v.e2eid
                  WHERE d.campanha_id = ANY($1) AND r.conciliacao <> 'duplicada' GROUP BY d.id
              )
              SELECT d.id FROM doacoes d LEFT JOIN voltas v USING (id)
              WHERE d.campanha_id = ANY($1) AND d.devolvido_centavos <> coalesce(v.valor, 0)",
    },
    Check {
        name: "situacao_igual_ao_ultimo_evento",
        sql: "WITH ultimos AS (
                  SELECT DISTINCT ON (d.id) d.id, e.para FROM doacoes d JOIN doacao_eventos e ON e.doacao_id = d.id
                  WHERE d.campanha_id = ANY($1) ORDER BY d.id, e.seq DESC
              )
              SELECT d.id FROM doacoes d LEFT JOIN ultimos e USING (id)
              WHERE d.campanha_id = ANY($1) AND d.situacao IS DISTINCT FROM e.para",
    },
];

/// The rows of `campaigns` that break `check`, at most twenty.
pub async fn run(db: &mut PgConnection, check: &Check, campaigns: &[Uuid]) -> Result<Option<Finding>, StoreError> {
    let rows: Vec<Uuid> = sqlx::query_scalar(check.sql).bind(campaigns).fetch_all(db).await?;
    Ok((!rows.is_empty()).then(|| Finding { check: check.name, rows: rows.into_iter().take(20).collect() }))
}

/// The next campaigns to check, by id, after `after`.
pub async fn campaigns(db: &mut PgConnection, after: Option<Uuid>, limit: i64) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar("SELECT id FROM campanhas WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2")
        .bind(after)
        .bind(limit)
        .fetch_all(db)
        .await?)
}

//! What the database itself refuses, to the application's role and to its owner.

use std::sync::Arc;
use std::time::Duration;

use doacoes_api::service::administration;
use doacoes_api::store::consistency;
use doacoes_api::store::donations::{self, FeedRow};
use serde_json::json;
use sqlx::postgres::PgPool;

use crate::harness::{Options, TestApp, metric_once_known, until};

async fn refusal(db: &PgPool, sql: &'static str) -> (String, String) {
    let error = sqlx::raw_sql(sql).execute(db).await.expect_err(sql);
    let error = error.as_database_error().unwrap_or_else(|| panic!("{sql}: {error}"));
    (error.code().unwrap().into_owned(), error.constraint().unwrap_or_default().to_owned())
}

const DENIED: &str = "42501";
const APPEND_ONLY: &str = "23001";

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_append_only_for_both_roles() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({})).await;
    for table in ["lancamentos", "partidas", "doacao_eventos", "auditoria"] {
        for verb in ["DELETE FROM", "TRUNCATE"] {
            let sql: &'static str = Box::leak(format!("{verb} {table}").into_boxed_str());
            assert_eq!(refusal(app.state.db.pool(), sql).await.0, DENIED, "{sql}");
            if verb == "DELETE FROM" {
                assert_eq!(refusal(&app.owner, sql).await.0, APPEND_ONLY, "{sql}");
            }
        }
    }
    assert_eq!(refusal(&app.owner, "UPDATE partidas SET valor_centavos = valor_centavos + 1").await.0, APPEND_ONLY);
    assert_eq!(refusal(&app.owner, "TRUNCATE partidas").await.0, APPEND_ONLY);
    assert_eq!(refusal(&app.owner, "UPDATE lancamentos SET tipo = 'excedente'").await.0, APPEND_ONLY);
    assert_eq!(refusal(app.state.db.pool(), "UPDATE partidas SET valor_centavos = 1").await.0, DENIED);
    assert_eq!(refusal(app.state.db.pool(), "DELETE FROM doacoes").await.0, DENIED);
    assert_eq!(refusal(app.state.db.pool(), "SELECT * FROM registro_acesso").await.0, DENIED);
    assert_eq!(app.count("SELECT count(*) FROM registro_acesso WHERE acao = 'doacao' AND ip = '127.0.0.1'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unbalanced_entry_fails_at_commit() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({})).await;
    let lonely = "INSERT INTO lancamentos SELECT gen_random_uuid(), 'x', 'confirmacao', id, now() FROM doacoes";
    assert_eq!(refusal(app.state.db.pool(), lonely).await.1, "lancamentos_balanceados");
    let lopsided = "BEGIN;
        INSERT INTO lancamentos SELECT '00000000-0000-0000-0000-000000000001', 'x', 'confirmacao', id, now() FROM doacoes;
        INSERT INTO partidas SELECT '00000000-0000-0000-0000-000000000001', id, CASE tipo WHEN 'banco' THEN 10 ELSE -9 END FROM contas WHERE tipo IN ('banco', 'campanha');
        COMMIT;";
    assert_eq!(refusal(app.state.db.pool(), lopsided).await.1, "lancamentos_balanceados");
    // Nor can an old entry be added to.
    let late = "INSERT INTO partidas SELECT l.id, c.id, 1 FROM lancamentos l, contas c WHERE c.tipo = 'a_devolver'";
    assert_eq!(refusal(app.state.db.pool(), late).await.1, "lancamentos_balanceados");
    app.assert_books_agree().await;
}

/// Every pair of states that the code's table does not have is refused by the database's, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_machine_of_the_database_is_that_of_the_code() {
    use doacoes_api::domain::donation::{DonationEvent, DonationStatus};

    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({})).await.json();
    let id: uuid::Uuid = donation["id"].as_str().unwrap().parse().unwrap();
    for from in DonationStatus::ALL {
        for to in DonationStatus::ALL.iter().filter(|to| *to != from) {
            let mut tx = app.owner.begin().await.unwrap();
            sqlx::query("ALTER TABLE doacoes DISABLE TRIGGER doacoes_transicao").execute(&mut *tx).await.unwrap();
            set_status(&mut tx, id, *from).await.unwrap();
            sqlx::query("ALTER TABLE doacoes ENABLE TRIGGER doacoes_transicao").execute(&mut *tx).await.unwrap();
            let outcome = set_status(&mut tx, id, *to).await;
            let legal = DonationEvent::ALL.iter().any(|event| from.next(*event) == Some(*to));
            match outcome {
                Ok(()) => assert!(legal, "{from:?} -> {to:?} must be refused"),
                Err(error) => {
                    let constraint = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint).map(str::to_owned);
                    assert_eq!((legal, constraint.as_deref()), (false, Some("doacoes_transicao_valida")), "{from:?} -> {to:?}: {error}");
                }
            }
        }
    }
}

async fn set_status(
    db: &mut sqlx::PgConnection,
    id: uuid::Uuid,
    status: doacoes_api::domain::donation::DonationStatus,
) -> Result<(), sqlx::Error> {
    let paid = status.is_paid();
    sqlx::query(
        "UPDATE doacoes SET situacao = $2, recebido_centavos = CASE WHEN $3 THEN 5000 ELSE 0 END, evidencia = CASE WHEN $3 THEN 'psp' END,
             confirmada_em = CASE WHEN $3 THEN now() END WHERE id = $1",
    )
    .bind(id)
    .bind(status.as_str())
    .bind(paid)
    .execute(db)
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_the_books_sees_what_is_wrong() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({})).await;
    app.roll_up().await;
    app.assert_books_agree().await;
    let found = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&app.owner).await.unwrap();
        let findings = administration::check_books(&app.owner).await.unwrap();
        findings.into_iter().map(|finding| finding.check).collect::<Vec<_>>()
    };
    let totals = found("UPDATE campanha_totais SET arrecadado_centavos = arrecadado_centavos + 1").await;
    assert_eq!(totals, ["totais_iguais_as_doacoes"]);
    let donors = found("UPDATE campanha_totais SET arrecadado_centavos = arrecadado_centavos - 1, doadores_qtd = 0").await;
    assert_eq!(donors, ["totais_iguais_as_doacoes"]);
    let receipt = found("UPDATE campanha_totais SET doadores_qtd = 1; UPDATE pix_recebidos SET valor_centavos = valor_centavos + 1").await;
    assert_eq!(receipt, ["confirmada_com_recibo"]);
    let ledger = found(
        "UPDATE pix_recebidos SET valor_centavos = valor_centavos - 1; ALTER TABLE partidas DISABLE TRIGGER USER;
         UPDATE partidas SET valor_centavos = valor_centavos - 1 WHERE valor_centavos < 0",
    )
    .await;
    assert_eq!(ledger, ["lancamentos_balanceados", "doacoes_iguais_ao_razao"]);
    let account = found(
        "UPDATE partidas SET valor_centavos = valor_centavos + 1 WHERE valor_centavos < 0;
         INSERT INTO contas (tipo, dono) VALUES ('campanha', '00000000-0000-7000-8000-000000000000');
         UPDATE partidas SET conta_id = (SELECT max(id) FROM contas) WHERE valor_centavos < 0",
    )
    .await;
    assert_eq!(account, ["doacoes_iguais_ao_razao"]);
    let refund = found(
        "UPDATE partidas SET conta_id = (SELECT max(id) FROM contas WHERE tipo = 'campanha' AND id < partidas.conta_id) WHERE valor_centavos < 0;
         UPDATE doacoes SET devolvido_centavos = 1",
    )
    .await;
    assert_eq!(refund, ["devolucoes_iguais_a_doacao", "doacoes_iguais_ao_razao", "totais_iguais_as_doacoes"]);
    let event = found(
        "UPDATE doacoes SET devolvido_centavos = 0; ALTER TABLE doacao_eventos DISABLE TRIGGER USER;
         UPDATE doacao_eventos SET para = 'expirada' WHERE para = 'confirmada'",
    )
    .await;
    assert_eq!(event, ["situacao_igual_ao_ultimo_evento"]);
    // In no list of donations, but in the ledger.
    let unlisted = found(
        "UPDATE doacao_eventos SET para = 'confirmada' WHERE para = 'expirada'; UPDATE doacoes SET confirmada_em = NULL;
         UPDATE campanha_totais SET arrecadado_centavos = 0, doacoes_qtd = 0, doadores_qtd = 0",
    )
    .await;
    assert_eq!(unlisted, ["totais_iguais_as_doacoes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_the_books_ends_and_tells_what_it_found_while_donations_come() {
    let app = Arc::new(TestApp::with(Options { background: true, ..Options::default() }).await);
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({})).await;
    let donors = {
        let (app, campaign) = (Arc::clone(&app), campaign.clone());
        tokio::spawn(async move {
            loop {
                app.donate(&campaign, json!({})).await;
            }
        })
    };
    let totals = [r#"check="totais_iguais_as_doacoes""#];
    let found = async || metric_once_known(&app, "doacoes_consistency_findings", &totals).await;
    let change = async |sql: &'static str| sqlx::raw_sql(sql).execute(&app.owner).await.unwrap();
    change("UPDATE campanha_totais SET arrecadado_centavos = arrecadado_centavos + 1").await;
    until(Duration::from_secs(20), "what is wrong is told", async || found().await == Some(1)).await;
    change("UPDATE campanha_totais SET arrecadado_centavos = arrecadado_centavos - 1").await;
    until(Duration::from_secs(20), "and that it is no longer", async || found().await == Some(0)).await;
    donors.abort();
}

/// What the books' check finds when it reads two donations and one campaign at a time.
async fn findings(db: &mut sqlx::PgConnection) -> Vec<(&'static str, Vec<uuid::Uuid>)> {
    let size = consistency::Size { donations: 2, campaigns: 1, page: 2 };
    let found = consistency::check_all(db, size).await.unwrap();
    found.into_iter().map(|finding| (finding.check, finding.rows)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_the_books_adds_up_pages_and_reads_the_last() {
    let app = TestApp::start().await;
    let (large, small) = (app.campaign().await, app.campaign().await);
    let mut donations = vec![];
    for number in 0..9 {
        // Some of one donor, in different pages.
        let donor = if number % 4 == 0 { json!({"email": "bia@exemplo.org.br"}) } else { json!({}) };
        donations.push(app.confirmed(&large, donor).await.json());
        app.donate(&small, json!({})).await;
    }
    app.confirmed(&small, json!({})).await;
    app.roll_up().await;
    assert_eq!(app.count("SELECT max(doadores_qtd) FROM campanha_totais").await, 7);
    let mut db = app.owner.begin().await.unwrap();
    assert_eq!(findings(&mut db).await, []);

    let last: uuid::Uuid = donations.last().unwrap()["id"].as_str().unwrap().parse().unwrap();
    let campaign: uuid::Uuid =
        sqlx::query_scalar("SELECT campanha_id FROM doacoes WHERE id = $1").bind(last).fetch_one(&app.owner).await.unwrap();
    sqlx::query("UPDATE doacoes SET recebido_centavos = recebido_centavos + 1 WHERE id = $1").bind(last).execute(&mut *db).await.unwrap();
    assert_eq!(
        findings(&mut db).await,
        [("confirmada_com_recibo", vec![last]), ("doacoes_iguais_ao_razao", vec![last]), ("totais_iguais_as_doacoes", vec![campaign])]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_the_books_sees_nothing_of_what_happens_meanwhile() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({})).await;
    let mut tx = app.state.db.begin().await.unwrap();
    consistency::hold_still(&mut tx).await.unwrap();
    assert_eq!(findings(&mut tx).await, []);
    let donations = "SELECT count(*) FROM doacoes";
    for _ in 0..3 {
        app.confirmed(&campaign, json!({})).await;
        app.roll_up().await;
        assert_eq!(findings(&mut tx).await, []);
        assert_eq!(sqlx::query_scalar::<_, i64>(donations).fetch_one(&mut *tx).await.unwrap(), 1);
    }
    assert_eq!(app.count(donations).await, 4);
}

/// The application asks the owner's function for them; a restored database has none.
#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_the_books_collects_statistics_that_are_missing_and_only_those() {
    const COLLECTED: &str = "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND tablename = 'partidas'";
    const ROWS: &str = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'partidas'::regclass";
    let app = TestApp::start().await;
    sqlx::raw_sql("ALTER TABLE partidas SET (autovacuum_enabled = off)").execute(&app.owner).await.unwrap();
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({})).await;
    app.roll_up().await;
    assert_eq!((app.count(COLLECTED).await, app.count(ROWS).await), (0, -1));
    assert_eq!(administration::check_books(app.state.db.pool()).await.unwrap(), []);
    assert!(app.count(COLLECTED).await > 0);
    let rows = app.count(ROWS).await;
    assert!(rows > 0);
    app.confirmed(&campaign, json!({})).await;
    app.roll_up().await;
    app.assert_books_agree().await;
    assert_eq!(app.count(ROWS).await, rows, "collected again");
    // The limit of a statement's time, lifted for collecting, is back for whoever gets the connection.
    let limit: String = sqlx::query_scalar("SHOW statement_timeout").fetch_one(app.state.db.pool()).await.unwrap();
    assert_eq!(limit, "1s");
    // Nor is a plan compiled that is only thought to be long.
    assert_eq!(sqlx::query_scalar::<_, String>("SHOW jit").fetch_one(app.state.db.pool()).await.unwrap(), "off");
}

/// PostgreSQL makes one plan for all values of a statement that is used often, and that one has to begin at the place too. The order is
/// that of the places, also where the time that is shown is cut to the minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_donations_reads_what_is_on_it_however_deep_it_is_and_leaves_none_out() {
    const READ: &str = "SELECT (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables
                        WHERE relname = 'doacoes'";
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    for number in 0..40 {
        let visibility = if number % 3 == 0 { "publica" } else { "anonima" };
        app.confirmed(&campaign, json!({"visibilidade": visibility})).await;
    }
    let mut tx = app.owner.begin().await.unwrap();
    // So few rows would be read whole and sorted.
    sqlx::raw_sql(
        "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
         SET LOCAL enable_sort = off",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    let (mut place, mut seen) = (None, vec![]);
    for page in 0..8 {
        let before: i64 = sqlx::query_scalar(READ).fetch_one(&mut *tx).await.unwrap();
        let rows = donations::feed(&mut tx, &campaign.slug, place, 5).await.unwrap().unwrap();
        let after: i64 = sqlx::query_scalar(READ).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(rows.len(), 5);
        assert!((5..8).contains(&(after - before)), "page {page}: {} rows were read", after - before);
        place = rows.last().map(FeedRow::position);
        seen.extend(rows.iter().map(|row| (row.posicao_em, row.posicao_id)));
    }
    assert!(seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");
    assert_eq!(donations::feed(&mut tx, &campaign.slug, place, 5).await.unwrap().unwrap().len(), 0);
}

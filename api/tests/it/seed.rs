//! The demonstration data: complete, repeatable, refused where there is data, and with books that agree.

use doacoes_api::domain::br_code::BrCode;
use doacoes_api::domain::money::Centavos;
use doacoes_api::domain::pix_key::PixKey;
use doacoes_api::domain::txid::Txid;
use doacoes_api::seed::{self, Report, Scale, SeedError};
use doacoes_api::store;
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::Notify;

use crate::harness::{TestApp, servers};

const SCALE: Scale = Scale { organizadoras: 3, campanhas: 30, pessoas: 200, doacoes: 2_000 };

async fn seed_into(app: &TestApp) -> Result<Report, SeedError> {
    seed::run(app.state.db.pool(), &app.state.keys, &app.state.passwords, SCALE, |_| ()).await
}

/// Every donation's id, amount and state, in one hash.
async fn digest(app: &TestApp) -> String {
    sqlx::query_scalar("SELECT md5(string_agg(concat_ws(' ', id, valor_centavos, situacao), ',' ORDER BY id)) FROM doacoes")
        .fetch_one(&app.owner)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_makes_what_was_asked_for_and_its_books_agree() {
    let app = TestApp::start().await;
    assert!(seed::is_empty(app.state.db.pool()).await.unwrap());
    let report = seed_into(&app).await.unwrap();
    assert_eq!(report.scale, SCALE);
    assert!(!seed::is_empty(app.state.db.pool()).await.unwrap());
    for (sql, expected) in [
        ("SELECT count(*) FROM organizadoras", 3),
        ("SELECT count(*) FROM organizadora_membros WHERE papel = 'dona'", 3),
        ("SELECT count(*) FROM campanhas", 30),
        ("SELECT count(*) FROM campanha_totais", 30),
        ("SELECT count(*) FROM pessoas", 200),
        ("SELECT count(DISTINCT senha_hash) FROM pessoas", 1),
        ("SELECT count(*) FROM doacoes", 2_000),
        ("SELECT count(*) FROM pagamentos", 2_000),
        ("SELECT count(*) FROM totais_delta", 0),
        ("SELECT count(*) FROM caixa_saida", 0),
        ("SELECT sum(valor_centavos)::bigint FROM partidas", 0),
        // Nothing that is still open closes by itself soon.
        ("SELECT count(*) FROM doacoes WHERE situacao = 'aguardando_pagamento' AND expira_em < now() + interval '1 year'", 0),
        ("SELECT count(*) FROM campanhas WHERE situacao = 'publicada' AND fim_em < now() + interval '1 year'", 0),
        // And nothing happened in the future.
        ("SELECT count(*) FROM doacao_eventos WHERE em > now()", 0),
    ] {
        assert_eq!(app.count(sql).await, expected, "{sql}");
    }
    assert_eq!(app.count("SELECT count(*) FROM lancamentos").await, i64::try_from(report.lancamentos).unwrap());
    for state in ["confirmada", "parcialmente_devolvida", "devolvida", "expirada", "cancelada", "aguardando_pagamento"] {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM doacoes WHERE situacao = $1").bind(state).fetch_one(&app.owner).await.unwrap();
        assert!(count > 0, "no donation is {state}");
    }
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_charge_can_be_scanned_and_says_what_is_stored_beside_it() {
    let app = TestApp::start().await;
    seed_into(&app).await.unwrap();
    let charges: Vec<(String, String, i64, String)> = sqlx::query_as(
        "SELECT p.br_code, p.txid, p.valor_centavos, k.chave FROM pagamentos p JOIN doacoes d ON d.id = p.doacao_id
         JOIN campanhas c ON c.id = d.campanha_id JOIN organizadora_chaves_pix k ON k.organizadora_id = c.organizadora_id",
    )
    .fetch_all(&app.owner)
    .await
    .unwrap();
    assert_eq!(charges.len(), 2_000);
    for (text, txid, amount, key) in charges {
        let code = BrCode::parse(&text).unwrap();
        assert_eq!(code.txid().map(Txid::as_str), Some(txid.as_str()));
        assert_eq!(code.amount().map(Centavos::get), Some(amount));
        assert_eq!(code.key().map(PixKey::as_str), Some(key.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seeded_people_log_in_and_seeded_campaigns_are_shown() {
    let app = TestApp::start().await;
    seed_into(&app).await.unwrap();
    app.post("sessoes", json!({"email": "pessoa1@exemplo.org.br", "senha": seed::PASSWORD})).send().await.expect(201);
    let slug = "sopa-quente-nas-noites-de-inverno";
    app.get(&format!("campanhas/{slug}")).send().await.expect(200);
    let totals = app.get(&format!("campanhas/{slug}/totais")).send().await.expect(200);
    assert!(totals["arrecadado_centavos"].as_i64().unwrap() > 0, "{totals}");
    let feed = app.get(&format!("campanhas/{slug}/doacoes")).send().await.expect(200);
    assert!(!feed["itens"].as_array().unwrap().is_empty(), "{feed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_seed_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    seed_into(&app).await.unwrap();
    let before = digest(&app).await;
    let refused = seed_into(&app).await.unwrap_err();
    assert!(matches!(refused, SeedError::NotEmpty), "{refused}");
    assert!(refused.to_string().contains("--if-empty"), "{refused}");
    assert_eq!(digest(&app).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_seeds_at_once_one_is_refused() {
    let app = TestApp::start().await;
    let (one, other) = tokio::join!(seed_into(&app), seed_into(&app));
    assert!(matches!((&one, &other), (Ok(_), Err(SeedError::NotEmpty)) | (Err(SeedError::NotEmpty), Ok(_))), "{one:?} {other:?}");
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_get_the_same_donations() {
    let (one, other) = (TestApp::start().await, TestApp::start().await);
    seed_into(&one).await.unwrap();
    seed_into(&other).await.unwrap();
    assert_eq!(digest(&one).await, digest(&other).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_of_nothing_is_refused() {
    let app = TestApp::start().await;
    let scale = Scale { pessoas: 0, ..SCALE };
    let refused = seed::run(app.state.db.pool(), &app.state.keys, &app.state.passwords, scale, |_| ()).await.unwrap_err();
    assert!(matches!(refused, SeedError::Scale), "{refused}");
    let report =
        seed::run(app.state.db.pool(), &app.state.keys, &app.state.passwords, Scale { doacoes: 0, ..SCALE }, |_| ()).await.unwrap();
    assert_eq!(report.lancamentos, 0);
}

/// Autovacuum that comes by after the self-test and before the seed.
#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_planned_for_what_it_stores_and_not_for_the_empty_tables_before() {
    let app = TestApp::start().await;
    sqlx::query("ANALYZE").execute(&app.owner).await.unwrap();
    let empty =
        "SELECT count(*) FROM pg_class WHERE oid IN ('doacoes'::regclass, 'pagamentos'::regclass) AND relpages > 0 AND reltuples = 0";
    assert_eq!(app.count(empty).await, 2, "what the self-test rolled back was counted");
    // One connection, whose counts are complete once it says so.
    let db = store::pool(&SecretString::from(servers().app_url(&app.database)), 1).unwrap();
    let scale = Scale { organizadoras: 5, campanhas: 100, pessoas: 1_000, doacoes: 10_000 };
    seed::run(&db, &app.state.keys, &app.state.passwords, scale, |_| ()).await.unwrap();
    sqlx::query("SELECT pg_stat_force_next_flush()").execute(&db).await.unwrap();
    sqlx::query("SELECT 1").execute(&db).await.unwrap();
    let rows = app.count("SELECT sum(n_tup_ins)::bigint FROM pg_stat_user_tables").await;
    let blocks = app.count("SELECT sum(idx_blks_hit + idx_blks_read)::bigint FROM pg_statio_user_indexes").await;
    assert!(rows > 80_000, "{rows}");
    // Some three levels of each index that a row goes into, and of each that is asked for it. A plan for empty tables reads indexes whole.
    assert!(blocks / rows < 25, "{} blocks of indexes for each of {rows} rows", blocks / rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_is_stopped_leaves_nothing_and_the_next_one_seeds() {
    let app = TestApp::start().await;
    let halfway = Notify::new();
    // Connections of its own, as those of the process that is stopped.
    let own = sqlx::PgPool::connect_lazy_with(app.state.db.pool().connect_options().as_ref().clone());
    tokio::select! {
        ended = seed::run(&own, &app.state.keys, &app.state.passwords, SCALE, |_| halfway.notify_one()) => panic!("{ended:?}"),
        () = halfway.notified() => {}
    }
    drop(own);
    assert!(seed::is_empty(app.state.db.pool()).await.unwrap());
    seed_into(&app).await.unwrap();
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 2_000);
    app.assert_books_agree().await;
}

//! The demonstration data: complete, repeatable, refused where there is data, and with books that agree.

use doacoes_api::domain::br_code::BrCode;
use doacoes_api::domain::money::Centavos;
use doacoes_api::domain::pix_key::PixKey;
use doacoes_api::domain::txid::Txid;
use doacoes_api::seed::{self, Report, Scale, SeedError};
use serde_json::json;

use crate::harness::TestApp;

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

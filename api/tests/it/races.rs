//! Many at once: one effect, exact sums.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use doacoes_api::background::Task;
use doacoes_api::store::totals;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Campaign, Options, Person, TestApp, all_at_once, e2eid};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_posts_of_one_key_make_one_donation() {
    let app = Arc::new(TestApp::start().await);
    let campaign = Arc::new(app.campaign().await);
    let key = Uuid::new_v4();
    let send = |_| {
        let (app, campaign) = (Arc::clone(&app), Arc::clone(&campaign));
        async move { app.post(&format!("campanhas/{}/doacoes", campaign.slug), app.donation(json!({}))).key(key).send().await }
    };
    let answers = all_at_once(200, send).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(!made.is_empty());
    for answer in &answers {
        match answer.status.as_u16() {
            201 => {}
            409 => drop(answer.expect_problem(409, "requisicao-em-andamento")),
            503 => drop(answer.expect_problem(503, "indisponivel")),
            _ => panic!("{answer:?}"),
        }
    }
    // At rest the key answers, byte for byte and with the same token.
    for _ in 0..20 {
        let again = send(0).await;
        assert_eq!(again.status, 201, "{}", again.text);
        assert_eq!(again.text, made[0].text);
        assert_eq!(again.header("doacao-token"), made[0].header("doacao-token"));
        assert_eq!(again.header("location"), made[0].header("location"));
    }
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM pagamentos").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM idempotencia").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_another_body_is_refused_whoever_comes_first() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}/doacoes", campaign.slug);
    let key = Uuid::new_v4();
    app.post(&path, app.donation(json!({}))).key(key).send().await.expect(201);
    app.post(&path, app.donation(json!({"valor_centavos": 5001})))
        .key(key)
        .send()
        .await
        .expect_problem(422, "chave-de-idempotencia-reutilizada");
    // Another owner's key is another key.
    let other = app.campaign().await;
    app.post(&format!("campanhas/{}/doacoes", other.slug), app.donation(json!({}))).key(key).send().await.expect(201);
    let person = app.person().await;
    app.post(&path, app.donation(json!({}))).key(key).by(&person).send().await.expect(201);
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_keeps_nothing_and_its_key_stays_free() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}/doacoes", campaign.slug);
    let key = Uuid::new_v4();
    app.post(&path, app.donation(json!({"valor_centavos": 1}))).key(key).send().await.expect_problem(422, "dados-invalidos");
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await + app.count("SELECT count(*) FROM idempotencia").await, 0);
    app.post(&path, app.donation(json!({}))).key(key).send().await.expect(201);
}

/// 2,000 donations of one campaign, confirmed at once while the folder runs; the sum is recomputed from what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_confirmations_at_once_add_up() {
    const COUNT: usize = 2_000;
    let app = Arc::new(TestApp::with(Options { pool_size: 12, background: true, ..Options::default() }).await);
    let campaign = app.campaign().await;
    let txids = Arc::new(pending(&app, &campaign, COUNT).await);
    let confirm = |index: usize| {
        let (app, txids) = (Arc::clone(&app), Arc::clone(&txids));
        async move {
            let (txid, amount) = &txids[index];
            let body = json!({"valor_centavos": amount, "e2eid": format!("E12345678202611241030zzz{index:08}")});
            let path = format!("simulado/pagamentos/{txid}");
            app.post(&path, body.clone()).send_patiently().await.expect(200)["valor_centavos"].as_i64().unwrap()
        }
    };
    let acknowledged: i64 = all_at_once(COUNT, confirm).await.into_iter().sum();
    let totals = settled_totals(&app, &campaign, COUNT).await;
    assert_eq!(totals["arrecadado_centavos"], acknowledged);
    assert_eq!(totals["doacoes_qtd"], COUNT);
    assert_eq!(totals["doadores_qtd"], COUNT);
    app.assert_books_agree().await;
}

/// Donations that wait for their payment, made in the database at once: this test is about what comes after.
async fn pending(app: &TestApp, campaign: &Campaign, count: usize) -> Vec<(String, i64)> {
    let first = app.donate(campaign, json!({})).await.json();
    let id: Uuid = first["id"].as_str().unwrap().parse().unwrap();
    sqlx::query(
        "WITH copias AS (
             INSERT INTO doacoes (id, campanha_id, doador_chave, nome_exibicao, valor_centavos, visibilidade, provedor, situacao,
                                  aviso_privacidade, consentimento_em, expira_em, criada_em, atualizada_em)
             SELECT gen_random_uuid(), campanha_id, sha256(n::text::bytea), nome_exibicao, 100 + n, visibilidade, provedor, situacao,
                    aviso_privacidade, consentimento_em, expira_em, criada_em, atualizada_em
             FROM doacoes, generate_series(1, $2) n WHERE id = $1 RETURNING id, valor_centavos, criada_em, expira_em
         ), eventos AS (
             INSERT INTO doacao_eventos SELECT id, 1, NULL, 'aguardando_pagamento', 'sistema', NULL, criada_em FROM copias
         )
         INSERT INTO pagamentos SELECT gen_random_uuid(), id, 'simulado', 'T' || left(replace(id::text, '-', ''), 24), valor_centavos, 'x',
                'pendente', expira_em, criada_em FROM copias",
    )
    .bind(id)
    .bind(i32::try_from(count).unwrap())
    .execute(&app.owner)
    .await
    .unwrap();
    sqlx::query_as("SELECT txid, valor_centavos FROM pagamentos WHERE doacao_id <> $1 ORDER BY valor_centavos")
        .bind(id)
        .fetch_all(&app.owner)
        .await
        .unwrap()
}

/// The public totals once they hold `count` donations. They may be a second behind, not more.
async fn settled_totals(app: &TestApp, campaign: &Campaign, count: usize) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let totals = app.get(&format!("campanhas/{}/totais", campaign.slug)).send().await.expect(200);
        if totals["doacoes_qtd"] == count || tokio::time::Instant::now() > deadline {
            return totals;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_receipt_told_fifty_times_counts_once() {
    let app = Arc::new(TestApp::start().await);
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({})).await.json();
    let (txid, e2eid) = (donation["pagamento"]["txid"].as_str().unwrap().to_owned(), e2eid());
    let tell = |_| {
        let (app, path, e2eid) = (Arc::clone(&app), format!("simulado/pagamentos/{txid}"), e2eid.clone());
        async move { app.post(&path, json!({"valor_centavos": 5000, "e2eid": e2eid})).send_patiently().await.expect(200) }
    };
    for answer in all_at_once(50, tell).await {
        assert_eq!((&answer["situacao"], &answer["conciliacao"]), (&json!("confirmada"), &json!("exata")));
    }
    assert_eq!(app.totals(&campaign).await["arrecadado_centavos"], 5000);
    assert_eq!(app.count("SELECT count(*) FROM pix_recebidos").await, 1);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_different_receipts_of_one_charge_credit_one_and_hold_the_rest() {
    let app = Arc::new(TestApp::start().await);
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({})).await.json();
    let txid = donation["pagamento"]["txid"].as_str().unwrap().to_owned();
    let pay = |_| {
        let (app, path, body) =
            (Arc::clone(&app), format!("simulado/pagamentos/{txid}"), json!({"valor_centavos": 5000, "e2eid": e2eid()}));
        async move { app.post(&path, body.clone()).send_patiently().await.expect(200)["conciliacao"].as_str().unwrap().to_owned() }
    };
    let mut outcomes = HashMap::<String, usize>::new();
    for outcome in all_at_once(20, pay).await {
        *outcomes.entry(outcome).or_default() += 1;
    }
    assert_eq!(outcomes, HashMap::from([("exata".to_owned(), 1), ("duplicada".to_owned(), 19)]));
    assert_eq!(app.totals(&campaign).await["arrecadado_centavos"], 5000);
    let held = "SELECT -sum(valor_centavos)::bigint FROM partidas p JOIN contas c ON c.id = p.conta_id WHERE c.tipo = 'a_devolver'";
    assert_eq!(app.count(held).await, 19 * 5000);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_confirmations_by_hand_one_counts() {
    let app = Arc::new(TestApp::start().await);
    let campaign = Arc::new(app.campaign().await);
    let donation = app.donate(&campaign, json!({"provedor": "pix_estatico"})).await.json();
    let path = format!("doacoes/{}/confirmacoes", donation["id"].as_str().unwrap());
    let now = app.state.clock.now().format(&time::format_description::well_known::Rfc3339).unwrap();
    let confirm = |_| {
        let (app, campaign, path, now) = (Arc::clone(&app), Arc::clone(&campaign), path.clone(), now.clone());
        async move {
            let body = json!({"valor_recebido_centavos": 5000, "recebido_em": now});
            app.post(&path, body.clone()).new_key().by(&campaign.org.owner).send_patiently().await
        }
    };
    let answers = all_at_once(20, confirm).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.expect_problem(409, "recebimento-ja-registrado");
    }
    let totals = app.totals(&campaign).await;
    assert_eq!((&totals["arrecadado_centavos"], &totals["declarado_centavos"]), (&json!(5000), &json!(5000)));
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_at_once_never_exceed_the_payment() {
    let app = Arc::new(TestApp::start().await);
    let campaign = app.campaign().await;
    let donation = app.confirmed(&campaign, json!({})).await.json();
    let path = format!("doacoes/{}/devolucoes", donation["id"].as_str().unwrap());
    let owner = Arc::new(campaign.org.owner.clone());
    let refund = |_| {
        let (app, path, owner) = (Arc::clone(&app), path.clone(), Arc::clone(&owner));
        async move { refund_of(&app, &path, &owner, 700).await }
    };
    let answers = all_at_once(30, refund).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 7, "7 × 700 ≤ 5000 < 8 × 700");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.expect_problem(422, "dados-invalidos"), ["valor_centavos"]);
    }
    assert_eq!(app.totals(&campaign).await["devolvido_centavos"], 4900);
    refund_of(&app, &path, &owner, 100).await.expect(201);
    refund_of(&app, &path, &owner, 1).await.expect_problem(422, "dados-invalidos");
    app.assert_books_agree().await;
}

async fn refund_of(app: &TestApp, path: &str, owner: &Person, amount: i64) -> Answer {
    app.post(path, json!({"valor_centavos": amount})).new_key().by(owner).send_patiently().await
}

/// Whoever comes first, the donation is confirmed in the end and counted once: money that arrived is never refused.
#[tokio::test(flavor = "multi_thread")]
async fn expiry_against_late_payment_always_ends_confirmed() {
    let app = Arc::new(TestApp::frozen().await);
    let campaign = app.campaign().await;
    let mut txids = Vec::new();
    for _ in 0..40 {
        let donation = app.donate(&campaign, json!({})).await.json();
        txids.push(donation["pagamento"]["txid"].as_str().unwrap().to_owned());
    }
    app.clock.advance(time::Duration::hours(73));
    let txids = Arc::new(txids);
    let work = |index: usize| {
        let (app, txids) = (Arc::clone(&app), Arc::clone(&txids));
        async move {
            if index % 5 == 4 {
                let _ = app.background.run_once(Task::Expiry).await.unwrap();
                return;
            }
            let txid = &txids[index / 5 * 4 + index % 5];
            let body = json!({"valor_centavos": 5000, "e2eid": e2eid()});
            let path = format!("simulado/pagamentos/{txid}");
            assert_eq!(app.post(&path, body.clone()).send_patiently().await.expect(200)["situacao"], "confirmada");
        }
    };
    all_at_once(50, work).await;
    assert_eq!(app.count("SELECT count(*) FROM doacoes WHERE situacao = 'confirmada'").await, 40);
    assert_eq!(app.totals(&campaign).await["arrecadado_centavos"], 40 * 5000);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_roll_ups_count_each_delta_once() {
    let app = Arc::new(TestApp::start().await);
    let other = Arc::new(TestApp::on(crate::harness::servers(), &app.database, Options::default()).await);
    let campaign = app.campaign().await;
    for _ in 0..60 {
        app.confirmed(&campaign, json!({"email": "mesma@exemplo.org.br"})).await;
    }
    // Without the lock of the task: the statement itself must be safe.
    let roll_up = |index: usize| {
        let app = Arc::clone(if index.is_multiple_of(2) { &app } else { &other });
        async move {
            let mut tx = app.state.db.begin().await.unwrap();
            let rolled_up = totals::roll_up(&mut tx, 7, app.state.clock.now()).await.unwrap();
            tx.commit().await.unwrap();
            rolled_up.deltas
        }
    };
    let mut rolled_up = 0;
    while rolled_up < 60 {
        rolled_up += all_at_once(8, roll_up).await.into_iter().sum::<i64>();
    }
    assert_eq!(rolled_up, 60);
    let totals = app.totals(&campaign).await;
    assert_eq!((&totals["arrecadado_centavos"], &totals["doadores_qtd"]), (&json!(60 * 5000), &json!(1)));
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_ten_claims_wins() {
    let app = Arc::new(TestApp::start().await);
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({})).await;
    let claim = Arc::new(json!({"doacao_id": donation.json()["id"], "token": donation.header("doacao-token")}));
    let mut people = Vec::new();
    for _ in 0..10 {
        people.push(app.person().await);
    }
    let people = Arc::new(people);
    let work = |index: usize| {
        let (app, claim, people) = (Arc::clone(&app), Arc::clone(&claim), Arc::clone(&people));
        async move { app.post("eu/doacoes/reivindicacoes", (*claim).clone()).by(&people[index]).send_patiently().await.status.as_u16() }
    };
    let statuses = all_at_once(10, work).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(HashSet::<u16>::from_iter(statuses), HashSet::from([200, 404]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_who_step_down_at_once_leave_one() {
    let app = Arc::new(TestApp::start().await);
    for _ in 0..10 {
        let org = app.org().await;
        let second = app.member(&org, "dona").await;
        let pair = Arc::new([org.owner.clone(), second]);
        let slug = Arc::new(org.slug.clone());
        let work = |index: usize| {
            let (app, pair, slug) = (Arc::clone(&app), Arc::clone(&pair), Arc::clone(&slug));
            async move {
                let path = format!("organizadoras/{slug}/membros/{}", pair[index].id);
                app.patch(&path, json!({"papel": "leitura"})).by(&pair[index]).send().await.status.as_u16()
            }
        };
        let mut statuses = all_at_once(2, work).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

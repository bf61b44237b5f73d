//! Money that arrives early, late, twice, short or long, and money that goes back.

use doacoes_api::background::Task;
use doacoes_api::service::administration;
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;

use crate::harness::{Campaign, Options, TestApp, e2eid};

async fn receive(app: &TestApp, txid: &Value, amount: i64) -> Value {
    let path = format!("simulado/pagamentos/{}", txid.as_str().unwrap());
    app.post(&path, json!({"valor_centavos": amount, "e2eid": e2eid()})).send().await.expect(200)
}

fn confirmation(app: &TestApp, amount: i64) -> Value {
    json!({"valor_recebido_centavos": amount, "recebido_em": app.state.clock.now().format(&Rfc3339).unwrap()})
}

async fn confirm(app: &TestApp, campaign: &Campaign, donation: &Value, body: Value) -> crate::harness::Answer {
    let path = format!("doacoes/{}/confirmacoes", donation["id"].as_str().unwrap());
    app.post(&path, body).new_key().by(&campaign.org.owner).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_is_credited_not_what_was_promised() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    for (amount, outcome) in [(4999, "a_menor"), (5000, "exata"), (5001, "a_maior")] {
        let donation = app.donate(&campaign, json!({})).await.json();
        assert_eq!(receive(&app, &donation["pagamento"]["txid"], amount).await["conciliacao"], outcome);
    }
    let totals = app.totals(&campaign).await;
    assert_eq!(totals["arrecadado_centavos"], 15_000);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_receipt_is_held_told_to_the_organizers_and_can_go_back() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({})).await.json();
    receive(&app, &donation["pagamento"]["txid"], 5000).await;
    let surplus = receive(&app, &donation["pagamento"]["txid"], 3000).await;
    assert_eq!(surplus["conciliacao"], "duplicada");
    assert_eq!(app.totals(&campaign).await["arrecadado_centavos"], 5000);
    let letters = app.mail_to(&campaign.org.owner.email).await;
    assert!(letters.iter().any(|letter| letter.body.contains("R$ 30,00")), "{letters:?}");

    let path = format!("doacoes/{}/devolucoes", donation["id"].as_str().unwrap());
    let refund = app.post(&path, json!({"e2eid": surplus["e2eid"]})).new_key().by(&campaign.org.owner).send().await.expect(201);
    assert_eq!((&refund["valor_centavos"], &refund["situacao"]), (&json!(3000), &json!("confirmada")));
    let totals = app.totals(&campaign).await;
    assert_eq!((&totals["arrecadado_centavos"], &totals["devolvido_centavos"]), (&json!(5000), &json!(0)));
    let held =
        "SELECT coalesce(sum(valor_centavos), 0)::bigint FROM partidas p JOIN contas c ON c.id = p.conta_id WHERE c.tipo = 'a_devolver'";
    assert_eq!(app.count(held).await, 0);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_confirms_expired_and_cancelled_donations() {
    let app = TestApp::frozen().await;
    let campaign = app.campaign().await;
    let expired = app.donate(&campaign, json!({})).await.json();
    let cancelled = app.donate(&campaign, json!({})).await;
    let path = format!("doacoes/{}/cancelamento", cancelled.json()["id"].as_str().unwrap());
    let token = cancelled.header("doacao-token").to_owned();
    let body = app.post(&path, json!({})).header("doacao-token", &token).send().await.expect(200);
    assert_eq!((&body["situacao"], &body["pagamento"]["situacao"]), (&json!("cancelada"), &json!("cancelado")));
    app.post(&path, json!({})).header("doacao-token", &token).send().await.expect_problem(409, "transicao-invalida");

    app.clock.advance(Duration::hours(71));
    app.turn(Task::Expiry).await;
    assert_eq!(app.count("SELECT count(*) FROM doacoes WHERE situacao = 'expirada'").await, 0);
    app.clock.advance(Duration::hours(2));
    app.turn(Task::Expiry).await;
    assert_eq!(app.count("SELECT count(*) FROM doacoes WHERE situacao = 'expirada'").await, 1);

    for donation in [expired, cancelled.json()] {
        assert_eq!(receive(&app, &donation["pagamento"]["txid"], 5000).await["situacao"], "confirmada");
    }
    assert_eq!(app.totals(&campaign).await["arrecadado_centavos"], 10_000);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn either_charge_of_a_donation_can_be_paid_and_the_time_to_pay_starts_again() {
    let app = TestApp::frozen().await;
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({})).await;
    let token = donation.header("doacao-token").to_owned();
    let path = format!("doacoes/{}/pagamentos", donation.json()["id"].as_str().unwrap());
    app.clock.advance(Duration::hours(70));
    let key = uuid::Uuid::new_v4();
    let second = app.post(&path, json!({})).key(key).header("doacao-token", &token).send().await;
    second.expect(201);
    let again = app.post(&path, json!({})).key(key).header("doacao-token", &token).send().await;
    assert_eq!(again.text, second.text);
    app.clock.advance(Duration::hours(10));
    app.turn(Task::Expiry).await;
    let first = donation.json()["pagamento"]["txid"].clone();
    assert_ne!(first, second.json()["txid"]);
    assert_eq!(receive(&app, &first, 5000).await["situacao"], "confirmada");
    assert_eq!(receive(&app, &second.json()["txid"], 5000).await["conciliacao"], "duplicada");
    app.post(&path, json!({})).new_key().header("doacao-token", &token).send().await.expect_problem(409, "transicao-invalida");

    let other = app.donate(&campaign, json!({})).await;
    let path = format!("doacoes/{}/pagamentos", other.json()["id"].as_str().unwrap());
    for _ in 0..4 {
        app.post(&path, json!({})).new_key().header("doacao-token", other.header("doacao-token")).send().await.expect(201);
    }
    app.post(&path, json!({}))
        .new_key()
        .header("doacao-token", other.header("doacao-token"))
        .send()
        .await
        .expect_problem(409, "cobrancas-demais");
    assert_eq!(app.totals(&campaign).await["arrecadado_centavos"], 5000);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_to_end_id_belongs_to_one_charge_and_one_amount() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let one = app.donate(&campaign, json!({})).await.json();
    let two = app.donate(&campaign, json!({})).await.json();
    let e2eid = e2eid();
    let pay = async |donation: &Value, amount: i64| {
        let path = format!("simulado/pagamentos/{}", donation["pagamento"]["txid"].as_str().unwrap());
        app.post(&path, json!({"valor_centavos": amount, "e2eid": e2eid})).send().await
    };
    pay(&one, 5000).await.expect(200);
    pay(&two, 5000).await.expect_problem(409, "recebimento-ja-registrado");
    pay(&one, 5001).await.expect_problem(409, "recebimento-ja-registrado");
    pay(&one, 5000).await.expect(200);
    let mut body = confirmation(&app, 5000);
    body["e2eid"] = json!(e2eid);
    confirm(&app, &campaign, &two, body).await.expect_problem(409, "recebimento-ja-registrado");
    assert_eq!(app.totals(&campaign).await["arrecadado_centavos"], 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_by_hand_is_declared_audited_and_bounded_in_time() {
    let app = TestApp::frozen().await;
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({"provedor": "pix_estatico", "email": "bia@exemplo.org.br"})).await.json();
    for (hours, legal) in [(1, false), (-25, false), (-2, true)] {
        let at = (app.state.clock.now() + Duration::hours(hours)).format(&Rfc3339).unwrap();
        let answer =
            confirm(&app, &campaign, &donation, json!({"valor_recebido_centavos": 5000, "recebido_em": at, "justificativa": "extrato"}))
                .await;
        if legal {
            let body = answer.expect(201);
            assert_eq!((&body["evidencia"], &body["situacao"]), (&json!("declarada"), &json!("confirmada")));
            assert!(body["e2eid"].as_str().unwrap().starts_with("manual:"));
        } else {
            assert_eq!(answer.expect_problem(422, "dados-invalidos"), ["recebido_em"]);
        }
    }
    let totals = app.totals(&campaign).await;
    assert_eq!((&totals["arrecadado_centavos"], &totals["declarado_centavos"]), (&json!(5000), &json!(5000)));
    assert_eq!(app.count("SELECT count(*) FROM auditoria WHERE acao = 'doacao.confirmada'").await, 1);
    let letters = app.mail_to("bia@exemplo.org.br").await;
    assert!(letters[0].body.contains("R$ 50,00"), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_need_a_receipt_and_end_after_ninety_days() {
    let app = TestApp::frozen().await;
    let campaign = app.campaign().await;
    let waiting = app.donate(&campaign, json!({})).await.json();
    let path = |donation: &Value| format!("doacoes/{}/devolucoes", donation["id"].as_str().unwrap());
    app.post(&path(&waiting), json!({})).new_key().by(&campaign.org.owner).send().await.expect_problem(409, "transicao-invalida");
    let paid = app.confirmed(&campaign, json!({})).await.json();
    app.post(&path(&paid), json!({"valor_centavos": 5001}))
        .new_key()
        .by(&campaign.org.owner)
        .send()
        .await
        .expect_problem(422, "dados-invalidos");
    let key = uuid::Uuid::new_v4();
    let first = app.post(&path(&paid), json!({"valor_centavos": 1000})).key(key).by(&campaign.org.owner).send().await;
    first.expect(201);
    let again = app.post(&path(&paid), json!({"valor_centavos": 1000})).key(key).by(&campaign.org.owner).send().await;
    assert_eq!(first.text, again.text);
    assert_eq!(app.count("SELECT count(*) FROM devolucoes").await, 1);
    // Sessions end sooner than the window, so the payment is made older instead of the clock moved.
    app.clock.advance(Duration::days(6));
    sqlx::query("UPDATE pix_recebidos SET horario = horario - interval '85 days'").execute(&app.owner).await.unwrap();
    let owner = app.person_again(&campaign.org.owner).await;
    app.post(&path(&paid), json!({})).new_key().by(&owner).send().await.expect_problem(409, "prazo-de-devolucao-encerrado");
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everything_went_back_there_is_nothing_more_to_refund() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let paid = app.donate(&campaign, json!({})).await.json();
    receive(&app, &paid["pagamento"]["txid"], 5000).await;
    let surplus = receive(&app, &paid["pagamento"]["txid"], 3000).await;
    let path = format!("doacoes/{}/devolucoes", paid["id"].as_str().unwrap());
    let refund = async |body: Value| app.post(&path, body).new_key().by(&campaign.org.owner).send().await;
    for all in [json!({}), json!({"e2eid": surplus["e2eid"]})] {
        refund(all.clone()).await.expect(201);
        refund(all.clone()).await.expect_problem(409, "transicao-invalida");
        let mut more = all;
        more["valor_centavos"] = json!(1);
        assert_eq!(refund(more).await.expect_problem(422, "dados-invalidos"), ["valor_centavos"]);
    }
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn donations_are_taken_only_while_the_campaign_takes_them() {
    let app = TestApp::frozen().await;
    let org = app.org().await;
    let end = (app.state.clock.now() + Duration::hours(2)).format(&Rfc3339).unwrap();
    let start = (app.state.clock.now() + Duration::hours(1)).format(&Rfc3339).unwrap();
    let draft = app.draft(&org, json!({"inicio_em": start, "fim_em": end, "minimo_centavos": 1000, "maximo_centavos": 2000})).await;
    let slug = draft["slug"].as_str().unwrap();
    let give = async |amount: i64| {
        app.post(&format!("campanhas/{slug}/doacoes"), app.donation(json!({"valor_centavos": amount}))).new_key().send().await
    };
    let step = async |name: &str| app.post(&format!("campanhas/{slug}/{name}"), json!({})).by(&org.owner).send().await;
    give(1000).await.expect_problem(404, "nao-encontrado");
    step("publicacao").await.expect(200);
    give(1000).await.expect_problem(409, "campanha-fechada");
    app.clock.advance(Duration::minutes(61));
    for (amount, status) in [(999, 422), (1000, 201), (2000, 201), (2001, 422)] {
        give(amount).await.expect(status);
    }
    step("pausa").await.expect(200);
    give(1000).await.expect_problem(409, "campanha-fechada");
    step("pausa").await.expect_problem(409, "transicao-invalida");
    step("retomada").await.expect(200);
    let last = give(1000).await.expect(201);
    app.clock.advance(Duration::minutes(60));
    give(1000).await.expect_problem(409, "campanha-fechada");
    app.turn(Task::CampaignEnd).await;
    let closed = app.get(&format!("campanhas/{slug}")).send().await.expect(200);
    assert_eq!(closed["situacao"], "encerrada");
    // What was promised before the end is still credited.
    assert_eq!(receive(&app, &last["pagamento"]["txid"], 1000).await["situacao"], "confirmada");
}

#[tokio::test(flavor = "multi_thread")]
async fn goal_and_deadline_are_frozen_once_published() {
    let app = TestApp::start().await;
    let org = app.org().await;
    let draft = app.draft(&org, json!({"meta_centavos": 1000})).await;
    let path = format!("campanhas/{}", draft["slug"].as_str().unwrap());
    let change = async |version: Value, body: Value| app.patch(&path, body).if_match(&version).by(&org.owner).send().await;
    let body = change(json!(1), json!({"meta_centavos": null})).await.expect(200);
    assert_eq!(body["meta_centavos"], Value::Null);
    app.post(&format!("{path}/publicacao"), json!({})).by(&org.owner).send().await.expect(200);
    change(json!(3), json!({"meta_centavos": 2000})).await.expect_problem(409, "transicao-invalida");
    change(json!(3), json!({"fim_em": "2030-01-01T00:00:00Z"})).await.expect_problem(409, "transicao-invalida");
    let body = change(json!(3), json!({"titulo": "Outro título"})).await.expect(200);
    assert_eq!((&body["titulo"], &body["versao"]), (&json!("Outro título"), &json!(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pix_key_change_waits_a_day_in_production() {
    let app = TestApp::with(Options { profile: doacoes_api::config::Profile::Production, frozen: true, ..Options::default() }).await;
    let org = app.org().await;
    let campaign = app.draft(&org, json!({})).await;
    let slug = campaign["slug"].as_str().unwrap();
    let publish = async || app.post(&format!("campanhas/{slug}/publicacao"), json!({})).by(&org.owner).send().await;
    publish().await.expect_problem(409, "organizadora-nao-verificada");
    assert!(administration::verify_organizadora(&app.command_line(), &org.slug).await.unwrap());
    publish().await.expect(200);

    let path = format!("organizadoras/{}/chave-pix", org.slug);
    let key = json!({"tipo": "email", "chave": "Nova@Exemplo.org.br", "nome_recebedor": "Casa", "cidade": "Recife"});
    let put = async |senha: &str| app.request("PUT", &path).json(&json!({"chave_pix": key, "senha": senha})).by(&org.owner).send().await;
    put("errada").await.expect_problem(403, "reautenticacao-necessaria");
    let keys = put("uma frase longa").await.expect(200);
    assert_eq!(keys["chaves"].as_array().unwrap().len(), 2);
    assert_eq!(keys["chaves"][0]["chave"], "nova@exemplo.org.br");
    let code = async || {
        let answer = app.post(&format!("campanhas/{slug}/doacoes"), app.donation(json!({}))).new_key().send().await.expect(201);
        answer["pagamento"]["pix_copia_e_cola"].as_str().unwrap().to_owned()
    };
    assert!(!code().await.contains("nova@exemplo.org.br"));
    app.clock.advance(Duration::hours(24));
    assert!(code().await.contains("nova@exemplo.org.br"));
    assert_eq!(app.count("SELECT count(*) FROM auditoria WHERE acao = 'organizadora.chave_pix'").await, 1);
    let letters = app.mail_to(&org.owner.email).await;
    let told = letters.iter().find(|letter| letter.subject.contains("chave PIX")).unwrap();
    let name = &app.get(&format!("organizadoras/{}", org.slug)).send().await.json()["nome"];
    assert!(told.body.contains(&format!("“{}”", name.as_str().unwrap())), "{}", told.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pix_key_change_can_be_taken_back_during_its_cool_down() {
    let app = TestApp::with(Options { profile: doacoes_api::config::Profile::Production, frozen: true, ..Options::default() }).await;
    let org = app.org().await;
    let draft = app.draft(&org, json!({})).await;
    let slug = draft["slug"].as_str().unwrap();
    administration::verify_organizadora(&app.command_line(), &org.slug).await.unwrap();
    app.post(&format!("campanhas/{slug}/publicacao"), json!({})).by(&org.owner).send().await.expect(200);
    let path = format!("organizadoras/{}/chave-pix", org.slug);
    let put = async |chave: &str| {
        let key = json!({"tipo": "email", "chave": chave, "nome_recebedor": "Casa", "cidade": "Recife"});
        let body = json!({"chave_pix": key, "senha": "uma frase longa"});
        app.request("PUT", &path).json(&body).by(&org.owner).send_patiently().await.expect(200)
    };
    let code = async || {
        let answer = app.post(&format!("campanhas/{slug}/doacoes"), app.donation(json!({}))).new_key().send().await.expect(201);
        answer["pagamento"]["pix_copia_e_cola"].as_str().unwrap().to_owned()
    };
    put("intrusa@exemplo.org.br").await;
    app.clock.advance(Duration::hours(8));
    let keys = put("certa@exemplo.org.br").await;
    assert!(!keys.to_string().contains("intrusa"), "{keys}");
    for hours in [16, 1, 7] {
        app.clock.advance(Duration::hours(hours));
        assert!(!code().await.contains("intrusa"));
    }
    assert!(code().await.contains("certa@exemplo.org.br"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_colleagues_who_see_one_transfer_book_it_once() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({"provedor": "pix_estatico"})).await.json();
    confirm(&app, &campaign, &donation, confirmation(&app, 5000)).await.expect(201);
    let mut again = confirmation(&app, 5000);
    again["e2eid"] = json!(e2eid());
    confirm(&app, &campaign, &donation, again).await.expect_problem(409, "recebimento-ja-registrado");
    // Another amount is another transfer.
    let mut other = confirmation(&app, 4000);
    other["e2eid"] = json!(e2eid());
    assert_eq!(confirm(&app, &campaign, &donation, other).await.expect(201)["conciliacao"], "duplicada");
    let letters = app.mail_to(&campaign.org.owner.email).await;
    let id = donation["id"].as_str().unwrap();
    assert!(letters.iter().any(|letter| letter.body.contains(id)), "the mail says which donation");
    app.assert_books_agree().await;
}

/// How many receipts there are, how many of them are surplus, and what the campaign raised.
async fn booked(app: &TestApp, campaign: &Campaign) -> (i64, i64, i64) {
    let totals = app.totals(campaign).await;
    (
        app.count("SELECT count(*) FROM pix_recebidos").await,
        app.count("SELECT count(*) FROM pix_recebidos WHERE conciliacao = 'duplicada'").await,
        totals["arrecadado_centavos"].as_i64().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_is_one_receipt_whichever_door_it_comes_through_first() {
    // By hand with the bank's id, by hand without it, and from the bank itself.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Door {
        Named,
        Unnamed,
        Bank,
    }
    use Door::{Bank, Named, Unnamed};
    for (first, second) in
        [(Named, Unnamed), (Unnamed, Named), (Bank, Unnamed), (Unnamed, Bank), (Named, Bank), (Bank, Named), (Unnamed, Unnamed)]
    {
        let app = TestApp::start().await;
        let campaign = app.campaign().await;
        let donation = app.donate(&campaign, json!({})).await.json();
        let e2eid = e2eid();
        let through = async |door: Door| match door {
            Named => {
                let mut body = confirmation(&app, 5000);
                body["e2eid"] = json!(e2eid);
                confirm(&app, &campaign, &donation, body).await
            }
            Unnamed => confirm(&app, &campaign, &donation, confirmation(&app, 5000)).await,
            Bank => {
                let path = format!("simulado/pagamentos/{}", donation["pagamento"]["txid"].as_str().unwrap());
                app.post(&path, json!({"valor_centavos": 5000, "e2eid": e2eid})).send().await
            }
        };
        through(first).await.expect(if first == Bank { 200 } else { 201 });
        let again = through(second).await;
        if second == Bank {
            // The bank is never refused: it is told what its payment became.
            let body = again.expect(200);
            assert_eq!((&body["e2eid"], &body["conciliacao"]), (&json!(e2eid), &json!("exata")), "{first:?}, {second:?}");
        } else {
            again.expect_problem(409, "recebimento-ja-registrado");
        }
        assert_eq!(booked(&app, &campaign).await, (1, 0, 5000), "{first:?}, {second:?}");
        app.assert_books_agree().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_payment_is_still_held_after_the_bank_identified_a_confirmation_by_hand() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let donation = app.donate(&campaign, json!({})).await.json();
    confirm(&app, &campaign, &donation, confirmation(&app, 5000)).await.expect(201);
    let identified = receive(&app, &donation["pagamento"]["txid"], 5000).await;
    let told_again = app
        .post(
            &format!("simulado/pagamentos/{}", donation["pagamento"]["txid"].as_str().unwrap()),
            json!({"valor_centavos": 5000, "e2eid": identified["e2eid"]}),
        )
        .send()
        .await
        .expect(200);
    assert_eq!(told_again["conciliacao"], "exata");
    // Money that came once more, told by the bank or typed with an id of its own.
    assert_eq!(receive(&app, &donation["pagamento"]["txid"], 5000).await["conciliacao"], "duplicada");
    let mut typed = confirmation(&app, 5000);
    typed["e2eid"] = json!(e2eid());
    assert_eq!(confirm(&app, &campaign, &donation, typed).await.expect(201)["conciliacao"], "duplicada");
    assert_eq!(booked(&app, &campaign).await, (3, 2, 5000));
    app.assert_books_agree().await;
    // The credited receipt is refunded by the id that the bank gave it.
    let path = format!("doacoes/{}/devolucoes", donation["id"].as_str().unwrap());
    let refund = app.post(&path, json!({"e2eid": identified["e2eid"]})).new_key().by(&campaign.org.owner).send().await.expect(201);
    assert_eq!((&refund["valor_centavos"], &refund["situacao"]), (&json!(5000), &json!("devolvida")));
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_end_to_end_id_that_differs_in_letter_case_is_asked_about() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let one = app.donate(&campaign, json!({})).await.json();
    let two = app.donate(&campaign, json!({})).await.json();
    let paid = receive(&app, &one["pagamento"]["txid"], 5000).await["e2eid"].as_str().unwrap().to_owned();
    // As a statement prints it; also where the payment is taken for another donation's.
    for donation in [&one, &two] {
        let mut body = confirmation(&app, 5000);
        body["e2eid"] = json!(paid.to_uppercase());
        let answer = confirm(&app, &campaign, donation, body).await;
        assert!(answer.text.contains(&paid), "{}", answer.text);
        answer.expect_problem(409, "recebimento-ja-registrado");
    }
    // Typed in capitals first; then the bank tells it as it is.
    let told = e2eid();
    let mut body = confirmation(&app, 5000);
    body["e2eid"] = json!(told.to_uppercase());
    confirm(&app, &campaign, &two, body).await.expect(201);
    let path = format!("simulado/pagamentos/{}", two["pagamento"]["txid"].as_str().unwrap());
    assert_eq!(app.post(&path, json!({"valor_centavos": 5000, "e2eid": told})).send().await.expect(200)["conciliacao"], "exata");
    assert_eq!(booked(&app, &campaign).await, (2, 0, 10_000));
    // The bank's own ids are taken letter for letter.
    let three = app.donate(&campaign, json!({})).await.json();
    let path = format!("simulado/pagamentos/{}", three["pagamento"]["txid"].as_str().unwrap());
    assert_eq!(
        app.post(&path, json!({"valor_centavos": 5000, "e2eid": paid.to_uppercase()})).send().await.expect(200)["conciliacao"],
        "exata"
    );
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_the_books_finds_payments_that_were_recorded_twice_before() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let (by_hand, in_capitals, clean) = (
        app.donate(&campaign, json!({})).await.json(),
        app.donate(&campaign, json!({})).await.json(),
        app.donate(&campaign, json!({})).await.json(),
    );
    for donation in [&by_hand, &in_capitals, &clean] {
        receive(&app, &donation["pagamento"]["txid"], 5000).await;
        // Paid a second time in truth: no finding.
        receive(&app, &donation["pagamento"]["txid"], 5000).await;
    }
    app.assert_books_agree().await;
    // What releases before this one recorded.
    let record = async |donation: &Value, e2eid: &'static str| {
        let sql = format!(
            "INSERT INTO pix_recebidos (e2eid, organizadora_id, pagamento_id, valor_centavos, horario, evidencia, conciliacao, registrado_por, criado_em)
             SELECT {e2eid}, r.organizadora_id, r.pagamento_id, r.valor_centavos, r.horario, 'declarada', 'duplicada',
                    (SELECT id FROM pessoas WHERE email = $1), r.criado_em
             FROM pix_recebidos r JOIN pagamentos p ON p.id = r.pagamento_id WHERE p.doacao_id::text = $2 AND r.conciliacao = 'exata' RETURNING e2eid"
        );
        let query = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(sql));
        query.bind(&campaign.org.owner.email).bind(donation["id"].as_str().unwrap()).fetch_one(&app.owner).await.unwrap()
    };
    let pairs = [record(&by_hand, "'manual:' || r.pagamento_id").await, record(&in_capitals, "upper(r.e2eid)").await];
    let findings = administration::check_books(&app.owner).await.unwrap();
    let found: Vec<_> =
        findings.iter().filter(|finding| finding.check == "um_recibo_por_pagamento").flat_map(|finding| &finding.rows).collect();
    let mut ids: Vec<String> = found.iter().map(ToString::to_string).collect();
    ids.sort();
    let mut wanted = vec![by_hand["id"].as_str().unwrap().to_owned(), in_capitals["id"].as_str().unwrap().to_owned()];
    wanted.sort();
    assert_eq!(ids, wanted);
    // The receipt that never came is refunded; then there is nothing left to find.
    for (donation, e2eid) in [(&by_hand, &pairs[0]), (&in_capitals, &pairs[1])] {
        let sql = "INSERT INTO devolucoes (id, doacao_id, pagamento_id, e2eid, id_devolucao, valor_centavos, situacao, criada_por, criada_em)
                   SELECT gen_random_uuid(), $1::uuid, r.pagamento_id, r.e2eid, 'x', r.valor_centavos, 'registrada', r.registrado_por, r.criado_em
                   FROM pix_recebidos r WHERE r.e2eid = $2";
        sqlx::query(sql).bind(donation["id"].as_str().unwrap()).bind(e2eid).execute(&app.owner).await.unwrap();
    }
    let findings = administration::check_books(&app.owner).await.unwrap();
    assert!(findings.iter().all(|finding| finding.check != "um_recibo_por_pagamento"), "{findings:?}");
}

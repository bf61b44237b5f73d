//! Stopping a fraud from the command line: what the public, donors, members and the suspended see on every process.

use std::process::Command;
use std::time::Duration;

use doacoes_api::domain::email::Email;
use doacoes_api::service::resets;
use serde_json::{Value, json};

use crate::harness::{Fleet, FleetOptions, TestApp, create_database, refusal, servers, until};

const SECOND: Duration = Duration::from_secs(1);

/// `api admin` on a database, with a reason.
fn admin(database: &str, arguments: &[&str]) -> Command {
    admin_because("denúncia 17", database, arguments)
}

fn admin_because(reason: &str, database: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
    command.arg("admin").args(arguments).args(["--reason", reason]);
    command.env_clear().env("DATABASE_URL", servers().app_url(database)).env("POOLER", "direct");
    command
}

/// What a command that must succeed says.
fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Two processes that serve, and one to prepare things with, on one database.
async fn two_processes() -> (TestApp, Fleet) {
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, crate::harness::Options::default()).await;
    let fleet = Fleet::start(servers(), &database, FleetOptions { processes: 2, ..FleetOptions::default() }).await;
    (app, fleet)
}

/// The status and body of a GET at one process.
async fn read(fleet: &Fleet, process: usize, path: &str, cookie: &str) -> (u16, Value) {
    let url = format!("{}/api/v1/{path}", fleet.public(process));
    let answer = reqwest::Client::new().get(url).header("cookie", cookie).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

/// Waits until both processes say so; a second is what a replica has.
async fn on_both(fleet: &Fleet, path: &str, cookie: &str, holds: impl Fn(u16, &Value) -> bool) {
    for process in 0..2 {
        until(SECOND, path, async || {
            let (status, body) = read(fleet, process, path, cookie).await;
            holds(status, &body)
        })
        .await;
    }
}

/// Waits until both processes have, or have not, each of these pages; a second is what a replica has.
async fn pages_on_both(fleet: &Fleet, pages: &[String], expected: u16) {
    for process in 0..2 {
        for page in pages {
            let url = format!("{}{page}", fleet.public(process));
            until(SECOND, page, async || reqwest::get(&url).await.unwrap().status() == expected).await;
        }
    }
}

fn lists(page: &Value, slug: &str) -> bool {
    page["itens"].as_array().into_iter().flatten().any(|item| item["slug"] == slug)
}

async fn deeds(app: &TestApp) -> Vec<(String, String, Value)> {
    sqlx::query_as("SELECT acao, ator, detalhe FROM auditoria WHERE detalhe ? 'motivo' ORDER BY id").fetch_all(&app.owner).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_organizadora_is_gone_from_every_process_within_a_second_and_comes_back_as_it_was() {
    let (app, fleet) = two_processes().await;
    let (campaign, other) = (app.campaign().await, app.campaign().await);
    let (slug, org, owner) = (&campaign.slug, &campaign.org.slug, &campaign.org.owner);
    let draft = app.draft(&campaign.org, json!({})).await["slug"].as_str().unwrap().to_owned();
    let given = app.donate(&campaign, json!({})).await;
    let (donation, token) = (given.json(), given.header("doacao-token").to_owned());
    let alone = [
        format!("organizadoras/{org}"),
        format!("campanhas/{slug}"),
        format!("campanhas/{slug}/totais"),
        format!("campanhas/{slug}/doacoes"),
    ];
    let pages = ["campanhas".to_owned(), format!("campanhas?organizadora={org}"), "campanhas?ordem=arrecadado".to_owned()];
    let shown = async || {
        for path in &alone {
            on_both(&fleet, path, "", |status, _| status == 200).await;
        }
        for path in &pages {
            on_both(&fleet, path, "", |_, page| lists(page, slug)).await;
        }
        on_both(&fleet, "organizadoras", "", |_, page| lists(page, org)).await;
    };
    shown().await;
    let people =
        [format!("/organizadoras/{org}"), format!("/en/campanhas/{slug}"), format!("/campanhas/{slug}/doacoes"), format!("/doar/{slug}")];
    pages_on_both(&fleet, &people, 200).await;
    let mut stream = reqwest::get(format!("{}/api/v1/campanhas/{slug}/eventos", fleet.public(1))).await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());

    let done = said(admin(&app.database, &["suspend", "organizadora", org]));
    assert!(done.contains("`verificada` became `suspensa`"), "{done}");
    for path in &alone {
        on_both(&fleet, path, "", |status, _| status == 404).await;
    }
    pages_on_both(&fleet, &people, 404).await;
    for path in &pages {
        on_both(&fleet, path, "", |status, page| status == 200 && !lists(page, slug)).await;
    }
    on_both(&fleet, "campanhas", "", |_, page| lists(page, &other.slug)).await;
    on_both(&fleet, "organizadoras", "", |_, page| !lists(page, org)).await;
    on_both(&fleet, &format!("campanhas/{slug}/eventos"), "", |status, _| status == 404).await;
    let ended = async { while stream.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_secs(3), ended).await.expect("the stream ends");

    // No new money is asked for, and nothing of hers changes.
    app.post(&format!("campanhas/{slug}/doacoes"), app.donation(json!({}))).new_key().send().await.expect_problem(404, "nao-encontrado");
    let path = format!("doacoes/{}", donation["id"].as_str().unwrap());
    let charge = app.post(&format!("{path}/pagamentos"), json!({})).new_key().header("doacao-token", &token);
    charge.send().await.expect_problem(409, "campanha-fechada");
    let refused = [
        app.post(&format!("campanhas/{draft}/publicacao"), json!({})),
        app.patch(&format!("campanhas/{slug}"), json!({"titulo": "Outro"})).if_match(&json!(2)),
        app.patch(&format!("organizadoras/{org}"), json!({"nome": "Outra"})).if_match(&json!(2)),
        app.post(&format!("organizadoras/{org}/membros"), json!({"pessoa_id": other.org.owner.id, "papel": "dona"})),
        app.request("PUT", &format!("organizadoras/{org}/chave-pix")).json(&json!({"senha": "uma frase longa", "chave_pix":
            {"tipo": "email", "chave": "doe@exemplo.org.br", "nome_recebedor": "Casa", "cidade": "Natal"}})),
        app.post("campanhas", json!({"organizadora": org, "titulo": "Nova", "descricao": "Cestas.", "categoria": "social"})),
    ];
    for request in refused {
        request.by(owner).send().await.expect_problem(403, "organizadora-suspensa");
    }
    // Members read what is theirs; money that arrives all the same is recorded, and can go back.
    assert_eq!(app.get(&format!("campanhas/{slug}")).by(owner).send().await.expect(200)["situacao"], "publicada");
    assert_eq!(app.get("eu/organizadoras").by(owner).send().await.expect(200)["itens"][0]["situacao"], "suspensa");
    assert_eq!(app.pay(&donation).await["situacao"], "confirmada");
    app.roll_up().await;
    app.get(&path).header("doacao-token", &token).send().await.expect(200);
    let refund = app.post(&format!("{path}/devolucoes"), json!({"valor_centavos": 1000})).new_key().by(owner).send().await;
    refund.expect(201);
    app.roll_up().await;
    on_both(&fleet, &format!("campanhas/{slug}/totais"), "", |status, _| status == 404).await;
    assert!(said(admin(&app.database, &["suspend", "organizadora", org])).contains("already"));

    let done = said(admin(&app.database, &["reinstate", "organizadora", org]));
    assert!(done.contains("`suspensa` became `verificada`"), "{done}");
    shown().await;
    pages_on_both(&fleet, &people, 200).await;
    on_both(&fleet, &format!("campanhas/{slug}/totais"), "", |_, totals| {
        (&totals["arrecadado_centavos"], &totals["devolvido_centavos"]) == (&json!(5000), &json!(1000))
    })
    .await;
    app.donate(&campaign, json!({})).await;
    app.post(&format!("campanhas/{draft}/publicacao"), json!({})).by(owner).send().await.expect(200);
    let reason = |before: &str, after: &str| json!({"antes": before, "depois": after, "motivo": "denúncia 17"});
    assert_eq!(
        deeds(&app).await,
        [
            ("organizadora.suspensa".to_owned(), "cli".to_owned(), reason("verificada", "suspensa")),
            ("organizadora.reativada".to_owned(), "cli".to_owned(), reason("suspensa", "verificada")),
        ]
    );
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organizadora_that_was_not_verified_is_not_verified_by_being_reinstated() {
    let app = TestApp::start().await;
    let org = app.org().await;
    sqlx::query("UPDATE organizadoras SET situacao = 'pendente' WHERE slug = $1").bind(&org.slug).execute(&app.owner).await.unwrap();
    said(admin(&app.database, &["suspend", "organizadora", &org.slug]));
    // Nor is a suspended one by being verified.
    let verify = ["admin", "verify-organizadora", &org.slug];
    let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
    command.args(verify).env_clear().env("DATABASE_URL", servers().app_url(&app.database)).env("POOLER", "direct");
    refusal(command);
    let done = said(admin(&app.database, &["reinstate", "organizadora", &org.slug]));
    assert!(done.contains("became `pendente`"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_person_has_no_session_and_gets_none_until_reinstated() {
    let (app, fleet) = two_processes().await;
    let campaign = app.campaign().await;
    let owner = &campaign.org.owner;
    let elsewhere = app.person_again(owner).await;
    let guest = app.donate(&campaign, json!({"email": owner.email})).await;
    resets::send(&app.state, &Email::parse(&owner.email).unwrap()).await.unwrap();
    let code = app.code_for(&owner.email).await;
    for session in [owner, &elsewhere] {
        on_both(&fleet, "eu", &session.cookie, |status, _| status == 200).await;
    }

    let done = said(admin(&app.database, &["suspend", "person", &owner.email.to_uppercase()]));
    assert!(done.contains("`ativa` became `suspensa`"), "{done}");
    // What asks the database knows at once, what Redis remembers within a second.
    let claim = json!({"doacao_id": guest.json()["id"]});
    let requests = [
        app.get("eu/doacoes"),
        app.patch("eu", json!({"nome": "Outra"})).if_match(&json!(1)),
        app.post("eu/reautenticacao", json!({"senha": "uma frase longa"})),
        app.post("eu/doacoes/reivindicacoes", claim.clone()),
        app.post(&format!("campanhas/{}/pausa", campaign.slug), json!({})),
    ];
    for request in requests {
        request.by(owner).send().await.expect_problem(401, "nao-autenticada");
    }
    for session in [owner, &elsewhere] {
        on_both(&fleet, "eu", &session.cookie, |status, _| status == 401).await;
    }
    let log_in = async || app.post("sessoes", json!({"email": owner.email, "senha": "uma frase longa"})).send_patiently().await;
    log_in().await.expect_problem(401, "credenciais-invalidas");
    let reset = async || app.post("senhas/redefinicoes", json!({"codigo": code, "senha": "outra frase longa"})).send_patiently().await;
    reset().await.expect_problem(400, "codigo-invalido");
    // Asking for another code, or signing up again, is answered as ever and leads nowhere.
    let letters = app.mail_to(&owner.email).await.len();
    resets::send(&app.state, &Email::parse(&owner.email).unwrap()).await.unwrap();
    assert_eq!(app.mail_to(&owner.email).await.len(), letters);
    let sign_up =
        json!({"nome": "Ana", "email": owner.email, "senha": "mais uma frase", "aviso_privacidade": "2026-11", "consentimento": true});
    app.post("pessoas", sign_up).send_patiently().await.expect(202);
    let letter = app.mail_to(&owner.email).await.pop().unwrap().body;
    assert!(!letter.split_whitespace().any(|word| word.len() == 64), "{letter}");
    // The campaign is another matter.
    on_both(&fleet, &format!("campanhas/{}", campaign.slug), "", |status, _| status == 200).await;

    let done = said(admin(&app.database, &["reinstate", "person", &owner.id]));
    assert!(done.contains("`suspensa` became `ativa`"), "{done}");
    app.get("eu").by(owner).send().await.expect_problem(401, "nao-autenticada");
    reset().await.expect_problem(400, "codigo-invalido");
    let again = log_in().await;
    again.expect(201);
    let cookie = again.header("set-cookie").split(';').next().unwrap().to_owned();
    let mine = app.get("eu/organizadoras").header("cookie", &cookie).send().await.expect(200);
    assert!(lists(&mine, &campaign.org.slug));
    app.post("eu/doacoes/reivindicacoes", claim).header("cookie", &cookie).send().await.expect(200);
    let done: Vec<String> = deeds(&app).await.into_iter().map(|(action, _, _)| action).collect();
    assert_eq!(done, ["pessoa.suspensa", "pessoa.reativada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_message_is_gone_from_every_process_within_a_second_whatever_the_donor_writes_next() {
    let (app, fleet) = two_processes().await;
    let campaign = app.campaign().await;
    let given = app.confirmed(&campaign, json!({"mensagem": "Compre aqui!"})).await;
    let silent = app.confirmed(&campaign, json!({})).await.json();
    app.roll_up().await;
    let (id, token) = (given.json()["id"].as_str().unwrap().to_owned(), given.header("doacao-token").to_owned());
    let feed = format!("campanhas/{}/doacoes", campaign.slug);
    let messages = |page: &Value| page["itens"].as_array().map(|items| items.iter().filter(|item| item["mensagem"].is_string()).count());
    on_both(&fleet, &feed, "", |_, page| messages(page) == Some(1)).await;

    assert!(said(admin(&app.database, &["hide-message", &id])).contains("`publicada` became `oculta`"));
    let hidden =
        async || on_both(&fleet, &feed, "", |_, page| page["itens"].as_array().unwrap().len() == 2 && messages(page) == Some(0)).await;
    hidden().await;
    let path = format!("doacoes/{id}");
    let mine = app.get(&path).header("doacao-token", &token).send().await;
    assert_eq!(mine.expect(200)["mensagem"], "Compre aqui!");
    let change = app.patch(&path, json!({"mensagem": "Compre lá!"})).header("doacao-token", &token).header("if-match", mine.header("etag"));
    change.send().await.expect(200);
    tokio::time::sleep(SECOND).await;
    hidden().await;

    assert!(said(admin(&app.database, &["show-message", &id])).contains("`oculta` became `publicada`"));
    on_both(&fleet, &feed, "", |_, page| page["itens"].as_array().unwrap().iter().any(|item| item["mensagem"] == "Compre lá!")).await;
    let refused = refusal(admin(&app.database, &["hide-message", silent["id"].as_str().unwrap()]));
    assert!(refused.contains("the donation has no message"), "{refused}");
    let done: Vec<String> = deeds(&app).await.into_iter().map(|(action, _, _)| action).collect();
    assert_eq!(done, ["mensagem.oculta", "mensagem.publicada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_suspended_and_says_so() {
    let app = TestApp::start().await;
    let before = app.rows().await;
    let nobody = "018f3b1e-7d1c-7c5e-9a52-0c6f6d3f7a10";
    for (arguments, says) in [
        (["suspend", "person", "ninguem@exemplo.org.br"], "there is no such person"),
        (["reinstate", "person", nobody], "there is no such person"),
        (["suspend", "person", "ninguem"], "neither an e-mail nor an id"),
        (["suspend", "organizadora", "inventada"], "there is no such organizadora"),
        (["reinstate", "organizadora", "inventada"], "there is no such organizadora"),
    ] {
        let refused = refusal(admin(&app.database, &arguments));
        assert!(refused.contains(says), "{arguments:?}: {refused}");
    }
    for command in ["hide-message", "show-message"] {
        let refused = refusal(admin(&app.database, &[command, nobody]));
        assert!(refused.contains("there is no such donation"), "{refused}");
    }
    let refused = refusal(admin_because(" ", &app.database, &["suspend", "organizadora", "inventada"]));
    assert!(refused.contains("de 1 a 500 caracteres"), "{refused}");
    assert_eq!(app.rows().await, before);
}

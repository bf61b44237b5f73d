//! What is somebody else's, and codes that are no longer worth anything.

use serde_json::{Value, json};
use time::Duration;

use super::{Stage, refused};
use crate::harness::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_somebody_else_looks_as_if_it_were_not_there() {
    let stage = Stage::new().await;
    let stranger = stage.app.org().await.owner;
    let nothing = uuid::Uuid::new_v4().to_string();
    let mut seen = 0;
    for operation in stage.document.operations.iter().filter(|operation| operation.credentials() != super::Credentials::None) {
        let names = stage.names(operation);
        if names.is_empty() {
            continue;
        }
        seen += 1;
        let before = stage.app.rows().await;
        let body = if operation.has_body() { stage.document.example(operation) } else { json!({}) };
        let path = stage.path(operation);
        let missing = names.iter().fold(operation.path.clone(), |path, (name, _)| path.replace(&format!("{{{name}}}"), &nothing));
        let mut answers = vec![];
        for path in [path, missing.strip_prefix('/').unwrap().to_owned()] {
            let request =
                stage.request_to(operation, &path).by(&stranger).header("doacao-token", "0").header("sec-fetch-site", "same-origin");
            let request = if operation.method == "GET" { request } else { request.json(&body) };
            let answer = request.send().await;
            let mut problem = refused(&answer, &operation.name());
            problem["correlacao_id"] = Value::Null;
            assert_eq!(answer.status, 404, "{}: {problem}", operation.name());
            answers.push(problem);
        }
        assert_eq!(answers[0], answers[1], "{}", operation.name());
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
    assert!(seen >= 20, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_name_in_a_body_is_refused() {
    let stage = Stage::new().await;
    let app = &stage.app;
    let other = app.campaign().await;
    let owner = &stage.org.owner;
    let before = stage.app.rows().await;
    let campaign = json!({"organizadora": other.org.slug, "titulo": "Natal", "descricao": "Cestas.", "categoria": "social"});
    let foreign = app.post("campanhas", campaign.clone()).by(owner).send().await;
    assert_eq!(foreign.expect_problem(422, "dados-invalidos"), ["organizadora"]);
    let mut missing = campaign;
    missing["organizadora"] = json!("nao-existe");
    let missing = app.post("campanhas", missing).by(owner).send().await;
    assert_eq!(foreign.json()["violacoes"], missing.json()["violacoes"]);
    let path = format!("organizadoras/{}/membros", stage.org.slug);
    let nobody = json!({"pessoa_id": uuid::Uuid::new_v4(), "papel": "leitura"});
    app.post(&path, nobody).by(owner).send().await.expect_problem(404, "nao-encontrado");
    // A charge of one donation is not shown with the token of another.
    let mine = app.donate(&stage.campaign, json!({})).await;
    let (id, pid) = (mine.json()["id"].as_str().unwrap().to_owned(), stage.donation["pagamento"]["id"].as_str().unwrap());
    let crossed =
        app.get(&format!("doacoes/{id}/pagamentos/{pid}/qr.svg")).header("doacao-token", mine.header("doacao-token")).send().await;
    crossed.expect_problem(404, "nao-encontrado");
    assert_ne!(stage.app.rows().await, before, "only the donation is new");
    // Nor is one refunded by the receipt of another.
    let (paid, other_paid) = (&stage.paid, app.confirmed(&stage.campaign, json!({})).await.json());
    let receipt: String =
        sqlx::query_scalar("SELECT e2eid FROM pix_recebidos r JOIN pagamentos p ON p.id = r.pagamento_id WHERE p.doacao_id::text = $1")
            .bind(other_paid["id"].as_str().unwrap())
            .fetch_one(&app.owner)
            .await
            .unwrap();
    let before = stage.app.rows().await;
    let refund = format!("doacoes/{}/devolucoes", paid["id"].as_str().unwrap());
    let crossed = app.post(&refund, json!({"e2eid": receipt})).new_key().by(owner).send().await;
    crossed.expect_problem(409, "transicao-invalida");
    assert_eq!(stage.app.rows().await, before);
}

async fn sign_up(app: &TestApp, address: &str) -> String {
    let body = json!({"nome": "Ana", "email": address, "senha": "uma frase longa", "aviso_privacidade": "2026-11", "consentimento": true});
    app.post("pessoas", body).send().await.expect(202);
    app.code_for(address).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_code_works_once_within_24_hours() {
    let app = TestApp::frozen().await;
    let verify = async |code: &str| app.post("emails/verificacoes", json!({"codigo": code, "senha": "uma frase longa"})).send().await;
    let late = sign_up(&app, "tarde@exemplo.org.br").await;
    app.clock.advance(Duration::hours(24));
    verify(&late).await.expect_problem(400, "codigo-invalido");
    assert_eq!(app.count("SELECT count(*) FROM pessoas").await, 0);
    let code = sign_up(&app, "ana@exemplo.org.br").await;
    app.clock.advance(Duration::hours(24) - Duration::seconds(1));
    for changed in [
        code[1..].to_owned(),
        format!("{code}0"),
        format!("{code} {code}"),
        code.replace(|c: char| c.is_ascii_digit(), "0"),
        code.replace(|c: char| c.is_ascii_digit(), "\u{ff10}"),
    ] {
        if changed != code {
            verify(&changed).await.expect_problem(400, "codigo-invalido");
        }
    }
    verify(&code).await.expect(201);
    verify(&code).await.expect_problem(400, "codigo-invalido");
    assert_eq!(app.count("SELECT count(*) FROM pessoas").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_code_works_once_within_30_minutes_and_only_for_that() {
    let app = TestApp::frozen().await;
    let person = app.person().await;
    let reset = async |code: &str, senha: &str| app.post("senhas/redefinicoes", json!({"codigo": code, "senha": senha})).send().await;
    let late = reset_code(&app, &person.email).await;
    app.clock.advance(Duration::minutes(30));
    reset(&late, "outra frase longa").await.expect_problem(400, "codigo-invalido");
    let (first, second) = (reset_code(&app, &person.email).await, reset_code(&app, &person.email).await);
    app.clock.advance(Duration::minutes(30) - Duration::seconds(1));
    // A code for one thing is none for another, and a wrong password does not use it up.
    app.post("emails/verificacoes", json!({"codigo": first, "senha": "uma frase longa"}))
        .send()
        .await
        .expect_problem(400, "codigo-invalido");
    assert_eq!(reset(&first, "curta").await.expect_problem(422, "dados-invalidos"), ["senha"]);
    reset(&first, "outra frase longa").await.expect(204);
    for used in [&first, &second] {
        reset(used, "mais uma frase longa").await.expect_problem(400, "codigo-invalido");
    }
    app.post("sessoes", json!({"email": person.email, "senha": "outra frase longa"})).send().await.expect(201);
}

/// Asks for a password code; the answer does not wait for the mail.
async fn reset_code(app: &TestApp, address: &str) -> String {
    let before = app.mail_to(address).await.len();
    app.post("senhas/pedidos", json!({"email": address})).send().await.expect(202);
    while app.mail_to(address).await.len() == before {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    app.code_for(address).await
}

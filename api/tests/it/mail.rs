//! Letters while e-mail goes nowhere: they wait, and those whose codes have expired by then are not sent.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::json;

use crate::harness::{Options, TestApp, create_database, metric, metric_once_known, servers, until};

#[tokio::test(flavor = "multi_thread")]
async fn letters_wait_for_a_mail_target_and_late_ones_are_not_sent() {
    let database = create_database(servers()).await;
    let options = Options { mail: false, background: true, frozen: true, ..Options::default() };
    let app = TestApp::on(servers(), &database, options).await;
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({"email": "bia@exemplo.org.br"})).await;
    app.post("senhas/pedidos", json!({"email": campaign.org.owner.email})).send().await.expect(202);
    let pending = async || metric_once_known(&app, "doacoes_outbox_messages", &["pending"]).await;
    until(Duration::from_secs(10), "both are counted", async || pending().await == Some(2)).await;
    // Several turns later nothing has been tried.
    app.clock.advance(time::Duration::days(2));
    let turns = async || metric(&app, "doacoes_background_runs_total", &["outbox", "done"]).await;
    let before = turns().await;
    until(Duration::from_secs(20), "three more turns", async || turns().await >= before + 3).await;
    assert_eq!(pending().await, Some(2));
    assert_eq!(metric(&app, "doacoes_mail_deliveries_total", &[]).await, 0);
    let untouched = "SELECT count(*) FROM caixa_saida WHERE tipo = 'email' AND tentativas = 0 AND estacionada_em IS NULL";
    assert_eq!(app.count(untouched).await, 2);
    app.state.shutdown.begin();

    // The clock of this one is hours and more after the other's start, when the code for a password was made.
    let later = TestApp::on(servers(), &database, Options { background: true, ..Options::default() }).await;
    let emails = "SELECT count(*) FROM caixa_saida WHERE tipo = 'email'";
    until(Duration::from_secs(10), "the outbox is empty", async || later.count(emails).await == 0).await;
    let ended = async |result: &str| metric(&later, "doacoes_mail_deliveries_total", &[&format!("\"{result}\"")]).await;
    until(Duration::from_secs(5), "both are counted", async || ended("sent").await + ended("late").await == 2).await;
    assert_eq!((ended("sent").await, ended("late").await, ended("failed").await), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_to_its_last_moment() {
    let app = TestApp::frozen().await;
    let person = app.person().await;
    app.post("senhas/pedidos", json!({"email": person.email})).send().await.expect(202);
    until(Duration::from_secs(5), "the letter is posted", async || !app.mail_to(&person.email).await.is_empty()).await;
    let mut db = app.state.db.background_connection().await.unwrap();
    let (lease, last) = (time::Duration::minutes(5), app.state.clock.now() + time::Duration::minutes(30));
    let mut at = async |now| {
        let late = doacoes_api::store::outbox::drop_late(&mut db, 10, now).await.unwrap();
        (late, doacoes_api::store::outbox::claim(&mut db, 10, lease, now).await.unwrap().len())
    };
    assert_eq!(at(last - time::Duration::microseconds(1)).await, (0, 1));
    sqlx::query("UPDATE caixa_saida SET proxima_em = criada_em").execute(&app.owner).await.unwrap();
    assert_eq!(at(last).await, (1, 0));
}

fn admin_mail(database: &str, profile: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_api"))
        .args(["admin", "mail"])
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", servers().app_url(database))
        .env("SECRETS_DIR", servers().secrets())
        .env("PROFILE", profile)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_reads_waiting_letters_and_in_production_nobody_does() {
    let app = TestApp::with(Options { mail: false, ..Options::default() }).await;
    let email = "ana@exemplo.org.br";
    let body =
        json!({"nome": "Ana Souza", "email": email, "senha": "uma frase longa", "aviso_privacidade": "2026-11", "consentimento": true});
    app.post("pessoas", body).send().await.expect(202);
    let campaign = app.campaign().await;
    app.confirmed(&campaign, json!({"email": "bia@exemplo.org.br"})).await;
    let code = app.code_for(email).await;

    let output = admin_mail(&app.database, "development", &["--to", "Ana@Exemplo.org.br"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.starts_with("To: ana@exemplo.org.br\nSubject: Confirme seu e-mail\nDate: 2"), "{text}");
    assert!(text.contains("\nExpires: 2") && text.contains(&code) && !text.contains("bia@"), "{text}");
    let all = String::from_utf8(admin_mail(&app.database, "development", &[]).stdout).unwrap();
    assert!(all.contains(&code) && all.contains("To: bia@exemplo.org.br"), "{all}");
    let none = admin_mail(&app.database, "development", &["--to", "eva@exemplo.org.br"]);
    assert!(none.status.success() && none.stdout.is_empty());
    assert_eq!(none.stderr, b"no letter waits\n");

    let refused = admin_mail(&app.database, "production", &["--to", email]);
    assert!(!refused.status.success() && refused.stdout.is_empty());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("only with PROFILE=development"));
    app.post("emails/verificacoes", json!({"codigo": code, "senha": "uma frase longa"})).send().await.expect(201);
}

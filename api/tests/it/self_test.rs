//! The self-test before readiness: what would fail at the first donor fails before, and nothing is left of it.

use std::time::Duration;

use doacoes_api::config::Profile;
use serde_json::{Value, json};

use crate::harness::{Options, TestApp, create_database, metric, metric_once_known, servers, until};

async fn readiness(app: &TestApp) -> (u16, Value) {
    let answer = app.http.get(format!("{}/readyz", app.admin)).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn until_ready(app: &TestApp) {
    until(Duration::from_secs(20), "ready", async || readiness(app).await.0 == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_stays_empty() {
    for profile in [Profile::Development, Profile::Production] {
        let app = TestApp::with(Options { profile, background: true, ..Options::default() }).await;
        until_ready(&app).await;
        assert_eq!(readiness(&app).await.1, json!({"ready": true}));
        // It went to the end of the transaction: numbers of rows are all that it took.
        assert_eq!(app.count("SELECT last_value FROM contas_id_seq").await, 3);
        assert_eq!(app.count("SELECT last_value FROM totais_delta_id_seq").await, 1);
        assert_eq!(app.count("SELECT last_value FROM caixa_saida_id_seq").await, 2);
        let rows = app.rows().await;
        let filled: Vec<&str> = rows.lines().filter(|table| !table.ends_with("0:d41d8cd98f00b204e9800998ecf8427e")).collect();
        assert!(matches!(filled[..], [a, b] if a.starts_with("_sqlx_migrations") && b.starts_with("compatibilidade")), "{filled:?}");
        assert_eq!(metric(&app, "doacoes_donations_total", &[]).await, 0);
        assert_eq!(metric(&app, "doacoes_rate_limit_checks_total", &[]).await, 0);
    }
}

/// Each takes away something that a donation needs; the undoing of it; the step that misses it, and how.
const SABOTAGE: [(&str, &str, &str); 10] = [
    ("REVOKE INSERT ON cadastros FROM app", "GRANT INSERT ON cadastros TO app", "the account: permission denied for table cadastros"),
    ("REVOKE INSERT ON organizadora_chaves_pix FROM app", "GRANT INSERT ON organizadora_chaves_pix TO app", "the organizadora: "),
    ("REVOKE UPDATE ON campanhas FROM app", "GRANT UPDATE ON campanhas TO app", "the campaign: permission denied for table campanhas"),
    ("REVOKE INSERT ON doacao_eventos FROM app", "GRANT INSERT ON doacao_eventos TO app", "the donation: "),
    ("REVOKE INSERT ON registro_acesso FROM app", "GRANT INSERT ON registro_acesso TO app", "the account: "),
    ("ALTER TABLE idempotencia RENAME TO outra", "ALTER TABLE outra RENAME TO idempotencia", "the donation: relation \"idempotencia\""),
    ("REVOKE INSERT ON partidas FROM app", "GRANT INSERT ON partidas TO app", "the confirmation: permission denied for table partidas"),
    ("REVOKE INSERT ON totais_delta FROM app", "GRANT INSERT ON totais_delta TO app", "the confirmation: "),
    ("REVOKE SELECT ON campanha_totais FROM app", "GRANT SELECT ON campanha_totais TO app", "the totals: "),
    (
        "CREATE FUNCTION recusar() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'at the end'; END$$;
         CREATE CONSTRAINT TRIGGER recusar AFTER INSERT ON lancamentos DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION recusar()",
        "DROP TRIGGER recusar ON lancamentos",
        "the balance of the ledger: at the end",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn readiness_waits_for_whatever_a_donation_needs_and_names_it() {
    let database = create_database(servers()).await;
    for (sabotage, undo, step) in SABOTAGE {
        // The owner's connections are there before the application is.
        let owner = doacoes_api::store::pool(&servers().owner_url(&database).into(), 1).unwrap();
        sqlx::raw_sql(sabotage).execute(&owner).await.unwrap();
        let app = TestApp::on(servers(), &database, Options { self_tested: false, ..Options::default() }).await;
        let (step, cause) = step.split_once(": ").unwrap();
        let expected = format!("the self-test of a donation failed at {step}: ");
        until(Duration::from_secs(20), &format!("refused at {step}"), async || {
            let (status, body) = readiness(&app).await;
            assert_eq!(status, 503, "{sabotage}");
            let reason = body["reason"].as_str().unwrap();
            reason.starts_with(&expected) && reason.contains(cause)
        })
        .await;
        sqlx::raw_sql(undo).execute(&owner).await.unwrap();
        until_ready(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_is_not_there_is_told_and_no_reason_to_wait() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = TestApp::with(Options { redis_url: Some(format!("redis://{closed}")), ..Options::default() }).await;
    until_ready(&app).await;
    assert_eq!(readiness(&app).await, (200, json!({"ready": true, "degraded": ["redis"]})));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_refuses_scripts_is_degraded_until_it_takes_them() {
    let url = servers().env("REDIS_URL");
    let mut superuser = redis::Client::open(url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let user = format!("u{}", uuid::Uuid::new_v4().simple());
    let mut set = async |rules: &[&str]| {
        redis::cmd("ACL").arg("SETUSER").arg(&user).arg(rules).query_async::<()>(&mut superuser).await.unwrap();
    };
    set(&["on", ">senha", "~*", "&*", "+@all", "-@scripting"]).await;
    let (_, server) = url.split_once('@').unwrap();
    let app = TestApp::with(Options { redis_url: Some(format!("redis://{user}:senha@{server}")), ..Options::default() }).await;
    until_ready(&app).await;
    assert_eq!(readiness(&app).await, (200, json!({"ready": true, "degraded": ["redis"]})));
    until(Duration::from_secs(5), "the metric says so", async || metric_once_known(&app, "doacoes_degraded", &["redis"]).await == Some(1))
        .await;
    set(&["+@all"]).await;
    until(Duration::from_secs(10), "Redis is whole", async || readiness(&app).await == (200, json!({"ready": true}))).await;
    until(Duration::from_secs(5), "the metric says so", async || metric_once_known(&app, "doacoes_degraded", &["redis"]).await == Some(0))
        .await;
    redis::cmd("ACL").arg("DELUSER").arg(&user).query_async::<()>(&mut superuser).await.unwrap();
}

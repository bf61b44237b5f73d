//! PostgreSQL killed under writes: every acknowledged donation is there, once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::Connection as _;
use uuid::Uuid;

use crate::harness::{
    Options, Servers, TestApp, all_at_once, create_database, e2eid, metric, metric_once_known, servers, signal_all, until,
};

/// What a client knows of one attempt.
enum Outcome {
    Acknowledged(String),
    /// An error or no answer: it may or may not have happened.
    Unknown,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_donation_survives_kill_nine() {
    // Without --fast: a crash is what fsync is for.
    let servers = Servers::start(&[]);
    let database = create_database(&servers).await;
    let app = Arc::new(TestApp::on(&servers, &database, Options { background: true, ..Options::default() }).await);
    let campaign = app.campaign().await;
    let path = Arc::new(format!("campanhas/{}/doacoes", campaign.slug));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8).map(|_| tokio::spawn(write_until(Arc::clone(&app), Arc::clone(&path), Arc::clone(&stop)))).collect();

    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        servers.signal("PG_PID", "-KILL");
        until_down(&app, &path).await;
        servers.revive();
        back_within(&app, &path, Duration::from_secs(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);

    let mut acknowledged = HashMap::new();
    let mut unknown = Vec::new();
    for writer in writers {
        for (key, outcome) in writer.await.unwrap() {
            match outcome {
                Outcome::Acknowledged(body) => drop(acknowledged.insert(key, body)),
                Outcome::Unknown => unknown.push(key),
            }
        }
    }
    assert!(acknowledged.len() > 50, "only {} donations were acknowledged", acknowledged.len());
    assert!(!unknown.is_empty(), "no request met the crash");
    // The same key gives the same answer to those who had one, and one answer to those who had none.
    for (key, body) in &acknowledged {
        let again = app.post(&path, app.donation(json!({}))).key(*key).send().await;
        assert_eq!((again.status.as_u16(), &again.text), (201, body));
    }
    for key in &unknown {
        app.post(&path, app.donation(json!({}))).key(*key).send().await.expect(201);
    }
    let attempts = i64::try_from(acknowledged.len() + unknown.len()).unwrap();
    let probes = app.count("SELECT count(*) FROM doacoes WHERE valor_centavos = 7777").await;
    assert_eq!(app.count("SELECT count(*) FROM doacoes").await - probes, attempts);
    app.assert_books_agree().await;
}

/// One donation after another, each with a key of its own; every third is paid.
async fn write_until(app: Arc<TestApp>, path: Arc<String>, stop: Arc<AtomicBool>) -> Vec<(Uuid, Outcome)> {
    let mut history = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let key = Uuid::new_v4();
        let answer = app.post(&path, app.donation(json!({}))).key(key).try_send().await;
        let outcome = match answer {
            Ok(answer) if answer.status == 201 => {
                if history.len() % 3 == 0 {
                    let txid = answer.json()["pagamento"]["txid"].as_str().unwrap().to_owned();
                    let body = json!({"valor_centavos": 5000, "e2eid": e2eid()});
                    let _ = app.post(&format!("simulado/pagamentos/{txid}"), body).try_send().await;
                }
                Outcome::Acknowledged(answer.text)
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.text);
                tokio::time::sleep(Duration::from_millis(50)).await;
                Outcome::Unknown
            }
            Err(_) => Outcome::Unknown,
        };
        history.push((key, outcome));
    }
    history
}

/// Returns once a donation is turned away, as it should be. The backends outlive their postmaster for a moment.
async fn until_down(app: &TestApp, path: &str) {
    let killed = Instant::now();
    loop {
        let answer = app.post(path, app.donation(json!({"valor_centavos": 7777}))).new_key().send().await;
        if answer.status != 201 {
            answer.expect_problem(503, "indisponivel");
            assert_eq!(answer.header("retry-after"), "1");
            return;
        }
        assert!(killed.elapsed() < Duration::from_secs(5), "writes go on without a database");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails unless a donation is taken within `limit` of the server's return.
async fn back_within(app: &TestApp, path: &str, limit: Duration) {
    let returned = Instant::now();
    loop {
        let answer = app.post(path, app.donation(json!({"valor_centavos": 7777}))).new_key().send().await;
        if answer.status == 201 {
            return;
        }
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert!(returned.elapsed() < limit, "no donation was taken {limit:?} after the database came back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The readiness probe's answer.
async fn readiness(app: &TestApp) -> serde_json::Value {
    let answer = app.http.get(format!("{}/readyz", app.admin)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "an outage took the process out of service");
    answer.json().await.unwrap()
}

async fn degraded_within(app: &TestApp, stores: &[&str]) {
    // A store that is late once counts as away for a moment, so both are looked at until they agree.
    until(Duration::from_secs(5), "probe and metrics name what is away", async || {
        let body = readiness(app).await;
        assert_eq!(body["ready"], json!(true));
        let mut agree = body["degraded"].as_array().cloned().unwrap_or_default() == stores;
        for store in ["postgres", "redis"] {
            let away = metric_once_known(app, "doacoes_degraded", &[&format!("store=\"{store}\"")]).await;
            agree &= away == Some(i64::from(stores.contains(&store)));
        }
        agree
    })
    .await;
    // A probe that asked a store that hangs would never be so quick.
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        let asked = Instant::now();
        readiness(app).await;
        quickest = quickest.min(asked.elapsed());
    }
    assert!(quickest < Duration::from_millis(500), "answered after {quickest:?} at best");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_leaves_the_process_ready_but_degraded() {
    let servers = Servers::start(&[]);
    let database = create_database(&servers).await;
    let app = TestApp::on(&servers, &database, Options::default()).await;
    let campaign = app.campaign().await;
    let path = format!("campanhas/{}/doacoes", campaign.slug);
    let donate = async || {
        let asked = Instant::now();
        let answer = app.post(&path, app.donation(json!({"valor_centavos": 7777}))).new_key().send().await;
        // The API's 1.8 s, and what a busy machine adds.
        assert!(asked.elapsed() < Duration::from_secs(4), "answered after {:?}", asked.elapsed());
        answer
    };
    donate().await.expect(201);
    let person = app.person().await;
    degraded_within(&app, &[]).await;

    // A database that hangs keeps its connections, takes new ones, and says nothing.
    let pids = processes(&servers);
    signal_all(&pids, "-STOP");
    let frozen = donate().await;
    degraded_within(&app, &["postgres"]).await;
    signal_all(&pids, "-CONT");
    frozen.expect_problem(503, "indisponivel");
    assert_eq!(frozen.header("retry-after"), "1");
    degraded_within(&app, &[]).await;
    back_within(&app, &path, Duration::from_secs(5)).await;

    servers.signal("REDIS_PID", "-KILL");
    degraded_within(&app, &["redis"]).await;
    donate().await.expect(201);
    servers.signal("PG_PID", "-KILL");
    degraded_within(&app, &["postgres", "redis"]).await;
    let refused = donate().await;
    refused.expect_problem(503, "indisponivel");
    assert_eq!(refused.header("retry-after"), "1");
    // Whoever was told that a code comes gets one, and only one.
    app.post("senhas/pedidos", json!({ "email": person.email })).send().await.expect(202);
    servers.revive();
    back_within(&app, &path, Duration::from_secs(5)).await;
    until(Duration::from_secs(10), "the code is in the outbox", async || !app.mail_to(&person.email).await.is_empty()).await;
    until(Duration::from_secs(5), "nobody waits", async || metric(&app, "doacoes_queue_waiting", &[r#"queue="resets""#]).await == 0).await;
    assert_eq!(app.mail_to(&person.email).await.len(), 1);
    degraded_within(&app, &[]).await;
}

/// All of the server's processes.
fn processes(servers: &Servers) -> Vec<String> {
    let first = servers.env("PG_PID");
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
    children.split_whitespace().map(str::to_owned).chain([first]).collect()
}

/// As when one of several poolers stops: the connections were in use a moment ago, so nobody asked whether they still are some.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_closed_a_moment_ago_cost_no_donation() {
    let app = Arc::new(TestApp::with(Options { pool_size: 8, ..Options::default() }).await);
    let campaign = app.campaign().await;
    let path = Arc::new(format!("campanhas/{}/doacoes", campaign.slug));
    let donate = |_| {
        let (app, path) = (Arc::clone(&app), Arc::clone(&path));
        async move { app.post(&path, app.donation(json!({}))).new_key().send().await.status.as_u16() }
    };
    let mut superuser = sqlx::PgConnection::connect(&servers().env("PG_SUPERUSER_URL")).await.unwrap();
    let mut closed = 0;
    for _ in 0..5 {
        assert_eq!(all_at_once(16, donate).await, vec![201; 16]);
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE datname = $1 AND usename = 'app' AND application_name = 'doacoes-api'";
        let (mut left, asked) = (1, Instant::now());
        while left > 0 {
            left = sqlx::query_scalar::<_, i64>(ended).bind(&app.database).fetch_one(&mut superuser).await.unwrap();
            closed += left;
        }
        // One that begins a transaction while it is being closed is closed in the middle of it, and an older one is asked first.
        assert!(asked.elapsed() < Duration::from_millis(400), "{:?}", asked.elapsed());
        assert_eq!(all_at_once(16, donate).await, vec![201; 16]);
    }
    assert!(closed > 10, "{closed} connections closed");
}

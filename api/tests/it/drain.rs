//! A process that stops goes on serving until proxies have heard of it; behind a real nginx no request fails.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::harness::{
    CLIENTS, Fleet, FleetOptions, Mix, Options, Outcome, Running, Servers, TestApp, alone, create_database, servers, signal_all,
    stored_donations, until,
};

const REQUESTS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_request_and_loses_no_donation() {
    let _alone = alone().await;
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let mut fleet = Fleet::start(servers(), &database, FleetOptions::default()).await;
    let began = Instant::now();
    let load = Running::start(&app, &fleet, &campaign, Mix::ReadsAndDonations);
    for number in 0..4 {
        fleet.stop(number, Duration::from_secs(25)).await;
        fleet.restart(number).await;
    }
    let restarted = began.elapsed();
    while load.sent() < REQUESTS && began.elapsed() < Duration::from_secs(150) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let Outcome { sent, donations, failures, .. } = load.stop().await;
    println!("{sent} requests, {} of them donations, in {:?}; four restarts in {restarted:?}", donations.len(), began.elapsed());
    let reasons = (0..4).map(|number| fleet.log(number)).collect::<String>();
    let reasons: Vec<&str> = reasons.lines().filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\"")).collect();
    assert!(failures.is_empty(), "{} failed, like {:?}\n{reasons:#?}\nnginx: {}", failures.len(), failures.first(), fleet.nginx_log());
    // Nor did nginx repeat one: a client would not have seen it, but the process dropped it.
    assert_eq!(fleet.dropped(), Vec::<String>::new());
    assert!(sent >= REQUESTS, "only {sent} requests were sent");
    assert!(donations.len() * 10 >= sent * 3, "only {} donations", donations.len());
    assert_eq!(stored_donations(&app).await, donations);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_takes_along_no_more_than_it_was_working_on() {
    let _alone = alone().await;
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let mut fleet = Fleet::start(servers(), &database, FleetOptions::default()).await;
    let load = Running::start(&app, &fleet, &campaign, Mix::ReadsAndDonations);
    let sent_since = async |mark: usize| until(Duration::from_secs(30), "the load goes on", async || load.sent() >= mark + 500).await;
    sent_since(0).await;
    fleet.kill(0).await;
    let killed = load.sent();
    sent_since(killed).await;
    fleet.restart(0).await;
    sent_since(load.sent()).await;
    let Outcome { sent, donations, failures, .. } = load.stop().await;
    println!("{sent} requests, {killed} before the kill, {} failed", failures.len());
    // So the log tells what nginx had to repeat, where there is something.
    assert!(!fleet.dropped().is_empty(), "a process was killed at work, and nginx noticed nothing: {}", fleet.nginx_log());
    assert!(failures.len() <= CLIENTS, "{} failed, like {:?}\nnginx: {}", failures.len(), failures.first(), fleet.nginx_log());
    let stored = stored_donations(&app).await;
    assert!(stored.is_superset(&donations), "acknowledged donations are lost");
    assert!(stored.len() <= donations.len() + failures.len(), "there are donations that nobody asked for");
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn until_the_drain_is_over_everyone_is_served_and_told_to_go() {
    let app = TestApp::with(Options { drain_seconds: 2, ..Options::default() }).await;
    let addr = app.base.strip_prefix("http://").unwrap();
    let mut idle = TcpStream::connect(addr).await.unwrap();
    idle.write_all(b"GET /api/v1/campanhas HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_ne!(idle.read(&mut [0; 16 * 1024]).await.unwrap(), 0);
    assert_eq!(app.get("campanhas").send().await.headers.get("connection"), None);

    let began = Instant::now();
    app.state.shutdown.begin();
    let ready = app.http.get(format!("{}/readyz", app.admin)).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    while began.elapsed() < Duration::from_millis(1_500) {
        let answer = app.get("campanhas").send().await;
        assert_eq!((answer.status.as_u16(), answer.header("connection")), (200, "close"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A silence, not an end.
    let silence = tokio::time::timeout(Duration::from_millis(100), idle.read(&mut [0; 1])).await;
    assert!(silence.is_err(), "{silence:?}");
    let end = tokio::time::timeout(Duration::from_secs(3), idle.read(&mut [0; 1])).await.expect("it is closed at last");
    assert!(matches!(end, Ok(0)), "{end:?}");
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(TcpStream::connect(addr).await.is_err(), "the listener is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_ends_also_while_the_database_hangs() {
    const DRAIN: Duration = Duration::from_secs(1);
    let servers = Servers::start(&["--fast"]);
    let database = create_database(&servers).await;
    let app = TestApp::on(&servers, &database, Options::default()).await;
    let campaign = app.campaign().await;
    let env = vec![("DRAIN_SECONDS", DRAIN.as_secs().to_string())];
    let mut fleet = Fleet::start(&servers, &database, FleetOptions { processes: 1, env, ..FleetOptions::default() }).await;
    let mut lock = app.owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE doacoes IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let donation = app.http.post(format!("{}/api/v1/campanhas/{}/doacoes", fleet.public(0), campaign.slug));
    let donation = donation.header("idempotency-key", Uuid::new_v4().to_string()).header("content-type", "application/json");
    let donation = tokio::spawn(donation.body(app.donation(json!({})).to_string()).send());
    // In the middle of a statement, which only the server would end, after a second.
    until(Duration::from_secs(10), "the donation waits", async || {
        let waiting: Vec<String> =
            sqlx::query_scalar("SELECT pid::text FROM pg_locks WHERE NOT granted").fetch_all(&app.owner).await.unwrap();
        if !waiting.is_empty() {
            signal_all(&waiting, "-STOP");
        }
        !waiting.is_empty()
    })
    .await;
    // And whoever else has a connection or makes one.
    servers.signal("PG_PID", "-STOP");
    let backends = app.backends().await;
    signal_all(&backends, "-STOP");
    assert_eq!(donation.await.unwrap().unwrap().status(), 503);
    let began = Instant::now();
    fleet.signal(0, "-TERM");
    // The drain, ten seconds for what was begun, two for goodbyes and one for blocking threads; the rest is for a busy machine.
    let status = fleet.ended(0, DRAIN + Duration::from_secs(26)).await;
    let took = began.elapsed();
    signal_all(&backends, "-CONT");
    servers.signal("PG_PID", "-CONT");
    println!("ended after {took:?}");
    assert!(status.success(), "{status}");
    assert!(took >= DRAIN, "{took:?}");
    for warning in ["what was begun has not ended in time and is left", "connections to the database were not closed in time and are left"]
    {
        assert!(fleet.log(0).contains(warning), "{}", fleet.log(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn haste_ends_the_wait() {
    let app = TestApp::with(Options { drain_seconds: 60, ..Options::default() }).await;
    let addr = app.base.strip_prefix("http://").unwrap();
    app.state.shutdown.begin();
    app.get("campanhas").send().await.expect(200);
    app.state.shutdown.hasten();
    let began = Instant::now();
    while TcpStream::connect(addr).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(3), "it still accepts");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! Stores that vanish under load, with four processes behind nginx.

use std::time::Duration;

use crate::harness::{
    Fleet, FleetOptions, Mix, Options, Outcome, Running, Servers, TestApp, alone, create_database, stored_donations, until,
};

async fn pause(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_frozen_flushed_killed_and_back_under_load_fails_no_request_and_loses_no_donation() {
    let _alone = alone().await;
    let servers = Servers::start(&["--fast"]);
    let database = create_database(&servers).await;
    let app = TestApp::on(&servers, &database, Options { pool_size: 2, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let fleet = Fleet::start(&servers, &database, FleetOptions::default()).await;
    let me = async || {
        let url = format!("{}/api/v1/eu", fleet.base);
        let answer = app.http.get(url).header("cookie", &campaign.org.owner.cookie).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(me().await, 200);
    let load = Running::start(&app, &fleet, &campaign, Mix::ReadsAndDonations);
    pause(1).await;
    servers.signal("REDIS_PID", "-STOP");
    pause(2).await;
    assert_eq!(me().await, 200, "frozen");
    servers.signal("REDIS_PID", "-CONT");
    pause(1).await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut servers.redis().await).await.unwrap();
    assert_eq!(me().await, 200, "flushed");
    pause(1).await;
    servers.signal("REDIS_PID", "-KILL");
    pause(2).await;
    assert_eq!(me().await, 200, "killed");
    servers.revive();
    pause(2).await;
    assert_eq!(me().await, 200, "back");
    let Outcome { sent, donations, failures, longest } = load.stop().await;
    println!("{sent} requests, {} of them donations, the longest {longest:?}", donations.len());
    assert!(failures.is_empty(), "{} failed, like {:?}", failures.len(), failures.first());
    assert!(sent > 1_000 && donations.len() > 200, "{sent} requests, {} donations", donations.len());
    // Far from its 50 ms a request, which other tests hold it to: whoever waited for Redis each time would come to this.
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    assert_eq!(stored_donations(&app).await, donations);
    app.assert_books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_killed_under_load_leaves_hot_pages_as_they_are_and_donations_for_a_moment_later() {
    let _alone = alone().await;
    let servers = Servers::start(&[]);
    let database = create_database(&servers).await;
    let app = TestApp::on(&servers, &database, Options { pool_size: 2, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let fleet = Fleet::start(&servers, &database, FleetOptions::default()).await;
    let donate = async || {
        let request = app.http.post(format!("{}/api/v1/campanhas/{}/doacoes", fleet.base, campaign.slug));
        let request = request.header("idempotency-key", uuid::Uuid::new_v4().to_string()).json(&app.donation(serde_json::json!({})));
        request.send().await.unwrap()
    };
    assert_eq!(donate().await.status(), 201);
    let load = Running::start(&app, &fleet, &campaign, Mix::Reads);
    // Longer than a process keeps an answer by itself, so that all have one.
    pause(6).await;
    servers.signal("PG_PID", "-KILL");
    for _ in 0..20 {
        let answer = donate().await;
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    servers.revive();
    let back = until(Duration::from_secs(5), "a donation is taken again", async || donate().await.status() == 201).await;
    pause(1).await;
    let Outcome { sent, failures, longest, .. } = load.stop().await;
    println!("{sent} reads, the longest {longest:?}; donations again after {back:?}");
    assert!(failures.is_empty(), "{} failed, like {:?}", failures.len(), failures.first());
    assert!(sent > 1_000, "{sent}");
    app.assert_books_agree().await;
}

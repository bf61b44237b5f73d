//! A process that stops goes on serving until proxies have heard of it.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Options, TestApp};

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

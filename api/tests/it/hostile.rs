//! Clients that send too slowly, too much, or never read.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doacoes_api::server::MAX_CONNECTIONS;
use doacoes_api::server::open_files;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{
    Campaign, Fleet, FleetOptions, Options, Reader, TestApp, alone, create_database, metric, metric_at, p99, servers, until,
};

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.base.strip_prefix("http://").unwrap()).await.unwrap()
}

/// What comes until the server closes, cleanly or not.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

const HEAD: &str = "POST /api/v1/sessoes HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_byte_a_second_is_cut() {
    let app = TestApp::start().await;
    let mut stream = connect(&app).await;
    let began = Instant::now();
    stream.write_all(format!("{HEAD}content-length: 60\r\n\r\n").as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let writer = tokio::spawn(async move {
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), reading.read_to_end(&mut answer)).await.expect("it is cut").ok();
    writer.abort();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("problemas/corpo-lento"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(began.elapsed() > Duration::from_secs(7), "it had its time: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_cut_after_two_seconds() {
    let app = TestApp::start().await;
    let mut stream = connect(&app).await;
    stream.write_all(format!("{HEAD}content-length: 60\r\n\r\n{{").as_bytes()).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), rest(&mut stream)).await.expect("it is cut");
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("problemas/corpo-lento"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_slow_but_whole_in_time_is_taken() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let body = app.donation(json!({})).to_string();
    let mut stream = connect(&app).await;
    let head = format!(
        "POST /api/v1/campanhas/{}/doacoes HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\nidempotency-key: {}\r\ncontent-length: {}\r\n\r\n",
        campaign.slug,
        uuid::Uuid::new_v4(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in body.as_bytes().chunks(body.len().div_ceil(5)) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stream.write_all(piece).await.unwrap();
    }
    // The server's own deadline, which is shorter, begins with the last byte.
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

/// Sends its first bytes, and then one in a second until the server has enough; when that was.
async fn trickle(address: String, number: u64, first: String) -> Duration {
    // Many clients are no choir.
    tokio::time::sleep(Duration::from_millis(number * 2)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let began = Instant::now();
    stream.write_all(first.as_bytes()).await.unwrap();
    let mut buffer = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => if matches!(read, Ok(0) | Err(_)) { return began.elapsed() },
            () = tokio::time::sleep(Duration::from_secs(1)) => if stream.write_all(b"a").await.is_err() { return began.elapsed() },
        }
        assert!(began.elapsed() < Duration::from_secs(30), "never cut");
    }
}

/// Sends all of it; when the server closed the connection.
async fn burst(address: String, number: u64, request: Arc<Vec<u8>>) -> Duration {
    tokio::time::sleep(Duration::from_millis(number * 10)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let began = Instant::now();
    let _ = stream.write_all(&request).await;
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    began.elapsed()
}

/// A megabyte of spaces, which is a kilobyte on its way.
fn bomb() -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 2048);
    let head = format!("{HEAD}connection: close\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    [head.as_bytes(), &packed].concat()
}

/// A process of its own, because of the number of files that one may open, and a campaign on it.
async fn besieged() -> (TestApp, Fleet, Campaign) {
    open_files::raise_limit();
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await;
    let campaign = app.campaign().await;
    let fleet = Fleet::start(servers(), &database, FleetOptions { processes: 1, ..FleetOptions::default() }).await;
    (app, fleet, campaign)
}

/// Fails unless each of the crowd is cut within ten seconds, and a reader of a hot page notices nothing of it.
async fn assert_cut_and_unnoticed(
    fleet: &Fleet,
    campaign: &Campaign,
    what: &str,
    attack: impl Fn(String, u64) -> tokio::task::JoinHandle<Duration>,
) {
    const CROWD: u64 = 500;
    let base = fleet.public(0);
    let idle = Reader::calm(&base, campaign).await;
    let reader = Reader::start(&base, campaign);
    let crowd: Vec<_> = (0..CROWD).map(|number| attack(base.replace("http://", ""), number)).collect();
    let mut longest = Duration::ZERO;
    for client in crowd {
        longest = longest.max(client.await.unwrap());
    }
    let reads = reader.stop().await;
    let (meanwhile, count) = (p99(reads.clone()), reads.len());
    println!("{what} × {CROWD}: the last cut after {longest:?}; p99 {idle:?} alone, {meanwhile:?} in {count} reads");
    assert!(longest < Duration::from_secs(10), "{what}: cut after {longest:?}");
    assert!(count > 200, "{what}: only {count} reads");
    // Other tests and programs take their part of the machine; a read that waits for a hostile client would take seconds.
    assert!(meanwhile < idle * 2 + Duration::from_millis(20), "{what}: {idle:?} alone, {meanwhile:?} among them");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_slow_clients_are_cut_while_others_are_served_as_ever() {
    let _alone = alone().await;
    let (_app, fleet, campaign) = besieged().await;
    let head = "GET /api/v1/campanhas HTTP/1.1\r\nhost: localhost\r\nx: ".to_owned();
    let body = format!("{HEAD}content-length: 60\r\n\r\n");
    for (what, first) in [("slow heads", head), ("slow bodies", body)] {
        assert_cut_and_unnoticed(&fleet, &campaign, what, |address, number| tokio::spawn(trickle(address, number, first.clone()))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_oversized_requests_are_refused_while_others_are_served_as_ever() {
    let _alone = alone().await;
    let (_app, fleet, campaign) = besieged().await;
    let head = format!("GET /api/v1/campanhas HTTP/1.1\r\nhost: localhost\r\nx-filler: {}\r\n\r\n", "x".repeat(64 * 1024));
    for (what, request) in [("heads of 64 KiB", head.into_bytes()), ("bombs", bomb())] {
        let request = Arc::new(request);
        assert_cut_and_unnoticed(&fleet, &campaign, what, |address, number| tokio::spawn(burst(address, number, Arc::clone(&request))))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_when_every_place_is_taken_waits_until_one_is_free() {
    let _alone = alone().await;
    let (app, fleet, campaign) = besieged().await;
    let address = fleet.public(0).replace("http://", "");
    let ask = format!("GET /api/v1/campanhas/{} HTTP/1.1\r\nhost: localhost\r\n\r\n", campaign.slug);
    // All of it within the 8 s after which those that say nothing are cut.
    let mut crowd = Vec::with_capacity(MAX_CONNECTIONS);
    let open = async || metric_at(&fleet.admin(0), "doacoes_http_connections", &[r#"listener="public""#]).await;
    while crowd.len() < MAX_CONNECTIONS {
        crowd.push(TcpStream::connect(&address).await.unwrap());
    }
    until(Duration::from_secs(5), "every place is taken", async || open().await == i64::try_from(MAX_CONNECTIONS).unwrap()).await;
    let mut late = TcpStream::connect(&address).await.unwrap();
    late.write_all(ask.as_bytes()).await.unwrap();
    let mut buffer = [0; 16 * 1024];
    let silence = tokio::time::timeout(Duration::from_millis(500), late.read(&mut buffer)).await;
    assert!(silence.is_err(), "answered beyond the last place: {silence:?}");
    drop(crowd.pop());
    let read = tokio::time::timeout(Duration::from_secs(2), late.read(&mut buffer)).await.expect("it has a place").unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&buffer[..read]));
    drop((crowd, app));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_64_kib_is_refused_and_the_connection_closed() {
    let app = TestApp::start().await;
    let mut stream = connect(&app).await;
    let filler = "x".repeat(64 * 1024);
    let _ = stream.write_all(format!("GET /api/v1/campanhas HTTP/1.1\r\nhost: localhost\r\nx-filler: {filler}\r\n\r\n").as_bytes()).await;
    let answer = tokio::time::timeout(Duration::from_secs(5), rest(&mut stream)).await.expect("it is closed");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    app.get("campanhas").send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_unpacked() {
    let app = TestApp::start().await;
    let body = json!({"email": "a@exemplo.org.br", "senha": "errada de todo"}).to_string();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(body.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let send = |encoding: &'static str, bytes: Vec<u8>| app.post("sessoes", json!({})).raw(bytes).header("content-encoding", encoding);
    for encoding in ["gzip", "br", "identity, gzip"] {
        send(encoding, packed.clone()).send().await.expect_problem(415, "tipo-de-conteudo-recusado");
    }
    send("Identity", body.into_bytes()).send().await.expect_problem(401, "credenciais-invalidas");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_cut() {
    let app = TestApp::start().await;
    let one = reqwest::get(format!("{}/openapi.json", app.base)).await.unwrap().bytes().await.unwrap().len();
    // More than the kernel's buffers take.
    let count = 64 * 1024 * 1024 / one;
    let (mut reading, mut writing) = connect(&app).await.into_split();
    let writer = tokio::spawn(async move {
        for _ in 0..count {
            if writing.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_err() {
                break;
            }
        }
        writing
    });
    // Not by its end of the connection, which would have to read for that.
    let open = async || metric(&app, "doacoes_http_connections", &[r#"listener="public""#]).await;
    until(Duration::from_secs(10), "it is served", async || open().await == 1).await;
    until(Duration::from_secs(30), "it is cut", async || open().await == 0).await;
    let mut answers = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), reading.read_to_end(&mut answers)).await.expect("it is cut");
    assert!(answers.len() < count * one / 2, "{} of {} bytes were sent", answers.len(), count * one);
    writer.abort();
}

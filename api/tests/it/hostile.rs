//! Clients that send too slowly, too much, or never read.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Fleet, FleetOptions, Options, TestApp, alone, create_database, p99, servers};

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

/// A head, one byte in a second, until the server has enough; when that was.
async fn slow_loris(address: String) -> Duration {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let began = Instant::now();
    stream.write_all(b"GET /api/v1/campanhas HTTP/1.1\r\nhost: localhost\r\nx: ").await.unwrap();
    let mut buffer = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => if matches!(read, Ok(0) | Err(_)) { return began.elapsed() },
            () = tokio::time::sleep(Duration::from_secs(1)) => if stream.write_all(b"a").await.is_err() { return began.elapsed() },
        }
        assert!(began.elapsed() < Duration::from_secs(30), "never cut");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_slow_lorises_are_cut_while_others_are_served_as_ever() {
    let _alone = alone().await;
    let database = create_database(servers()).await;
    let app = TestApp::on(servers(), &database, Options { pool_size: 2, ..Options::default() }).await;
    let campaign = app.campaign().await;
    // A process of its own, because of the number of files that one may open.
    let fleet = Fleet::start(servers(), &database, FleetOptions { processes: 1, ..FleetOptions::default() }).await;
    let url = format!("{}/api/v1/campanhas/{}", fleet.public(0), campaign.slug);
    let ask = async || {
        let began = Instant::now();
        let answer = app.http.get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
        began.elapsed()
    };
    let mut idle = vec![];
    for _ in 0..500 {
        idle.push(ask().await);
    }
    let address = fleet.public(0).replace("http://", "");
    let lorises: Vec<_> = (0..500).map(|_| tokio::spawn(slow_loris(address.clone()))).collect();
    let mut meanwhile = vec![];
    while !lorises.iter().all(tokio::task::JoinHandle::is_finished) {
        meanwhile.push(ask().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut cut = vec![];
    for loris in lorises {
        cut.push(loris.await.unwrap());
    }
    let (idle, meanwhile, asked) = (p99(idle), p99(meanwhile.clone()), meanwhile.len());
    println!("p99 {idle:?} alone, {meanwhile:?} in {asked} requests among 500 slow heads, which were cut after {:?}", cut.iter().max());
    // They notice with their next byte.
    assert!(cut.iter().all(|time| *time < Duration::from_secs(10)), "{:?}", cut.iter().max());
    assert!(asked > 100, "only {asked} requests");
    // Other tests and programs take their part of the machine; a request that waits for a slow head would take seconds.
    assert!(meanwhile < idle * 3 + Duration::from_millis(250), "{idle:?} alone, {meanwhile:?} among them");
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
    tokio::time::sleep(Duration::from_secs(14)).await;
    let mut answers = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), reading.read_to_end(&mut answers)).await.expect("it is cut");
    assert!(answers.len() < count * one / 2, "{} of {} bytes were sent", answers.len(), count * one);
    writer.abort();
}

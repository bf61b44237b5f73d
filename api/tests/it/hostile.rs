//! Clients that send too slowly, too much, or never read.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::TestApp;

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
async fn heads_of_a_byte_a_second_are_cut_and_delay_nobody() {
    let app = TestApp::start().await;
    let began = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..500 {
        let mut stream = connect(&app).await;
        stream.write_all(b"GET /api/v1/campanhas HTTP/1.1\r\nx: ").await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        slow.push(tokio::spawn(async move {
            let writer = tokio::spawn(async move {
                while writing.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
            let _ = reading.read_to_end(&mut Vec::new()).await;
            writer.abort();
            Instant::now()
        }));
    }
    let connected = began.elapsed();
    let mut times = Vec::new();
    for _ in 0..100 {
        let sent = Instant::now();
        app.get("campanhas").send().await.expect(200);
        times.push(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    times.sort();
    assert!(times[90] < Duration::from_millis(500), "{times:?}");
    for one in slow {
        let cut = tokio::time::timeout(Duration::from_secs(12), one).await.expect("it is cut").unwrap();
        assert!(cut.duration_since(began) < connected + Duration::from_secs(12));
    }
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

//! Paths, queries and headers.

use serde_json::json;
use uuid::Uuid;

use super::{Stage, blamed, refused, send_bytes, slug};
use crate::harness::Operation;

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_can_name_nothing_is_not_found() {
    let stage = Stage::new().await;
    let long = "a".repeat(5_000);
    let wrong = [
        "x",
        "A",
        "-",
        "ação",
        "natal--solidario",
        "%00",
        "%ff",
        "%C3%28",
        "%0d%0aSet-Cookie:%20a=b",
        "%25",
        "..%2f..%2feu",
        "%2e%2e%2feu",
        "a%2fb",
        "'%20OR%201=1--",
        "%F0%9F%92%A9",
        "018f3b1e-7d1c-4c5e-9a52-0c6f6d3f7a1z",
        "{018f3b1e}",
        "0",
        "-1",
        "null",
        &long,
    ];
    let mut seen = 0;
    for operation in &stage.document.operations {
        for (name, _) in stage.names(operation) {
            let before = stage.app.rows().await;
            for value in wrong {
                let what = format!("{} with {name} = {value:.60}", operation.name());
                let names =
                    stage.names(operation).into_iter().map(|(other, real)| (other, if other == name { value.to_owned() } else { real }));
                let path = names.fold(operation.path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), &value));
                let body = if operation.has_body() { stage.document.example(operation) } else { json!({}) };
                let request = stage.request_to(operation, &format!("/api/v1{path}"));
                let request = if operation.method == "GET" { request } else { request.json(&body) };
                let answer = request.send().await;
                assert_eq!(slug(&refused(&answer, &what)), "nao-encontrado", "{what}: {}", answer.text);
                seen += 1;
            }
            assert_eq!(stage.app.rows().await, before, "{} with {name}", operation.name());
        }
    }
    assert!(seen > 500, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_no_path_is_refused() {
    let stage = Stage::new().await;
    for target in [
        "/api/v1/../../etc/passwd",
        "/api/v1/campanhas/../eu",
        "//api/v1/eu",
        "/api//v1/eu",
        "/api/v1/eu/",
        "/%",
        "/docs/../openapi.json",
        "/docs/%2e%2e/x",
        "/docs/..%2f..%2fx",
        "*",
    ] {
        let (status, answer) =
            send_bytes(&stage.app, format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert!((400..500).contains(&status), "{target}: {answer}");
    }
    for head in [
        "GET /api/v1/\0 HTTP/1.1",
        "GET /api/v1/eu",
        "GET /api/v1/eu HTTP/9.9",
        "G\x01T / HTTP/1.1",
        "GET /api/v1/çampanhas\x7f HTTP/1.1",
        "\x16\x03\x01\x02",
    ] {
        let (status, answer) = send_bytes(&stage.app, format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert!((400..500).contains(&status), "{head:?}: {answer}");
    }
    let (status, answer) =
        send_bytes(&stage.app, format!("GET /{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "a".repeat(70_000)).as_bytes()).await;
    assert!((400..500).contains(&status), "a long target: {answer}");
}

/// Values that a query parameter cannot have.
fn wrong_values(parameter: &serde_json::Value) -> Vec<&'static str> {
    let schema = &parameter["schema"];
    match (schema["type"].as_str().unwrap(), schema["enum"].is_array(), parameter["name"].as_str().unwrap()) {
        ("integer", ..) => vec!["0", "101", "-1", "256", "abc", "1.5", "1e1", "%2020", "0x10", "99999999999999999999", "%00"],
        ("boolean", ..) => vec!["1", "sim", "TRUE", "%00"],
        (_, true, _) => vec!["nada", "Recentes", "rascunho", "%00"],
        (_, _, "organizadora") => vec!["a", "Casa", "a--b", "%00", "casa%20do"],
        (_, _, "q") => vec!["%00", "a%00b", "%E2%80%AE", "a%1Bb"],
        (_, _, "cursor") => vec!["x", "%00", "AAAA", "....", "%E2%80%AE"],
        (_, _, name) => panic!("no wrong values are known for {name}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_query_parameter_is_named() {
    let stage = Stage::new().await;
    let lists: Vec<&Operation> = stage.document.operations.iter().filter(|operation| operation.has_parameter("query", "")).collect();
    assert!(lists.len() >= 8, "{}", lists.len());
    for operation in lists {
        let path = stage.path(operation);
        let send = async |query: String| stage.request_to(operation, &format!("{path}?{query}")).send().await;
        send(String::new()).await.expect(200);
        for parameter in operation.spec["parameters"].as_array().unwrap().iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            for value in wrong_values(parameter) {
                let what = format!("{} ?{name}={value}", operation.name());
                let answer = send(format!("{name}={value}")).await;
                let problem = refused(&answer, &what);
                if name == "cursor" {
                    assert_eq!((answer.status.as_u16(), slug(&problem)), (400, "cursor-invalido"), "{what}: {problem}");
                } else {
                    assert_eq!((answer.status.as_u16(), blamed(&problem)), (422, vec![name]), "{what}: {problem}");
                }
            }
            for encoding in ["%", "%z", "%zz", "%ff", "%C3%28", "%+1"] {
                let what = format!("{} ?{name}={encoding}", operation.name());
                assert_eq!(slug(&refused(&send(format!("{name}={encoding}")).await, &what)), "requisicao-invalida", "{what}");
            }
            let long = send(format!("{name}={}", "9".repeat(20_000))).await;
            refused(&long, &format!("{} with a long {name}", operation.name()));
        }
        // A form sends a blank value for an empty field: it counts as absent.
        let names: Vec<&str> = operation.spec["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let plain = send(String::new()).await.expect(200);
        for blank in ["", "%20", "+", "%09", "%0D%0A", "%C2%A0"] {
            for name in &names {
                assert_eq!(send(format!("{name}={blank}")).await.expect(200), plain, "{} ?{name}={blank}", operation.name());
            }
            let all = names.iter().map(|name| format!("{name}={blank}")).collect::<Vec<_>>().join("&");
            assert_eq!(send(all).await.expect(200), plain, "{}", operation.name());
        }
        for (query, name) in [
            ("pagina=", "pagina"),
            ("limite=&limite=1", "limite"),
            ("limite=1&limite=1", "limite"),
            ("cursor=a&cursor=b", "cursor"),
            ("pagina=2", "pagina"),
            ("limite%00=1", "limite\0"),
            ("Limite=1", "Limite"),
            ("=1", ""),
        ] {
            let problem = refused(&send(query.to_owned()).await, query);
            assert_eq!((slug(&problem), blamed(&problem)), ("dados-invalidos", vec![name]), "{} ?{query}", operation.name());
        }
    }
}

fn with_header<'a>(stage: &'a Stage, name: &'a str) -> Vec<&'a Operation> {
    let found: Vec<&Operation> = stage.document.operations.iter().filter(|operation| operation.has_parameter("header", name)).collect();
    assert!(found.len() >= 4, "{name}: {}", found.len());
    found
}

/// A raw request with its headers as they are given.
fn head(stage: &Stage, operation: &Operation, headers: &str, body: &str) -> String {
    format!(
        "{} /api/v1/{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncookie: {}\r\ndoacao-token: {}\r\n{headers}content-length: {}\r\n\r\n{body}",
        operation.method,
        stage.path(operation),
        stage.org.owner.cookie,
        stage.token,
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_one_uuid() {
    let stage = Stage::new().await;
    for operation in with_header(&stage, "idempotency-key") {
        let (name, before) = (operation.name(), stage.app.rows().await);
        let body = if operation.has_body() { stage.document.example(operation).to_string() } else { "{}".to_owned() };
        let key = Uuid::new_v4();
        let long = "a".repeat(10_000);
        let wrong = [
            String::new(),
            "idempotency-key:\r\n".to_owned(),
            "idempotency-key: x\r\n".to_owned(),
            format!("idempotency-key: {}\r\n", key.simple()),
            format!("idempotency-key: {{{key}}}\r\n"),
            format!("idempotency-key: urn:uuid:{key}\r\n"),
            format!("idempotency-key: {key}, {key}\r\n"),
            format!("idempotency-key: \"{key}\r\n"),
            format!("idempotency-key: {key}\r\nidempotency-key: {key}\r\n"),
            format!("idempotency-key: {key}\r\nIdempotency-Key: {}\r\n", Uuid::new_v4()),
            format!("idempotency-key: {long}\r\n"),
        ];
        for headers in wrong {
            let (status, answer) = send_bytes(&stage.app, head(&stage, operation, &headers, &body).as_bytes()).await;
            assert_eq!(status, 400, "{name} {headers:.80}: {answer}");
            assert!(answer.contains("problemas/chave-de-idempotencia-obrigatoria"), "{name} {headers:.80}: {answer}");
        }
        assert_eq!(stage.app.rows().await, before, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_takes_one_body() {
    let stage = Stage::new().await;
    let key = Uuid::new_v4();
    let bodies = |id: &str| match id {
        "doar" => [stage.app.donation(json!({})), stage.app.donation(json!({"valor_centavos": 5001}))],
        "confirmarPagamento" => [1, 2].map(|valor| json!({"valor_recebido_centavos": valor, "recebido_em": "2026-11-24T10:30:00Z"})),
        "devolver" => [1, 2].map(|valor| json!({"valor_centavos": valor})),
        other => panic!("{other} is new: which bodies does it take?"),
    };
    for operation in with_header(&stage, "idempotency-key").into_iter().filter(|operation| operation.has_body()) {
        let [first, second] = bodies(operation.id());
        let made = stage.request(operation).key(key).json(&first).send().await;
        made.expect(201);
        let before = stage.app.rows().await;
        let answer = stage.request(operation).key(key).json(&second).send().await;
        assert_eq!(answer.expect_problem(422, "chave-de-idempotencia-reutilizada"), Vec::<String>::new(), "{}", operation.name());
        let again = stage.request(operation).key(key).json(&first).send().await;
        assert_eq!((again.status, again.text), (made.status, made.text), "{}", operation.name());
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_if_match_is_the_tag_that_was_read() {
    let stage = Stage::new().await;
    for operation in with_header(&stage, "if-match") {
        let (name, before) = (operation.name(), stage.app.rows().await);
        let body = stage.document.example(operation).to_string();
        let (status, answer) = send_bytes(&stage.app, head(&stage, operation, "", &body).as_bytes()).await;
        assert!(status == 428 && answer.contains("problemas/precondicao-obrigatoria"), "{name}: {answer}");
        let long = format!("\"{}\"", "1".repeat(10_000));
        for tag in [
            "",
            "1",
            "\"",
            "\"\"",
            "*",
            "W/\"1\"",
            "\"+1\"",
            "\"01\"",
            "\"1 \"",
            "\"1\", \"1\"",
            "\"-1\"",
            "\"0\"",
            "\"2\"",
            "\"2-1\"",
            "\"1-\"",
            "\"-\"",
            "\"1-01\"",
            "\"1-1-1\"",
            "\"x\"",
            "\"99999999999\"",
            "\"\u{e7}\"",
            &long,
        ] {
            let (status, answer) = send_bytes(&stage.app, head(&stage, operation, &format!("if-match: {tag}\r\n"), &body).as_bytes()).await;
            assert!(status == 412 && answer.contains("problemas/versao-desatualizada"), "{name} {tag:.40}: {answer}");
        }
        assert_eq!(stage.app.rows().await, before, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_too_large_or_no_text_are_refused() {
    let stage = Stage::new().await;
    let get = |headers: &[u8]| [b"GET /api/v1/eu HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", headers, b"\r\n"].concat();
    let large = format!("x-large: {}\r\n", "a".repeat(64 * 1024));
    let many = "x: a\r\n".repeat(3_000);
    for headers in [large, many] {
        let (status, answer) = send_bytes(&stage.app, &get(headers.as_bytes())).await;
        assert_eq!(status, 431, "{answer}");
    }
    for headers in [
        &b"no colon\r\n"[..],
        b"a b: c\r\n",
        b": empty\r\n",
        b"x: a\0b\r\n",
        b"x: a\x0bb\r\n",
        b"content-length: x\r\n",
        b"content-length: -1\r\n",
        b"content-length: 1\r\ncontent-length: 2\r\n",
    ] {
        let (status, answer) = send_bytes(&stage.app, &get(headers)).await;
        assert_eq!(status, 400, "{headers:?}: {answer}");
    }
    // No session, so: nobody.
    for cookie in [&b"cookie: sessao=\xff\r\n"[..], b"cookie: sessao\r\n", b"cookie: =\r\n", b"cookie: sessao=;;;;\r\n", b"cookie: \r\n"] {
        let (status, answer) = send_bytes(&stage.app, &get(cookie)).await;
        assert!(status == 401 && answer.contains("problemas/nao-autenticada"), "{cookie:?}: {answer}");
    }
    // Nothing that a header says comes back in another one.
    let (_, answer) = send_bytes(&stage.app, &get(b"x-request-id: abc<script>\r\nx-forwarded-for: 1.2.3.4, x\r\n")).await;
    assert!(!answer.contains("script"), "{answer}");
}

//! Bodies: their types, their text, their size, and whether they are JSON at all.

use serde_json::json;

use super::document::{Field, Kind};
use super::{Credentials, Stage, blamed, refused, send_bytes, slug};
use crate::harness::Operation;

const LIMIT: usize = 64 * 1024;

/// Fields whose content is compared with a secret: what does not match is refused like any other that does not match.
fn secret(operation: &Operation, field: &Field) -> Option<(u16, &'static str)> {
    match (operation.id(), field.name().as_str()) {
        ("entrar", _) | ("reautenticar", "senha") => Some((401, "credenciais-invalidas")),
        ("trocarChavePix", "senha") => Some((403, "reautenticacao-necessaria")),
        ("verificarEmail", _) | ("redefinirSenha", "codigo") => Some((400, "codigo-invalido")),
        ("reivindicarDoacao", "token") => Some((404, "nao-encontrado")),
        _ => None,
    }
}

/// JSON that is of another type than the field.
fn wrong_types(field: &Field) -> Vec<&'static str> {
    let mut wrong = match field.kind() {
        Kind::Text => vec!["1", "1.5", "true", "[]", "{}", "[\"x\"]"],
        Kind::Whole => vec!["1.5", "1.0", "1e3", "1e30", "9223372036854775808", "-9223372036854775809", "\"10\"", "true", "[]", "{}"],
        Kind::Flag => vec!["1", "0", "\"true\"", "\"\"", "[]", "{}"],
        Kind::Object => vec!["1", "\"x\"", "true", "[]", "[{}]", "[\"email\",\"doe@exemplo.org\",\"Casa\",\"Natal\"]"],
    };
    if !field.is_nullable() {
        wrong.push("null");
    }
    wrong
}

/// JSON of the field's type that no such field can have.
fn wrong_content(field: &Field) -> Vec<String> {
    let quoted = |texts: &[&str]| texts.iter().map(|text| format!("\"{text}\"")).collect();
    if field.kind() == Kind::Whole {
        return vec!["0".into(), "-1".into(), "-9223372036854775808".into(), "100000000001".into(), "9223372036854775807".into()];
    }
    if field.kind() != Kind::Text {
        return vec![];
    }
    if field.schema["enum"].is_array() {
        return quoted(&["", "nada", "SOCIAL", "social ", "\\u0000"]);
    }
    match field.schema["format"].as_str() {
        Some("uuid") => quoted(&["", "x", "018f3b1e", "018f3b1e-7d1c-4c5e-9a52-0c6f6d3f7a1z", "\\u0000"]),
        Some("date-time") => quoted(&[
            "",
            "hoje",
            "2026-11-24",
            "2026-11-24T10:30:00",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "1764000000",
            "\\u0000",
        ]),
        format => {
            let long = "a".repeat(60_000);
            let mut texts: Vec<String> = quoted(&["", "a\\u0000bcdefgh", "a\\u001bbcdefgh", "a\\u0086bcdefgh", &long]);
            // In a password they hide nothing.
            if format != Some("password") {
                texts.extend(["\"a\\u202ebcdefgh\"".to_owned(), "\"a\\u2066bcdefgh\"".to_owned(), "\"a\\u200bbcdefgh\"".to_owned()]);
            }
            texts
        }
    }
}

/// Whether a blank text counts as none: in what is not required, where the document names no least length and no closed set.
fn may_be_blank(field: &Field) -> bool {
    let schema = &field.schema;
    let is_closed = schema["enum"].is_array() || schema["format"] == "uuid" || !schema["minLength"].is_null();
    field.kind() == Kind::Text && !field.required && !is_closed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_another_type_is_refused_with_its_fields_name_and_the_rule() {
    let stage = Stage::new().await;
    for operation in stage.document.with_body() {
        let (body, before) = (stage.document.example(operation), stage.app.rows().await);
        for field in stage.document.fields(operation) {
            for wrong in wrong_types(&field) {
                let what = format!("{} {} = {wrong}", operation.name(), field.name());
                let answer = stage.request(operation).raw(field.filled(&body, wrong)).send().await;
                let problem = refused(&answer, &what);
                assert_eq!((slug(&problem), blamed(&problem)), ("dados-invalidos", vec![field.name().as_str()]), "{what}: {problem}");
                assert_eq!(answer.status, 422, "{what}");
            }
        }
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_no_such_field_can_have_is_refused_with_its_name_and_the_rule() {
    let stage = Stage::new().await;
    let mut refusals = 0;
    for operation in stage.document.with_body() {
        let (body, before) = (stage.document.example(operation), stage.app.rows().await);
        for field in stage.document.fields(operation) {
            for wrong in wrong_content(&field).into_iter().filter(|json| json != "\"\"" || !may_be_blank(&field)) {
                let what = format!("{} {} = {wrong:.80}", operation.name(), field.name());
                let answer = stage.request(operation).raw(field.filled(&body, &wrong)).send().await;
                let problem = refused(&answer, &what);
                if let Some((status, kind)) = secret(operation, &field) {
                    assert_eq!((answer.status.as_u16(), slug(&problem)), (status, kind), "{what}: {problem}");
                } else {
                    assert_eq!((answer.status.as_u16(), blamed(&problem)), (422, vec![field.name().as_str()]), "{what}: {problem}");
                }
                refusals += 1;
            }
        }
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
    assert!(refusals > 300, "{refusals}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_missing_and_repeated_fields_are_named() {
    let stage = Stage::new().await;
    for operation in stage.document.with_body() {
        let (body, before) = (stage.document.example(operation), stage.app.rows().await);
        for field in stage.document.fields(operation) {
            let (intruded, intruder) = field.with_neighbour(&body);
            let mut wrong = vec![(intruded, intruder, "campo desconhecido"), (field.repeated(&body), field.name(), "campo repetido")];
            if field.required {
                wrong.push((field.left_out(&body).to_string().into_bytes(), field.name(), "campo obrigatório"));
            }
            for (bytes, name, rule) in wrong {
                let what = format!("{}: {}", operation.name(), String::from_utf8_lossy(&bytes));
                let problem = refused(&stage.request(operation).raw(bytes).send().await, &what);
                assert_eq!(problem["violacoes"], json!([{"campo": name, "razao": rule}]), "{what}");
            }
        }
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_one_json_object_is_refused() {
    let stage = Stage::new().await;
    for operation in stage.document.with_body() {
        let (body, before) = (stage.document.example(operation), stage.app.rows().await);
        let text = body.to_string();
        let mut wrong: Vec<Vec<u8>> = [
            "",
            " ",
            "[]",
            "[{}]",
            "null",
            "true",
            "1",
            "1e400",
            "\"{}\"",
            "{",
            "}",
            "{}{}",
            "{} x",
            "{'a':1}",
            "{a:1}",
            "{\"a\":NaN}",
            "{\"a\":\"\\ud800\"}",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec();
        wrong.extend((1..text.len()).step_by(7).map(|end| text.as_bytes()[..end].to_vec()));
        wrong.push(format!("[{text}]").into_bytes());
        wrong.push(format!("\u{feff}{text}").into_bytes());
        wrong.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        wrong.push([text.as_bytes(), b"\xff"].concat());
        wrong.push([b"{\"\xc3\x28\":1,", &text.as_bytes()[1..]].concat());
        wrong.push("[".repeat(10_000).into_bytes());
        wrong.push("{\"a\":".repeat(10_000).into_bytes());
        for bytes in wrong {
            let what = format!("{}: {:.100}", operation.name(), String::from_utf8_lossy(&bytes));
            let problem = refused(&stage.request(operation).raw(bytes).send().await, &what);
            assert!(matches!(slug(&problem), "json-invalido" | "dados-invalidos"), "{what}: {problem}");
        }
        for field in stage.document.fields(operation) {
            let deep = [field.filled(&body, &"[".repeat(10_000)), field.filled(&body, &format!("{}1{}", "[".repeat(200), "]".repeat(200)))];
            for bytes in deep {
                refused(&stage.request(operation).raw(bytes).send().await, &format!("{}: nested {}", operation.name(), field.name()));
            }
        }
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_comes_as_json_and_as_it_is() {
    // `{}` compressed by gzip.
    const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    let stage = Stage::new().await;
    for operation in stage.document.with_body() {
        let (body, before) = (stage.document.example(operation), stage.app.rows().await);
        for kind in
            ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "*/*", "json"]
        {
            let answer = stage.request(operation).json(&body).header("content-type", kind).send().await;
            let problem = refused(&answer, &format!("{} as {kind}", operation.name()));
            assert_eq!((answer.status.as_u16(), slug(&problem)), (415, "tipo-de-conteudo-recusado"), "{} as {kind}", operation.name());
        }
        for (encoding, bytes) in [("gzip", GZIP.to_vec()), ("gzip", body.to_string().into_bytes()), ("br", vec![0; 8])] {
            let answer = stage.request(operation).raw(bytes).header("content-encoding", encoding).send().await;
            assert_eq!(answer.status, 415, "{} in {encoding}: {}", operation.name(), answer.text);
        }
        let unsaid = stage.request(operation).raw(GZIP.to_vec()).send().await;
        assert_eq!(slug(&refused(&unsaid, &operation.name())), "json-invalido", "{}", operation.name());
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_without_a_body_takes_none_or_an_empty_object() {
    let stage = Stage::new().await;
    let mut seen = 0;
    for operation in stage.document.operations.iter().filter(|operation| operation.method == "POST" && !operation.has_body()) {
        seen += 1;
        let before = stage.app.rows().await;
        let named = stage.request(operation).json(&json!({"intrusa": 1})).send().await;
        assert_eq!(blamed(&refused(&named, &operation.name())), ["intrusa"], "{}", operation.name());
        for wrong in ["[]", "[1]", "null", "1", "\"\"", "{", "{}{}", "\u{feff}{}", " "] {
            refused(&stage.request(operation).raw(wrong.as_bytes().to_vec()).send().await, &format!("{}: {wrong}", operation.name()));
        }
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
    assert!(seen >= 6, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_a_body_documents_what_an_unwanted_one_gets() {
    let stage = Stage::new().await;
    let mut seen = 0;
    for operation in stage.document.operations.iter().filter(|operation| operation.method != "GET" && !operation.has_body()) {
        seen += 1;
        let answer = stage.request(operation).raw(b"{}".to_vec()).header("content-encoding", "gzip").send().await;
        let problem = refused(&answer, &operation.name());
        assert_eq!((answer.status.as_u16(), slug(&problem)), (415, "tipo-de-conteudo-recusado"), "{}", operation.name());
        for status in ["408", "413", "415"] {
            assert!(operation.spec["responses"].get(status).is_some(), "{} does not document {status}", operation.name());
        }
    }
    assert!(seen >= 9, "{seen}");
}

/// A request's head for [`send_bytes`].
fn head(stage: &Stage, operation: &Operation, more: &str) -> String {
    let credentials = match operation.credentials() {
        Credentials::None => String::new(),
        Credentials::Token => format!("doacao-token: {}\r\n", stage.token),
        Credentials::Session => format!("cookie: {}\r\n", stage.org.owner.cookie),
    };
    let tag = if operation.path == "/campanhas/{slug}" { "1-1" } else { "1" };
    format!(
        "{} /api/v1/{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\nidempotency-key: {}\r\nif-match: \"{tag}\"\r\n{credentials}{more}\r\n",
        operation.method,
        stage.path(operation),
        uuid::Uuid::new_v4(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_64_kib_is_refused_whether_or_not_it_says_so() {
    let stage = Stage::new().await;
    let operations: Vec<&Operation> = stage.document.operations.iter().filter(|operation| operation.method != "GET").collect();
    for operation in operations {
        let (name, before) = (operation.name(), stage.app.rows().await);
        let body = if operation.has_body() { stage.document.example(operation) } else { json!({}) };
        // The same JSON with as much white space behind it as it takes.
        let of_size = |size: usize| {
            let mut text = body.to_string();
            text.extend(std::iter::repeat_n(' ', size - text.len()));
            text
        };
        let announced = send_bytes(
            &stage.app,
            (head(&stage, operation, &format!("content-length: {}\r\n", LIMIT + 1)) + &of_size(LIMIT + 1)).as_bytes(),
        )
        .await;
        assert_eq!(announced.0, 413, "{name}: {}", announced.1);
        assert!(announced.1.contains("corpo-grande-demais"), "{name}: {}", announced.1);
        // Nobody has to wait for 10 GB to say so.
        let lie = send_bytes(&stage.app, head(&stage, operation, "content-length: 10000000000\r\n").as_bytes()).await;
        assert_eq!(lie.0, 413, "{name}: {}", lie.1);
        if operation.method != "DELETE" {
            let (size, text) = (LIMIT + 1, of_size(LIMIT + 1));
            let chunks = format!("1\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", &text[..1], size - 1, &text[1..]);
            let chunked = send_bytes(&stage.app, (head(&stage, operation, "transfer-encoding: chunked\r\n") + &chunks).as_bytes()).await;
            assert_eq!(chunked.0, 413, "{name}: {}", chunked.1);
            assert!(chunked.1.contains("corpo-grande-demais"), "{name}: {}", chunked.1);
        }
        assert_eq!(stage.app.rows().await, before, "{name}");
    }
    // One byte less is read, and found wanting for what it says.
    let operation = stage.document.with_body().into_iter().find(|operation| operation.id() == "criarOrganizadora").unwrap();
    let mut text = json!({"nome": 1}).to_string();
    text.extend(std::iter::repeat_n(' ', LIMIT - text.len()));
    assert_eq!(stage.request(operation).raw(text.into_bytes()).send().await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_changes_nothing() {
    let stage = Stage::new().await;
    let before = stage.app.rows().await;
    for operation in stage.document.with_body() {
        let body = stage.document.example(operation).to_string();
        let mut stream = tokio::net::TcpStream::connect(stage.app.base.strip_prefix("http://").unwrap()).await.unwrap();
        let request = head(&stage, operation, &format!("content-length: {}\r\n", body.len() + 1)) + &body;
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        drop(stream);
    }
    // Something whole behind them, so that they have been looked at.
    stage.app.get("campanhas").send().await.expect(200);
    assert_eq!(stage.app.rows().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_the_clients_fault() {
    let stage = Stage::new().await;
    for operation in stage.document.with_body() {
        if !matches!(operation.id(), "doar" | "entrar" | "alterarConta") {
            continue;
        }
        let (status, answer) = send_bytes(&stage.app, (head(&stage, operation, "content-length: 50\r\n") + "{\"").as_bytes()).await;
        assert!(status == 408 && answer.contains("problemas/corpo-lento"), "{}: {answer}", operation.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_is_no_point_in_time_is_refused_with_the_form_and_an_example() {
    let stage = Stage::new().await;
    let mut seen = 0;
    for operation in stage.document.with_body() {
        let (body, before) = (stage.document.example(operation), stage.app.rows().await);
        for field in stage.document.fields(operation).iter().filter(|field| field.schema["format"] == "date-time") {
            for date in [
                "\"2026-12-31\"",
                "\"31/12/2026\"",
                "\"2026-12-31T23:59\"",
                "\"2026-12-31 23:59:59\"",
                "\"amanhã, expected i64\"",
                "1798761599",
                "[]",
            ] {
                let what = format!("{} {} = {date}", operation.name(), field.name());
                let problem = refused(&stage.request(operation).raw(field.filled(&body, date)).send().await, &what);
                assert_eq!((slug(&problem), blamed(&problem)), ("dados-invalidos", vec![field.name().as_str()]), "{what}");
                let rule = problem["violacoes"][0]["razao"].as_str().unwrap();
                assert!(rule.contains("data e hora") && rule.contains("2026-12-31T23:59:59-03:00"), "{what}: {rule}");
                seen += 1;
            }
        }
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
    assert!(seen >= 28, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_at_an_end_of_the_calendar_is_refused_by_name() {
    let stage = Stage::new().await;
    for operation in stage.document.with_body() {
        let (body, before) = (stage.document.example(operation), stage.app.rows().await);
        for field in stage.document.fields(operation).iter().filter(|field| field.schema["format"] == "date-time") {
            for date in ["0000-01-01T00:00:00+23:59", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999-23:59", "9999-12-31T23:59:59Z"]
            {
                let what = format!("{} {} = {date}", operation.name(), field.name());
                let answer = stage.request(operation).raw(field.filled(&body, &format!("\"{date}\""))).send().await;
                assert_eq!(blamed(&refused(&answer, &what)), [field.name()], "{what}");
            }
        }
        assert_eq!(stage.app.rows().await, before, "{}", operation.name());
    }
}

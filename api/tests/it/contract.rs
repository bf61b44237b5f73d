//! What every client may rely on: the document, errors, headers, caching, and which pages may call.

use std::collections::{BTreeMap, BTreeSet};

use doacoes_api::config::Profile;
use doacoes_api::http::openapi;
use serde_json::{Value, json};

use crate::harness::{Answer, Campaign, Operation, Options, Request, TestApp};

const PRIVATE: &str = "private, no-store";
const PUBLIC: &str = "public, max-age=1, stale-while-revalidate=1";
/// Of what two caches must not disagree about.
const ASKED_EACH_TIME: &str = "public, no-cache";

/// The reads that shared caches may keep.
const CACHED: [&str; 6] = [
    "GET /campanhas",
    "GET /campanhas/{slug}",
    "GET /campanhas/{slug}/doacoes",
    "GET /campanhas/{slug}/totais",
    "GET /organizadoras",
    "GET /organizadoras/{slug}",
];

/// The reads that have an entity tag.
const TAGGED: [&str; 5] =
    ["GET /campanhas/{slug}", "GET /campanhas/{slug}/totais", "GET /doacoes/{id}", "GET /eu", "GET /organizadoras/{slug}"];

/// The changes that need the tag of what was read.
const CONDITIONAL: [&str; 4] = ["PATCH /campanhas/{slug}", "PATCH /doacoes/{id}", "PATCH /eu", "PATCH /organizadoras/{slug}"];

/// Something of every kind that a path can name.
struct Sample {
    app: TestApp,
    campaign: Campaign,
    donation: Value,
    token: String,
    session: String,
}

impl Sample {
    async fn new() -> Self {
        Self::of(TestApp::start().await).await
    }

    async fn of(app: TestApp) -> Self {
        let campaign = app.campaign().await;
        let given = app.donate(&campaign, json!({})).await;
        let (donation, token) = (given.json(), given.header("doacao-token").to_owned());
        let sessions = app.get("eu/sessoes").by(&campaign.org.owner).send().await.expect(200);
        let session = sessions["itens"][0]["id"].as_str().unwrap().to_owned();
        Self { app, campaign, donation, token, session }
    }

    /// A path of the document with real names in it.
    fn path(&self, path: &str) -> String {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (slug, id) = match path.split('/').nth(1).unwrap() {
            "organizadoras" => (self.campaign.org.slug.clone(), String::new()),
            "eu" => (String::new(), self.session.clone()),
            _ => (self.campaign.slug.clone(), text(&self.donation["id"])),
        };
        path.replace("{slug}", &slug)
            .replace("{id}", &id)
            .replace("{pid}", &text(&self.donation["pagamento"]["id"]))
            .replace("{txid}", &text(&self.donation["pagamento"]["txid"]))
            .replace("{pessoa_id}", &self.campaign.org.owner.id)
            .strip_prefix('/')
            .unwrap()
            .to_owned()
    }

    /// A request of whoever may make it: guests where guests may.
    fn request(&self, method: &str, path: &str) -> Request<'_> {
        let request = self.app.request(method, &self.path(path));
        match format!("{method} {path}").as_str() {
            name if CACHED.contains(&name.replace("HEAD", "GET").as_str()) => request,
            _ if path.starts_with("/doacoes") => request.header("doacao-token", &self.token),
            _ => request.by(&self.campaign.org.owner),
        }
    }

    async fn operations(&self, wanted: impl Fn(&Operation) -> bool) -> Vec<Operation> {
        self.app.operations().await.into_iter().filter(wanted).collect()
    }
}

fn names(operations: &[Operation]) -> Vec<String> {
    let mut names: Vec<String> = operations.iter().map(Operation::name).collect();
    names.sort();
    names
}

fn values(answer: &Answer, name: &str) -> BTreeSet<String> {
    let all = answer.headers.get_all(name).iter().flat_map(|value| value.to_str().unwrap().split(','));
    all.map(|value| value.trim().to_lowercase()).collect()
}

// The document

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_openapi_3_1_of_this_project() {
    let app = TestApp::start().await;
    let answer = app.get("/openapi.json").send().await;
    let document = answer.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    assert_eq!(document["info"]["title"], "doacoes");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["info"]["license"]["identifier"], "Apache-2.0");
    assert_eq!(document["info"]["contact"], Value::Null);
    let schemes: Vec<&String> = document["components"]["securitySchemes"].as_object().unwrap().keys().collect();
    assert_eq!(schemes, ["doacao", "sessao"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_is_described_with_its_answers_and_problems() {
    let app = TestApp::start().await;
    let document = app.get("/openapi.json").send().await.expect(200);
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let operations = app.operations().await;
    let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.spec["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len(), "two operations have one id");
    for operation in &operations {
        let (name, spec) = (operation.name(), &operation.spec);
        assert!(!spec["summary"].as_str().unwrap().is_empty(), "{name}");
        assert_eq!(spec["tags"].as_array().unwrap().len(), 1, "{name}");
        assert!(tags.contains(&&spec["tags"][0]), "{name}");
        let responses = spec["responses"].as_object().unwrap();
        assert_eq!(responses.keys().filter(|status| status.starts_with('2')).count(), 1, "{name}");
        let problems: Vec<_> = responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])).collect();
        assert!(problems.iter().any(|(status, _)| *status == "500") && problems.iter().any(|(status, _)| *status == "503"), "{name}");
        for (status, response) in problems {
            let content = response["content"].as_object().unwrap();
            assert_eq!(content.keys().collect::<Vec<_>>(), ["application/problem+json"], "{name} {status}");
            let schema = &content["application/problem+json"]["schema"];
            assert_eq!(*schema, json!({"$ref": "#/components/schemas/Problema"}), "{name} {status}");
        }
        let declared: BTreeSet<&str> = spec["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let in_path: BTreeSet<&str> = operation.path.split(['{', '}']).skip(1).step_by(2).collect();
        assert_eq!(declared, in_path, "{name}");
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    for profile in [Profile::Development, Profile::Production] {
        let document = serde_json::to_value(openapi::document(profile)).unwrap();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_document_is_the_served_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let committed = std::fs::read_to_string(path).expect("docs/openapi.json is there");
    let made = openapi::document(Profile::Development).to_pretty_json().unwrap() + "\n";
    assert!(committed == made, "docs/openapi.json is not current; run `api openapi --profile development > docs/openapi.json`");
    let app = TestApp::start().await;
    let served = app.get("/openapi.json").send().await.expect(200);
    assert_eq!(served, serde_json::from_str::<Value>(&committed).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_bank_is_there_in_development_only() {
    let development = Sample::new().await;
    let production = TestApp::with(Options { profile: Profile::Production, ..Options::default() }).await;
    let path = development.path("/simulado/pagamentos/{txid}");
    let body = json!({"valor_centavos": 5000, "e2eid": crate::harness::e2eid()});
    development.app.post(&path, body.clone()).send().await.expect(200);
    development.app.get(&path).send().await.expect_problem(405, "metodo-nao-permitido");
    for request in [production.post(&path, body), production.get(&path)] {
        let answer = request.send().await;
        answer.expect_problem(404, "nao-encontrado");
        // In the words of an unknown address, not of an unknown charge.
        assert_eq!(answer.json()["detail"], production.get("nada").send().await.json()["detail"]);
    }
    let everywhere: BTreeSet<String> = production.operations().await.iter().map(Operation::name).collect();
    let here: BTreeSet<String> = development.app.operations().await.iter().map(Operation::name).collect();
    assert_eq!(here.difference(&everywhere).collect::<Vec<_>>(), ["POST /simulado/pagamentos/{txid}"]);
    assert!(everywhere.is_subset(&here));
    let document = production.get("/openapi.json").send().await.text;
    assert!(!document.contains("/simulado") && !document.contains("PagamentoSimulado"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_page_comes_from_the_binary_alone() {
    let app = TestApp::start().await;
    let redirect = app.get("/docs").send().await;
    assert_eq!((redirect.status.as_u16(), redirect.header("location")), (308, "/docs/"));
    let page = app.get("/docs/").send().await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html");
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    assert_eq!(page.header("content-security-policy"), policy);
    assert!(!page.text.contains("//"), "the page names another host: {}", page.text);
    // Its policy lets no inline script run.
    let scripts: Vec<&str> = page.text.split("<script").skip(1).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        let (tag, rest) = script.split_once('>').unwrap();
        assert!(tag.contains("src=") && rest.trim_start().starts_with("</script>"), "{script}");
    }
    let links = page.text.split("src=\"").skip(1).chain(page.text.split("href=\"").skip(1));
    let files: BTreeSet<&str> = links.map(|text| text.split('"').next().unwrap()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let path = format!("/docs/{}", file.strip_prefix("./").unwrap_or(file));
        let answer = app.get(&path).send().await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-security-policy"), policy, "{path}");
        let kind = answer.header("content-type");
        match file.rsplit('.').next().unwrap() {
            "js" => assert!(kind.ends_with("/javascript"), "{kind}"),
            "css" => {
                assert_eq!(kind, "text/css");
                let outside = ["url(http", "url(\"http", "url('http", "url(//", "@import"];
                assert!(!outside.iter().any(|outside| answer.text.contains(outside)), "{path}");
            }
            "png" => assert_eq!(kind, "image/png"),
            _ => panic!("{path} is {kind}"),
        }
    }
    let initializer = app.get("/docs/swagger-initializer.js").send().await.text;
    assert!(initializer.contains("\"/openapi.json\"") && initializer.contains("\"validatorUrl\": \"none\""), "{initializer}");
    assert!(!initializer.contains("http:") && !initializer.contains("https:"), "{initializer}");
    app.get("/docs/nada.js").send().await.expect_problem(404, "nao-encontrado");
}

// Routing

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_are_problems() {
    let app = TestApp::start().await;
    for path in ["/api", "/api/v1", "/api/v1/", "/api/v1/nada", "/api/v2/campanhas", "/api/v1/campanhas/", "/estatico"] {
        for method in ["GET", "POST", "DELETE", "PURGE"] {
            app.request(method, path).send().await.expect_problem(404, "nao-encontrado");
        }
    }
    for path in ["/docs/nada", "/estatico/nada"] {
        app.get(path).send().await.expect_problem(404, "nao-encontrado");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_problems_that_name_the_right_ones() {
    let sample = Sample::new().await;
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in sample.app.operations().await {
        let path = format!("/api/v1/{}", sample.path(&operation.path));
        methods.entry(path).or_default().insert(operation.method.to_lowercase());
    }
    methods.insert("/openapi.json".to_owned(), ["get".to_owned()].into());
    methods.insert("/docs/".to_owned(), ["get".to_owned()].into());
    for (path, mut allowed) in methods {
        if allowed.contains("get") {
            allowed.insert("head".to_owned());
        }
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE"] {
            if allowed.contains(&method.to_lowercase()) {
                continue;
            }
            let answer = sample.app.request(method, &path).send().await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(values(&answer, "allow"), allowed, "{method} {path}");
            if method != "HEAD" {
                answer.expect_problem(405, "metodo-nao-permitido");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_answers_like_get_without_the_body() {
    let sample = Sample::new().await;
    let reads = sample.operations(|operation| operation.method == "GET").await;
    assert!(reads.len() > 15);
    for operation in reads {
        let get = sample.request("GET", &operation.path).send().await;
        let head = sample.request("HEAD", &operation.path).send().await;
        assert_eq!(get.status, 200, "{}: {}", operation.path, get.text);
        assert_eq!(head.status, 200, "{}", operation.path);
        assert_eq!(head.text, "");
        for name in ["content-type", "content-length", "cache-control", "etag", "vary", "content-security-policy"] {
            assert_eq!(head.headers.get(name), get.headers.get(name), "{}: {name}", operation.path);
        }
    }
    for path in ["/openapi.json", "/docs/"] {
        let head = sample.app.request("HEAD", path).send().await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    }
}

// Headers

/// One answer of every kind that a client can bring about.
async fn answers(sample: &Sample) -> Vec<(u16, Answer)> {
    let app = &sample.app;
    let owner = &sample.campaign.org.owner;
    let donation = sample.path("/doacoes/{id}");
    let donations = sample.path("/campanhas/{slug}/doacoes");
    let qr = sample.path("/doacoes/{id}/pagamentos/{pid}/qr.svg");
    let mut too_large = app.donation(json!({}));
    too_large["mensagem"] = json!("x".repeat(64 * 1024));
    let requests = [
        (200, app.get("campanhas")),
        (200, app.get("eu").by(owner)),
        (200, app.get(&qr).header("doacao-token", &sample.token)),
        (200, app.get("/openapi.json")),
        (200, app.get("/docs/")),
        (200, app.get("/docs/swagger-ui.css")),
        (200, app.request("HEAD", "campanhas")),
        (200, app.request("OPTIONS", "campanhas").header("origin", "https://mau.example").header("access-control-request-method", "POST")),
        (201, app.post(&donations, app.donation(json!({}))).new_key()),
        (202, app.post("senhas/pedidos", json!({"email": "ninguem@exemplo.org.br"}))),
        (204, app.request("DELETE", "sessoes/atual").json(&json!({})).by(&app.person().await)),
        (304, app.get("eu").by(owner).header("if-none-match", "\"1\"")),
        (308, app.get("/docs")),
        (400, app.post(&donations, app.donation(json!({})))),
        (400, app.request("POST", "sessoes").raw(b"{".to_vec())),
        (401, app.get("eu")),
        (403, app.post("sessoes", json!({})).header("sec-fetch-site", "cross-site")),
        (404, app.get("/api/nada")),
        (404, app.get("campanhas/nada")),
        (404, app.get("campanhas/%ff")),
        (404, app.get("/docs/nada")),
        (405, app.request("PUT", "campanhas")),
        (409, app.post(&sample.path("/campanhas/{slug}/retomada"), json!({})).by(owner)),
        (412, app.patch(&donation, json!({})).if_match(&json!(99)).header("doacao-token", &sample.token)),
        (413, app.post(&donations, too_large).new_key()),
        (415, app.request("POST", &donations).json(&json!({})).header("content-type", "text/plain").new_key()),
        (422, app.get("campanhas?limite=0")),
        (428, app.patch(&donation, json!({})).header("doacao-token", &sample.token)),
    ];
    let mut answers = vec![];
    for (status, request) in requests {
        answers.push((status, request.send().await));
    }
    // A fault of ours, and a database that is gone.
    sqlx::query("ALTER TABLE campanha_totais RENAME TO outra").execute(&app.owner).await.unwrap();
    answers.push((500, app.get(&sample.path("/campanhas/{slug}/totais")).send().await));
    app.state.db.pool().close().await;
    answers.push((503, app.get("campanhas?ordem=encerrando").send().await));
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_has_the_security_headers() {
    let sample = Sample::new().await;
    for (status, answer) in answers(&sample).await {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{answer:?}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") || policy.starts_with("default-src 'self'"), "{answer:?}");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{answer:?}");
        assert!(!answer.headers.contains_key("strict-transport-security"), "http is promised no https");
        assert!(!answer.headers.contains_key("server"), "{answer:?}");
        assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1, "{answer:?}");
        assert_eq!(answer.headers.get_all("cache-control").iter().count(), 1, "{answer:?}");
        if status >= 400 {
            assert_eq!(answer.header("cache-control"), PRIVATE, "{answer:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
            assert_eq!(answer.json()["correlacao_id"], answer.header("x-request-id"));
        }
        match status {
            500 => {
                answer.expect_problem(500, "erro-interno");
                assert!(!answer.text.contains("campanha_totais") && !answer.text.contains("relation"), "{}", answer.text);
            }
            503 => {
                answer.expect_problem(503, "indisponivel");
                assert_eq!(answer.header("retry-after"), "1");
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn production_promises_https_with_every_answer() {
    let app = TestApp::with(Options { profile: Profile::Production, ..Options::default() }).await;
    for path in ["campanhas", "nada", "eu", "/docs/", "/openapi.json"] {
        let answer = app.get(path).send().await;
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000; includeSubDomains", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_caches_keep_only_listed_reads_of_nobody_in_particular() {
    let sample = Sample::new().await;
    let app = &sample.app;
    let reads = sample.operations(|operation| operation.method == "GET").await;
    for operation in &reads {
        let answer = sample.request("GET", &operation.path).send().await;
        assert_eq!(answer.status, 200, "{}", operation.name());
        let cached = CACHED.contains(&operation.name().as_str());
        let public = if operation.path.ends_with("/totais") { ASKED_EACH_TIME } else { PUBLIC };
        assert_eq!(answer.header("cache-control"), if cached { public } else { PRIVATE }, "{}", operation.name());
        assert!(!answer.headers.contains_key("set-cookie"));
        // Whoever says who they are is answered alone, even where the answer is the same.
        let path = sample.path(&operation.path);
        for (name, value) in [("cookie", "a=b"), ("authorization", "Bearer x"), ("doacao-token", "x")] {
            for method in ["GET", "HEAD"] {
                let answer = app.request(method, &path).header(name, value).send().await;
                assert_eq!(answer.header("cache-control"), PRIVATE, "{method} {path} with {name}");
            }
        }
        if cached {
            assert_eq!(app.request("HEAD", &path).send().await.header("cache-control"), public);
            for query in ["cursor=x", "limite=0", "nada=1"].iter().filter(|_| !answer.headers.contains_key("etag")) {
                let refused = app.get(&format!("{path}?{query}")).send().await;
                assert!(refused.status.is_client_error(), "{path}?{query}");
                assert_eq!(refused.header("cache-control"), PRIVATE, "{path}?{query}");
            }
            if let Some(tag) = answer.headers.get("etag") {
                let same = app.get(&path).header("if-none-match", tag.to_str().unwrap()).send().await;
                assert_eq!((same.status.as_u16(), same.header("cache-control")), (304, public), "{path}");
            }
        }
    }
    assert_eq!(reads.iter().filter(|operation| CACHED.contains(&operation.name().as_str())).count(), CACHED.len());
    for path in [
        "/openapi.json",
        "/docs/",
        "campanhas/nada",
        "campanhas/nada/totais",
        "campanhas/nada/eventos",
        "campanhas/nada/doacoes",
        "organizadoras/nada",
    ] {
        assert_eq!(app.get(path).send().await.header("cache-control"), PRIVATE, "{path}");
    }
    let draft = app.draft(&sample.campaign.org, json!({})).await;
    let path = format!("campanhas/{}", draft["slug"].as_str().unwrap());
    for request in [app.get(&path), app.get(&path).by(&sample.campaign.org.owner)] {
        assert_eq!(request.send().await.header("cache-control"), PRIVATE);
    }
    let donations = sample.path("/campanhas/{slug}/doacoes");
    let given = app.post(&donations, app.donation(json!({}))).new_key().send().await;
    assert_eq!((given.status.as_u16(), given.header("cache-control")), (201, PRIVATE));
}

/// A cache that is not told so takes an answer for everyone's, and what is short today is compressed tomorrow.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_that_depends_on_the_encoding_says_so() {
    let sample = Sample::new().await;
    let negotiable = CACHED.iter().chain(&["GET /eu"]);
    let mut seen = 0;
    for operation in sample.operations(|operation| negotiable.clone().any(|name| *name == operation.name())).await {
        for method in ["GET", "HEAD"] {
            for coding in [None, Some("gzip"), Some("br"), Some("identity")] {
                let ask = |tag: Option<&str>| {
                    let request = sample.request(method, &operation.path);
                    let request = coding.map_or_else(|| request.clone(), |coding| request.clone().header("accept-encoding", coding));
                    tag.map_or_else(|| request.clone(), |tag| request.clone().header("if-none-match", tag))
                };
                let whole = ask(None).send().await;
                assert!(values(&whole, "vary").contains("accept-encoding"), "{method} {} {coding:?}: {whole:?}", operation.path);
                if let Some(tag) = whole.headers.get("etag") {
                    let same = ask(Some(tag.to_str().unwrap())).send().await;
                    assert_eq!(same.status, 304);
                    assert!(values(&same, "vary").contains("accept-encoding"), "{method} {} {coding:?}: {same:?}", operation.path);
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 7 * 2 * 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_sent_again() {
    let sample = Sample::new().await;
    let tagged = sample.operations(|operation| operation.spec["responses"].get("304").is_some()).await;
    assert_eq!(names(&tagged), TAGGED);
    for operation in sample.operations(|operation| operation.method == "GET").await {
        let answer = sample.request("GET", &operation.path).send().await;
        assert_eq!(answer.headers.contains_key("etag"), TAGGED.contains(&operation.name().as_str()), "{}", operation.name());
        let Some(tag) = answer.headers.get("etag").map(|tag| tag.to_str().unwrap().to_owned()) else { continue };
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag} is weak");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let same = sample.request("GET", &operation.path).header("if-none-match", &known).send().await;
            assert_eq!((same.status.as_u16(), same.text.as_str()), (304, ""), "{} {known}", operation.name());
            assert_eq!(same.header("etag"), tag);
            assert_eq!(same.header("cache-control"), answer.header("cache-control"));
        }
        for other in ["\"x\"", "x", "\"\""] {
            let whole = sample.request("GET", &operation.path).header("if-none-match", other).send().await;
            assert_eq!(whole.json(), answer.json(), "{} {other}", operation.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_moved_has_another_tag() {
    let sample = Sample::new().await;
    let path = sample.path("/campanhas/{slug}/totais");
    let before = sample.app.get(&path).send().await.header("etag").to_owned();
    sample.app.pay(&sample.donation).await;
    sample.app.roll_up().await;
    let after = sample.app.get(&path).header("if-none-match", &before).send().await;
    assert_eq!(after.expect(200)["arrecadado_centavos"], 5000);
    assert_ne!(after.header("etag"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_whose_organizadora_was_renamed_has_another_tag_and_takes_the_old_one() {
    let app = TestApp::start().await;
    let campaign = app.campaign().await;
    let (path, owner) = (format!("campanhas/{}", campaign.slug), &campaign.org.owner);
    let before = app.get(&path).send().await.header("etag").to_owned();
    let rename = app.patch(&format!("organizadoras/{}", campaign.org.slug), json!({"nome": "Casa Nova"})).if_match(&json!(1)).by(owner);
    rename.send().await.expect(200);
    let deeds = "SELECT count(*) FROM auditoria a JOIN pessoas p ON a.ator = 'pessoa:' || p.id JOIN organizadoras o ON o.id = a.alvo_id
                 WHERE a.acao = 'organizadora.alterada'";
    assert_eq!(app.count(deeds).await, 1);
    let after = app.get(&path).header("if-none-match", &before).send().await;
    assert_eq!(after.expect(200)["organizadora"]["nome"], "Casa Nova");
    assert_ne!(after.header("etag"), before);
    // Nobody else changed the campaign itself.
    let change = |tag: &str| app.patch(&path, json!({"titulo": "Outro título"})).header("if-match", tag).by(owner).send();
    let changed = change(&before).await;
    changed.expect(200);
    change(after.header("etag")).await.expect_problem(412, "versao-desatualizada");
    change(changed.header("etag")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_need_the_tag_of_what_was_read() {
    let sample = Sample::new().await;
    let has_if_match = |operation: &Operation| {
        operation.spec["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["name"] == "if-match")
    };
    let conditional = sample.operations(has_if_match).await;
    assert_eq!(names(&conditional), CONDITIONAL);
    for operation in conditional {
        let name = operation.name();
        let body = match operation.path.as_str() {
            "/campanhas/{slug}" => json!({"titulo": "Outro título"}),
            "/doacoes/{id}" => json!({"mensagem": "Força!"}),
            _ => json!({"nome": "Outro Nome"}),
        };
        let change = || sample.request("PATCH", &operation.path).json(&body);
        let read = async || sample.request("GET", &operation.path).send().await;
        let before = read().await;
        let tag = before.header("etag").to_owned();
        let number = tag.trim_matches('"').to_owned();
        change().send().await.expect_problem(428, "precondicao-obrigatoria");
        let stale =
            ["\"999\"", "\"0\"", "*", "\"\"", "\"x\"", &number, &format!("W/{tag}"), &format!("\"+{number}\""), &format!("\"0{number}\"")];
        for stale in stale {
            let answer = change().header("if-match", stale).send().await;
            assert_eq!(answer.status, 412, "{name} {stale}");
            answer.expect_problem(412, "versao-desatualizada");
        }
        let unchanged = read().await;
        assert_eq!((unchanged.header("etag"), &unchanged.text), (tag.as_str(), &before.text), "{name}");
        let changed = change().header("if-match", &tag).send().await;
        changed.expect(200);
        let after = read().await;
        assert_eq!((changed.header("etag"), &changed.text), (after.header("etag"), &after.text), "{name}");
        assert_ne!(changed.header("etag"), tag, "{name}");
        change().header("if-match", &tag).send().await.expect_problem(412, "versao-desatualizada");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_ids_are_kept_where_they_are_plain_and_replaced_where_not() {
    let app = TestApp::start().await;
    let sent = async |id: &str| app.get("nada").header("x-request-id", id).send().await;
    for plain in ["abcdefgh", "01a20d26-9ca0-7ebb-93df-40e076607173", &"x".repeat(64)] {
        let answer = sent(plain).await;
        assert_eq!(answer.header("x-request-id"), plain);
        answer.expect_problem(404, "nao-encontrado");
    }
    for bad in ["abcdefg", "", "abc defgh", "abcdefgh;x", "<script>alert</script>", "ação-ação", &"x".repeat(65)] {
        let answer = sent(bad).await;
        let given: uuid::Uuid = answer.header("x-request-id").parse().unwrap();
        assert_eq!(given.get_version_num(), 7, "{bad}");
        answer.expect_problem(404, "nao-encontrado");
    }
    let own = [app.get("campanhas").send().await, app.get("campanhas").send().await];
    assert_ne!(own[0].header("x-request-id"), own[1].header("x-request-id"));
}

// Other sites

fn cors_headers(answer: &Answer) -> Vec<&str> {
    answer.headers.keys().map(reqwest::header::HeaderName::as_str).filter(|name| name.starts_with("access-control-")).collect()
}

const SHOP: &str = "https://loja.example";

async fn with_shop() -> Sample {
    Sample::of(TestApp::with(Options { allowed_origins: vec![SHOP.to_owned()], ..Options::default() }).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_origin_may_call_with_credentials_and_read_the_answer() {
    let sample = with_shop().await;
    let app = &sample.app;
    let donations = sample.path("/campanhas/{slug}/doacoes");
    let preflight = app
        .request("OPTIONS", &donations)
        .header("origin", SHOP)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,idempotency-key,doacao-token")
        .send()
        .await;
    assert_eq!((preflight.status.as_u16(), preflight.header("access-control-allow-origin")), (200, SHOP));
    assert_eq!(preflight.header("access-control-allow-credentials"), "true");
    assert_eq!(preflight.header("access-control-max-age"), "600");
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(values(&preflight, "access-control-allow-methods"), set(&["get", "post", "patch", "put", "delete"]));
    let sent = set(&[
        "content-type",
        "dispositivo",
        "doacao-token",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "last-event-id",
        "x-request-id",
    ]);
    assert_eq!(values(&preflight, "access-control-allow-headers"), sent);
    let read = set(&["doacao-token", "etag", "link", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id"]);
    let donate = || app.post(&donations, app.donation(json!({}))).header("origin", SHOP).header("sec-fetch-site", "cross-site");
    let requests = [
        (200, app.get("campanhas").header("origin", SHOP)),
        (201, donate().new_key()),
        (400, donate()),
        (401, app.get("eu").header("origin", SHOP)),
        (404, app.get("nada").header("origin", SHOP)),
        (405, app.request("PUT", "campanhas").header("origin", SHOP)),
    ];
    for (status, request) in requests {
        let answer = request.send().await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), SHOP, "{status}");
        assert_eq!(answer.header("access-control-allow-credentials"), "true", "{status}");
        assert_eq!(values(&answer, "access-control-expose-headers"), read, "{status}");
        assert!(values(&answer, "vary").contains("origin"), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_origin_gets_nothing() {
    let sample = with_shop().await;
    let nobody_listed = TestApp::start().await;
    let others = [
        "https://mau.example",
        "http://loja.example",
        "https://loja.example:444",
        "https://loja.example.mau.example",
        "https://mau-loja.example",
        "https://sub.loja.example",
        "https://LOJA.example",
        "https://loja.example/",
        "null",
        "*",
    ];
    for origin in others {
        let donations = sample.path("/campanhas/{slug}/doacoes");
        let preflight = sample.app.request("OPTIONS", &donations).header("access-control-request-method", "POST");
        for request in [sample.app.get("campanhas"), sample.app.get("nada"), preflight] {
            let answer = request.header("origin", origin).send().await;
            assert_eq!(cors_headers(&answer), Vec::<&str>::new(), "{origin}");
            assert!(values(&answer, "vary").contains("origin"), "{origin}");
        }
        let donate = sample.app.post(&donations, sample.app.donation(json!({}))).new_key().header("origin", origin).send().await;
        donate.expect_problem(403, "origem-recusada");
        assert_eq!(cors_headers(&donate), Vec::<&str>::new(), "{origin}");
    }
    assert_eq!(cors_headers(&sample.app.get("campanhas").send().await), Vec::<&str>::new(), "no origin");
    assert_eq!(cors_headers(&nobody_listed.get("campanhas").header("origin", SHOP).send().await), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_another_site_changes_anything() {
    const OWN: &str = "http://localhost:8080";
    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";
    let sample = with_shop().await;
    let path = sample.path("/campanhas/{slug}/doacoes");
    // Sec-Fetch-Site, Origin, Content-Type, whether a request with a cookie passes, and one without.
    let cases = [
        ("same-origin", "", JSON, true, true),
        ("same-origin", OWN, "text/plain", true, true),
        ("none", "", JSON, true, true),
        ("same-site", "", JSON, false, false),
        ("same-site", OWN, JSON, false, false),
        ("cross-site", "", JSON, false, false),
        ("cross-site", "https://mau.example", JSON, false, false),
        ("cross-site", "null", FORM, false, false),
        ("nonsense", "", JSON, false, false),
        ("cross-site", SHOP, JSON, true, true),
        ("", SHOP, JSON, true, true),
        ("", OWN, JSON, true, true),
        ("", OWN, FORM, true, true),
        ("", "http://localhost", JSON, false, false),
        ("", "https://localhost:8080", JSON, false, false),
        ("", "null", JSON, false, false),
        ("", "https://mau.example", JSON, false, false),
        ("", "", JSON, true, true),
        ("", "", "Application/JSON; charset=utf-8", true, true),
        ("", "", FORM, false, true),
        ("", "", "text/plain", false, true),
        ("", "", "multipart/form-data; boundary=x", false, true),
        ("", "", "", false, true),
    ];
    for (site, origin, kind, with_cookie, without) in cases {
        for (cookie, passes) in [(true, with_cookie), (false, without)] {
            let headers = [("sec-fetch-site", site), ("origin", origin), ("content-type", kind)];
            let given = headers.into_iter().filter(|(_, value)| !value.is_empty());
            let request =
                if kind.is_empty() { sample.app.request("POST", &path) } else { sample.app.post(&path, sample.app.donation(json!({}))) };
            let request = given.fold(request.new_key(), |request, (name, value)| request.header(name, value));
            let request = if cookie { request.by(&sample.campaign.org.owner) } else { request };
            let answer = request.send().await;
            let case = format!("{site:?} {origin:?} {kind:?} cookie: {cookie}");
            if !passes {
                assert_eq!(answer.status, 403, "{case}: {}", answer.text);
                answer.expect_problem(403, "origem-recusada");
            } else if kind.to_lowercase().starts_with(JSON) {
                assert_eq!(answer.status, 201, "{case}: {}", answer.text);
            } else {
                assert_eq!(answer.status, 415, "{case}: {}", answer.text);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_guarded_against_other_sites_and_no_read_is() {
    let sample = Sample::new().await;
    for operation in sample.app.operations().await {
        let request = sample.app.request(&operation.method, &sample.path(&operation.path)).by(&sample.campaign.org.owner);
        let answer = request.header("sec-fetch-site", "cross-site").header("origin", "https://mau.example").send().await;
        if operation.method == "GET" {
            assert_ne!(answer.status, 403, "{}", operation.name());
        } else {
            assert_eq!(answer.status, 403, "{}", operation.name());
            answer.expect_problem(403, "origem-recusada");
        }
    }
}

//! Whatever a request gets wrong, the answer is a problem that says what, and nothing has changed.

mod addresses;
mod bodies;
mod cursors;
mod document;
mod strangers;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Answer, Campaign, Operation, Org, Person, Request, TestApp};
use document::Document;

/// Something of every kind, in a world whose clock stands still.
struct Stage {
    app: TestApp,
    document: Document,
    org: Org,
    member: Person,
    campaign: Campaign,
    draft: String,
    /// A guest's, not paid, with its token.
    donation: Value,
    token: String,
    /// A guest's, paid.
    paid: Value,
}

impl Stage {
    async fn new() -> Self {
        let app = TestApp::frozen().await;
        let document = Document::of(&app).await;
        let org = app.org().await;
        let member = app.member(&org, "leitura").await;
        let campaign = app.campaign_of(&org).await;
        let draft = app.draft(&org, json!({})).await["slug"].as_str().unwrap().to_owned();
        let given = app.donate(&campaign, json!({})).await;
        let paid = app.confirmed(&campaign, json!({})).await.json();
        Self { document, org, member, campaign, draft, donation: given.json(), token: given.header("doacao-token").to_owned(), paid, app }
    }

    /// The values of an operation's path, by name.
    fn names(&self, operation: &Operation) -> Vec<(&'static str, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let donation = if operation.path.ends_with("/devolucoes") { &self.paid } else { &self.donation };
        let slug = match operation.path.split('/').nth(1).unwrap() {
            "organizadoras" => &self.org.slug,
            _ if operation.path.ends_with("/publicacao") || operation.method == "PATCH" => &self.draft,
            _ => &self.campaign.slug,
        };
        let all = [
            ("slug", slug.clone()),
            ("id", text(&donation["id"])),
            ("pid", text(&donation["pagamento"]["id"])),
            ("txid", text(&donation["pagamento"]["txid"])),
            ("pessoa_id", self.member.id.clone()),
        ];
        all.into_iter().filter(|(name, _)| operation.path.contains(&format!("{{{name}}}"))).collect()
    }

    fn path(&self, operation: &Operation) -> String {
        let names = self.names(operation);
        let path = names.iter().fold(operation.path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        path.strip_prefix('/').unwrap().to_owned()
    }

    /// A request by somebody who may send it, with everything but a body.
    fn request(&self, operation: &Operation) -> Request<'_> {
        self.request_to(operation, &self.path(operation))
    }

    fn request_to(&self, operation: &Operation, path: &str) -> Request<'_> {
        let mut request = self.app.request(&operation.method, path);
        if operation.has_parameter("header", "idempotency-key") {
            request = request.new_key();
        }
        if operation.has_parameter("header", "if-match") {
            request = request.if_match(&json!(1));
        }
        match operation.credentials() {
            Credentials::None => request,
            Credentials::Token => request.header("doacao-token", &self.token),
            // As a browser says it: a request without JSON is refused for another reason otherwise.
            Credentials::Session => request.by(&self.org.owner).header("sec-fetch-site", "same-origin"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credentials {
    None,
    Session,
    Token,
}

impl Operation {
    fn id(&self) -> &str {
        self.spec["operationId"].as_str().unwrap()
    }

    fn has_body(&self) -> bool {
        self.spec["requestBody"].is_object()
    }

    fn has_parameter(&self, place: &str, name: &str) -> bool {
        let parameters = self.spec["parameters"].as_array().into_iter().flatten();
        parameters.into_iter().any(|parameter| parameter["in"] == place && (name.is_empty() || parameter["name"] == name))
    }

    fn credentials(&self) -> Credentials {
        let schemes = self.spec["security"].as_array().cloned().unwrap_or_default();
        match () {
            () if schemes.is_empty() || schemes.contains(&json!({})) => Credentials::None,
            () if schemes.contains(&json!({"doacao": []})) => Credentials::Token,
            () => Credentials::Session,
        }
    }
}

/// Fails unless it is a 4xx problem in full; its body.
#[track_caller]
fn refused(answer: &Answer, what: &str) -> Value {
    assert!(answer.status.is_client_error(), "{what}: {} {}", answer.status, answer.text);
    let body = answer.json();
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    assert!(body["type"].as_str().unwrap().starts_with("https://doacoes.dev/problemas/"), "{what}: {body}");
    assert_eq!(body["status"], answer.status.as_u16(), "{what}");
    assert_eq!(body["correlacao_id"], answer.header("x-request-id"), "{what}");
    assert!(!body["title"].as_str().unwrap().is_empty() && !body["detail"].as_str().unwrap().is_empty(), "{what}: {body}");
    body
}

/// The kind of a problem.
fn slug(problem: &Value) -> &str {
    problem["type"].as_str().unwrap().rsplit('/').next().unwrap()
}

/// The fields that a problem blames; each with a rule.
fn blamed(problem: &Value) -> Vec<&str> {
    let violations = problem["violacoes"].as_array().into_iter().flatten();
    violations
        .map(|violation| {
            assert!(!violation["razao"].as_str().unwrap().is_empty(), "{problem}");
            violation["campo"].as_str().unwrap()
        })
        .collect()
}

/// Sends bytes that no HTTP client would; the status, and the whole answer as text.
async fn send_bytes(app: &TestApp, bytes: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).await.unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = vec![];
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}")).parse().unwrap();
    (status, answer)
}

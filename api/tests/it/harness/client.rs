//! HTTP, as short as a test wants it.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::{Person, TestApp};

/// An answer, read whole; of one without an end, what comes first.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{} is no JSON: {error}: {}", self.status, self.text))
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name} in {self:?}")).to_str().unwrap()
    }

    /// Fails unless the status is `expected`; the JSON body otherwise.
    #[track_caller]
    pub fn expect(&self, expected: u16) -> Value {
        assert_eq!(self.status.as_u16(), expected, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Fails unless it is the problem `slug` with status `expected`; the fields that are wrong.
    #[track_caller]
    pub fn expect_problem(&self, expected: u16, slug: &str) -> Vec<String> {
        let body = self.expect(expected);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["type"], format!("https://doacoes.dev/problemas/{slug}"), "{body}");
        assert_eq!(body["status"], expected);
        assert_eq!(body["correlacao_id"], self.header("x-request-id"));
        body["violacoes"].as_array().into_iter().flatten().map(|violation| violation["campo"].as_str().unwrap().to_owned()).collect()
    }
}

/// A request being put together.
#[must_use]
#[derive(Clone)]
pub struct Request<'a> {
    app: &'a TestApp,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl TestApp {
    /// A request; a path without a leading `/` is below `/api/v1/`.
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/{path}") };
        Request { app: self, method: method.parse().unwrap(), path, headers: HeaderMap::new(), body: None }
    }

    pub fn get(&self, path: &str) -> Request<'_> {
        self.request("GET", path)
    }

    pub fn post(&self, path: &str, body: Value) -> Request<'_> {
        self.request("POST", path).json(&body)
    }

    pub fn patch(&self, path: &str, body: Value) -> Request<'_> {
        self.request("PATCH", path).json(&body)
    }
}

impl Request<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    /// Without a header that was given before.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// One more value of a header, of any bytes.
    pub fn more(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.append(name, HeaderValue::from_bytes(value).unwrap());
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.raw(body.to_string().into_bytes())
    }

    /// Bytes that say they are JSON.
    pub fn raw(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self.header("content-type", "application/json")
    }

    /// The fields of a form, as a browser sends them from a page of this site.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.body = Some(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes());
        self.header("content-type", "application/x-www-form-urlencoded").header("sec-fetch-site", "same-origin")
    }

    /// With the cookie of a person.
    pub fn by(self, person: &Person) -> Self {
        self.header("cookie", &person.cookie)
    }

    pub fn key(self, key: Uuid) -> Self {
        self.header("idempotency-key", &key.to_string())
    }

    pub fn new_key(self) -> Self {
        self.key(Uuid::new_v4())
    }

    /// Of what has this version; a campaign's tag names that of its organizadora as well.
    pub fn if_match(self, version: &Value) -> Self {
        let rest = if self.path.starts_with("/api/v1/campanhas/") { "-1" } else { "" };
        self.header("if-match", &format!("\"{version}{rest}\""))
    }

    /// Sends it; an error of the connection is an `Err`.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let mut request = self.app.http.request(self.method, format!("{}{}", self.app.base, self.path)).headers(self.headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let mut response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = if headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            String::from_utf8(response.chunk().await?.unwrap_or_default().into()).unwrap()
        } else {
            response.text().await?
        };
        Ok(Answer { status, headers, text })
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// Sends it again, unchanged, as long as the answer is a deliberate 503 with `Retry-After`. Which it honours, and a little more,
    /// so that a crowd does not come back as one.
    pub async fn send_patiently(self) -> Answer {
        loop {
            let answer = self.clone().send().await;
            if answer.status != 503 {
                return answer;
            }
            let seconds: u64 = answer.header("retry-after").parse().unwrap();
            let more = u64::from(Uuid::new_v4().as_bytes()[0]) * 4;
            tokio::time::sleep(Duration::from_millis(seconds * 1_000 + more)).await;
        }
    }
}

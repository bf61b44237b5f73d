//! What can go wrong between the operator and the API server: a process that ends before or after its k-th write, and answers
//! that are errors.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use doacoes_operator::client::REQUEST_TIMEOUT;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use kube::client::Body;
use serde_json::json;
use tower::{BoxError, Layer, Service};

/// Time after which the connection of a request that is never answered breaks: longer than the operator waits for an answer.
const SILENCE_TIME: Duration = REQUEST_TIMEOUT.saturating_add(Duration::from_secs(1));

/// The faults that are planned, and what has been seen.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Number of writes so far.
    writes: AtomicU64,
    /// The write at which the process ends; 0 for none.
    end_at: AtomicU64,
    /// Whether the write at which the process ends still arrives.
    arrives: AtomicBool,
    ended: AtomicBool,
    /// One request in so many gets no answer; 0 for none.
    one_in: AtomicU64,
    /// One request in so many fails in one of many ways; 0 for none.
    any_one_in: AtomicU64,
    requests: AtomicU64,
    rights: Mutex<BTreeSet<Right>>,
    /// The plural of the kind whose next write gets no answer.
    lost: Mutex<Option<&'static str>>,
}

/// A right that a request needs.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Right {
    pub(crate) verb: String,
    pub(crate) group: String,
    /// Plural of the kind, with the subresource if there is one.
    pub(crate) resource: String,
}

impl Right {
    /// The right that a request to a resource needs.
    pub(crate) fn of(method: &str, uri: &str) -> Option<Self> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let group = match *parts.first()? {
            "api" => {
                parts.drain(..2);
                String::new()
            }
            "apis" => {
                let group = (*parts.get(1)?).to_owned();
                parts.drain(..3);
                group
            }
            _ => return None,
        };
        if parts.first() == Some(&"namespaces") && parts.len() > 2 {
            parts.drain(..2);
        }
        let resource = match parts.as_slice() {
            [resource, _, subresource] => format!("{resource}/{subresource}"),
            [resource, ..] => (*resource).to_owned(),
            [] => return None,
        };
        let verb = match (method, parts.len()) {
            ("GET", 1) if query.split('&').any(|pair| pair == "watch=true") => "watch",
            ("GET", 1) => "list",
            ("GET", _) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", _) => "delete",
            _ => return None,
        };
        Some(Self { verb: verb.to_owned(), group, resource })
    }
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.resource)?;
        if self.group.is_empty() { Ok(()) } else { write!(formatter, ".{}", self.group) }
    }
}

impl Faults {
    /// Ends the process at its `k`-th write from now, before it is sent or after it `arrives`.
    pub(crate) fn end_at(&self, k: u64, arrives: bool) {
        self.writes.store(0, Ordering::SeqCst);
        self.arrives.store(arrives, Ordering::SeqCst);
        self.end_at.store(k, Ordering::SeqCst);
    }

    /// Starts it again if it ended, and says whether it had.
    pub(crate) fn start_again(&self) -> bool {
        if !self.ended.swap(false, Ordering::SeqCst) {
            return false;
        }
        self.end_at.store(0, Ordering::SeqCst);
        true
    }

    /// Whether the process has not come to the write at which it would have ended.
    pub(crate) fn is_pending(&self) -> bool {
        self.end_at.load(Ordering::SeqCst) > 0
    }

    /// Lets one request in `count` get no answer.
    pub(crate) fn fail_one_in(&self, count: u64) {
        self.one_in.store(count, Ordering::SeqCst);
    }

    /// Lets one request in `count` fail in one of the ways in which requests to an API server fail: it is cut off, refused with a
    /// passing error, or never answered.
    pub(crate) fn fail_in_any_way_one_in(&self, count: u64) {
        self.any_one_in.store(count, Ordering::SeqCst);
    }

    fn way(&self, number: u64, method: &Method) -> Option<Way> {
        let drawn = drawn(number, self.any_one_in.load(Ordering::SeqCst))?;
        // This way is rare, because a whole time limit passes.
        if drawn.is_multiple_of(40) {
            return Some(Way::Never);
        }
        Some(match drawn % 5 {
            0 => Way::Lost,
            1 => Way::Refused(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            2 => Way::Refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            3 if method == Method::GET => Way::Refused(StatusCode::GATEWAY_TIMEOUT, "Timeout"),
            3 => Way::Refused(StatusCode::CONFLICT, "Conflict"),
            _ => Way::Refused(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        })
    }

    /// Lets the next write to objects of that plural fail before it arrives.
    pub(crate) fn lose_one_to(&self, plural: &'static str) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(plural);
    }

    fn loses(&self, right: Option<&Right>) -> bool {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant =
            |right: &Right| Some(right.resource.as_str()) == *lost && matches!(right.verb.as_str(), "create" | "patch" | "update");
        let loses = right.is_some_and(is_meant);
        if loses {
            *lost = None;
        }
        loses
    }

    /// The rights that all requests so far needed.
    pub(crate) fn rights(&self) -> BTreeSet<Right> {
        self.rights.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A number below 1000 / `one_in` for one request in so many, else nothing. It is not every n-th one, or the same requests would
/// fail in each pass.
fn drawn(number: u64, one_in: u64) -> Option<u64> {
    let drawn = number.wrapping_mul(2_654_435_761) % 1000;
    (one_in > 0 && drawn < 1000 / one_in).then_some(drawn)
}

/// How a request fails.
enum Way {
    /// There is no answer for longer than the operator waits for one. Then the connection breaks, also that of a watch, for which
    /// the operator has no limit.
    Never,
    /// It arrives, and its answer does not.
    Lost,
    /// The API server refuses it.
    Refused(StatusCode, &'static str),
}

type Answer<B> = Response<Either<B, Full<Bytes>>>;

/// What the API server says when it refuses.
fn refusal<B>(code: StatusCode, reason: &str) -> Result<Answer<B>, BoxError> {
    let details = if code == StatusCode::TOO_MANY_REQUESTS { json!({"retryAfterSeconds": 1}) } else { json!(null) };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code.as_u16(), "reason": reason, "message": "a fault of the tests",
        "details": details,
    });
    let body = Either::Right(Full::new(Bytes::from(status.to_string())));
    Ok(Response::builder().status(code).header("content-type", "application/json").body(body)?)
}

#[derive(Clone)]
pub(crate) struct FaultLayer(pub(crate) Arc<Faults>);

impl<S> Layer<S> for FaultLayer {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, faults: Arc::clone(&self.0) }
    }
}

pub(crate) struct Faulty<S> {
    inner: S,
    faults: Arc<Faults>,
}

impl<S, B> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: 'static,
{
    type Response = Answer<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let faults = Arc::clone(&self.faults);
        if faults.ended.load(Ordering::SeqCst) {
            return Box::pin(async { Err("the process has ended".into()) });
        }
        let right = request.uri().path_and_query().and_then(|target| Right::of(request.method().as_str(), target.as_str()));
        faults.rights.lock().unwrap_or_else(PoisonError::into_inner).extend(right.clone());
        if faults.loses(right.as_ref()) {
            return Box::pin(async { Err("the connection was cut before the request was sent".into()) });
        }
        let number = faults.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let fails = drawn(number, faults.one_in.load(Ordering::SeqCst)).is_some();
        let arrives = number.is_multiple_of(2);
        if fails && !arrives {
            return Box::pin(async { Err("the connection was cut before the request was sent".into()) });
        }
        let way = faults.way(number, request.method());
        match way {
            Some(Way::Never) => {
                return Box::pin(async {
                    tokio::time::sleep(SILENCE_TIME).await;
                    Err("the connection broke".into())
                });
            }
            Some(Way::Refused(code, reason)) => return Box::pin(async move { refusal(code, reason) }),
            Some(Way::Lost) | None => {}
        }
        let last =
            request.method() != Method::GET && faults.writes.fetch_add(1, Ordering::SeqCst) + 1 == faults.end_at.load(Ordering::SeqCst);
        if last {
            faults.ended.store(true, Ordering::SeqCst);
            if !faults.arrives.load(Ordering::SeqCst) {
                return Box::pin(async { Err("the process ended before the request was sent".into()) });
            }
        }
        let patched = right.filter(|right| right.verb == "patch");
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            // Server-side apply of what is not there needs the right to create it too.
            if let (Ok(answer), Some(right)) = (&answer, patched)
                && answer.status() == StatusCode::CREATED
            {
                let create = Right { verb: "create".to_owned(), ..right };
                faults.rights.lock().unwrap_or_else(PoisonError::into_inner).insert(create);
            }
            if last || fails || way.is_some() { Err("the answer was lost".into()) } else { answer.map(|answer| answer.map(Either::Left)) }
        })
    }
}

//! The metrics of requests.

use std::time::Duration;

use axum::http::{self, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use crate::telemetry::metrics::{Present, TIME_BUCKETS, gauge, label, registered};

label! {
    /// The method of a request. Clients may send any word, so unknown ones share one value.
    pub enum Method {
        /// GET, which reads and changes nothing.
        Get = "GET",
        /// HEAD, which reads only the headers.
        Head = "HEAD",
        /// POST, which makes something.
        Post = "POST",
        /// PUT, which replaces something.
        Put = "PUT",
        /// PATCH, which changes something.
        Patch = "PATCH",
        /// DELETE, which removes or ends something.
        Delete = "DELETE",
        /// OPTIONS, by which browsers ask what a page of another site may do.
        Options = "OPTIONS",
        /// A method that is none of those above.
        Other = "other",
    }
}

impl From<&http::Method> for Method {
    fn from(method: &http::Method) -> Self {
        match *method {
            http::Method::GET => Self::Get,
            http::Method::HEAD => Self::Head,
            http::Method::POST => Self::Post,
            http::Method::PUT => Self::Put,
            http::Method::PATCH => Self::Patch,
            http::Method::DELETE => Self::Delete,
            http::Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

/// The metrics of requests. No enum lists the routes and the status codes, so a series appears with the first request that has its
/// labels.
pub struct HttpMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl HttpMetrics {
    /// Registers every metric in `registry`; fails if one of their names is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(Opts::new("doacoes_http_requests_total", "Answered requests."), &["method", "route", "status"])?;
        let durations = HistogramOpts::new("doacoes_http_request_duration_seconds", "Time from request head to response head.");
        Ok(Self {
            requests: registered(registry, requests)?,
            durations: registered(registry, HistogramVec::new(durations.buckets(TIME_BUCKETS.to_vec()), &["method", "route"])?)?,
            in_flight: gauge(registry, "doacoes_http_requests_in_flight", "Requests whose answer has not begun.")?,
        })
    }

    /// Counts one request in flight until the returned value is dropped.
    #[must_use]
    pub fn in_flight(&self) -> Present {
        Present::of(self.in_flight.clone())
    }

    /// Counts an answered request. `route` is a template of the router, never the path that the client sent.
    pub fn request(&self, method: Method, route: &str, status: StatusCode, took: Duration) {
        self.requests.with_label_values(&[method.as_str(), route, status.as_str()]).inc();
        self.durations.with_label_values(&[method.as_str(), route]).observe(took.as_secs_f64());
    }
}

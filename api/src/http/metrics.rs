//! What is counted about requests.

use std::time::Duration;

use axum::http::{self, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use crate::metrics::{Present, TIME_BUCKETS, gauge, label, registered};

label! {
    /// A request's method. Clients send what they like.
    pub enum Method {
        /// Reads.
        Get = "GET",
        /// Reads the headers alone.
        Head = "HEAD",
        /// Makes something.
        Post = "POST",
        /// Replaces something.
        Put = "PUT",
        /// Changes something.
        Patch = "PATCH",
        /// Ends something.
        Delete = "DELETE",
        /// Asks what another site's page may do.
        Options = "OPTIONS",
        /// Anything else.
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

/// The families of requests. Routes and status codes are closed sets, but no enum lists them, so their series begin with the first request.
pub struct HttpMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl HttpMetrics {
    /// Registers all.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(Opts::new("doacoes_http_requests_total", "Answered requests."), &["method", "route", "status"])?;
        let durations = HistogramOpts::new("doacoes_http_request_duration_seconds", "Time from request head to response head.");
        Ok(Self {
            requests: registered(registry, requests)?,
            durations: registered(registry, HistogramVec::new(durations.buckets(TIME_BUCKETS.to_vec()), &["method", "route"])?)?,
            in_flight: gauge(registry, "doacoes_http_requests_in_flight", "Requests whose answer has not begun.")?,
        })
    }

    /// A request is being answered until the value is dropped.
    #[must_use]
    pub fn in_flight(&self) -> Present {
        Present::of(self.in_flight.clone())
    }

    /// A request was answered. `route` is a template of the router's, never a path as sent.
    pub fn request(&self, method: Method, route: &str, status: StatusCode, took: Duration) {
        self.requests.with_label_values(&[method.as_str(), route, status.as_str()]).inc();
        self.durations.with_label_values(&[method.as_str(), route]).observe(took.as_secs_f64());
    }
}

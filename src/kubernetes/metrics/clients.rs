//! Clients of the API server.

use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::{registered, seconds};
use crate::kubernetes::client::{RequestObserver, RequestOutcome, RequestRecord};

const SECONDS: [f64; 12] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];
const BYTES: [f64; 11] =
    [64.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

pub(super) struct Clients {
    requests: IntCounterVec,
    retries: IntCounterVec,
    durations: HistogramVec,
    waits: HistogramVec,
    request_sizes: HistogramVec,
    response_sizes: HistogramVec,
}

impl Clients {
    pub(super) fn new(registry: &Registry) -> Self {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            registered(registry, HistogramVec::new(opts, &["verb", "host"]))
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        Self {
            requests: counter(
                "rest_client_requests_total",
                "Number of HTTP requests, partitioned by status code, method, and host.",
                &["code", "method", "host"],
            ),
            retries: counter(
                "rest_client_request_retries_total",
                "Number of request retries, partitioned by status code, verb, and host.",
                &["code", "verb", "host"],
            ),
            durations: histogram(
                "rest_client_request_duration_seconds",
                "Request latency in seconds. Broken down by verb, and host.",
                &SECONDS,
            ),
            waits: histogram(
                "rest_client_rate_limiter_duration_seconds",
                "Client side rate limiter latency in seconds. Broken down by verb, and host.",
                &SECONDS,
            ),
            request_sizes: histogram(
                "rest_client_request_size_bytes",
                "Request size in bytes. Broken down by verb and host.",
                &BYTES,
            ),
            response_sizes: histogram(
                "rest_client_response_size_bytes",
                "Response size in bytes. Broken down by verb and host.",
                &BYTES,
            ),
        }
    }
}

impl RequestObserver for Clients {
    fn requested(&self, record: &RequestRecord<'_>) {
        let (method, host) = (record.method.as_str(), record.host);
        let answered;
        let code = match record.outcome {
            RequestOutcome::Answered(code) => {
                answered = code;
                answered.as_str()
            }
            RequestOutcome::Failed => "<error>",
        };
        self.requests.with_label_values(&[code, method, host]).inc();
        self.durations.with_label_values(&[method, host]).observe(seconds(record.duration));
        self.request_sizes.with_label_values(&[method, host]).observe(bytes(record.request_size));
        if let Some(size) = record.response_size {
            self.response_sizes.with_label_values(&[method, host]).observe(bytes(size));
        }
    }

    fn throttled(&self, method: &Method, host: &str, wait: Duration) {
        self.waits.with_label_values(&[method.as_str(), host]).observe(seconds(wait));
    }

    fn retried(&self, method: &Method, host: &str, code: StatusCode) {
        self.retries.with_label_values(&[code.as_str(), method.as_str(), host]).inc();
    }
}

/// Exact up to 8 PiB.
fn bytes(size: u64) -> f64 {
    size as f64
}

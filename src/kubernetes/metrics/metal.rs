//! Requests to the Metal API.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::{registered, seconds};

const SECONDS: [f64; 11] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0];

/// Counts requests to the Metal API. Clones share the counters.
#[derive(Clone)]
pub struct ApiRequests {
    requests: IntCounterVec,
    durations: HistogramVec,
}

impl ApiRequests {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            requests: registered(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "cloud_provider_equinix_metal_api_requests_total",
                        "Requests to the Equinix Metal API by method, route and status; the code is <error> when no \
                         answer came.",
                    ),
                    &["method", "route", "code"],
                ),
            ),
            durations: registered(
                registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "cloud_provider_equinix_metal_api_request_duration_seconds",
                        "How long requests to the Equinix Metal API took, until the last byte of the answer.",
                    )
                    .buckets(SECONDS.to_vec()),
                    &["method", "route"],
                ),
            ),
        }
    }

    /// Counts a request that has ended: its route has placeholders for ids, and there is no code when no answer came.
    pub fn observe(&self, method: &str, route: &str, code: Option<u16>, took: Duration) {
        let code = code.map_or_else(|| "<error>".to_string(), |code| code.to_string());
        self.requests.with_label_values(&[method, route, &code]).inc();
        self.durations.with_label_values(&[method, route]).observe(seconds(took));
    }
}

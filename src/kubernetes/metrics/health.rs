//! Health checks, for `/metrics/slis`.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::registered;
use crate::kubernetes::server::{HealthObserver, Probe};

pub(super) struct Slis {
    latest: IntGaugeVec,
    all: IntCounterVec,
}

impl Slis {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            latest: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new("kubernetes_healthcheck", "This metric records the result of a single healthcheck."),
                    &["name", "type"],
                ),
            ),
            all: registered(
                registry,
                IntCounterVec::new(
                    Opts::new("kubernetes_healthchecks_total", "This metric records the results of all healthcheck."),
                    &["name", "type", "status"],
                ),
            ),
        }
    }
}

impl HealthObserver for Slis {
    fn checked(&self, probe: Probe, check: &str, result: &Result<(), String>) {
        let (value, status) = if result.is_ok() { (1, "success") } else { (0, "error") };
        self.latest.with_label_values(&[check, probe.as_str()]).set(value);
        self.all.with_label_values(&[check, probe.as_str(), status]).inc();
    }
}

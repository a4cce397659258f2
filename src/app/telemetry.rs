//! Where figures and health go.

use std::sync::Arc;

use crate::kubernetes::controller_name::ControllerName;
use crate::kubernetes::controllers::NodeMetrics;
use crate::kubernetes::controllers::service_lb::ServiceMetrics;
use crate::kubernetes::metrics::{ApiRequests, Load, Metrics};
use crate::kubernetes::queue::QueueMetrics;
use crate::kubernetes::server::{HealthChecks, Ping};
use crate::metal::{Outcome, RequestObserver, RequestReport};
use crate::policy::Policy;

/// Metrics and health checks of one process. Clones share them.
#[derive(Clone)]
pub struct Telemetry {
    /// All metrics.
    pub metrics: Metrics,
    /// All health checks.
    pub checks: Arc<HealthChecks>,
}

impl Default for Telemetry {
    fn default() -> Self {
        let metrics = Metrics::new();
        let checks = Arc::new(HealthChecks::new(metrics.health()));
        Self { metrics, checks }
    }
}

impl Telemetry {
    /// Told of every request to Metal.
    pub fn metal(&self) -> Arc<dyn RequestObserver> {
        Arc::new(MetalRequests(self.metrics.api_requests().clone()))
    }

    pub(super) fn took_policy(&self, policy: &Policy) {
        self.metrics.policy().in_force(&policy.name, policy.hash.as_str());
        self.metrics.policy().loaded(Load::Applied);
    }

    pub(super) fn started(&self, controller: ControllerName) {
        self.metrics.controller_started(controller);
        self.checks.add(Arc::new(Ping(controller.canonical())));
    }

    pub(super) fn nodes(&self) -> Arc<dyn NodeMetrics> {
        self.metrics.nodes()
    }

    pub(super) fn services(&self) -> Arc<dyn ServiceMetrics> {
        self.metrics.services()
    }

    pub(super) fn queue(&self, name: &'static str) -> Arc<dyn QueueMetrics> {
        self.metrics.queue(name)
    }
}

struct MetalRequests(ApiRequests);

impl RequestObserver for MetalRequests {
    fn observe(&self, report: &RequestReport) {
        let code = match report.outcome {
            Outcome::Status(code) => Some(code),
            Outcome::NoAnswer => None,
        };
        self.0.observe(report.method.as_str(), report.route, code, report.duration);
    }
}

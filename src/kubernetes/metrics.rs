//! Metrics under the names that every Go cloud controller manager uses, and this program's own.
//!
//! What Go's runtime would report (`go_*`) does not exist here.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Registry, TextEncoder};
use tracing::error;

mod build;
mod clients;
mod controllers;
mod election;
mod health;
mod metal;
mod policy;
mod process;
mod queues;

pub use metal::ApiRequests;
pub use policy::{Load, PolicyMetrics};

use super::client;
use super::controller_name::ControllerName;
use super::controllers::{NodeMetrics, ServiceMetrics};
use super::lease::ElectionObserver;
use super::queue::QueueMetrics;
use super::server::HealthObserver;

/// Content type of [`Metrics::exposition`] and [`Metrics::slis`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric of the process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    sli_registry: Registry,
    queues: Arc<queues::Queues>,
    controllers: Arc<controllers::Controllers>,
    clients: Arc<clients::Clients>,
    election: election::Elections,
    health: Arc<health::Slis>,
    metal: ApiRequests,
    policy: PolicyMetrics,
    process: Arc<process::Process>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All of them, at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let sli_registry = Registry::new();
        build::register_in(&registry);
        Self {
            queues: Arc::new(queues::Queues::new(&registry)),
            controllers: Arc::new(controllers::Controllers::new(&registry)),
            clients: Arc::new(clients::Clients::new(&registry)),
            election: election::Elections::new(&registry),
            health: Arc::new(health::Slis::new(&sli_registry)),
            metal: ApiRequests::new(&registry),
            policy: PolicyMetrics::new(&registry),
            process: Arc::new(process::Process::new(&registry)),
            registry,
            sli_registry,
        }
    }

    /// What `/metrics` shows, in Prometheus' text format.
    pub fn exposition(&self) -> String {
        self.queues.refresh();
        self.process.refresh();
        text(&self.registry)
    }

    /// What `/metrics/slis` shows, in Prometheus' text format.
    pub fn slis(&self) -> String {
        text(&self.sli_registry)
    }

    /// Figures of one work queue: `service`, `node` or `Nodes`.
    pub fn queue(&self, name: &'static str) -> Arc<dyn QueueMetrics> {
        queues::Queues::named(&self.queues, name)
    }

    /// Figures of the cloud-node controller.
    pub fn nodes(&self) -> Arc<dyn NodeMetrics> {
        self.controllers.clone()
    }

    /// Figures of the service controller.
    pub fn services(&self) -> Arc<dyn ServiceMetrics> {
        self.controllers.clone()
    }

    /// Figures of clients of the API server.
    pub fn clients(&self) -> Arc<dyn client::RequestObserver> {
        self.clients.clone()
    }

    /// Figures of an election, with the name of its lease. Its status is 0 from now on.
    pub fn election(&self, lease: &str) -> Arc<dyn ElectionObserver> {
        self.election.named(lease)
    }

    /// Figures of health checks.
    pub fn health(&self) -> Arc<dyn HealthObserver> {
        self.health.clone()
    }

    /// Figures of requests to the Metal API.
    pub fn api_requests(&self) -> &ApiRequests {
        &self.metal
    }

    /// Figures of the policy.
    pub fn policy(&self) -> &PolicyMetrics {
        &self.policy
    }

    /// Notes that a controller runs.
    pub fn controller_started(&self, controller: ControllerName) {
        self.controllers.set_running(controller, 1.0);
    }

    /// Notes that a controller has ended.
    pub fn controller_stopped(&self, controller: ControllerName) {
        self.controllers.set_running(controller, 0.0);
    }
}

fn text(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_else(|error| {
        error!(%error, "Could not write the metrics");
        String::new()
    })
}

/// Names, labels and help texts are constants: a bad or repeated one fails every test that makes [`Metrics`].
fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> C {
    let metric = metric.expect("name and labels are well-formed");
    registry.register(Box::new(metric.clone())).expect("each name is registered once");
    metric
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests;

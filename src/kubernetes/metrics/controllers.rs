//! The controllers.

use std::time::Duration;

use prometheus::{GaugeVec, Histogram, HistogramOpts, IntCounter, Opts, Registry, exponential_buckets};

use super::{registered, seconds};
use crate::kubernetes::controller_name::ControllerName;
use crate::kubernetes::controllers::{NodeMetrics, ServiceMetrics};

const MANAGER: &str = "cloud-controller-manager";

pub(super) struct Controllers {
    running: GaugeVec,
    taint_removal_delay: Histogram,
    initial_sync_delay: Histogram,
    load_balancer_syncs: IntCounter,
    node_sync_errors: IntCounter,
    node_sync_latency: Histogram,
    update_latency: Histogram,
}

impl Controllers {
    pub(super) fn new(registry: &Registry) -> Self {
        let histogram = |name: &str, help: &str, factor: f64, count: usize| {
            let buckets = exponential_buckets(1.0, factor, count).expect("the buckets grow");
            registered(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)))
        };
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help));
        Self {
            running: registered(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "running_managed_controllers",
                        "Indicates where instances of a controller are currently running",
                    ),
                    &["manager", "name"],
                ),
            ),
            taint_removal_delay: histogram(
                "node_controller_cloud_provider_taint_removal_delay_seconds",
                "Number of seconds after node creation when NodeController removed the cloud-provider taint of a \
                 single node.",
                4.0,
                6,
            ),
            initial_sync_delay: histogram(
                "node_controller_initial_node_sync_delay_seconds",
                "Number of seconds after node creation when NodeController finished the initial synchronization of a \
                 single node.",
                4.0,
                6,
            ),
            load_balancer_syncs: counter(
                "service_controller_loadbalancer_sync_total",
                "A metric counting the amount of times any load balancer has been configured, as an effect of \
                 service/node changes on the cluster",
            ),
            node_sync_errors: counter(
                "service_controller_nodesync_error_total",
                "A metric counting the amount of times any load balancer has been configured and errored, as an \
                 effect of node changes on the cluster",
            ),
            node_sync_latency: histogram(
                "service_controller_nodesync_latency_seconds",
                "A metric measuring the latency for nodesync which updates loadbalancer hosts on cluster node updates.",
                2.0,
                15,
            ),
            update_latency: histogram(
                "service_controller_update_loadbalancer_host_latency_seconds",
                "A metric measuring the latency for updating each load balancer hosts.",
                2.0,
                15,
            ),
        }
    }

    pub(super) fn set_running(&self, controller: ControllerName, value: f64) {
        self.running.with_label_values(&[MANAGER, controller.alias()]).set(value);
    }
}

impl NodeMetrics for Controllers {
    fn initialised(&self, since_creation: Duration) {
        self.taint_removal_delay.observe(seconds(since_creation));
        self.initial_sync_delay.observe(seconds(since_creation));
    }
}

impl ServiceMetrics for Controllers {
    fn load_balancer_updated(&self, took: Duration) {
        self.load_balancer_syncs.inc();
        self.update_latency.observe(seconds(took));
    }

    fn node_sync_failed(&self) {
        self.node_sync_errors.inc();
    }

    fn nodes_synced(&self, took: Duration) {
        self.node_sync_latency.observe(seconds(took));
    }
}

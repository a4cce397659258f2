//! Flags of the controllers: which run, how often, how many at a time.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;

use super::controllers::ControllerSelection;
use super::syntax::{Switch, duration};
use super::{OptionFault, collect, features};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Controller flags")]
pub(super) struct ControllerFlags {
    /// The controllers to run: * for all, NAME for one, -NAME to leave one out. They are cloud-node-controller,
    /// cloud-node-lifecycle-controller, node-route-controller and service-lb-controller
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "*")]
    controllers: Vec<String>,

    /// Pause between the starts of controllers, stretched by a random factor between one and two
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    controller_start_interval: Duration,

    /// Services handled at a time
    #[arg(long, value_name = "N", default_value = "1")]
    concurrent_service_syncs: i32,

    /// Nodes initialised at a time
    #[arg(long, value_name = "N", default_value = "1")]
    concurrent_node_syncs: i32,

    /// Nodes whose addresses are updated at a time; 0 means as many as --concurrent-node-syncs
    #[arg(long, value_name = "N", default_value = "0")]
    concurrent_node_status_updates: i32,

    /// Pause between two rounds over Nodes that may be gone or switched off
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5s")]
    node_monitor_period: Duration,

    /// Pause between two updates of the Nodes' addresses
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m0s")]
    node_status_update_frequency: Duration,

    /// Caches are replayed after this time, stretched by a random factor between one and two
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "12h0m0s")]
    min_resync_period: Duration,

    /// Accepted for compatibility: Metal has no routes, the route controller is skipped
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    route_reconciliation_period: Duration,

    /// Accepted for compatibility: Metal has no routes, the route controller is skipped
    #[arg(long, default_value = "true")]
    configure_cloud_routes: Switch,

    /// NAME=true|false of Kubernetes feature gates; known ones are accepted and change nothing here
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    feature_gates: Vec<String>,
}

/// How the controllers run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerOptions {
    /// Which of them.
    pub selection: ControllerSelection,
    /// Pause between two starts.
    pub start_interval: Duration,
    /// Services handled at a time.
    pub service_workers: NonZeroUsize,
    /// Nodes initialised at a time.
    pub node_workers: NonZeroUsize,
    /// Nodes whose addresses are updated at a time.
    pub node_status_workers: NonZeroUsize,
    /// Pause between two rounds of the lifecycle controller; more than zero.
    pub node_monitor_period: Duration,
    /// Pause between two rounds of the address loop; more than zero.
    pub node_status_update_frequency: Duration,
    /// The shortest time after which caches are replayed; the real one is drawn between this and twice of it.
    pub min_resync_period: Duration,
    /// Period of the route loop; no route controller is built.
    pub route_reconciliation_period: Duration,
    /// Whether routes are wanted: decides whether skipping the route controller is worth a warning.
    pub configure_cloud_routes: Switch,
}

impl Default for ControllerOptions {
    /// What the flags say when none is given.
    fn default() -> Self {
        Self {
            selection: ControllerSelection::all(),
            start_interval: Duration::ZERO,
            service_workers: NonZeroUsize::MIN,
            node_workers: NonZeroUsize::MIN,
            node_status_workers: NonZeroUsize::MIN,
            node_monitor_period: Duration::from_secs(5),
            node_status_update_frequency: Duration::from_secs(5 * 60),
            min_resync_period: Duration::from_secs(12 * 3600),
            route_reconciliation_period: Duration::from_secs(10),
            configure_cloud_routes: Switch::Off,
        }
    }
}

impl ControllerFlags {
    pub(super) fn options(self) -> Result<ControllerOptions, Vec<OptionFault>> {
        let mut faults = features::check(&self.feature_gates);
        let selection = collect(&mut faults, ControllerSelection::parse(&self.controllers));
        let services = collect(&mut faults, workers("concurrent-service-syncs", self.concurrent_service_syncs));
        let nodes = collect(&mut faults, workers("concurrent-node-syncs", self.concurrent_node_syncs));
        let statuses = match self.concurrent_node_status_updates {
            0 => nodes,
            given => collect(&mut faults, workers("concurrent-node-status-updates", given)),
        };
        faults.extend(zero("node-monitor-period", self.node_monitor_period));
        faults.extend(zero("node-status-update-frequency", self.node_status_update_frequency));
        match (selection, services, nodes, statuses) {
            (Some(selection), Some(service_workers), Some(node_workers), Some(node_status_workers))
                if faults.is_empty() =>
            {
                Ok(ControllerOptions {
                    selection,
                    start_interval: self.controller_start_interval,
                    service_workers,
                    node_workers,
                    node_status_workers,
                    node_monitor_period: self.node_monitor_period,
                    node_status_update_frequency: self.node_status_update_frequency,
                    min_resync_period: self.min_resync_period,
                    route_reconciliation_period: self.route_reconciliation_period,
                    configure_cloud_routes: self.configure_cloud_routes,
                })
            }
            _ => Err(faults),
        }
    }
}

fn workers(flag: &'static str, given: i32) -> Result<NonZeroUsize, Vec<OptionFault>> {
    usize::try_from(given)
        .ok()
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| vec![OptionFault::new(flag, format!("expected a number above zero, found {given}"))])
}

fn zero(flag: &'static str, period: Duration) -> Option<OptionFault> {
    period.is_zero().then(|| OptionFault::new(flag, "expected a duration above zero"))
}

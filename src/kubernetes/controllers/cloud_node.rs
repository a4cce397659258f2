//! The cloud-node controller: initialises Nodes from what cloud and policy say of their machines, and keeps their labels,
//! annotations, taints and addresses in step with it from then on.

mod addresses;
mod initialise;
mod reports;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::reports::Reports;
use self::upkeep::Changes;
use super::ControllerError;
use crate::domain::Node;
use crate::kubernetes::events::EventSink;
use crate::kubernetes::nodes::NodeApi;
use crate::kubernetes::queue::{RateLimit, Waiting};
use crate::kubernetes::{Backoff, Cache, Delta, Outcome, QueueConfig, QueueMetrics, WorkQueue};
use crate::policy::PolicyHash;
use crate::ports::{Clock, InstancesV2};

/// Its name, as in `--controllers` and health checks.
pub const NAME: &str = "cloud-node-controller";

/// Delay of a Node that failed, and the limit that all share.
const RETRIES: QueueConfig = QueueConfig {
    backoff: Backoff { base: Duration::from_millis(5), max: Duration::from_secs(1000) },
    retry_limit: Some(RateLimit { per_second: 10.0, burst: 100 }),
};

/// How the controller runs.
#[derive(Debug, Clone)]
pub struct CloudNodeConfig {
    /// Nodes initialised or brought in step at once (`--concurrent-node-syncs`), at least 1.
    pub workers: usize,
    /// Nodes whose addresses are compared at once (`--concurrent-node-status-updates`); 0: as many as workers.
    pub status_workers: usize,
    /// Pause after each round over all addresses (`--node-status-update-frequency`).
    pub address_period: Duration,
    /// Pause after each look at whether labels are in step with the devices. Asks Metal for nothing that is not
    /// listed once a minute anyway.
    pub upkeep_period: Duration,
}

impl Default for CloudNodeConfig {
    fn default() -> Self {
        Self {
            workers: 1,
            status_workers: 0,
            address_period: Duration::from_secs(5 * 60),
            upkeep_period: Duration::from_secs(30),
        }
    }
}

/// Where figures of initialised Nodes go.
pub trait NodeMetrics: Send + Sync {
    /// A Node was initialised so long after it was created.
    fn initialised(&self, since_creation: Duration);
}

/// Metrics of nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNodeMetrics;

impl NodeMetrics for NoNodeMetrics {
    fn initialised(&self, _: Duration) {}
}

/// What the controller works with.
pub struct CloudNodeParts {
    /// How it runs.
    pub config: CloudNodeConfig,
    /// The cloud and the policy.
    pub instances: Arc<dyn InstancesV2>,
    /// All Nodes.
    pub cache: Cache<Node>,
    /// Where Nodes are written.
    pub nodes: Arc<dyn NodeApi>,
    /// Where events go, with source `cloud-node-controller`.
    pub events: Arc<dyn EventSink>,
    /// Wakes when another policy comes into force.
    pub policy: watch::Receiver<PolicyHash>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Figures of initialised Nodes.
    pub metrics: Arc<dyn NodeMetrics>,
    /// Figures of the queue `Nodes`.
    pub queue_metrics: Arc<dyn QueueMetrics>,
}

/// The cloud-node controller.
///
/// # Guarantees
/// - A Node is initialised in one write, or not at all; it is never without a provider ID once the taint is gone.
/// - Nodes of other clouds, and fields of other owners, are never written.
/// - It never deletes a Node.
/// - While nothing changes, nothing is written.
pub struct CloudNode {
    shared: Arc<Shared>,
}

struct Shared {
    parts: CloudNodeParts,
    queue: WorkQueue<String>,
    reports: Reports,
    changes: Changes,
}

impl CloudNode {
    /// A controller that has not started.
    pub fn new(parts: CloudNodeParts) -> Self {
        let queue = WorkQueue::new(RETRIES, Arc::clone(&parts.queue_metrics));
        let reports = Reports::new(Arc::clone(&parts.events));
        Self { shared: Arc::new(Shared { parts, queue, reports, changes: Changes::default() }) }
    }

    /// Waits for the cache, then works until cancelled. What is under way at that moment is finished.
    ///
    /// # Errors
    /// A task panicked, or the cache ended.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), ControllerError> {
        let shared = self.shared;
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = shared.parts.cache.synced() => {}
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&shared).follow_nodes(cancel.clone()));
        tasks.spawn(Arc::clone(&shared).work());
        tasks.spawn(Arc::clone(&shared).address_loop(cancel.clone()));
        tasks.spawn(Arc::clone(&shared).upkeep_loop(cancel));
        let result = first_failure(&mut tasks).await;
        shared.queue.shut_down(Waiting::Drop);
        result
    }
}

impl Shared {
    /// Enqueues Nodes that are new or that changed in what is decided upon.
    async fn follow_nodes(self: Arc<Self>, cancel: CancellationToken) -> Result<(), ControllerError> {
        let mut deltas = self.parts.cache.subscribe();
        loop {
            let delta = tokio::select! {
                () = cancel.cancelled() => {
                    self.queue.shut_down(Waiting::Drop);
                    return Ok(());
                }
                delta = deltas.next() => delta.ok_or(ControllerError::CacheEnded { controller: NAME })?,
            };
            match delta {
                Delta::Applied { old: Some(old), new } if !calls_for_a_pass(&old, &new) => {}
                Delta::Applied { new, .. } => self.queue.add(new.name.clone()),
                Delta::Deleted(node) => {
                    self.reports.forget(&node.name);
                    self.changes.forget(&node.name);
                }
            }
        }
    }

    async fn work(self: Arc<Self>) -> Result<(), ControllerError> {
        let queue = self.queue.clone();
        let workers = self.parts.config.workers;
        let pass = move |name: String| {
            let shared = Arc::clone(&self);
            async move { shared.pass(&name).await }
        };
        queue.work(workers, pass).await.map_err(|source| ControllerError::Worker { controller: NAME, source })
    }

    async fn pass(&self, name: &String) -> Outcome {
        match self.parts.cache.get(name) {
            Some(node) if self.may_touch(&node) && node.is_uninitialized() => self.initialise(&node).await,
            Some(node) if self.may_touch(&node) => self.keep_in_step(&node).await,
            Some(_) | None => Outcome::Done,
        }
    }

    fn may_touch(&self, node: &Node) -> bool {
        !node.deleting && self.parts.instances.manages(node)
    }
}

/// Whether a pass could come to another result than the last one. A kubelet's report of an initialised Node's status
/// could not; an uninitialised Node is looked at on every occasion.
fn calls_for_a_pass(old: &Node, new: &Node) -> bool {
    new.is_uninitialized()
        || old.uid != new.uid
        || old.labels != new.labels
        || old.annotations != new.annotations
        || old.taints != new.taints
        || old.provider_id != new.provider_id
}

/// Waits until every task has ended; the first failure ends the others.
async fn first_failure(tasks: &mut JoinSet<Result<(), ControllerError>>) -> Result<(), ControllerError> {
    while let Some(ended) = tasks.join_next().await {
        let result = ended.unwrap_or_else(|source| Err(ControllerError::Panicked { controller: NAME, source }));
        if result.is_err() {
            tasks.shutdown().await;
            return result;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! The cloud-node-lifecycle controller: takes Nodes away whose machine is gone, and taints those whose machine is off.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ControllerError;
use super::node_write::{Tries, Written, write};
use crate::domain::{Node, Readiness};
use crate::kubernetes::Cache;
use crate::kubernetes::convert::node_reference;
use crate::kubernetes::events::{EventSink, NewEvent, Severity};
use crate::kubernetes::nodes::NodeApi;
use crate::plan::{NodePatch, shutdown_taint};
use crate::ports::{ClusterError, InstancesV2, MetalError, ProviderError};

/// Its name, as in `--controllers` and health checks.
pub const NAME: &str = "cloud-node-lifecycle-controller";

/// What the controller works with.
pub struct CloudNodeLifecycleParts {
    /// Pause after each pass (`--node-monitor-period`).
    pub period: Duration,
    /// The cloud.
    pub instances: Arc<dyn InstancesV2>,
    /// All Nodes.
    pub cache: Cache<Node>,
    /// Where Nodes are written.
    pub nodes: Arc<dyn NodeApi>,
    /// Where events go, with source `cloud-node-lifecycle-controller`.
    pub events: Arc<dyn EventSink>,
}

/// The cloud-node-lifecycle controller.
///
/// # Guarantees
/// - A Node is deleted only when it is not ready and the cloud says definitely that its machine is gone; only the very
///   Node that was looked at, and only as it was then.
/// - A pass in which the cloud failed to answer for any Node deletes none: what it said of the others is not trusted.
/// - Passes never overlap. Ready Nodes cause no question to the cloud. Nodes of other clouds are never touched.
pub struct CloudNodeLifecycle {
    parts: CloudNodeLifecycleParts,
}

/// What one pass is to do to a Node.
enum Verdict {
    Nothing,
    Taint,
    Untaint,
    Delete,
    /// The cloud failed to answer.
    Doubt,
}

impl CloudNodeLifecycle {
    /// A controller that has not started.
    pub fn new(parts: CloudNodeLifecycleParts) -> Self {
        Self { parts }
    }

    /// Waits for the cache, then makes passes until cancelled.
    ///
    /// # Errors
    /// A pass panicked.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), ControllerError> {
        let mut task = tokio::spawn(self.passes(cancel));
        // Aborts the passes with this future, should it be dropped.
        let _guard = AbortOnDrop(task.abort_handle());
        (&mut task).await.map_err(|source| ControllerError::Panicked { controller: NAME, source })
    }

    async fn passes(self, cancel: CancellationToken) {
        let all = async {
            self.parts.cache.synced().await;
            loop {
                self.pass().await;
                tokio::time::sleep(self.parts.period).await;
            }
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = all => {}
        }
    }

    /// One look at every Node.
    pub async fn pass(&self) {
        let mut nodes = self.parts.cache.all();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes.retain(|node| !node.deleting && self.parts.instances.manages(node));
        let mut gone = Vec::new();
        let mut doubts = 0_usize;
        for node in nodes {
            match self.judge(&node).await {
                Verdict::Nothing => {}
                Verdict::Taint => self.change(&node, Readiness::NotReady, shutdown_taint::add).await,
                Verdict::Untaint => self.change(&node, Readiness::Ready, shutdown_taint::remove).await,
                Verdict::Delete => gone.push(node),
                Verdict::Doubt => doubts += 1,
            }
        }
        if doubts == 0 {
            for node in gone {
                self.delete(&node).await;
            }
        } else if !gone.is_empty() {
            let names: Vec<&str> = gone.iter().map(|node| node.name.as_str()).collect();
            tracing::warn!(
                nodes = ?names,
                doubts,
                "nodes whose machines seem gone were not deleted: Metal did not answer for all nodes in this pass"
            );
        }
    }

    async fn judge(&self, node: &Node) -> Verdict {
        match node.readiness {
            Readiness::Ready if shutdown_taint::remove(node).is_some() => return Verdict::Untaint,
            Readiness::Ready => return Verdict::Nothing,
            Readiness::NotReady => {}
        }
        match self.parts.instances.instance_exists(node).await {
            Ok(true) => {}
            Ok(false) => return Verdict::Delete,
            Err(error) => return doubt(node, &error),
        }
        match self.parts.instances.instance_shutdown(node).await {
            Ok(true) => Verdict::Taint,
            Ok(false) => Verdict::Nothing,
            Err(error) => doubt(node, &error),
        }
    }

    /// Changes a Node, unless it turns out to be no longer as ready as it was taken to be.
    async fn change(&self, node: &Node, readiness: Readiness, plan: fn(&Node) -> Option<NodePatch>) {
        let decide = |node: &Node| if node.readiness == readiness { plan(node) } else { None };
        match write(&*self.parts.nodes, node, &Tries::UPDATE, decide).await {
            Ok(Written::Changed(_, patch)) => {
                let change = crate::plan::Action::PatchNode(patch).to_string();
                tracing::info!(node = node.name, change, "changed the shutdown taint of the node");
            }
            Ok(Written::Unchanged | Written::Gone) => {}
            Err(error) => tracing::warn!(node = node.name, %error, "the shutdown taint of a node was not changed"),
        }
    }

    async fn delete(&self, node: &Node) {
        self.tell(
            node,
            Severity::Normal,
            "DeletingNode",
            "Deleting node because it does not exist in the cloud provider",
        );
        match self.parts.nodes.delete(node).await {
            Ok(()) => tracing::info!(node = node.name, "deleted the node: its machine is gone"),
            Err(ClusterError::NotFound { .. }) => {}
            Err(error) => {
                tracing::warn!(node = node.name, %error, "a node whose machine is gone was not deleted");
                self.tell(node, Severity::Warning, "DeletingNodeFailed", &error.to_string());
            }
        }
    }

    fn tell(&self, node: &Node, severity: Severity, reason: &'static str, message: &str) {
        self.parts.events.record(NewEvent {
            about: node_reference(node),
            severity,
            reason,
            message: format!("{message}: {}", node.name),
        });
    }
}

/// Whether an error is about the cloud, and so about every Node, or about this Node alone. The latter must not stop
/// the deletion of others for as long as the Node is there.
fn doubt(node: &Node, error: &ProviderError) -> Verdict {
    match error {
        ProviderError::Refused { .. }
        | ProviderError::NotFound { .. }
        | ProviderError::ImplementedElsewhere
        | ProviderError::Metal(MetalError::Rejected { .. }) => {
            tracing::debug!(node = node.name, %error, "nothing could be told of the machine of a node");
            Verdict::Nothing
        }
        ProviderError::NotYet { .. }
        | ProviderError::Partial { .. }
        | ProviderError::Metal(_)
        | ProviderError::Cluster(_) => {
            tracing::warn!(node = node.name, %error, "nothing could be told of the machine of a node");
            Verdict::Doubt
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;

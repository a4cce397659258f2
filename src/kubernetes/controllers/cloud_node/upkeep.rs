//! From then on: an initialised Node is kept in step with its device and the policy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ControllerError, Shared};
use crate::domain::Node;
use crate::kubernetes::Outcome;
use crate::kubernetes::controllers::node_write::{Tries, Written, write};
use crate::plan::{FieldPlan, node_fields};
use crate::ports::ProviderError;

/// Pause between two changes of one Node. Somebody who keeps undoing them, thinking as we do, is not met with a write for
/// each of theirs.
const CALM: Duration = Duration::from_secs(1);

/// When Nodes were last brought in step.
#[derive(Default)]
pub(super) struct Changes(Mutex<HashMap<String, Instant>>);

impl Changes {
    /// How long a Node is still to be left alone.
    fn calm_for(&self, node: &str) -> Option<Duration> {
        let until = *self.lock().get(node)? + CALM;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn note(&self, node: &str) {
        self.lock().insert(node.to_owned(), Instant::now());
    }

    /// Forgets a Node that is gone.
    pub(super) fn forget(&self, node: &str) {
        self.lock().remove(node);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Looks at every initialised Node after each pause, and at once when another policy comes into force.
    pub(super) async fn upkeep_loop(self: Arc<Self>, cancel: CancellationToken) -> Result<(), ControllerError> {
        let mut policy = self.parts.policy.clone();
        let mut policy_changes = true;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.parts.config.upkeep_period) => {}
                changed = policy.changed(), if policy_changes => policy_changes = changed.is_ok(),
            }
            for node in self.parts.cache.all() {
                if self.may_touch(&node) && !node.is_uninitialized() {
                    self.queue.add(node.name.clone());
                }
            }
        }
    }

    pub(super) async fn keep_in_step(&self, node: &Node) -> Outcome {
        if let Some(left) = self.changes.calm_for(&node.name) {
            return Outcome::RetryAfter(left);
        }
        let metadata = match self.parts.instances.instance_metadata(node).await {
            Ok(metadata) => Some(metadata),
            Err(error) => {
                log_unknown(node, &error);
                None
            }
        };
        let mut plan = FieldPlan::default();
        let decide = |node: &Node| {
            plan = match &metadata {
                // The taint is back, by somebody's hand: it is for the initialisation to take off.
                _ if node.is_uninitialized() => FieldPlan::default(),
                Some(metadata) => node_fields::reconcile(node, metadata),
                None => FieldPlan { patch: node_fields::repair(node), foreign: Vec::new() },
            };
            plan.patch.clone()
        };
        let written = write(&*self.parts.nodes, node, &Tries::UPDATE, decide).await;
        if let Some(metadata) = &metadata {
            self.reports.rules(node, metadata, &plan);
        }
        match written {
            Ok(Written::Changed(_, patch)) => {
                let change = crate::plan::Action::PatchNode(patch).to_string();
                self.changes.note(&node.name);
                tracing::info!(node = node.name, change, "brought the node in step with its device and the policy");
                Outcome::Done
            }
            Ok(Written::Unchanged | Written::Gone) => Outcome::Done,
            Err(error) => {
                tracing::warn!(node = node.name, %error, "a node was not brought in step: the write failed");
                Outcome::Failed
            }
        }
    }
}

/// No retry: the next look is due within a minute anyway, and until then the Node keeps what it has.
fn log_unknown(node: &Node, error: &ProviderError) {
    tracing::debug!(node = node.name, %error, "a node was not compared with its device, which could not be told");
}

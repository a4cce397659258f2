//! The first time: a Node with the uninitialised taint.

use std::time::Duration;

use super::Shared;
use crate::domain::{InstanceMetadata, Node};
use crate::kubernetes::Outcome;
use crate::kubernetes::controllers::node_write::{Tries, Written, write};
use crate::kubernetes::convert::node_reference;
use crate::kubernetes::events::{NewEvent, Severity};
use crate::plan::{FieldPlan, node_fields};
use crate::ports::{ProviderError, RetryClass};
use crate::strategy::node_addresses::node_addresses;

impl Shared {
    pub(super) async fn initialise(&self, node: &Node) -> Outcome {
        let metadata = match self.parts.instances.instance_metadata(node).await {
            Ok(metadata) => metadata,
            Err(error) => {
                tracing::warn!(node = node.name, %error, "a node was not initialised: its machine could not be told");
                return retry(&error);
            }
        };
        if let Err(error) = node_addresses(node, &metadata.addresses) {
            tracing::warn!(node = node.name, %error, "a node was not initialised: its addresses do not fit");
            return Outcome::Failed;
        }
        let mut plan = FieldPlan::default();
        let decide = |node: &Node| {
            // Initialised meanwhile, by another hand: the upkeep takes over.
            if !node.is_uninitialized() {
                return None;
            }
            plan = node_fields::initialise(node, &metadata);
            plan.patch.clone()
        };
        match write(&*self.parts.nodes, node, &Tries::INITIALISE, decide).await {
            Ok(Written::Changed(stored, _)) => {
                self.after_initialisation(&stored, &metadata, &plan).await;
                Outcome::Done
            }
            Ok(Written::Unchanged | Written::Gone) => Outcome::Done,
            Err(error) => {
                tracing::warn!(node = node.name, %error, "a node was not initialised: the write failed");
                Outcome::Failed
            }
        }
    }

    async fn after_initialisation(&self, node: &Node, metadata: &InstanceMetadata, plan: &FieldPlan) {
        tracing::info!(
            node = node.name,
            device = %metadata.provider_id.device(),
            labels = ?metadata.managed.labels,
            "initialised the node"
        );
        self.set_addresses(node, metadata).await;
        self.parts.events.record(NewEvent {
            about: node_reference(node),
            severity: Severity::Normal,
            reason: "Synced",
            message: "Node synced successfully".to_owned(),
        });
        let age = self.parts.clock.now().saturating_sub(node.created_at);
        self.parts.metrics.initialised(Duration::from_secs(u64::try_from(age).unwrap_or(0)));
        self.reports.rules(node, metadata, plan);
    }
}

/// Metal says itself how long to wait, or the delay grows. Nothing is put off for good: a Node waits for this.
fn retry(error: &ProviderError) -> Outcome {
    match error.retry() {
        RetryClass::After(delay) => Outcome::RetryAfter(delay),
        RetryClass::Backoff | RetryClass::Permanent => Outcome::Failed,
    }
}

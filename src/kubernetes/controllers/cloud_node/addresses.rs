//! `status.addresses` of Nodes.

use std::sync::Arc;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{ControllerError, Shared};
use crate::domain::{InstanceMetadata, Node};
use crate::strategy::node_addresses::node_addresses;

impl Shared {
    /// Compares the addresses of every initialised Node, pauses, and begins again.
    pub(super) async fn address_loop(self: Arc<Self>, cancel: CancellationToken) -> Result<(), ControllerError> {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = self.address_round() => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.parts.config.address_period) => {}
            }
        }
    }

    pub(super) async fn address_round(&self) {
        let config = &self.parts.config;
        let width = if config.status_workers == 0 { config.workers } else { config.status_workers };
        let nodes = self.parts.cache.all();
        let due = nodes.into_iter().filter(|node| self.may_touch(node) && !node.is_uninitialized());
        futures::stream::iter(due).for_each_concurrent(width.max(1), |node| self.refresh_addresses(node)).await;
    }

    async fn refresh_addresses(&self, node: Arc<Node>) {
        match self.parts.instances.instance_metadata(&node).await {
            Ok(metadata) => self.set_addresses(&node, &metadata).await,
            Err(error) => {
                tracing::warn!(node = node.name, %error, "a node keeps its addresses: its machine could not be told");
            }
        }
    }

    /// Writes the list where it differs. A failure is left to the next round.
    pub(super) async fn set_addresses(&self, node: &Node, metadata: &InstanceMetadata) {
        let wanted = match node_addresses(node, &metadata.addresses) {
            Ok(Some(wanted)) if wanted != node.addresses => wanted,
            Ok(Some(_) | None) => return,
            Err(error) => {
                tracing::warn!(node = node.name, %error, "a node keeps its addresses: they do not fit");
                return;
            }
        };
        let shown: Vec<&str> = wanted.iter().map(|address| address.address.as_str()).collect();
        match self.parts.nodes.set_addresses(&node.name, &wanted).await {
            Ok(()) => tracing::info!(node = node.name, addresses = ?shown, "wrote the addresses of the node"),
            Err(error) => tracing::warn!(node = node.name, %error, "the addresses of a node were not written"),
        }
    }
}

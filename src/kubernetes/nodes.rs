//! What the node controllers read from the API server past the cache, and write to it.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1 as api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::json;

use super::refusal::cluster_error;
use super::{FIELD_MANAGER, convert};
use crate::domain::{Node, NodeAddress};
use crate::plan::NodePatch;
use crate::ports::{Cluster, ClusterError};

/// Nodes at the API server.
#[async_trait]
pub trait NodeApi: Send + Sync {
    /// The Node as the API server has it now, caches left aside; `None` when there is none.
    async fn node(&self, name: &str) -> Result<Option<Node>, ClusterError>;

    /// Changes a Node and returns it as stored.
    async fn patch(&self, patch: &NodePatch) -> Result<Node, ClusterError>;

    /// Replaces `status.addresses` as a whole.
    async fn set_addresses(&self, name: &str, addresses: &[NodeAddress]) -> Result<(), ClusterError>;

    /// Deletes exactly this Node, as it was read: another one of its name, or the same changed since, is left and is a
    /// [`ClusterError::Conflict`].
    async fn delete(&self, node: &Node) -> Result<(), ClusterError>;
}

/// Nodes of the cluster behind a client.
pub struct KubeNodes {
    client: Client,
    cluster: Arc<dyn Cluster>,
}

impl KubeNodes {
    /// Reads, deletes and writes addresses through the client; other changes go by way of the cluster port.
    pub fn new(client: Client, cluster: Arc<dyn Cluster>) -> Self {
        Self { client, cluster }
    }

    fn api(&self) -> Api<api::Node> {
        Api::all(self.client.clone())
    }
}

#[async_trait]
impl NodeApi for KubeNodes {
    async fn node(&self, name: &str) -> Result<Option<Node>, ClusterError> {
        let found = self.api().get_opt(name).await;
        found.map(|node| node.map(|node| convert::node(&node))).map_err(|error| failed(name, &error))
    }

    async fn patch(&self, patch: &NodePatch) -> Result<Node, ClusterError> {
        self.cluster.patch_node(patch).await
    }

    async fn set_addresses(&self, name: &str, addresses: &[NodeAddress]) -> Result<(), ClusterError> {
        // A merge patch: entries of equal type collapse in a strategic one and are refused by server-side apply.
        let body = json!({ "status": { "addresses": convert::address_list(addresses) } });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let written = self.api().patch_status(name, &params, &Patch::Merge(body)).await;
        written.map(drop).map_err(|error| failed(name, &error))
    }

    async fn delete(&self, node: &Node) -> Result<(), ClusterError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(node.uid.clone()),
                resource_version: Some(node.resource_version.clone()),
            }),
            ..DeleteParams::default()
        };
        let deleted = self.api().delete(&node.name, &params).await;
        deleted.map(drop).map_err(|error| failed(&node.name, &error))
    }
}

fn failed(name: &str, error: &kube::Error) -> ClusterError {
    cluster_error(format!("Node {name}"), error)
}

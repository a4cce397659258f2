//! The contract of the node controllers: what the cloud knows of a Node's machine.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::ProviderError;
use crate::domain::{Node, NodeAddress, ProviderId, Taint};

/// Questions of the node controllers. No answer is a guess: what cannot be told is an error.
#[async_trait]
pub trait InstancesV2: Send + Sync {
    /// Whether the Node may be touched at all: in a hybrid cluster Nodes of other clouds are left alone.
    fn manages(&self, node: &Node) -> bool;

    /// Whether the machine exists, in any state. `false` leads to the deletion of the Node and is said only on a
    /// definite answer. A Node without provider ID is an error.
    async fn instance_exists(&self, node: &Node) -> Result<bool, ProviderError>;

    /// Whether the machine is switched off.
    async fn instance_shutdown(&self, node: &Node) -> Result<bool, ProviderError>;

    /// What the cloud and the policy say of the machine, found by provider ID or else by hostname.
    async fn instance_metadata(&self, node: &Node) -> Result<InstanceMetadata, ProviderError>;
}

/// What the cloud and the policy say of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceMetadata {
    /// The provider ID to write.
    pub provider_id: ProviderId,
    /// The server type; empty when unknown.
    pub instance_type: String,
    /// Addresses in the order in which they belong on the Node.
    pub addresses: Vec<NodeAddress>,
    /// Failure zone; empty when the policy sets none.
    pub zone: String,
    /// Region; empty when the policy sets none.
    pub region: String,
    /// What the policy's rules put on the Node.
    pub managed: ManagedFields,
}

/// Labels and taints that rules of the policy set on a Node, and take away again when no rule sets them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManagedFields {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Taints, no two of the same key and effect.
    pub taints: Vec<Taint>,
}

//! The contract of the node controllers: what the cloud knows of a Node's machine.

use async_trait::async_trait;

use super::ProviderError;
use crate::domain::Node;
pub use crate::domain::{InstanceMetadata, ManagedFields};

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

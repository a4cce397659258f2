//! The contract of the service controller: addresses for Services.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::ProviderError;
use crate::domain::{Ingress, Node, Service, ServiceKey};

/// Whether the policy serves a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It does. The text changes exactly when the decision does: rule, backend, pool or anything of theirs that matters
    /// to what the Service is given.
    Served(String),
    /// It does not, for this reason: not type LoadBalancer, a class no rule names, or a rule that says "ignore".
    NotOurs(String),
}

/// The nodes that may receive traffic, sorted by name. Shared between calls as long as nothing about a node changed, so
/// that a round over many Services looks at each node once.
#[derive(Debug, Default)]
pub struct NodeSet {
    nodes: Vec<Arc<Node>>,
    identity: BTreeMap<String, String>,
}

impl NodeSet {
    /// A set of eligible nodes.
    pub fn new(mut nodes: Vec<Arc<Node>>) -> Self {
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let identity = nodes.iter().map(|n| (n.name.clone(), n.provider_id.clone())).collect();
        Self { nodes, identity }
    }

    /// The nodes, sorted by name.
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// Provider ID by name: two sets with the same identity need no update of a load balancer.
    pub fn identity(&self) -> &BTreeMap<String, String> {
        &self.identity
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// Addresses for Services. Every `ensure_*` is idempotent and may be called again after a failure or a crash at any point.
///
/// The caller guarantees that no two calls for one Service run at the same time.
#[async_trait]
pub trait LoadBalancer: Send + Sync {
    /// Whether the policy serves this Service. Cheap: no call is made.
    fn claim(&self, service: &Service) -> Claim;

    /// Takes note of a Service as the cache has it (every Service of the cluster, at start and on each change), so that
    /// no address is given to two of them.
    fn observe(&self, service: &Service);

    /// Takes note that a Service is gone.
    fn forget(&self, service: &ServiceKey);

    /// The stable name of a Service's load balancer.
    fn load_balancer_name(&self, service: &Service) -> String;

    /// What the Service has now; `None` only when no remnant is left anywhere, so that nothing need be deleted.
    async fn get_load_balancer(&self, service: &Service) -> Result<Option<Vec<Ingress>>, ProviderError>;

    /// Gives the Service an address, has it announced from these nodes, and returns what belongs in its status.
    async fn ensure_load_balancer(
        &self,
        service: &Service,
        nodes: &Arc<NodeSet>,
    ) -> Result<Vec<Ingress>, ProviderError>;

    /// Carries a changed set of nodes to the backend; addresses stay as they are.
    async fn update_load_balancer(&self, service: &Service, nodes: &Arc<NodeSet>) -> Result<(), ProviderError>;

    /// Withdraws the Service from its backend, then gives back what was reserved for it.
    async fn ensure_load_balancer_deleted(&self, service: &Service) -> Result<(), ProviderError>;
}

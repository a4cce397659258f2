//! What the cloud and the policy say of the machine behind a Node.

use std::collections::BTreeMap;

use super::{NodeAddress, ProviderId, Taint};

/// What the cloud and the policy say of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceMetadata {
    /// The provider ID to write.
    pub provider_id: ProviderId,
    /// The server type; empty when unknown.
    pub instance_type: String,
    /// Addresses in the order in which they belong on the Node; empty when the cloud knows none, and then the Node
    /// keeps those it has.
    pub addresses: Vec<NodeAddress>,
    /// Failure zone.
    pub zone: TopologyLabel,
    /// Region.
    pub region: TopologyLabel,
    /// What the policy's rules put on the Node.
    pub managed: ManagedFields,
    /// What rules wanted to put on the Node and cannot, in words; the same for the same device and policy.
    pub problems: Vec<String>,
}

/// What a topology label of a Node says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum TopologyLabel {
    /// This value, whatever stands there.
    Is(String),
    /// The policy wants the label and the cloud does not say its value: what stands there is left.
    Unknown,
    /// The policy does not set the label: what was set by an earlier policy goes.
    #[default]
    Unwanted,
}

/// Labels, annotations and taints that rules of the policy set on a Node, and take away again when no rule sets them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManagedFields {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Taints, no two of the same key and effect.
    pub taints: Vec<Taint>,
}

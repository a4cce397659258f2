//! A Node of the cluster.

use std::collections::BTreeMap;
use std::fmt;

/// The annotation in which this controller remembers what rules of the policy set on a Node.
pub const MANAGED_FIELDS_ANNOTATION: &str = "metal.equinix.com/managed-fields";
/// The annotation in which the kubelet passes on its `--node-ip`.
pub const PROVIDED_NODE_IP_ANNOTATION: &str = "alpha.kubernetes.io/provided-node-ip";
/// The taint, whatever its value and effect, of a Node that no cloud controller has initialised yet.
pub const UNINITIALIZED_TAINT: &str = "node.cloudprovider.kubernetes.io/uninitialized";
/// The taint of a Node whose machine is switched off.
pub const SHUTDOWN_TAINT: &str = "node.cloudprovider.kubernetes.io/shutdown";

/// Effect of a taint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum TaintEffect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

impl TaintEffect {
    /// Kubernetes' word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// A taint; key and effect identify it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// The effect.
    pub effect: TaintEffect,
}

impl Taint {
    /// Whether both name the same taint, whatever their values.
    pub fn same_identity(&self, other: &Self) -> bool {
        self.key == other.key && self.effect == other.effect
    }
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.as_str() {
            "" => write!(f, "{}:{}", self.key, self.effect.as_str()),
            value => write!(f, "{}={value}:{}", self.key, self.effect.as_str()),
        }
    }
}

/// Type of a node address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum NodeAddressType {
    Hostname,
    InternalIp,
    ExternalIp,
    InternalDns,
    ExternalDns,
    Other(String),
}

impl NodeAddressType {
    /// Reads Kubernetes' word; never fails.
    pub fn parse(word: &str) -> Self {
        match word {
            "Hostname" => Self::Hostname,
            "InternalIP" => Self::InternalIp,
            "ExternalIP" => Self::ExternalIp,
            "InternalDNS" => Self::InternalDns,
            "ExternalDNS" => Self::ExternalDns,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Kubernetes' word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hostname => "Hostname",
            Self::InternalIp => "InternalIP",
            Self::ExternalIp => "ExternalIP",
            Self::InternalDns => "InternalDNS",
            Self::ExternalDns => "ExternalDNS",
            Self::Other(word) => word,
        }
    }
}

/// One entry of `status.addresses`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeAddress {
    /// Its type.
    pub kind: NodeAddressType,
    /// The address or name, as written.
    pub address: String,
}

impl NodeAddress {
    /// An entry.
    pub fn new(kind: NodeAddressType, address: impl Into<String>) -> Self {
        Self { kind, address: address.into() }
    }
}

/// The condition `Ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// `Ready` is `True`.
    Ready,
    /// `Ready` is `False` or `Unknown`, or there is no such condition.
    NotReady,
}

/// A Node as read from the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`; equals the device's hostname.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.creationTimestamp`, seconds since 1970.
    pub created_at: i64,
    /// Being deleted.
    pub deleting: bool,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `spec.providerID`; empty when unset.
    pub provider_id: String,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// Taints with an effect Kubernetes knows, in order.
    pub taints: Vec<Taint>,
    /// `status.addresses`, in order.
    pub addresses: Vec<NodeAddress>,
    /// The condition `Ready`.
    pub readiness: Readiness,
    /// When `Ready` last changed, seconds since 1970; 0 when unknown.
    pub readiness_since: i64,
}

impl Node {
    /// Whether the Node still waits for its cloud controller.
    pub fn is_uninitialized(&self) -> bool {
        self.taints.iter().any(|taint| taint.key == UNINITIALIZED_TAINT)
    }
}

//! BGP: the project's configuration, a session on each node, and the annotations that tell the node's speaker about it.

mod annotations;
mod plan;

pub use plan::{BgpPlan, NodeFailure};

use crate::domain::LabelSelector;
use crate::plan::PasswordSource;

/// BGP as the policy wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpStrategy {
    /// AS number to enable BGP with; a configuration that exists already wins.
    pub local_asn: u32,
    /// Where the session password is read from when BGP is enabled.
    pub password: Option<PasswordSource>,
    /// Which nodes speak BGP.
    pub node_selector: LabelSelector,
    /// Names of the annotations.
    pub annotations: BgpAnnotations,
}

/// Names of the Node annotations. `{{n}}` stands for the number of the peer, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the annotation of that name in the policy's reference")]
pub struct BgpAnnotations {
    pub node_asn: String,
    pub peer_asn: String,
    pub peer_ip: String,
    pub src_ip: String,
    pub bgp_pass: String,
    pub network_ipv4_private: String,
}

impl Default for BgpAnnotations {
    fn default() -> Self {
        Self {
            node_asn: "metal.equinix.com/bgp-peers-{{n}}-node-asn".into(),
            peer_asn: "metal.equinix.com/bgp-peers-{{n}}-peer-asn".into(),
            peer_ip: "metal.equinix.com/bgp-peers-{{n}}-peer-ip".into(),
            src_ip: "metal.equinix.com/bgp-peers-{{n}}-src-ip".into(),
            bgp_pass: "metal.equinix.com/bgp-peers-{{n}}-bgp-pass".into(),
            network_ipv4_private: "metal.equinix.com/network-4-private".into(),
        }
    }
}

impl Default for BgpStrategy {
    fn default() -> Self {
        Self {
            local_asn: 65000,
            password: None,
            node_selector: LabelSelector::default(),
            annotations: BgpAnnotations::default(),
        }
    }
}

//! The policy as its author wrote it: a mirror of the YAML, good for reading, writing and describing, and not checked
//! any further than its shape.

mod balancer;
mod bgp;
mod endpoint;
mod node;
mod pool;
mod rollout;
mod selector;
mod service;

pub use balancer::{EquinixLoadBalancer, KubeVip, LoadBalancer, LoadBalancerKind, MetalLb, MetalLbConfig, NoneKind};
pub use bgp::{Bgp, BgpAnnotationNames, PasswordFrom, SecretKeyRef};
pub use endpoint::{ControlPlaneEndpoint, EndpointElasticIp, EndpointKind, EndpointLoadBalancer, HealthCheck};
pub use node::{Manage, NodeMatch, NodeRule, Nodes, ProviderName, Taint, TaintEffect, Topology, TopologySource};
pub use pool::{AddressPool, ElasticIp, ElasticIpType, OnRelease, PoolKind, StaticRanges};
pub use rollout::{AffectedLimit, OnPoolChange, Rollout};
pub use selector::{Requirement, Selector, SelectorOperator};
pub use service::{Assign, OverrideNames, ServiceDefault, ServiceMatch, ServiceRule, Services, Verdict};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One document that says which load balancer a Service gets, which pool its address comes from, how BGP is set up and
/// how Nodes are labelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Cloud policy of Equinix Metal")]
pub struct Document {
    /// Version of the policy's format.
    #[schemars(example = &"policy.metal.equinix.com/v1alpha1")]
    pub api_version: ApiVersion,
    /// What the document is.
    #[schemars(example = &"CloudPolicy")]
    pub kind: Kind,
    /// What the policy is called.
    #[schemars(example = Metadata { name: "dallas-production".into() })]
    pub metadata: Metadata,
    /// What the policy says. A section left out keeps its defaults.
    #[schemars(example = serde_json::json!({"loadBalancers": [{"name": "vip", "kubeVip": {}}]}))]
    pub spec: Spec,
}

/// Versions of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first one.
    #[default]
    #[serde(rename = "policy.metal.equinix.com/v1alpha1")]
    V1Alpha1,
}

/// Kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// A policy.
    #[default]
    CloudPolicy,
}

/// What the policy is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Name of the policy, shown in logs, metrics and records.
    #[schemars(
        length(max = 63),
        regex(pattern = NAME),
        extend("patternErrorMessage" = NAME_WORDS),
        example = &"dallas-production"
    )]
    pub name: String,
}

/// What the policy says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Where the addresses of Services come from. Rules refer to a pool by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"name": "public", "elasticIP": {"type": "public_ipv4", "metro": "da"}}]))]
    pub address_pools: Vec<AddressPool>,
    /// How addresses are announced. Rules refer to an entry by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"name": "vip", "kubeVip": {}}]))]
    pub load_balancers: Vec<LoadBalancer>,
    /// Which Service is served, by which load balancer and from which pool.
    #[serde(default, skip_serializing_if = "Services::is_default")]
    #[schemars(example = serde_json::json!({"default": {"loadBalancer": "vip", "addressPool": "public"}}))]
    pub services: Services,
    /// What is put on Nodes.
    #[serde(default, skip_serializing_if = "Nodes::is_default")]
    #[schemars(example = serde_json::json!({"topology": {"region": "Metro", "zone": "Facility"}}))]
    pub nodes: Nodes,
    /// How BGP is set up in the project and on the Nodes.
    #[serde(default, skip_serializing_if = "Bgp::is_default")]
    #[schemars(example = serde_json::json!({"localASN": 65000, "passwordFrom": {"env": "METAL_BGP_PASS"}}))]
    pub bgp: Bgp,
    /// An address for the API server of the cluster itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"elasticIP": {"tag": "cluster-prod-endpoint"}}))]
    pub control_plane_endpoint: Option<ControlPlaneEndpoint>,
    /// How a change of the policy takes effect.
    #[serde(default, skip_serializing_if = "Rollout::is_default")]
    #[schemars(example = serde_json::json!({"maxAffectedServices": "10%"}))]
    pub rollout: Rollout,
}

impl Document {
    /// A policy of this name that says nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            api_version: ApiVersion::V1Alpha1,
            kind: Kind::CloudPolicy,
            metadata: Metadata { name: name.into() },
            spec: Spec::default(),
        }
    }

    /// The document as a value: what its author wrote, with defaults that were written out left out again.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a document has string keys and finite numbers only")
    }

    /// The document as YAML, ready to be committed.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(&self.to_value()).expect("a document has string keys and finite numbers only")
    }
}

/// Names of the policy itself, of pools, load balancers and rules.
pub(super) const NAME: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
pub(super) const NAME_WORDS: &str =
    "a name of lower-case letters, digits, '-' and '.', that begins and ends with a letter or digit";
/// Codes of metros and facilities.
pub(super) const PLACE: &str = "^[a-z0-9][a-z0-9-]*$";
pub(super) const PLACE_WORDS: &str = "a lower-case code such as da or da11";
/// A time span.
pub(super) const SPAN: &str = "^[1-9][0-9]*(ms|s|m|h)$";
pub(super) const SPAN_WORDS: &str = "a time span such as 500ms, 5s or 1m";

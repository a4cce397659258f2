//! What is put on Nodes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NAME, NAME_WORDS};
use crate::domain;

/// What is put on Nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Nodes")]
pub struct Nodes {
    /// Which Nodes may be touched at all.
    #[serde(skip_serializing_if = "Manage::is_default")]
    #[schemars(example = Manage::default())]
    pub manage: Manage,
    /// What the topology labels say.
    #[schemars(example = Topology::default())]
    pub topology: Topology,
    /// Rules; every rule that matches applies, in order, and a later one wins on the same key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([
        {"name": "gpu", "match": {"plans": ["g2.*"]}, "labels": {"accelerator": "nvidia"}}
    ]))]
    pub rules: Vec<NodeRule>,
}

/// Which Nodes may be touched at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Managed Nodes")]
pub struct Manage {
    /// Nodes whose `spec.providerID` begins so; Nodes of other clouds in a hybrid cluster are never touched.
    #[serde(rename = "providerIDs")]
    #[schemars(length(min = 1), extend("uniqueItems" = true), example = ["equinixmetal", "packet"])]
    pub provider_ids: Vec<ProviderName>,
}

/// Provider names that mean Equinix Metal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderName {
    /// `equinixmetal://…`
    EquinixMetal,
    /// `packet://…`, the earlier name.
    Packet,
}

/// What the topology labels say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Topology labels")]
pub struct Topology {
    /// Where `topology.kubernetes.io/region` comes from.
    #[schemars(example = &"Metro")]
    pub region: TopologySource,
    /// Where `topology.kubernetes.io/zone` comes from.
    #[schemars(example = &"Facility")]
    pub zone: TopologySource,
}

/// Where a topology label comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TopologySource {
    /// The metro of the device.
    Metro,
    /// The facility of the device.
    Facility,
    /// The label is not set.
    None,
}

/// A rule for Nodes: sets at least one of labels, annotations and taints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    title = "Rule for Nodes",
    extend("anyOf" = [{"required": ["labels"]}, {"required": ["annotations"]}, {"required": ["taints"]}])
)]
pub struct NodeRule {
    /// Name of the rule, shown in events and `explain`.
    #[schemars(
        length(max = 63),
        regex(pattern = NAME),
        extend("patternErrorMessage" = NAME_WORDS),
        example = &"gpu"
    )]
    pub name: String,
    /// Which devices the rule applies to: all given fields must match; `{}` matches every device.
    #[serde(rename = "match")]
    #[schemars(example = serde_json::json!({"plans": ["g2.*"]}))]
    pub matches: NodeMatch,
    /// Labels to set. Values may contain `{device.plan}` and other properties, and named groups of `tagPattern`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(min = 1), example = serde_json::json!({"accelerator": "nvidia"}))]
    pub labels: BTreeMap<String, String>,
    /// Annotations to set. Values may contain `{device.plan}` and other properties, and named groups of `tagPattern`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(min = 1), example = serde_json::json!({"metal.example.com/device": "{device.id}"}))]
    pub annotations: BTreeMap<String, String>,
    /// Taints to set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1), example = serde_json::json!([{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]))]
    pub taints: Vec<Taint>,
}

/// Which devices a rule applies to: all given fields must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Match of devices")]
pub struct NodeMatch {
    /// Globs on the server type; one must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), inner(length(min = 1, max = 253)), example = ["g2.*"])]
    pub plans: Option<Vec<String>>,
    /// Globs on the tags of the device; one tag must match one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), inner(length(min = 1, max = 253)), example = ["gpu"])]
    pub tags: Option<Vec<String>>,
    /// Globs on the metro of the device; one must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), inner(length(min = 1, max = 253)), example = ["da"])]
    pub metros: Option<Vec<String>>,
    /// Globs on the facility of the device; one must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), inner(length(min = 1, max = 253)), example = ["da*"])]
    pub facilities: Option<Vec<String>>,
    /// Globs on the hostname of the device; one must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), inner(length(min = 1, max = 253)), example = ["worker-*"])]
    pub hostnames: Option<Vec<String>>,
    /// Regular expression that one whole tag must match; values of the rule may use its named groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), example = &"rack=(?<rack>[a-z0-9-]+)")]
    pub tag_pattern: Option<String>,
}

/// A taint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Taint")]
pub struct Taint {
    /// Key of the taint.
    #[schemars(length(min = 1), example = &"nvidia.com/gpu")]
    pub key: String,
    /// Value of the taint.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(example = &"present")]
    pub value: String,
    /// What the taint does to Pods that do not tolerate it.
    #[schemars(example = &"NoSchedule")]
    pub effect: TaintEffect,
}

/// What a taint does to Pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// They are not scheduled here.
    NoSchedule,
    /// They are scheduled here only when there is no other place.
    PreferNoSchedule,
    /// They are not scheduled here, and those that run here are evicted.
    NoExecute,
}

impl Nodes {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Manage {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ProviderName {
    /// The part of a provider ID before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EquinixMetal => domain::provider_id::PROVIDER_NAME,
            Self::Packet => domain::provider_id::LEGACY_PROVIDER_NAME,
        }
    }
}

impl Default for Manage {
    fn default() -> Self {
        Self { provider_ids: vec![ProviderName::EquinixMetal, ProviderName::Packet] }
    }
}

impl Default for Topology {
    fn default() -> Self {
        Self { region: TopologySource::Metro, zone: TopologySource::Facility }
    }
}

impl From<&Taint> for domain::Taint {
    fn from(taint: &Taint) -> Self {
        Self {
            key: taint.key.clone(),
            value: taint.value.clone(),
            effect: match taint.effect {
                TaintEffect::NoSchedule => domain::TaintEffect::NoSchedule,
                TaintEffect::PreferNoSchedule => domain::TaintEffect::PreferNoSchedule,
                TaintEffect::NoExecute => domain::TaintEffect::NoExecute,
            },
        }
    }
}

//! What the policy puts on Nodes: topology labels, and the labels, annotations and taints of its rules.

use std::collections::BTreeMap;

use globset::GlobMatcher;
use regex::Regex;

use crate::domain::Taint;

/// The policy's section on Nodes.
#[derive(Debug, Clone, Default)]
pub struct NodeStrategy {
    /// Provider names (the part of a provider ID before `://`) of the Nodes that may be touched.
    pub provider_names: Vec<String>,
    /// What the region label says.
    pub region: TopologySource,
    /// What the zone label says.
    pub zone: TopologySource,
    /// Every rule that matches applies, in order; a later rule wins over an earlier one on the same key.
    pub rules: Vec<NodeRule>,
}

/// Where a topology label comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TopologySource {
    /// The device's metro.
    Metro,
    /// The device's facility.
    Facility,
    /// The label is not set.
    #[default]
    None,
}

/// A rule for Nodes.
#[derive(Debug, Clone)]
pub struct NodeRule {
    /// Its name.
    pub name: String,
    /// Which devices it applies to.
    pub matches: DeviceMatch,
    /// Labels it sets.
    pub labels: BTreeMap<String, Template>,
    /// Annotations it sets.
    pub annotations: BTreeMap<String, Template>,
    /// Taints it sets.
    pub taints: Vec<Taint>,
}

/// Which devices a rule applies to: every given field must match; in a list, one value is enough.
#[derive(Debug, Clone, Default)]
pub struct DeviceMatch {
    /// Globs on the server type.
    pub plans: Option<Vec<GlobMatcher>>,
    /// Globs on tags; one tag of the device is enough.
    pub tags: Option<Vec<GlobMatcher>>,
    /// Globs on the metro code.
    pub metros: Option<Vec<GlobMatcher>>,
    /// Globs on the facility code.
    pub facilities: Option<Vec<GlobMatcher>>,
    /// Globs on the hostname.
    pub hostnames: Option<Vec<GlobMatcher>>,
    /// A pattern that one whole tag must match; its named groups can be used in values.
    pub tag_pattern: Option<Regex>,
}

/// A value with parts taken from the device or from a rule's pattern: `{device.plan}`, `{rack}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub Vec<TemplatePart>);

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// Text as written.
    Literal(String),
    /// A property of the device.
    Device(DeviceProperty),
    /// A named group of the rule's `tagPattern`.
    Group(String),
}

/// Properties of a device that a value may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceProperty {
    /// `{device.id}`
    Id,
    /// `{device.hostname}`
    Hostname,
    /// `{device.plan}`: the server type.
    Plan,
    /// `{device.metro}`
    Metro,
    /// `{device.facility}`
    Facility,
    /// `{device.state}`
    State,
}

//! What the policy puts on Nodes: topology labels, and the labels, annotations and taints of its rules.

use std::collections::BTreeMap;

use globset::GlobMatcher;
use regex::Regex;

use super::node_decision::Miss;
use crate::domain::{Device, Taint};

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
    /// A pattern that one whole tag must match, made by [`whole_tag_pattern`]; its named groups can be used in values.
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

/// Compiles a `tagPattern` so that it must match a tag from its first to its last character.
///
/// # Errors
/// The text is no regular expression.
pub fn whole_tag_pattern(text: &str) -> Result<Regex, regex::Error> {
    // By itself first: a stray parenthesis must not pair up with those put around it.
    Regex::new(text)?;
    Regex::new(&format!(r"\A(?:{text})\z"))
}

impl DeviceMatch {
    /// The named groups of the pattern when the device meets every condition, else the first one that it does not.
    ///
    /// Where several tags match the pattern, the first in alphabetical order gives the groups: the order in which the
    /// cloud lists tags decides nothing.
    pub fn captures(&self, device: &Device) -> Result<BTreeMap<String, String>, Miss> {
        let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
        any_matches("plans", &self.plans, &one(&device.instance_type))?;
        any_matches("tags", &self.tags, &device.tags)?;
        any_matches("metros", &self.metros, &one(&device.metro))?;
        any_matches("facilities", &self.facilities, &one(&device.facility))?;
        any_matches("hostnames", &self.hostnames, std::slice::from_ref(&device.hostname))?;
        match &self.tag_pattern {
            None => Ok(BTreeMap::new()),
            Some(pattern) => groups(pattern, &device.tags).ok_or_else(|| miss("tagPattern", &device.tags)),
        }
    }
}

fn any_matches(condition: &'static str, globs: &Option<Vec<GlobMatcher>>, values: &[String]) -> Result<(), Miss> {
    match globs {
        Some(globs) if !values.iter().any(|value| globs.iter().any(|glob| glob.is_match(value))) => {
            Err(miss(condition, values))
        }
        _ => Ok(()),
    }
}

/// The groups of the first tag, in alphabetical order, that the pattern matches from its first to its last character.
fn groups(pattern: &Regex, tags: &[String]) -> Option<BTreeMap<String, String>> {
    let whole = tags.iter().filter_map(|tag| {
        let captures = pattern.captures(tag)?;
        (captures.get_match().range() == (0..tag.len())).then_some((tag, captures))
    });
    let (_, captures) = whole.min_by_key(|(tag, _)| *tag)?;
    let named = pattern.capture_names().flatten();
    Some(named.filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned()))).collect())
}

fn miss(condition: &'static str, values: &[String]) -> Miss {
    let found = match values {
        [] => "none".to_owned(),
        values => values.join(", "),
    };
    Miss { condition, found }
}

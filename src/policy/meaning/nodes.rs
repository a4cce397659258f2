//! Checks the section on Nodes.

use std::collections::BTreeMap;

use globset::GlobMatcher;
use regex::Regex;

use super::labels::{self, KEY, VALUE, key_fault, value_fault};
use super::report::Report;
use super::template;
use crate::domain::Taint;
use crate::policy::document::{Bgp, NodeMatch, NodeRule, Nodes, TopologySource};
use crate::policy::tree::Place;
use crate::policy::words::quote;
use crate::policy::{FaultCode, Pointer, glob, pattern};
use crate::strategy::NodeStrategy;
use crate::strategy::node_labels::{self, DeviceMatch, Template};

pub(super) fn check(nodes: &Nodes, bgp: &Bgp, report: &mut Report<'_>) -> NodeStrategy {
    let at = Pointer::root().key("spec").key("nodes").key("rules");
    let rules =
        nodes.rules.iter().enumerate().map(|(index, rule)| check_rule(rule, bgp, &at.index(index), report)).collect();
    super::unique_names(nodes.rules.iter().map(|rule| rule.name.as_str()), &at, "a rule for Nodes", report);
    NodeStrategy {
        provider_names: nodes.manage.provider_ids.iter().map(|name| name.as_str().to_owned()).collect(),
        region: source(nodes.topology.region),
        zone: source(nodes.topology.zone),
        rules,
    }
}

fn source(source: TopologySource) -> node_labels::TopologySource {
    match source {
        TopologySource::Metro => node_labels::TopologySource::Metro,
        TopologySource::Facility => node_labels::TopologySource::Facility,
        TopologySource::None => node_labels::TopologySource::None,
    }
}

fn check_rule(rule: &NodeRule, bgp: &Bgp, at: &Pointer, report: &mut Report<'_>) -> node_labels::NodeRule {
    let (matches, groups) = check_match(&rule.matches, &at.key("match"), report);
    let labels = at.key("labels");
    for (key, value) in &rule.labels {
        check_key(key, &labels, report);
        check_label_value(value, labels.key(key), report);
    }
    let annotations = at.key("annotations");
    for key in rule.annotations.keys() {
        check_key(key, &annotations, report);
        if super::bgp::writes(bgp, key) {
            report.error(
                Place::Key(annotations.key(key)),
                FaultCode::ReservedLabel,
                "an annotation that nothing else of this policy writes",
                format!("{}, which spec.bgp.annotations names", quote(key)),
            );
        }
    }
    node_labels::NodeRule {
        name: rule.name.clone(),
        matches,
        labels: read_values(&rule.labels, &labels, &groups, report),
        annotations: read_values(&rule.annotations, &annotations, &groups, report),
        taints: check_taints(rule, &at.key("taints"), report),
    }
}

fn check_match(matches: &NodeMatch, at: &Pointer, report: &mut Report<'_>) -> (DeviceMatch, Groups) {
    let mut globs = |field: &str, texts: &Option<Vec<String>>| read_globs(texts, &at.key(field), report);
    let mut device = DeviceMatch {
        plans: globs("plans", &matches.plans),
        tags: globs("tags", &matches.tags),
        metros: globs("metros", &matches.metros),
        facilities: globs("facilities", &matches.facilities),
        hostnames: globs("hostnames", &matches.hostnames),
        tag_pattern: None,
    };
    let here = at.key("tagPattern");
    let groups = match &matches.tag_pattern {
        None if report.is_incomplete(&here) => Groups::Unknown,
        None => Groups::Known(Vec::new()),
        Some(text) => match pattern::compile_whole(text) {
            Ok(pattern) => {
                let groups = named_groups(&pattern);
                device.tag_pattern = Some(pattern);
                Groups::Known(groups)
            }
            Err(reason) => {
                report.error(
                    Place::Value(here),
                    FaultCode::InvalidPattern,
                    "a regular expression",
                    format!("{}: {reason}", quote(text)),
                );
                Groups::Unknown
            }
        },
    };
    (device, groups)
}

/// The names that values may use.
enum Groups {
    Known(Vec<String>),
    /// The pattern has a fault of its own.
    Unknown,
}

fn named_groups(pattern: &Regex) -> Vec<String> {
    pattern.capture_names().flatten().map(str::to_owned).collect()
}

fn read_globs(texts: &Option<Vec<String>>, at: &Pointer, report: &mut Report<'_>) -> Option<Vec<GlobMatcher>> {
    let texts = texts.as_ref()?;
    let mut globs = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match glob::matcher(text) {
            Ok(glob) => globs.push(glob),
            Err(reason) => {
                report.error(
                    Place::Value(at.index(index)),
                    FaultCode::InvalidGlob,
                    "a glob",
                    format!("{}: {reason}", quote(text)),
                );
            }
        }
    }
    Some(globs)
}

fn check_key(key: &str, at: &Pointer, report: &mut Report<'_>) {
    let place = Place::Key(at.key(key));
    if let Some(found) = key_fault(key) {
        report.error(place, FaultCode::InvalidLabel, KEY, found);
    } else if let Some(reason) = labels::reserved(key) {
        report.error(place, FaultCode::ReservedLabel, "a key that a rule may set", format!("{}, {reason}", quote(key)));
    }
}

/// A value without parts is judged as a whole, else each text between the parts by itself.
fn check_label_value(value: &str, at: Pointer, report: &mut Report<'_>) {
    let found = match value.contains(['{', '}']) {
        false => value_fault(value),
        true => stray_character(value).map(|character| format!("{character:?} in {}", quote(value))),
    };
    if let Some(found) = found {
        report.error(Place::Value(at), FaultCode::InvalidLabel, VALUE, found);
    }
}

fn stray_character(value: &str) -> Option<char> {
    let mut inside = false;
    value.chars().find(|character| match character {
        '{' => {
            inside = true;
            false
        }
        '}' => {
            inside = false;
            false
        }
        other => !inside && !labels::may_stand_inside(*other),
    })
}

fn read_values(
    values: &BTreeMap<String, String>,
    at: &Pointer,
    groups: &Groups,
    report: &mut Report<'_>,
) -> BTreeMap<String, Template> {
    let Groups::Known(groups) = groups else {
        return BTreeMap::new();
    };
    let mut read = BTreeMap::new();
    for (key, value) in values {
        match template::read(value, groups) {
            Ok(template) => {
                read.insert(key.clone(), template);
            }
            Err(fault) => report
                .error(
                    Place::Inside(at.key(key), fault.from, fault.length),
                    FaultCode::InvalidTemplate,
                    fault.expected,
                    fault.found,
                )
                .suggest(fault.suggestion),
        }
    }
    read
}

fn check_taints(rule: &NodeRule, at: &Pointer, report: &mut Report<'_>) -> Vec<Taint> {
    let mut taints: Vec<Taint> = Vec::new();
    for (index, written) in rule.taints.iter().enumerate() {
        let here = at.index(index);
        let taint = Taint::from(written);
        if let Some(found) = key_fault(&taint.key) {
            report.error(Place::Value(here.key("key")), FaultCode::InvalidLabel, KEY, found);
        } else if let Some(reason) = labels::reserved(&taint.key) {
            report.error(
                Place::Value(here.key("key")),
                FaultCode::ReservedLabel,
                "a key that a rule may set",
                format!("{}, {reason}", quote(&taint.key)),
            );
        }
        if let Some(found) = value_fault(&taint.value) {
            report.error(Place::Value(here.key("value")), FaultCode::InvalidLabel, VALUE, found);
        }
        match taints.iter().any(|other| other.same_identity(&taint)) {
            true => {
                report.error(
                    Place::Value(here),
                    FaultCode::DuplicateName,
                    "every key and effect once",
                    format!("{} a second time", quote(&format!("{}:{}", taint.key, taint.effect.as_str()))),
                );
            }
            false => taints.push(taint),
        }
    }
    taints
}

//! Why a Node gets what it gets.

use std::fmt;

use serde::Serialize;

use super::indented;
use crate::domain::{Device, Node, TopologyLabel};
use crate::policy::Policy;
use crate::strategy::node_decision::{ManagedField, NodeDecision};

/// Why a Node gets what it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeExplanation {
    /// Its name.
    pub node: String,
    /// Whether it may be touched at all.
    pub managed: bool,
    /// What the region label says; absent where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What the zone label says; absent where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Every rule in order.
    pub rules: Vec<RuleText>,
    /// What is set, and by which rule.
    pub fields: Vec<FieldText>,
    /// What rules want and cannot get.
    pub problems: Vec<String>,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleText {
    /// Its name.
    pub rule: String,
    /// Why it does not apply; absent when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miss: Option<String>,
}

/// Something that is set on the Node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldText {
    /// Label, annotation or taint, with its key.
    pub field: String,
    /// Its value.
    pub value: String,
    /// The rule that sets it.
    pub rule: String,
}

impl NodeExplanation {
    /// Explains what a policy decides for a Node and the device behind it.
    pub fn new(policy: &Policy, node: &Node, device: &Device) -> Self {
        let managed = policy.nodes.manages(node);
        if !managed {
            return Self {
                node: node.name.clone(),
                managed,
                region: None,
                zone: None,
                rules: Vec::new(),
                fields: Vec::new(),
                problems: Vec::new(),
            };
        }
        let decision = policy.nodes.decide(device);
        Self {
            node: node.name.clone(),
            managed,
            region: text(&decision.region),
            zone: text(&decision.zone),
            fields: fields(&decision),
            problems: decision.problems.iter().map(ToString::to_string).collect(),
            rules: decision
                .rules
                .into_iter()
                .map(|verdict| RuleText { rule: verdict.rule, miss: verdict.miss.map(|miss| miss.to_string()) })
                .collect(),
        }
    }
}

fn text(label: &TopologyLabel) -> Option<String> {
    match label {
        TopologyLabel::Is(value) => Some(value.clone()),
        TopologyLabel::Unknown | TopologyLabel::Unwanted => None,
    }
}

fn fields(decision: &NodeDecision) -> Vec<FieldText> {
    let managed = &decision.managed;
    decision
        .origins
        .iter()
        .filter_map(|(field, rule)| {
            let value = match field {
                ManagedField::Label(key) => managed.labels.get(key)?.clone(),
                ManagedField::Annotation(key) => managed.annotations.get(key)?.clone(),
                ManagedField::Taint(key, effect) => {
                    managed.taints.iter().find(|taint| taint.key == *key && taint.effect == *effect)?.value.clone()
                }
            };
            Some(FieldText { field: field.to_string(), value, rule: rule.clone() })
        })
        .collect()
}

impl fmt::Display for NodeExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.managed {
            return writeln!(f, "Node {}: left alone, as its provider ID is of another cloud", self.node);
        }
        writeln!(f, "Node {}:", self.node)?;
        let shown = |label: &Option<String>| label.clone().unwrap_or_else(|| "not set".to_owned());
        writeln!(f, "  region: {}, zone: {}", shown(&self.region), shown(&self.zone))?;
        let rules: Vec<String> = self
            .rules
            .iter()
            .map(|rule| match &rule.miss {
                None => format!("{}: yes", rule.rule),
                Some(miss) => format!("{}: no, {miss}", rule.rule),
            })
            .collect();
        indented(f, "rules", &rules)?;
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|field| match field.value.as_str() {
                "" => format!("{} (rule {})", field.field, field.rule),
                value => format!("{}={value} (rule {})", field.field, field.rule),
            })
            .collect();
        indented(f, "set", &fields)?;
        indented(f, "cannot be set", &self.problems)
    }
}

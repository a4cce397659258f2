//! What the policy decides for one device, and why.

use std::collections::BTreeMap;
use std::fmt;

use super::node_labels::{DeviceProperty, NodeRule, NodeStrategy, Template, TemplatePart, TopologySource};
use crate::domain::labels::is_reserved_key;
use crate::domain::node::{MANAGED_FIELDS_ANNOTATION, Taint, TaintEffect};
use crate::domain::{Device, ManagedFields, Node, TopologyLabel};

/// The most characters that Kubernetes allows in a label value.
pub const MAX_LABEL_VALUE: usize = 63;

/// What the policy decides for one device. The same policy and device give the same decision, whatever the order in
/// which the cloud lists tags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeDecision {
    /// The region label.
    pub region: TopologyLabel,
    /// The zone label.
    pub zone: TopologyLabel,
    /// What the rules put on the Node.
    pub managed: ManagedFields,
    /// Every rule in order: whether it matched and, if not, why.
    pub rules: Vec<RuleVerdict>,
    /// Which rule set each field of `managed`.
    pub origins: BTreeMap<ManagedField, String>,
    /// What rules wanted and could not get.
    pub problems: Vec<NodeProblem>,
}

/// Names a field that rules can set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ManagedField {
    /// A label, by key.
    Label(String),
    /// An annotation, by key.
    Annotation(String),
    /// A taint, by key and effect.
    Taint(String, TaintEffect),
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleVerdict {
    /// The rule.
    pub rule: String,
    /// Why it does not apply; `None` when it does.
    pub miss: Option<Miss>,
}

/// The first condition of a rule that a device does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The condition, by its name in the policy.
    pub condition: &'static str,
    /// What the device has instead.
    pub found: String,
}

/// Something that a rule wanted and could not get. The field is left out; the rest of the rule applies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {field}: {fault}")]
pub struct NodeProblem {
    /// The rule.
    pub rule: String,
    /// The field.
    pub field: ManagedField,
    /// What is wrong.
    pub fault: FieldFault,
}

/// Why a field cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// The key belongs to Kubernetes or to this controller.
    #[error("this key is not for rules to set")]
    ReservedKey,
    /// The device lacks the property, or the pattern's group took no part in the match.
    #[error("the device has no {0}")]
    NoValue(String),
    /// Kubernetes would refuse the value.
    #[error(transparent)]
    Refused(#[from] LabelValueFault),
}

/// Why Kubernetes would refuse a label value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelValueFault {
    /// Too long.
    #[error("value {value:?} has {length} characters, Kubernetes allows {MAX_LABEL_VALUE}")]
    TooLong {
        /// The value.
        value: String,
        /// Its length.
        length: usize,
    },
    /// A character that is not allowed, or not allowed at that end.
    #[error(
        "value {value:?} is not a label value: letters, digits, '-', '_' and '.' are, beginning and ending with a letter or digit"
    )]
    Character {
        /// The value.
        value: String,
    },
}

impl NodeStrategy {
    /// Whether a Node may be touched: it has a provider ID of a provider in the policy's list, or none yet.
    pub fn manages(&self, node: &Node) -> bool {
        if node.provider_id.is_empty() {
            return true;
        }
        let name = match node.provider_id.split_once("://") {
            Some((name, _)) => name,
            // A bare device id, as this provider also accepts it.
            None => crate::domain::provider_id::PROVIDER_NAME,
        };
        self.provider_names.iter().any(|managed| managed == name)
    }

    /// Decides topology labels and, from every rule that matches, the fields of the Node. A later rule wins.
    pub fn decide(&self, device: &Device) -> NodeDecision {
        let mut decision =
            NodeDecision { region: self.region.of(device), zone: self.zone.of(device), ..NodeDecision::default() };
        for rule in &self.rules {
            let miss = match rule.matches.captures(device) {
                Ok(groups) => {
                    decision.apply(rule, device, &groups);
                    None
                }
                Err(miss) => Some(miss),
            };
            decision.rules.push(RuleVerdict { rule: rule.name.clone(), miss });
        }
        decision
    }
}

impl TopologySource {
    fn of(self, device: &Device) -> TopologyLabel {
        let value = match self {
            Self::Metro => &device.metro,
            Self::Facility => &device.facility,
            Self::None => return TopologyLabel::Unwanted,
        };
        match value.as_deref() {
            Some(code) if label_value_fault(code).is_none() && !code.is_empty() => TopologyLabel::Is(code.to_owned()),
            _ => TopologyLabel::Unknown,
        }
    }
}

impl NodeDecision {
    fn apply(&mut self, rule: &NodeRule, device: &Device, groups: &BTreeMap<String, String>) {
        for (key, template) in &rule.labels {
            let field = ManagedField::Label(key.clone());
            let value =
                checked(is_reserved_key(key)).and_then(|()| template.render(device, groups)).and_then(|value| {
                    match label_value_fault(&value) {
                        None => Ok(value),
                        Some(fault) => Err(fault.into()),
                    }
                });
            if let Some(value) = self.accept(rule, field, value) {
                self.managed.labels.insert(key.clone(), value);
            }
        }
        for (key, template) in &rule.annotations {
            let field = ManagedField::Annotation(key.clone());
            let value = checked(is_reserved_key(key) || key == MANAGED_FIELDS_ANNOTATION)
                .and_then(|()| template.render(device, groups));
            if let Some(value) = self.accept(rule, field, value) {
                self.managed.annotations.insert(key.clone(), value);
            }
        }
        for taint in &rule.taints {
            let field = ManagedField::Taint(taint.key.clone(), taint.effect);
            if let Some(()) = self.accept(rule, field, checked(is_reserved_key(&taint.key))) {
                self.put_taint(taint);
            }
        }
    }

    fn accept<T>(&mut self, rule: &NodeRule, field: ManagedField, value: Result<T, FieldFault>) -> Option<T> {
        let rule = rule.name.clone();
        match value {
            Ok(value) => {
                self.origins.insert(field, rule);
                Some(value)
            }
            Err(fault) => {
                self.problems.push(NodeProblem { rule, field, fault });
                None
            }
        }
    }

    fn put_taint(&mut self, taint: &Taint) {
        match self.managed.taints.iter_mut().find(|set| set.same_identity(taint)) {
            Some(set) => set.value.clone_from(&taint.value),
            None => self.managed.taints.push(taint.clone()),
        }
    }
}

impl Template {
    fn render(&self, device: &Device, groups: &BTreeMap<String, String>) -> Result<String, FieldFault> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Literal(literal) => text.push_str(literal),
                TemplatePart::Device(property) => {
                    text.push_str(property.of(device).ok_or_else(|| FieldFault::NoValue(property.as_str().to_owned()))?)
                }
                TemplatePart::Group(name) => {
                    text.push_str(groups.get(name).ok_or_else(|| FieldFault::NoValue(format!("{{{name}}}")))?)
                }
            }
        }
        Ok(text)
    }
}

impl DeviceProperty {
    /// Its name in the policy, without braces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "device.id",
            Self::Hostname => "device.hostname",
            Self::Plan => "device.plan",
            Self::Metro => "device.metro",
            Self::Facility => "device.facility",
            Self::State => "device.state",
        }
    }

    fn of(self, device: &Device) -> Option<&str> {
        match self {
            Self::Id => Some(device.id.as_str()),
            Self::Hostname => Some(&device.hostname),
            Self::Plan => device.instance_type.as_deref(),
            Self::Metro => device.metro.as_deref(),
            Self::Facility => device.facility.as_deref(),
            Self::State => Some(device.state.as_str()),
        }
    }
}

impl fmt::Display for ManagedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => write!(f, "label {key}"),
            Self::Annotation(key) => write!(f, "annotation {key}"),
            Self::Taint(key, effect) => write!(f, "taint {key}:{}", effect.as_str()),
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not match: the device has {}", self.condition, self.found)
    }
}

/// Why Kubernetes would refuse a label value; `None` when it would not. The empty value is a good one.
pub fn label_value_fault(value: &str) -> Option<LabelValueFault> {
    let length = value.chars().count();
    if length > MAX_LABEL_VALUE {
        return Some(LabelValueFault::TooLong { value: value.to_owned(), length });
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let good = value.chars().all(inner) && outer(value.chars().next()) && outer(value.chars().last());
    (!good).then(|| LabelValueFault::Character { value: value.to_owned() })
}

fn checked(reserved: bool) -> Result<(), FieldFault> {
    if reserved { Err(FieldFault::ReservedKey) } else { Ok(()) }
}

#[cfg(test)]
mod tests;

//! The fields of a Node that cloud and policy decide, kept in step with what they say.
//!
//! What rules set is remembered in an annotation of the Node itself ([`MANAGED_FIELDS_ANNOTATION`]), so that it can be
//! taken away when no rule sets it any more, by whichever replica, after whatever restart.
//!
//! # Guarantees
//! - A label, annotation or taint that is neither wanted nor remembered is never touched, nor is one that is wanted
//!   but was there first.
//! - What is remembered goes only while it still has the value that was set: a field taken over by somebody else stays.
//! - Values and memory change in one write that fails when the Node is no longer as it was read.
//! - Planning again after the write plans nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::NodePatch;
use crate::domain::labels::is_reserved_key;
use crate::domain::node::{MANAGED_FIELDS_ANNOTATION, UNINITIALIZED_TAINT};
use crate::domain::{InstanceMetadata, Node, Taint, TaintEffect, TopologyLabel};

/// The stable label of the zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// The stable label of the region.
pub const REGION: &str = "topology.kubernetes.io/region";
/// The stable label of the server type.
pub const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
/// The earlier label of the zone, which old readers still use.
pub const BETA_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
/// The earlier label of the region.
pub const BETA_REGION: &str = "failure-domain.beta.kubernetes.io/region";
/// The earlier label of the server type.
pub const BETA_INSTANCE_TYPE: &str = "beta.kubernetes.io/instance-type";

/// What is to be done to one Node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldPlan {
    /// The one write; `None` when everything is as it should be.
    pub patch: Option<NodePatch>,
    /// Fields that rules want otherwise and that somebody else had set before.
    pub foreign: Vec<ForeignField>,
}

/// A field that a rule wants and somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignField {
    /// What it is, as in `label tier`.
    pub field: String,
    /// What the rule wants.
    pub wanted: String,
    /// What is there.
    pub found: String,
}

/// What rules set on a Node, as remembered on it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    taints: Vec<Taint>,
}

/// Brings an initialised Node in step with what cloud and policy say of it.
pub fn reconcile(node: &Node, metadata: &InstanceMetadata) -> FieldPlan {
    let mut draft = Draft::of(node);
    draft.set_rule_fields(metadata);
    draft.set_topology(metadata);
    draft.repair_stable_labels();
    draft.finish()
}

/// Initialises a Node: provider ID, type and topology labels, what rules set, and the end of the uninitialised taint,
/// in one write.
pub fn initialise(node: &Node, metadata: &InstanceMetadata) -> FieldPlan {
    let mut draft = Draft::of(node);
    draft.set_rule_fields(metadata);
    draft.set_topology(metadata);
    if !metadata.instance_type.is_empty() {
        draft.set_label(INSTANCE_TYPE, &metadata.instance_type);
        draft.set_label(BETA_INSTANCE_TYPE, &metadata.instance_type);
    }
    draft.repair_stable_labels();
    draft.taints.retain(|taint| taint.key != UNINITIALIZED_TAINT);
    if node.provider_id.is_empty() {
        draft.provider_id = Some(metadata.provider_id.to_string());
    }
    draft.finish()
}

/// Repairs the stable labels of a Node from its beta labels, where nothing is known of its machine.
pub fn repair(node: &Node) -> Option<NodePatch> {
    let mut draft = Draft::of(node);
    draft.repair_stable_labels();
    draft.finish().patch
}

/// The Node as it is to become.
struct Draft<'a> {
    node: &'a Node,
    provider_id: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    taints: Vec<Taint>,
    remembered: Memory,
    memory: Memory,
    foreign: Foreign,
}

impl<'a> Draft<'a> {
    fn of(node: &'a Node) -> Self {
        let remembered = Memory::of(node);
        Self {
            node,
            provider_id: None,
            labels: node.labels.clone(),
            annotations: node.annotations.clone(),
            taints: node.taints.clone(),
            memory: remembered.clone(),
            remembered,
            foreign: Foreign::default(),
        }
    }

    fn set_rule_fields(&mut self, metadata: &InstanceMetadata) {
        let managed = &metadata.managed;
        let mut remembered = self.remembered.labels.clone();
        remembered.retain(|key, _| !is_topology(key));
        let name = |key: &String| format!("label {key}");
        self.memory.labels = self.foreign.merge(&managed.labels, &remembered, &mut self.labels, name);

        let (wanted, remembered) = (&managed.annotations, &self.remembered.annotations);
        let name = |key: &String| format!("annotation {key}");
        self.memory.annotations = self.foreign.merge(wanted, remembered, &mut self.annotations, name);

        let mut taints = by_identity(&self.taints);
        let (wanted, remembered) = (by_identity(&managed.taints), by_identity(&self.remembered.taints));
        let name = |(key, effect): &Identity| format!("taint {key}:{}", effect.as_str());
        let memory = self.foreign.merge(&wanted, &remembered, &mut taints, name);
        self.memory.taints = memory.into_iter().map(to_taint).collect();
        self.put_taints(taints);
    }

    /// Applies what changed while every taint that stays keeps its place; new ones go to the end.
    fn put_taints(&mut self, mut wanted: BTreeMap<Identity, String>) {
        self.taints.retain_mut(|taint| match wanted.remove(&identity(taint)) {
            Some(value) => {
                taint.value = value;
                true
            }
            None => false,
        });
        self.taints.extend(wanted.into_iter().map(to_taint));
    }

    fn set_topology(&mut self, metadata: &InstanceMetadata) {
        for (wanted, keys) in [(&metadata.zone, [ZONE, BETA_ZONE]), (&metadata.region, [REGION, BETA_REGION])] {
            for key in keys {
                let remembered = self.remembered.labels.get(key).cloned();
                match (wanted, remembered) {
                    (TopologyLabel::Is(value), _) => {
                        self.set_label(key, value);
                        self.memory.labels.insert(key.to_owned(), value.clone());
                    }
                    (TopologyLabel::Unknown, Some(remembered)) => {
                        self.memory.labels.insert(key.to_owned(), remembered);
                    }
                    (TopologyLabel::Unwanted, Some(remembered)) if self.labels.get(key) == Some(&remembered) => {
                        self.labels.remove(key);
                    }
                    (TopologyLabel::Unwanted, Some(_)) | (TopologyLabel::Unknown | TopologyLabel::Unwanted, None) => {}
                }
            }
        }
    }

    /// The beta labels are the truth where both are there: whoever wrote them wrote both.
    fn repair_stable_labels(&mut self) {
        for (beta, stable) in [(BETA_ZONE, ZONE), (BETA_REGION, REGION), (BETA_INSTANCE_TYPE, INSTANCE_TYPE)] {
            if let Some(value) = self.labels.get(beta).cloned() {
                self.set_label(stable, &value);
            }
        }
    }

    fn set_label(&mut self, key: &str, value: &str) {
        self.labels.insert(key.to_owned(), value.to_owned());
    }

    fn finish(mut self) -> FieldPlan {
        if self.memory != self.remembered {
            match self.memory.to_annotation() {
                Some(text) => self.annotations.insert(MANAGED_FIELDS_ANNOTATION.to_owned(), text),
                None => self.annotations.remove(MANAGED_FIELDS_ANNOTATION),
            };
        }
        let patch = NodePatch {
            node: self.node.name.clone(),
            // Every write follows from what was read: on another version it might overwrite what somebody else owns.
            resource_version: Some(self.node.resource_version.clone()),
            provider_id: self.provider_id,
            labels: difference(&self.node.labels, &self.labels),
            annotations: difference(&self.node.annotations, &self.annotations),
            taints: (self.taints != self.node.taints).then_some(self.taints),
        };
        self.foreign.0.sort();
        FieldPlan { patch: (!patch.is_empty()).then_some(patch), foreign: self.foreign.0 }
    }
}

impl Memory {
    /// What the Node remembers. A text that cannot be read is no memory: nothing is removed on the strength of it.
    fn of(node: &Node) -> Self {
        let text = node.annotations.get(MANAGED_FIELDS_ANNOTATION);
        let mut memory: Self = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        // A kubelet may write the annotation of its own Node: it must not have us take away what is Kubernetes' own.
        memory.labels.retain(|key, _| !is_reserved_key(key) || is_topology(key));
        memory.annotations.retain(|key, _| !is_reserved_key(key));
        memory.taints.retain(|taint| !is_reserved_key(&taint.key));
        memory
    }

    /// The annotation's value; `None` when there is nothing to remember.
    fn to_annotation(&self) -> Option<String> {
        (*self != Self::default()).then(|| serde_json::to_string(self).expect("every key is a string"))
    }
}

/// Fields of others that stand in the way.
#[derive(Default)]
struct Foreign(Vec<ForeignField>);

impl Foreign {
    /// Brings `fields` in step with what is wanted, given what is remembered; returns what is to be remembered.
    fn merge<K: Ord + Clone>(
        &mut self,
        wanted: &BTreeMap<K, String>,
        remembered: &BTreeMap<K, String>,
        fields: &mut BTreeMap<K, String>,
        name: impl Fn(&K) -> String,
    ) -> BTreeMap<K, String> {
        for (key, value) in remembered {
            if !wanted.contains_key(key) && fields.get(key) == Some(value) {
                fields.remove(key);
            }
        }
        let mut memory = BTreeMap::new();
        for (key, value) in wanted {
            match fields.get(key) {
                Some(found) if !remembered.contains_key(key) => {
                    if found != value {
                        self.0.push(ForeignField { field: name(key), wanted: value.clone(), found: found.clone() });
                    }
                }
                Some(_) | None => {
                    fields.insert(key.clone(), value.clone());
                    memory.insert(key.clone(), value.clone());
                }
            }
        }
        memory
    }
}

impl fmt::Display for ForeignField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, wanted, found } = self;
        write!(f, "{field} is {found:?} by somebody else's hand, a rule wants {wanted:?}")
    }
}

fn is_topology(key: &str) -> bool {
    [ZONE, BETA_ZONE, REGION, BETA_REGION].contains(&key)
}

type Identity = (String, TaintEffect);

fn identity(taint: &Taint) -> Identity {
    (taint.key.clone(), taint.effect)
}

fn by_identity(taints: &[Taint]) -> BTreeMap<Identity, String> {
    taints.iter().map(|taint| (identity(taint), taint.value.clone())).collect()
}

fn to_taint(((key, effect), value): (Identity, String)) -> Taint {
    Taint { key, value, effect }
}

fn difference(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    let removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), None));
    let set = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    removed.chain(set.map(|(key, value)| (key.clone(), Some(value.clone())))).collect()
}

#[cfg(test)]
mod tests;

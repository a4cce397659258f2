//! The set of nodes that may receive traffic, made anew only when something about a node changed that matters.

use std::sync::{Arc, Mutex, PoisonError};

use super::cache::{Cache, Delta};
use super::predicates::{changes_node_set, is_eligible, triggers_node_sync};
use crate::domain::Node;
use crate::ports::NodeSet;

/// Makes the set of eligible nodes from the cache, and keeps it until a node changes.
///
/// # Guarantees
/// Between two relevant changes every answer is the same [`Arc`]. Readiness and versions of the nodes in it may be older
/// than the cache's.
pub struct NodeSets {
    nodes: Cache<Node>,
    current: Mutex<Option<Arc<NodeSet>>>,
}

/// What a change of a node asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeTrigger {
    /// Compare every load balancer with the nodes.
    Sync,
    /// Nothing now: whatever changed is seen when something else asks.
    None,
}

impl NodeSets {
    /// Sets made from this cache.
    pub fn new(nodes: Cache<Node>) -> Self {
        Self { nodes, current: Mutex::new(None) }
    }

    /// The nodes that may receive traffic now.
    pub fn current(&self) -> Arc<NodeSet> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let eligible = self.nodes.all().into_iter().filter(|node| is_eligible(node));
            Arc::new(NodeSet::new(eligible.collect()))
        };
        Arc::clone(current.get_or_insert_with(make))
    }

    /// Takes note of a change of the cache.
    pub fn note(&self, delta: &Delta<Node>) -> NodeTrigger {
        let (old, new) = match delta {
            Delta::Applied { old, new } => (old.as_deref(), Some(&**new)),
            Delta::Deleted(old) => (Some(&**old), None),
        };
        if changes_node_set(old, new) {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        match triggers_node_sync(old, new) {
            true => NodeTrigger::Sync,
            false => NodeTrigger::None,
        }
    }
}

/// Whether two sets differ in nothing that a load balancer was told: the same nodes by name and provider ID.
pub fn same_nodes(one: &Arc<NodeSet>, other: &Arc<NodeSet>) -> bool {
    Arc::ptr_eq(one, other) || one.identity() == other.identity()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1 as api;
    use kube::runtime::watcher::Event;
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;
    use crate::kubernetes::cache::cache;

    fn node(name: &str, version: u32, fields: Value) -> api::Node {
        let mut object = json!({ "metadata": { "name": name, "uid": name, "resourceVersion": version.to_string() } });
        json_patch::merge(&mut object, &fields);
        serde_json::from_value(object).expect("a Node")
    }

    #[test]
    fn the_set_is_the_same_until_a_node_changes_in_what_matters() {
        let (nodes, mut writer) = cache::<Node>();
        let (sets, mut deltas) = (NodeSets::new(nodes.clone()), nodes.subscribe());
        let mut after = |event| {
            writer.apply(event);
            let triggers: Vec<NodeTrigger> =
                std::iter::from_fn(|| deltas.try_next()).map(|delta| sets.note(&delta)).collect();
            (triggers, sets.current())
        };
        let names = |set: &NodeSet| set.nodes().iter().map(|node| node.name.clone()).collect::<Vec<_>>();

        after(Event::Apply(node("b", 1, json!({}))));
        let (triggers, first) = after(Event::Apply(node("a", 2, json!({}))));
        assert_eq!((triggers, names(&first)), (vec![NodeTrigger::Sync], vec!["a".to_owned(), "b".to_owned()]));

        let heartbeat = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        let (triggers, second) = after(Event::Apply(node("a", 3, heartbeat)));
        assert_eq!(triggers, [NodeTrigger::None]);
        assert!(Arc::ptr_eq(&first, &second));

        let labelled = json!({ "metadata": { "labels": { "bgp": "yes" } } });
        let (triggers, third) = after(Event::Apply(node("a", 4, labelled)));
        assert_eq!(triggers, [NodeTrigger::None]);
        assert!(!Arc::ptr_eq(&second, &third) && same_nodes(&second, &third));

        let (triggers, fourth) = after(Event::Delete(node("b", 5, json!({}))));
        assert_eq!((triggers, names(&fourth)), (vec![NodeTrigger::Sync], vec!["a".to_owned()]));
        assert!(!same_nodes(&third, &fourth));
    }
}

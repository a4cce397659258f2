//! The taint that keeps Pods off a Node whose machine is switched off.

use super::NodePatch;
use crate::domain::node::SHUTDOWN_TAINT;
use crate::domain::{Node, Taint, TaintEffect};

/// Puts the taint on a Node; `None` when it is there as it should be.
pub fn add(node: &Node) -> Option<NodePatch> {
    let wanted = shutdown();
    if node.taints.contains(&wanted) {
        return None;
    }
    let mut taints = node.taints.clone();
    match taints.iter_mut().find(|taint| taint.same_identity(&wanted)) {
        Some(taint) => *taint = wanted,
        None => taints.push(wanted),
    }
    Some(with_taints(node, taints))
}

/// Takes the taint off a Node; `None` when there is none.
pub fn remove(node: &Node) -> Option<NodePatch> {
    let ours = shutdown();
    let taints: Vec<Taint> = node.taints.iter().filter(|t| !t.same_identity(&ours)).cloned().collect();
    (taints.len() != node.taints.len()).then(|| with_taints(node, taints))
}

fn shutdown() -> Taint {
    Taint { key: SHUTDOWN_TAINT.to_owned(), value: String::new(), effect: TaintEffect::NoSchedule }
}

fn with_taints(node: &Node, taints: Vec<Taint>) -> NodePatch {
    NodePatch {
        resource_version: Some(node.resource_version.clone()),
        taints: Some(taints),
        ..NodePatch::new(node.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::domain::testing::node;

    fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
        Taint { key: key.to_owned(), value: value.to_owned(), effect }
    }

    fn tainted(taints: &[Taint]) -> Node {
        let mut node = node("n1");
        node.taints = taints.to_vec();
        node
    }

    #[test]
    fn life_10_11_the_taint_is_added_once_without_a_value() {
        let foreign = || taint("dedicated", "db", TaintEffect::NoExecute);
        let other_effect = || taint(SHUTDOWN_TAINT, "", TaintEffect::NoExecute);
        let cases = [
            ("none yet", vec![foreign()], Some(vec![foreign(), shutdown()])),
            ("there", vec![shutdown(), foreign()], None),
            (
                "there with a value",
                vec![taint(SHUTDOWN_TAINT, "yes", TaintEffect::NoSchedule), foreign()],
                Some(vec![shutdown(), foreign()]),
            ),
            ("another effect is another taint", vec![other_effect()], Some(vec![other_effect(), shutdown()])),
        ];
        for (name, before, after) in cases {
            let patch = add(&tainted(&before));
            assert_eq!(patch.clone().and_then(|p| p.taints), after, "{name}");
            assert!(
                patch.is_none_or(|p| p.resource_version.as_deref() == Some("7")),
                "{name}: the whole list goes out with the version it was made from"
            );
        }
    }

    #[test]
    fn life_05_the_taint_is_removed_and_no_other() {
        let foreign = || taint("dedicated", "db", TaintEffect::NoExecute);
        let cases = [
            ("none", vec![foreign()], None),
            ("there", vec![foreign(), shutdown()], Some(vec![foreign()])),
            ("there with a value", vec![taint(SHUTDOWN_TAINT, "yes", TaintEffect::NoSchedule)], Some(vec![])),
        ];
        for (name, before, after) in cases {
            assert_eq!(remove(&tainted(&before)).and_then(|p| p.taints), after, "{name}");
        }
    }
}

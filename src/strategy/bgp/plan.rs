//! From what is known of the project's BGP to what is to be done about it.

use ipnet::IpNet;

use super::BgpStrategy;
use crate::domain::{BgpNeighbor, Device, IpFamily, Node};
use crate::plan::{Action, BgpFacts, NodeBgp, NodePatch, Step};

/// What is to be done, and for which nodes nothing can be done now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BgpPlan {
    /// The steps: the project first, then node by node.
    pub steps: Vec<Step>,
    /// Nodes that cannot be served now. What they have is left as it is.
    pub failures: Vec<NodeFailure>,
}

/// A node that cannot be served now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFailure {
    /// The node.
    pub node: String,
    /// Why not.
    pub reason: String,
}

impl std::fmt::Display for NodeFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {}: {}", self.node, self.reason)
    }
}

impl BgpStrategy {
    /// Whether a node takes part.
    pub fn selects(&self, node: &Node) -> bool {
        self.node_selector.matches(&node.labels)
    }

    /// The step that enables BGP, where the project does not have it.
    pub fn enable(&self, facts: &BgpFacts) -> Option<Step> {
        let reason = match &facts.config {
            Some(config) if config.is_enabled() => return None,
            Some(_) => "the project's BGP is disabled",
            None => "the project has no BGP configuration",
        };
        Some(Step::new(Action::EnableBgp { asn: self.local_asn, password: self.password.clone() }, reason))
    }

    /// Everything that is to be done so that the selected nodes can announce. Empty once it is done.
    pub fn plan(&self, facts: &BgpFacts) -> BgpPlan {
        let mut plan = BgpPlan { steps: self.enable(facts).into_iter().collect(), failures: Vec::new() };
        for entry in facts.nodes.iter().filter(|entry| !facts.given_up.contains(&entry.node.name)) {
            match self.plan_node(entry, &facts.private_blocks) {
                Ok(step) => plan.steps.extend(step),
                Err(reason) => plan.failures.push(NodeFailure { node: entry.node.name.clone(), reason }),
            }
        }
        plan
    }

    fn plan_node(&self, entry: &NodeBgp, private_blocks: &[IpNet]) -> Result<Option<Step>, String> {
        let machine = entry.machine.as_ref().map_err(Clone::clone)?;
        let Some(neighbors) = &machine.neighbors else {
            let session = Action::CreateBgpSession {
                node: entry.node.name.clone(),
                device: machine.device.id.clone(),
                family: IpFamily::V4,
            };
            return Ok(Some(Step::new(session, "the device has no IPv4 BGP session")));
        };
        let neighbors = neighbors.as_ref().map_err(Clone::clone)?;
        let neighbor = neighbors
            .iter()
            .find(|n: &&BgpNeighbor| n.family == IpFamily::V4)
            .ok_or_else(|| format!("Metal lists no IPv4 BGP neighbor for device {}", machine.device.id))?;
        let network = private_network(&machine.device, private_blocks)?;
        let wanted = self.annotations.wanted(network, neighbor);
        let annotations = self.annotations.changes(&entry.node.annotations, wanted);
        if annotations.is_empty() {
            return Ok(None);
        }
        let patch = NodePatch { annotations, ..NodePatch::new(&entry.node.name) };
        Ok(Some(Step::new(Action::PatchNode(patch), "the node's annotations differ from its BGP neighbors")))
    }
}

/// The private network of a device: the parent block of its private management address.
fn private_network(device: &Device, private_blocks: &[IpNet]) -> Result<IpNet, String> {
    let own = device
        .private_management_v4()
        .ok_or_else(|| format!("device {} has no private management IPv4 address to announce from", device.id))?;
    own.parent_block.or_else(|| private_blocks.iter().copied().find(|block| block.contains(&own.address))).ok_or_else(
        || format!("Metal does not tell the private network of address {} of device {}", own.address, device.id),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::domain::{BgpConfig, BgpConfigStatus, LabelRequirement, LabelSelector, Operator, Secret};
    use crate::plan::NodeMachine;
    use crate::strategy::testing::{device, node};

    fn neighbor(peers: &[&str], password: Option<&str>) -> BgpNeighbor {
        BgpNeighbor {
            family: IpFamily::V4,
            customer_as: 65000,
            customer_ip: "10.70.41.3".parse().unwrap(),
            peer_as: 65530,
            peer_ips: peers.iter().map(|p| p.parse().unwrap()).collect(),
            md5_password: password.map(Secret::new),
        }
    }

    fn enabled() -> Option<BgpConfig> {
        Some(BgpConfig { status: BgpConfigStatus::Enabled, asn: 65000, md5: None, max_prefix: Some(10) })
    }

    fn facts(annotations: &[(&str, &str)], neighbors: Option<Vec<BgpNeighbor>>) -> BgpFacts {
        let mut worker = node("worker-1");
        worker.annotations = annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let machine = NodeMachine { device: device("d1"), neighbors: neighbors.map(|n| Ok(Arc::new(n))) };
        BgpFacts {
            config: enabled(),
            private_blocks: vec![],
            nodes: vec![NodeBgp { node: Arc::new(worker), machine: Ok(machine) }],
            given_up: BTreeSet::new(),
        }
    }

    fn steps(facts: &BgpFacts) -> Vec<String> {
        let plan = BgpStrategy::default().plan(facts);
        plan.steps.iter().map(ToString::to_string).chain(plan.failures.iter().map(|f| format!("! {f}"))).collect()
    }

    fn patched(facts: &BgpFacts) -> BTreeMap<String, Option<String>> {
        match BgpStrategy::default().plan(facts).steps.as_slice() {
            [Step { action: Action::PatchNode(patch), .. }] => patch.annotations.clone(),
            other => panic!("one patch was expected: {other:?}"),
        }
    }

    const COMPLETE: [(&str, &str); 11] = [
        ("metal.equinix.com/network-4-private", "10.70.41.0/28"),
        ("metal.equinix.com/bgp-peers-0-node-asn", "65000"),
        ("metal.equinix.com/bgp-peers-0-peer-asn", "65530"),
        ("metal.equinix.com/bgp-peers-0-peer-ip", "169.254.255.1"),
        ("metal.equinix.com/bgp-peers-0-src-ip", "10.70.41.3"),
        ("metal.equinix.com/bgp-peers-0-bgp-pass", "czNjcmV0"),
        ("metal.equinix.com/bgp-peers-1-node-asn", "65000"),
        ("metal.equinix.com/bgp-peers-1-peer-asn", "65530"),
        ("metal.equinix.com/bgp-peers-1-peer-ip", "169.254.255.2"),
        ("metal.equinix.com/bgp-peers-1-src-ip", "10.70.41.3"),
        ("metal.equinix.com/bgp-peers-1-bgp-pass", "czNjcmV0"),
    ];

    #[test]
    fn bgp_01_02_05_bgp_is_enabled_once_and_a_requested_configuration_counts() {
        let config = |status| Some(BgpConfig { status, asn: 1, md5: None, max_prefix: None });
        let cases = [
            ("never enabled", None, true),
            ("enabled", enabled(), false),
            ("requested", config(BgpConfigStatus::Requested), false),
            ("disabled", config(BgpConfigStatus::Disabled), true),
        ];
        for (name, config, expected) in cases {
            let facts = BgpFacts { config, ..BgpFacts::default() };
            let step = BgpStrategy::default().enable(&facts).map(|s| s.action);
            assert_eq!(step, expected.then_some(Action::EnableBgp { asn: 65000, password: None }), "{name}");
        }
    }

    #[test]
    fn bgp_06_a_configuration_that_exists_wins_over_the_policys_numbers() {
        let mut theirs = neighbor(&["169.254.255.1"], None);
        theirs.customer_as = 64512;
        let mut facts = facts(&[], Some(vec![theirs]));
        facts.config = Some(BgpConfig { status: BgpConfigStatus::Enabled, asn: 64512, md5: None, max_prefix: None });
        assert_eq!(BgpStrategy::default().enable(&facts), None);
        assert_eq!(patched(&facts)["metal.equinix.com/bgp-peers-0-node-asn"].as_deref(), Some("64512"));
    }

    #[test]
    fn bgp_07_a_device_without_session_gets_one() {
        assert_eq!(
            steps(&facts(&[], None)),
            ["open ipv4 BGP session on device d1 of node worker-1  # the device has no IPv4 BGP session"]
        );
    }

    #[test]
    fn bgp_08_09_11_13_14_the_annotations_are_those_of_the_original() {
        let facts = facts(&[], Some(vec![neighbor(&["169.254.255.2", "169.254.255.1"], Some("s3cret"))]));
        let expected: BTreeMap<_, _> = COMPLETE.iter().map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned()))).collect();
        assert_eq!(patched(&facts), expected);
    }

    #[test]
    fn bgp_14_without_a_password_the_annotation_is_there_and_empty() {
        let patch = patched(&facts(&[], Some(vec![neighbor(&["169.254.255.1"], None)])));
        assert_eq!(patch["metal.equinix.com/bgp-peers-0-bgp-pass"], Some(String::new()));
    }

    #[test]
    fn bgp_15_16_17_what_changed_is_written_what_vanished_is_removed_and_the_rest_is_left() {
        let mut current = COMPLETE.to_vec();
        current.push(("example.com/other", "kept"));
        let same = facts(&current, Some(vec![neighbor(&["169.254.255.1", "169.254.255.2"], Some("s3cret"))]));
        assert_eq!(steps(&same), Vec::<String>::new(), "nothing changed");

        let mut changed = neighbor(&["169.254.255.1"], Some("s3cret"));
        changed.peer_as = 65531;
        let expected: BTreeMap<String, Option<String>> = [
            ("metal.equinix.com/bgp-peers-0-peer-asn", Some("65531")),
            ("metal.equinix.com/bgp-peers-1-node-asn", None),
            ("metal.equinix.com/bgp-peers-1-peer-asn", None),
            ("metal.equinix.com/bgp-peers-1-peer-ip", None),
            ("metal.equinix.com/bgp-peers-1-src-ip", None),
            ("metal.equinix.com/bgp-peers-1-bgp-pass", None),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.map(str::to_owned)))
        .collect();
        assert_eq!(patched(&facts(&current, Some(vec![changed]))), expected);
    }

    #[test]
    fn bgp_08_12_a_node_that_fails_is_reported_and_the_others_go_on() {
        let mut facts = facts(&[], None);
        let mut no_private = (*device("d2")).clone();
        no_private.addresses.retain(|a| a.public);
        let mut unknown_block = (*device("d3")).clone();
        unknown_block.addresses.iter_mut().for_each(|a| a.parent_block = None);
        let with = |name: &str, device, neighbors| NodeBgp {
            node: Arc::new(node(name)),
            machine: Ok(NodeMachine { device, neighbors: Some(neighbors) }),
        };
        let all = || Ok(Arc::new(vec![neighbor(&["169.254.255.1"], None)]));
        facts.nodes.extend([
            with("no-private", Arc::new(no_private), all()),
            with("no-block", Arc::new(unknown_block), all()),
            with("no-neighbor", device("d4"), Ok(Arc::new(vec![]))),
            with("no-answer", device("d5"), Err("no answer from Metal".into())),
            NodeBgp { node: Arc::new(node("no-id")), machine: Err("it has no provider ID yet".into()) },
        ]);
        assert_eq!(
            steps(&facts),
            [
                "open ipv4 BGP session on device d1 of node worker-1  # the device has no IPv4 BGP session",
                "! node no-private: device d2 has no private management IPv4 address to announce from",
                "! node no-block: Metal does not tell the private network of address 10.70.41.3 of device d3",
                "! node no-neighbor: Metal lists no IPv4 BGP neighbor for device d4",
                "! node no-answer: no answer from Metal",
                "! node no-id: it has no provider ID yet",
            ]
        );
        facts.given_up = facts.nodes.iter().map(|n| n.node.name.clone()).collect();
        assert_eq!(steps(&facts), Vec::<String>::new(), "a node given up in this round is not tried again in it");
    }

    #[test]
    fn bgp_11_the_private_block_is_found_among_the_projects_blocks_when_the_device_does_not_tell_it() {
        let mut facts = facts(&[], Some(vec![neighbor(&["169.254.255.1"], None)]));
        let machine = facts.nodes[0].machine.as_mut().unwrap();
        Arc::make_mut(&mut machine.device).addresses.iter_mut().for_each(|a| a.parent_block = None);
        facts.private_blocks = vec!["10.70.40.0/25".parse().unwrap(), "10.70.41.0/25".parse().unwrap()];
        assert_eq!(patched(&facts)["metal.equinix.com/network-4-private"], Some("10.70.41.0/25".to_owned()));
    }

    #[test]
    fn lb_18_the_selector_limits_the_nodes() {
        let strategy = BgpStrategy {
            node_selector: LabelSelector {
                requirements: vec![LabelRequirement {
                    key: "bgp".into(),
                    operator: Operator::In,
                    values: vec!["yes".into()],
                }],
            },
            ..BgpStrategy::default()
        };
        let mut labelled = node("a");
        labelled.labels.insert("bgp".into(), "yes".into());
        assert!(strategy.selects(&labelled) && !strategy.selects(&node("b")));
    }
}

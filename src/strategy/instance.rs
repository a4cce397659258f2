//! What the cloud and the policy say of a machine, put together from its device and its Node.

use std::net::IpAddr;

use super::node_addresses::provided_node_ips;
use super::node_labels::NodeStrategy;
use crate::domain::{Device, InstanceMetadata, Node, NodeAddress, NodeAddressType, ProviderId};

/// What the cloud and the policy say of the machine behind a Node.
///
/// A device that lacks a public or a private address is no error: the Node gets the addresses that there are.
pub fn metadata(strategy: &NodeStrategy, device: &Device, node: &Node) -> InstanceMetadata {
    let decision = strategy.decide(device);
    InstanceMetadata {
        provider_id: ProviderId::of(device.id.clone()),
        instance_type: device.instance_type.clone().unwrap_or_default(),
        addresses: addresses(device, node),
        zone: decision.zone,
        region: decision.region,
        managed: decision.managed,
        problems: decision.problems.iter().map(ToString::to_string).collect(),
    }
}

/// Hostname, then what the kubelet was told to use, then the device's IPv4 addresses in the cloud's order; no address
/// twice. Empty when no IP address is known at all: a Node must not lose the addresses that its kubelet found.
fn addresses(device: &Device, node: &Node) -> Vec<NodeAddress> {
    // A malformed value is reported where it is enforced, and adds nothing here.
    let provided = provided_node_ips(node).unwrap_or_default();
    let of_device = device.addresses.iter().filter(|a| a.address.is_ipv4()).map(|a| {
        let kind = if a.public { NodeAddressType::ExternalIp } else { NodeAddressType::InternalIp };
        (kind, a.address)
    });
    let mut seen: Vec<IpAddr> = Vec::new();
    let mut listed = Vec::new();
    let all = provided.into_iter().map(|ip| (NodeAddressType::InternalIp, ip));
    for (kind, address) in all.chain(of_device) {
        if !seen.contains(&address.to_canonical()) {
            seen.push(address.to_canonical());
            listed.push(NodeAddress::new(kind, address.to_string()));
        }
    }
    if !listed.is_empty() {
        listed.insert(0, NodeAddress::new(NodeAddressType::Hostname, device.hostname.clone()));
    }
    listed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::domain::node::PROVIDED_NODE_IP_ANNOTATION;
    use crate::domain::testing::{address, device, node};
    use crate::domain::{DeviceState, ManagedFields, TopologyLabel};
    use crate::strategy::node_labels::TopologySource;

    /// Name, addresses of the device, node-ip, addresses of the Node.
    type Case<'a> = (&'a str, &'a [&'a str], Option<&'a str>, &'a [&'a str]);

    fn shown(addresses: &[NodeAddress]) -> Vec<String> {
        addresses.iter().map(|a| format!("{}={}", a.kind.as_str(), a.address)).collect()
    }

    fn with_node_ip(value: Option<&str>) -> Node {
        let mut node = node("n1");
        if let Some(value) = value {
            node.annotations.insert(PROVIDED_NODE_IP_ANNOTATION.to_owned(), value.to_owned());
        }
        node
    }

    #[test]
    fn inst_09_10_11_20_type_is_the_plan_region_the_metro_and_zone_the_facility() {
        let strategy =
            NodeStrategy { region: TopologySource::Metro, zone: TopologySource::Facility, ..NodeStrategy::default() };
        let mut device = device("n1");
        assert_eq!(
            metadata(&strategy, &device, &node("n1")),
            InstanceMetadata {
                provider_id: "equinixmetal://id-n1".parse().expect("a provider ID"),
                instance_type: "c3.small.x86".into(),
                addresses: vec![
                    NodeAddress::new(NodeAddressType::Hostname, "n1"),
                    NodeAddress::new(NodeAddressType::ExternalIp, "147.75.0.1"),
                    NodeAddress::new(NodeAddressType::InternalIp, "10.0.0.1"),
                ],
                zone: TopologyLabel::Is("da11".into()),
                region: TopologyLabel::Is("da".into()),
                managed: ManagedFields { labels: BTreeMap::new(), annotations: BTreeMap::new(), taints: vec![] },
                problems: vec![],
            }
        );
        device.instance_type = None;
        device.metro = None;
        device.facility = None;
        let bare = metadata(&strategy, &device, &node("n1"));
        assert_eq!(
            (bare.instance_type.as_str(), bare.region, bare.zone),
            ("", TopologyLabel::Unknown, TopologyLabel::Unknown),
            "nothing is made up"
        );
    }

    #[test]
    fn inst_08_the_provider_id_is_written_in_the_new_form() {
        let mut node = node("n1");
        node.provider_id = "packet://id-n1".into();
        let found = metadata(&NodeStrategy::default(), &device("n1"), &node);
        assert_eq!(found.provider_id.to_string(), "equinixmetal://id-n1");
    }

    #[test]
    fn inst_12_13_14_17_hostname_then_node_ip_then_ipv4_in_the_clouds_order() {
        let dual = ["147.75.0.1 public", "2604:1380::1 public", "10.0.0.1 private", "10.0.0.2 private"];
        let cases: [Case; 7] = [
            (
                "no node-ip: IPv6 is left out",
                &dual,
                None,
                &["Hostname=n1", "ExternalIP=147.75.0.1", "InternalIP=10.0.0.1", "InternalIP=10.0.0.2"],
            ),
            (
                "node-ip of another interface",
                &dual,
                Some("192.168.7.7"),
                &[
                    "Hostname=n1",
                    "InternalIP=192.168.7.7",
                    "ExternalIP=147.75.0.1",
                    "InternalIP=10.0.0.1",
                    "InternalIP=10.0.0.2",
                ],
            ),
            (
                "node-ip is an address of the device: once",
                &dual,
                Some("10.0.0.2"),
                &["Hostname=n1", "InternalIP=10.0.0.2", "ExternalIP=147.75.0.1", "InternalIP=10.0.0.1"],
            ),
            (
                "node-ip is the public address: once, as InternalIP",
                &dual,
                Some("147.75.0.1"),
                &["Hostname=n1", "InternalIP=147.75.0.1", "InternalIP=10.0.0.1", "InternalIP=10.0.0.2"],
            ),
            (
                "dual-stack node-ip: one entry each, in its order",
                &dual,
                Some("2604:1380::1,10.0.0.1"),
                &[
                    "Hostname=n1",
                    "InternalIP=2604:1380::1",
                    "InternalIP=10.0.0.1",
                    "ExternalIP=147.75.0.1",
                    "InternalIP=10.0.0.2",
                ],
            ),
            (
                "the cloud lists an address twice",
                &["10.0.0.1 private", "10.0.0.1 private"],
                None,
                &["Hostname=n1", "InternalIP=10.0.0.1"],
            ),
            (
                "a malformed node-ip adds nothing",
                &["10.0.0.1 private"],
                Some("10.0.0.1 10.0.0.2"),
                &["Hostname=n1", "InternalIP=10.0.0.1"],
            ),
        ];
        for (name, of_device, node_ip, expected) in cases {
            let mut device = device("n1");
            device.addresses = of_device.iter().map(|text| address(text)).collect();
            assert_eq!(shown(&addresses(&device, &with_node_ip(node_ip))), expected, "{name}");
        }
    }

    #[test]
    fn inst_15_16_a_device_without_public_or_private_address_has_the_addresses_it_has() {
        let cases: [Case; 4] = [
            ("no public address", &["10.0.0.1 private"], None, &["Hostname=n1", "InternalIP=10.0.0.1"]),
            ("no private address", &["147.75.0.1 public"], None, &["Hostname=n1", "ExternalIP=147.75.0.1"]),
            ("the kubelet's only", &[], Some("10.0.0.9"), &["Hostname=n1", "InternalIP=10.0.0.9"]),
            ("none at all: the Node keeps what its kubelet found", &[], None, &[]),
        ];
        for (name, of_device, node_ip, expected) in cases {
            let mut device = device("n1");
            device.addresses = of_device.iter().map(|text| address(text)).collect();
            assert_eq!(shown(&addresses(&device, &with_node_ip(node_ip))), expected, "{name}");
        }
    }

    #[test]
    fn inst_19_a_state_that_is_not_known_changes_nothing() {
        let mut device = device("n1");
        let known = metadata(&NodeStrategy::default(), &device, &node("n1"));
        device.state = DeviceState::parse("hibernating");
        assert_eq!(metadata(&NodeStrategy::default(), &device, &node("n1")), known);
    }
}

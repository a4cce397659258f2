//! The addresses of a Node: what the cloud says, reconciled with the address that the kubelet was told to use.

use std::net::IpAddr;

use crate::domain::node::PROVIDED_NODE_IP_ANNOTATION;
use crate::domain::{IpFamily, Node, NodeAddress, NodeAddressType};

/// The kubelet's `--node-ip` and the cloud's addresses do not go together, or the former is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeIpError {
    /// Neither one address nor an IPv4 and an IPv6 one.
    #[error(
        "annotation {PROVIDED_NODE_IP_ANNOTATION}: {value:?} is neither one IP address nor an IPv4 and an IPv6 address joined by a comma"
    )]
    Malformed {
        /// The annotation's value.
        value: String,
    },
    /// The cloud does not know the address.
    #[error("failed to find the provided node IP {address} among the addresses of the machine: {known}")]
    NotOfTheMachine {
        /// The address.
        address: IpAddr,
        /// What the cloud says.
        known: String,
    },
}

/// The kubelet's `--node-ip` as it arrives on the Node: nothing, one address, or one of each family in the order that
/// decides which family comes first.
///
/// # Errors
/// The annotation is there and holds anything else.
pub fn provided_node_ips(node: &Node) -> Result<Vec<IpAddr>, NodeIpError> {
    let Some(value) = node.annotations.get(PROVIDED_NODE_IP_ANNOTATION) else {
        return Ok(Vec::new());
    };
    let malformed = || NodeIpError::Malformed { value: value.clone() };
    let ips =
        value.split(',').map(|part| part.parse::<IpAddr>().map_err(|_| malformed())).collect::<Result<Vec<_>, _>>()?;
    match ips.as_slice() {
        [_] => Ok(ips),
        [first, second]
            if IpFamily::of(*first) != IpFamily::of(*second) && !first.is_unspecified() && !second.is_unspecified() =>
        {
            Ok(ips)
        }
        _ => Err(malformed()),
    }
}

/// The whole list that belongs on the Node; `None` when the cloud names no address and the Node keeps what it has.
///
/// # Errors
/// The kubelet's `--node-ip` is malformed or no address of the machine.
pub fn node_addresses(node: &Node, of_cloud: &[NodeAddress]) -> Result<Option<Vec<NodeAddress>>, NodeIpError> {
    let provided = provided_node_ips(node)?;
    if of_cloud.is_empty() {
        // With an address asked for and none known the machine cannot be what the kubelet believes it to be.
        return match provided.first() {
            Some(address) => Err(unknown(*address, of_cloud)),
            None => Ok(None),
        };
    }
    let mut addresses = of_cloud.to_vec();
    if !addresses.iter().any(is_hostname) {
        addresses.extend(node.addresses.iter().filter(|a| is_hostname(a)).cloned());
    }
    let mut enforced: Vec<NodeAddress> = Vec::new();
    for ip in provided {
        let before = enforced.len();
        enforced.extend(addresses.iter().filter(|a| is_address(a, ip)).cloned());
        if enforced.len() == before {
            return Err(unknown(ip, of_cloud));
        }
    }
    let kinds: Vec<NodeAddressType> = enforced.iter().map(|a| a.kind.clone()).collect();
    enforced.extend(addresses.into_iter().filter(|a| !kinds.contains(&a.kind)));
    Ok(Some(enforced))
}

fn is_hostname(address: &NodeAddress) -> bool {
    address.kind == NodeAddressType::Hostname
}

/// By value and not by text: `::ffff:10.0.0.1` is `10.0.0.1`.
fn is_address(address: &NodeAddress, ip: IpAddr) -> bool {
    address.address.parse::<IpAddr>().is_ok_and(|parsed| parsed.to_canonical() == ip.to_canonical())
}

fn unknown(address: IpAddr, known: &[NodeAddress]) -> NodeIpError {
    let known = match known {
        [] => "none".to_owned(),
        known => known.iter().map(|a| a.address.as_str()).collect::<Vec<_>>().join(", "),
    };
    NodeIpError::NotOfTheMachine { address, known }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::domain::testing::node;

    fn addresses(listed: &[&str]) -> Vec<NodeAddress> {
        listed
            .iter()
            .map(|entry| {
                let (kind, address) = entry.split_once('=').expect("kind=address");
                NodeAddress::new(NodeAddressType::parse(kind), address)
            })
            .collect()
    }

    fn provided(value: &str) -> Node {
        let mut node = node("n1");
        node.annotations.insert(PROVIDED_NODE_IP_ANNOTATION.to_owned(), value.to_owned());
        node
    }

    const CLOUD: [&str; 5] =
        ["Hostname=n1", "InternalIP=10.0.0.1", "InternalIP=fd00::1", "ExternalIP=147.75.0.1", "InternalIP=10.0.0.2"];

    #[test]
    fn node_22_the_annotation_is_one_address_or_one_of_each_family() {
        let cases: [(&str, &str, Option<&[&str]>); 14] = [
            ("one IPv4", "10.0.0.1", Some(&["10.0.0.1"])),
            ("one IPv6", "fd00::1", Some(&["fd00::1"])),
            ("unspecified alone", "0.0.0.0", Some(&["0.0.0.0"])),
            ("both, IPv4 first", "10.0.0.1,fd00::1", Some(&["10.0.0.1", "fd00::1"])),
            ("both, IPv6 first", "fd00::1,10.0.0.1", Some(&["fd00::1", "10.0.0.1"])),
            ("empty", "", None),
            ("garbage", "node", None),
            ("spaces", "10.0.0.1, fd00::1", None),
            ("IPv4 twice", "10.0.0.1,10.0.0.2", None),
            ("IPv6 twice", "fd00::1,fd00::2", None),
            ("three", "10.0.0.1,fd00::1,10.0.0.2", None),
            ("unspecified in a pair", "0.0.0.0,fd00::1", None),
            ("unspecified IPv6 in a pair", "10.0.0.1,::", None),
            ("trailing comma", "10.0.0.1,", None),
        ];
        for (name, value, expected) in cases {
            let expected = match expected {
                Some(ips) => Ok(ips.iter().map(|ip| ip.parse().expect("an address")).collect()),
                None => Err(NodeIpError::Malformed { value: value.to_owned() }),
            };
            assert_eq!(provided_node_ips(&provided(value)), expected, "{name}");
        }
        assert_eq!(provided_node_ips(&node("n1")), Ok(vec![]), "no annotation");
    }

    #[test]
    fn node_23_24_the_provided_addresses_come_first_and_displace_others_of_their_type() {
        let cases: [(&str, &str, &[&str]); 5] = [
            (
                "one address: other InternalIPs vanish",
                "10.0.0.2",
                &["InternalIP=10.0.0.2", "Hostname=n1", "ExternalIP=147.75.0.1"],
            ),
            (
                "IPv4 first",
                "10.0.0.1,fd00::1",
                &["InternalIP=10.0.0.1", "InternalIP=fd00::1", "Hostname=n1", "ExternalIP=147.75.0.1"],
            ),
            (
                "IPv6 first",
                "fd00::1,10.0.0.1",
                &["InternalIP=fd00::1", "InternalIP=10.0.0.1", "Hostname=n1", "ExternalIP=147.75.0.1"],
            ),
            (
                "an external address",
                "147.75.0.1",
                &[
                    "ExternalIP=147.75.0.1",
                    "Hostname=n1",
                    "InternalIP=10.0.0.1",
                    "InternalIP=fd00::1",
                    "InternalIP=10.0.0.2",
                ],
            ),
            ("compared as numbers", "fd00:0::0:1", &["InternalIP=fd00::1", "Hostname=n1", "ExternalIP=147.75.0.1"]),
        ];
        for (name, value, expected) in cases {
            assert_eq!(node_addresses(&provided(value), &addresses(&CLOUD)), Ok(Some(addresses(expected))), "{name}");
        }
    }

    #[test]
    fn node_21_an_address_that_the_machine_lacks_is_an_error() {
        let error = node_addresses(&provided("10.9.9.9"), &addresses(&CLOUD[..2])).expect_err("no such address");
        assert_eq!(
            error.to_string(),
            "failed to find the provided node IP 10.9.9.9 among the addresses of the machine: n1, 10.0.0.1"
        );
        let second = node_addresses(&provided("10.0.0.1,fd00::9"), &addresses(&CLOUD)).expect_err("no such address");
        assert_eq!(
            second,
            unknown("fd00::9".parse().expect("an address"), &addresses(&CLOUD)),
            "each of a pair must be there"
        );
        assert_eq!(
            node_addresses(&provided("10.0.0.1"), &[]),
            Err(unknown("10.0.0.1".parse().expect("an address"), &[])),
            "the cloud names none"
        );
    }

    #[test]
    fn node_25_the_kubelets_hostname_stays_when_the_cloud_names_none() {
        let mut node = node("n1");
        node.addresses = addresses(&["InternalIP=10.0.0.7", "Hostname=kubelet", "InternalDNS=n1.local"]);
        assert_eq!(
            node_addresses(&node, &addresses(&["InternalIP=10.0.0.1"])),
            Ok(Some(addresses(&["InternalIP=10.0.0.1", "Hostname=kubelet"]))),
            "appended, and no other entry of the kubelet"
        );
        assert_eq!(
            node_addresses(&node, &addresses(&["Hostname=cloud", "InternalIP=10.0.0.1"])),
            Ok(Some(addresses(&["Hostname=cloud", "InternalIP=10.0.0.1"]))),
            "the cloud's replaces it"
        );
        node.annotations.insert(PROVIDED_NODE_IP_ANNOTATION.to_owned(), "10.0.0.1".to_owned());
        assert_eq!(
            node_addresses(&node, &addresses(&["ExternalIP=147.75.0.1", "InternalIP=10.0.0.1"])),
            Ok(Some(addresses(&["InternalIP=10.0.0.1", "ExternalIP=147.75.0.1", "Hostname=kubelet"]))),
            "appended before the filter"
        );
    }

    #[test]
    fn node_26_27_no_address_leaves_the_status_alone_and_any_replaces_it_whole() {
        let mut node = node("n1");
        node.addresses = addresses(&["InternalIP=10.0.0.7", "ExternalIP=147.75.0.9", "Hostname=n1"]);
        assert_eq!(node_addresses(&node, &[]), Ok(None));
        assert_eq!(
            node_addresses(&node, &addresses(&["Hostname=n1", "InternalIP=10.0.0.1"])),
            Ok(Some(addresses(&["Hostname=n1", "InternalIP=10.0.0.1"])))
        );
    }
}

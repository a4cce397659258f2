//! Facts for tests.

use std::collections::BTreeMap;

use super::{Device, DeviceAddress, DeviceId, DeviceState, Node, Readiness};

/// A ready Node without labels, taints, addresses or provider ID.
pub(crate) fn node(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        resource_version: "7".to_owned(),
        created_at: 1_000,
        deleting: false,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        provider_id: String::new(),
        unschedulable: false,
        taints: Vec::new(),
        addresses: Vec::new(),
        readiness: Readiness::Ready,
        readiness_since: 1_000,
    }
}

/// An active device in Dallas with a public and a private address; its id is `id-<hostname>`.
pub(crate) fn device(hostname: &str) -> Device {
    Device {
        id: DeviceId::new(format!("id-{hostname}")),
        hostname: hostname.to_owned(),
        state: DeviceState::Active,
        tags: Vec::new(),
        instance_type: Some("c3.small.x86".to_owned()),
        metro: Some("da".to_owned()),
        facility: Some("da11".to_owned()),
        addresses: vec![address("147.75.0.1 public"), address("10.0.0.1 private")],
    }
}

/// An address from `<address> public` or `<address> private`.
pub(crate) fn address(text: &str) -> DeviceAddress {
    let (address, scope) = text.split_once(' ').expect("an address and its scope");
    DeviceAddress {
        address: address.parse().expect("an address"),
        cidr: 31,
        public: scope == "public",
        management: true,
        parent_block: None,
    }
}

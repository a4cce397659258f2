//! Valid objects for tests, to be changed one field at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::reservation::Location;
use crate::domain::{
    Device, DeviceAddress, DeviceId, DeviceState, IpFamily, IpReservation, Node, Protocol, Readiness, ReservationId,
    ReservationState, ReservationType, Service, ServiceKey, ServicePort, ServiceType, TrafficPolicy,
};
use crate::strategy::ElasticPool;

/// A ready Node without labels.
pub(crate) fn node(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        resource_version: "1".into(),
        created_at: 0,
        deleting: false,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        provider_id: String::new(),
        unschedulable: false,
        taints: vec![],
        addresses: vec![],
        readiness: Readiness::Ready,
        readiness_since: 0,
    }
}

/// An active device with one public and one private IPv4 address.
pub(crate) fn device(id: &str) -> Arc<Device> {
    let address = |address: &str, public, parent: &str| DeviceAddress {
        address: address.parse().unwrap(),
        cidr: 31,
        public,
        management: true,
        parent_block: Some(parent.parse().unwrap()),
    };
    Arc::new(Device {
        id: DeviceId::new(id),
        hostname: format!("host-{id}"),
        state: DeviceState::Active,
        tags: vec![],
        instance_type: Some("c3.small.x86".into()),
        metro: Some("da".into()),
        facility: Some("da11".into()),
        addresses: vec![address("145.40.1.3", true, "145.40.1.2/31"), address("10.70.41.3", false, "10.70.41.0/28")],
    })
}

/// `default/<name>`, type LoadBalancer, one port, nothing given yet.
pub(crate) fn service(name: &str) -> Service {
    Service {
        key: ServiceKey::new("default", name),
        uid: format!("uid-{name}"),
        resource_version: "1".into(),
        created_at: "2026-01-01T00:00:00Z".into(),
        deleting: false,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        finalizers: vec![],
        kind: ServiceType::LoadBalancer,
        load_balancer_class: None,
        load_balancer_ip: None,
        source_ranges: vec![],
        external_ips: vec![],
        ports: vec![ServicePort {
            name: String::new(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: 30080,
            target_port: "80".into(),
            app_protocol: String::new(),
        }],
        ip_families: vec![IpFamily::V4],
        external_traffic_policy: TrafficPolicy::Cluster,
        health_check_node_port: 0,
        session_affinity: "None".into(),
        ingress: vec![],
    }
}

/// A created public IPv4 reservation with these tags.
pub(crate) fn reservation(id: &str, address: &str, tags: &[&str]) -> IpReservation {
    IpReservation {
        id: ReservationId::new(id),
        kind: ReservationType::PublicIpv4,
        state: ReservationState::Created,
        address: Some(address.parse().unwrap()),
        network: Some(address.parse().unwrap()),
        cidr: 32,
        tags: tags.iter().map(|t| (*t).to_owned()).collect(),
        metro: Some("da".into()),
        facility: None,
        assigned_to: vec![],
        created_at: Some("2026-01-01T00:00:00Z".into()),
    }
}

/// A pool that reserves public IPv4 addresses in metro `da`.
pub(crate) fn elastic_pool(name: &str) -> ElasticPool {
    ElasticPool {
        name: name.to_owned(),
        kind: ReservationType::PublicIpv4,
        location: Some(Location::Metro("da".into())),
        tags: vec![],
        max_addresses: None,
        on_release: crate::domain::record::OnRelease::Delete,
    }
}

//! Services for the tests.

use std::collections::BTreeMap;

use cloud_provider_equinix_metal::domain::{Protocol, Service, ServiceKey, ServicePort, ServiceType, TrafficPolicy};

/// A Service of type LoadBalancer with one port 80.
pub(crate) fn service(namespace: &str, name: &str) -> Service {
    Service {
        key: ServiceKey::new(namespace, name),
        uid: "u1".into(),
        resource_version: "1".into(),
        created_at: "2026-01-01T00:00:00Z".into(),
        deleting: false,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        finalizers: Vec::new(),
        kind: ServiceType::LoadBalancer,
        load_balancer_class: None,
        load_balancer_ip: None,
        source_ranges: Vec::new(),
        external_ips: Vec::new(),
        ports: vec![port(80)],
        ip_families: Vec::new(),
        external_traffic_policy: TrafficPolicy::Cluster,
        health_check_node_port: 0,
        session_affinity: String::new(),
        ingress: Vec::new(),
    }
}

/// A TCP port.
pub(crate) fn port(number: u16) -> ServicePort {
    ServicePort {
        name: String::new(),
        protocol: Protocol::Tcp,
        port: number,
        node_port: 0,
        target_port: number.to_string(),
        app_protocol: String::new(),
    }
}

/// Labels.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

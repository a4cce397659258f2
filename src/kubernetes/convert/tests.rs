use std::collections::BTreeMap;

use pretty_assertions::assert_eq;

use super::*;

fn read_service(object: Value) -> Service {
    service(&serde_json::from_value(object).expect("a Service"))
}

fn read_node(object: Value) -> Node {
    node(&serde_json::from_value(object).expect("a Node"))
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_service_is_read_in_full() {
    let read = read_service(json!({
        "metadata": {
            "namespace": "shop", "name": "web", "uid": "u1", "resourceVersion": "7",
            "creationTimestamp": "2026-01-02T03:04:05Z", "deletionTimestamp": "2026-01-02T03:04:06Z",
            "labels": { "app": "web" }, "annotations": { "note": "x" }, "finalizers": ["a/b"],
        },
        "spec": {
            "type": "LoadBalancer", "loadBalancerClass": "metal.equinix.com/internal",
            "loadBalancerIP": "192.0.2.7", "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "externalIPs": ["198.51.100.1"], "ipFamilies": ["IPv6", "IPv4"],
            "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000,
            "sessionAffinity": "ClientIP", "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 90 } },
            "ports": [
                { "name": "web", "port": 80, "nodePort": 30080, "targetPort": "http", "appProtocol": "h2c" },
                { "protocol": "UDP", "port": 53, "targetPort": 5353 },
            ],
        },
        "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.7", "ipMode": "VIP" }, { "hostname": "lb" }] } },
    }));
    let port = |name: &str, protocol, port, node_port, target: &str, app: &str| ServicePort {
        name: name.into(),
        protocol,
        port,
        node_port,
        target_port: target.into(),
        app_protocol: app.into(),
    };
    let expected = Service {
        key: ServiceKey::new("shop", "web"),
        uid: "u1".into(),
        resource_version: "7".into(),
        created_at: "2026-01-02T03:04:05Z".into(),
        deleting: true,
        labels: BTreeMap::from([("app".into(), "web".into())]),
        annotations: BTreeMap::from([("note".into(), "x".into())]),
        finalizers: strings(&["a/b"]),
        kind: ServiceType::LoadBalancer,
        load_balancer_class: Some("metal.equinix.com/internal".into()),
        load_balancer_ip: Some("192.0.2.7".into()),
        source_ranges: strings(&["10.0.0.0/8"]),
        external_ips: strings(&["198.51.100.1"]),
        ports: vec![port("web", Protocol::Tcp, 80, 30080, "http", "h2c"), port("", Protocol::Udp, 53, 0, "5353", "")],
        ip_families: vec![IpFamily::V6, IpFamily::V4],
        external_traffic_policy: TrafficPolicy::Local,
        health_check_node_port: 31000,
        session_affinity: "ClientIP:90".into(),
        ingress: vec![
            Ingress::address("192.0.2.7".parse().expect("an address")),
            Ingress { ip: None, hostname: Some("lb".into()) },
        ],
    };
    assert_eq!(read, expected);
}

#[test]
fn an_empty_service_reads_as_kubernetes_would_default_it() {
    let read = read_service(json!({
        "metadata": { "namespace": "shop", "name": "web" },
        "spec": { "loadBalancerIP": "" },
    }));
    let expected = Service {
        key: ServiceKey::new("shop", "web"),
        uid: String::new(),
        resource_version: String::new(),
        created_at: String::new(),
        deleting: false,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        finalizers: vec![],
        kind: ServiceType::ClusterIp,
        load_balancer_class: None,
        load_balancer_ip: None,
        source_ranges: vec![],
        external_ips: vec![],
        ports: vec![],
        ip_families: vec![],
        external_traffic_policy: TrafficPolicy::Cluster,
        health_check_node_port: 0,
        session_affinity: "None".into(),
        ingress: vec![],
    };
    assert_eq!(read, expected);
}

#[test]
fn a_node_is_read_in_full() {
    let read = read_node(json!({
        "metadata": {
            "name": "n1", "uid": "u1", "resourceVersion": "9", "creationTimestamp": "1970-01-01T00:01:40Z",
            "labels": { "bgp": "yes" }, "annotations": { "note": "x" },
        },
        "spec": {
            "providerID": "equinixmetal://d1", "unschedulable": true,
            "taints": [
                { "key": "gpu", "value": "yes", "effect": "NoSchedule" },
                { "key": "new", "effect": "FromTheFuture" },
                { "key": "off", "effect": "NoExecute", "timeAdded": "2026-01-02T03:04:05Z" },
            ],
        },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }, { "type": "Odd", "address": "x" }],
            "conditions": [
                { "type": "DiskPressure", "status": "False" },
                { "type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:03:20Z" },
            ],
        },
    }));
    let taint = |key: &str, value: &str, effect| Taint { key: key.into(), value: value.into(), effect };
    let expected = Node {
        name: "n1".into(),
        uid: "u1".into(),
        resource_version: "9".into(),
        created_at: 100,
        deleting: false,
        labels: BTreeMap::from([("bgp".into(), "yes".into())]),
        annotations: BTreeMap::from([("note".into(), "x".into())]),
        provider_id: "equinixmetal://d1".into(),
        unschedulable: true,
        taints: vec![taint("gpu", "yes", TaintEffect::NoSchedule), taint("off", "", TaintEffect::NoExecute)],
        addresses: vec![
            NodeAddress::new(NodeAddressType::InternalIp, "10.0.0.1"),
            NodeAddress::new(NodeAddressType::Other("Odd".into()), "x"),
        ],
        readiness: Readiness::Ready,
        readiness_since: 200,
    };
    assert_eq!(read, expected);
}

#[test]
fn life_04_only_a_ready_condition_that_is_true_is_ready() {
    let cases = [
        ("true", json!([{ "type": "Ready", "status": "True" }]), Readiness::Ready),
        ("false", json!([{ "type": "Ready", "status": "False" }]), Readiness::NotReady),
        ("unknown", json!([{ "type": "Ready", "status": "Unknown" }]), Readiness::NotReady),
        ("another one", json!([{ "type": "Fine", "status": "True" }]), Readiness::NotReady),
        ("none", json!([]), Readiness::NotReady),
    ];
    for (name, conditions, expected) in cases {
        let read = read_node(json!({ "metadata": { "name": "n1" }, "status": { "conditions": conditions } }));
        assert_eq!(read.readiness, expected, "{name}");
    }
}

#[test]
fn no_taint_is_lost_when_the_list_is_written() {
    let wanted =
        |key: &str, value: &str| Taint { key: key.into(), value: value.into(), effect: TaintEffect::NoSchedule };
    let stored = [
        json!({ "key": "new", "effect": "FromTheFuture" }),
        json!({ "key": "a", "effect": "NoSchedule", "timeAdded": "2026-01-02T03:04:05Z" }),
        json!({ "key": "b", "value": "old", "effect": "NoSchedule" }),
        json!({ "key": "c", "effect": "NoSchedule" }),
    ];
    let cases = [
        (
            "one changed, one removed, one added",
            vec![wanted("d", "x"), wanted("a", ""), wanted("b", "new")],
            json!([
                { "key": "new", "effect": "FromTheFuture" },
                { "key": "a", "effect": "NoSchedule", "timeAdded": "2026-01-02T03:04:05Z" },
                { "key": "b", "value": "new", "effect": "NoSchedule" },
                { "key": "d", "value": "x", "effect": "NoSchedule" },
            ]),
        ),
        ("all removed", vec![], json!([{ "key": "new", "effect": "FromTheFuture" }])),
    ];
    for (name, wanted, expected) in cases {
        assert_eq!(Value::Array(merged_taints(&stored, &wanted)), expected, "{name}");
    }
}

#[test]
fn svc_50_the_default_ip_mode_makes_no_difference() {
    let address: std::net::IpAddr = "192.0.2.7".parse().expect("an address");
    let written = ingress_list(&[Ingress::address(address)]);
    assert_eq!(written, json!([{ "ip": "192.0.2.7" }]));
    let read = read_service(json!({
        "metadata": { "namespace": "shop", "name": "web" },
        "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.7", "ipMode": "VIP" }] } },
    }));
    assert_eq!(read.ingress, [Ingress::address(address)]);
}

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::domain::{Ingress, IpFamily, Protocol, ServicePort, TrafficPolicy};
use crate::kubernetes::convert;

/// A node with some fields set on top of the usual ones.
fn node(fields: Value) -> Node {
    let mut object = json!({
        "metadata": { "name": "n1", "uid": "u1", "resourceVersion": "1" },
        "spec": { "providerID": "equinixmetal://d1" },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    });
    json_patch::merge(&mut object, &fields);
    convert::node(&serde_json::from_value(object).expect("a Node"))
}

fn service(fields: Value) -> Service {
    let mut object = json!({
        "metadata": { "namespace": "shop", "name": "web", "uid": "u1", "resourceVersion": "1" },
        "spec": {
            "type": "LoadBalancer", "ports": [{ "name": "a", "port": 80 }, { "name": "b", "port": 81 }],
            "ipFamilies": ["IPv4"],
        },
    });
    json_patch::merge(&mut object, &fields);
    convert::service(&serde_json::from_value(object).expect("a Service"))
}

fn served() -> Claim {
    Claim::Served("vip".into())
}

#[test]
fn svc_38_readiness_cordons_and_missing_provider_ids_keep_no_node_out() {
    let cases = [
        ("as usual", json!({}), true),
        ("being deleted", json!({ "metadata": { "deletionTimestamp": "2026-01-02T03:04:05Z" } }), false),
        ("excluded", json!({ "metadata": { "labels": { (EXCLUDE_LABEL): "" } } }), false),
        (
            "marked by the autoscaler",
            json!({ "spec": { "taints": [{ "key": TO_BE_DELETED_TAINT, "effect": "NoSchedule" }] } }),
            false,
        ),
        ("not ready", json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } }), true),
        ("no provider ID", json!({ "spec": { "providerID": null } }), true),
        ("cordoned", json!({ "spec": { "unschedulable": true } }), true),
        (
            "uninitialised",
            json!({ "spec": { "taints": [
                { "key": "node.cloudprovider.kubernetes.io/uninitialized", "effect": "NoSchedule" }
            ] } }),
            true,
        ),
        ("control plane", json!({ "metadata": { "labels": { "node-role.kubernetes.io/control-plane": "" } } }), true),
    ];
    for (name, fields, expected) in cases {
        assert_eq!(is_eligible(&node(fields)), expected, "{name}");
    }
}

#[test]
fn svc_39_only_a_spelling_of_false_does_not_exclude() {
    let excluded = |value: Option<&str>| {
        let labels = value.map(|value| (EXCLUDE_LABEL.to_owned(), value.to_owned())).into_iter().collect();
        is_excluded(&labels)
    };
    assert!(!excluded(None));
    for value in ["0", "f", "F", "false", "False", "FALSE"] {
        assert!(!excluded(Some(value)), "{value}");
    }
    for value in ["", "true", "1", "no", "fALSE", "junk", " false"] {
        assert!(excluded(Some(value)), "{value}");
    }
}

/// Name, what is set on the node, whether load balancers are compared, whether the set of nodes is made anew.
fn node_changes() -> Vec<(&'static str, Value, bool, bool)> {
    let label = |key: &str, value: &str| json!({ "metadata": { "labels": { (key): value } } });
    let taint = |key: &str| json!({ "spec": { "taints": [{ "key": key, "effect": "NoSchedule" }] } });
    vec![
        ("excluded", label(EXCLUDE_LABEL, "true"), true, true),
        ("provider ID", json!({ "spec": { "providerID": "equinixmetal://d2" } }), true, true),
        ("Ready flips", json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } }), false, false),
        ("a heartbeat", json!({ "metadata": { "resourceVersion": "2" } }), false, false),
        ("cordoned", json!({ "spec": { "unschedulable": true } }), false, false),
        ("autoscaler taint", taint(TO_BE_DELETED_TAINT), false, true),
        ("uninitialised taint", taint("node.cloudprovider.kubernetes.io/uninitialized"), false, true),
        ("being deleted", json!({ "metadata": { "deletionTimestamp": "2026-01-02T03:04:05Z" } }), false, true),
        (
            "addresses",
            json!({ "status": { "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }] } }),
            false,
            true,
        ),
        ("another label", label("bgp", "yes"), false, true),
        ("an annotation", json!({ "metadata": { "annotations": { "a": "b" } } }), false, true),
        ("excluded, spelt false", label(EXCLUDE_LABEL, "false"), false, true),
    ]
}

#[test]
fn svc_36_37_which_changes_of_a_node_trigger_a_sync() {
    let before = node(json!({}));
    assert!(triggers_node_sync(None, Some(&before)), "added");
    assert!(triggers_node_sync(Some(&before), None), "deleted");
    for (name, fields, triggers, _) in node_changes() {
        let after = node(fields);
        assert_eq!(triggers_node_sync(Some(&before), Some(&after)), triggers, "{name}");
        assert_eq!(triggers_node_sync(Some(&after), Some(&before)), triggers, "{name}, undone");
    }
}

#[test]
fn a_heartbeat_makes_no_new_set_of_nodes() {
    let before = node(json!({}));
    for (name, fields, _, changes) in node_changes() {
        assert_eq!(changes_node_set(Some(&before), Some(&node(fields))), changes, "{name}");
    }
}

#[test]
fn svc_03_04_a_service_is_wanted_if_it_is_a_load_balancer_that_the_policy_serves() {
    let not_ours = Claim::NotOurs("no matching rule names its class".into());
    let cases = [
        ("served", service(json!({})), served(), true),
        ("not served", service(json!({ "spec": { "loadBalancerClass": "x/y" } })), not_ours.clone(), false),
        ("another type", service(json!({ "spec": { "type": "ClusterIP" } })), not_ours, false),
        (
            "being deleted",
            service(json!({ "metadata": { "deletionTimestamp": "2026-01-02T03:04:05Z" } })),
            served(),
            false,
        ),
    ];
    for (name, service, claim, expected) in cases {
        assert_eq!(is_wanted(&service, &claim), expected, "{name}");
    }
}

#[test]
fn svc_05_cleanup_needs_our_finalizer_and_an_end() {
    let ours = json!([LOAD_BALANCER_FINALIZER, "other/one"]);
    let other = json!(["other/one"]);
    let end = "2026-01-02T03:04:05Z";
    let cases = [
        ("deleted", json!({ "finalizers": ours, "deletionTimestamp": end }), "LoadBalancer", true),
        ("deleted, not ours", json!({ "finalizers": other, "deletionTimestamp": end }), "LoadBalancer", false),
        ("another type", json!({ "finalizers": ours }), "ClusterIP", true),
        ("another type, not ours", json!({ "finalizers": other }), "NodePort", false),
        ("in use", json!({ "finalizers": ours }), "LoadBalancer", false),
    ];
    for (name, metadata, kind, expected) in cases {
        let service = service(json!({ "metadata": metadata, "spec": { "type": kind } }));
        assert_eq!(needs_cleanup(&service), expected, "{name}");
    }
}

/// Changes a Service.
type Change = Box<dyn Fn(&mut Service)>;

#[test]
fn svc_09_11_what_has_a_load_balancer_ensured_again() {
    let before = service(json!({}));
    let fingerprint = |service: &Service| Fingerprint::of(service, &served());
    let port = |change: fn(&mut ServicePort)| {
        move |service: &mut Service| change(service.ports.first_mut().expect("there are two"))
    };
    let set = |change: fn(&mut Service)| change;
    let cases: Vec<(&str, Change)> = vec![
        ("source ranges", Box::new(set(|s| s.source_ranges.push("10.0.0.0/8".into())))),
        ("session affinity", Box::new(set(|s| s.session_affinity = "ClientIP".into()))),
        ("its configuration", Box::new(set(|s| s.session_affinity = "None:90".into()))),
        ("load balancer IP", Box::new(set(|s| s.load_balancer_ip = Some("192.0.2.1".into())))),
        ("external IPs", Box::new(set(|s| s.external_ips.push("192.0.2.1".into())))),
        (
            "an annotation",
            Box::new(set(|s| {
                s.annotations.insert("a".into(), "b".into());
            })),
        ),
        ("UID", Box::new(set(|s| s.uid = "u2".into()))),
        ("external traffic policy", Box::new(set(|s| s.external_traffic_policy = TrafficPolicy::Local))),
        ("health check port", Box::new(set(|s| s.health_check_node_port = 31000))),
        ("number of IP families", Box::new(set(|s| s.ip_families.push(IpFamily::V6)))),
        ("type", Box::new(set(|s| s.kind = ServiceType::ClusterIp))),
        ("order of ports", Box::new(set(|s| s.ports.reverse()))),
        ("number of ports", Box::new(set(|s| s.ports.truncate(1)))),
        ("port name", Box::new(port(|p| p.name = "x".into()))),
        ("port protocol", Box::new(port(|p| p.protocol = Protocol::Udp))),
        ("port number", Box::new(port(|p| p.port = 82))),
        ("node port", Box::new(port(|p| p.node_port = 30000))),
        ("target port", Box::new(port(|p| p.target_port = "web".into()))),
        ("application protocol", Box::new(port(|p| p.app_protocol = "h2c".into()))),
    ];
    for (name, change) in cases {
        let mut after = before.clone();
        change(&mut after);
        assert_ne!(fingerprint(&after), fingerprint(&before), "{name}");
    }
    let mut external = before.clone();
    external.external_ips = vec!["192.0.2.1".into(), "192.0.2.2".into()];
    let mut reordered = external.clone();
    reordered.external_ips.reverse();
    assert_ne!(fingerprint(&external), fingerprint(&reordered), "order of external IPs");
    assert_ne!(
        fingerprint(&before),
        Fingerprint::of(&before, &Claim::Served("another backend".into())),
        "what the policy decides"
    );
    assert_ne!(
        fingerprint(&before),
        Fingerprint::of(&before, &Claim::NotOurs("a rule ignores it".into())),
        "whether the policy serves it"
    );
}

#[test]
fn svc_10_what_does_not() {
    let cases = [
        ("labels", json!({ "metadata": { "labels": { "a": "b" } } })),
        ("selector", json!({ "spec": { "selector": { "a": "b" } } })),
        ("internal traffic policy", json!({ "spec": { "internalTrafficPolicy": "Local" } })),
        ("node ports", json!({ "spec": { "allocateLoadBalancerNodePorts": false } })),
        ("addresses not ready", json!({ "spec": { "publishNotReadyAddresses": true } })),
        ("traffic distribution", json!({ "spec": { "trafficDistribution": "PreferClose" } })),
        ("finalizers", json!({ "metadata": { "finalizers": [LOAD_BALANCER_FINALIZER] } })),
        ("version", json!({ "metadata": { "resourceVersion": "9" } })),
    ];
    let fingerprint = |service: &Service| Fingerprint::of(service, &served());
    let before = fingerprint(&service(json!({})));
    for (name, fields) in cases {
        assert_eq!(fingerprint(&service(fields)), before, "{name}");
    }
    let mut status = service(json!({}));
    status.ingress.push(Ingress::address("192.0.2.1".parse().expect("an address")));
    assert_eq!(fingerprint(&status), before, "status");
    let families = |order: [&str; 2]| fingerprint(&service(json!({ "spec": { "ipFamilies": order } })));
    assert_eq!(families(["IPv4", "IPv6"]), families(["IPv6", "IPv4"]), "order of IP families");
    let reason = |text: &str| Fingerprint::of(&service(json!({})), &Claim::NotOurs(text.into()));
    assert_eq!(reason("one"), reason("another"), "why it is not served");
}

//! One field of a good policy changed, and the one fault that this is.

use cloud_provider_equinix_metal::policy::{Defaults, load};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "apiVersion": "policy.metal.equinix.com/v1alpha1",
        "kind": "CloudPolicy",
        "metadata": {"name": "p"},
        "spec": {
            "addressPools": [
                {"name": "public", "elasticIP": {"type": "public_ipv4", "metro": "da", "tags": ["t"], "maxAddresses": 4, "onRelease": "Delete"}},
                {"name": "office", "static": {"ranges": ["203.0.113.16/28"], "exclude": ["203.0.113.17"]}}
            ],
            "loadBalancers": [{"name": "vip", "kubeVip": {}}, {"name": "plain", "none": {}}],
            "services": {
                "overrides": {"metro": "example.com/metro", "facility": "example.com/facility"},
                "rules": [
                    {"name": "a", "match": {"namespaces": ["a"], "names": ["n"], "loadBalancerClasses": ["c"]}, "ignore": true},
                    {
                        "name": "b",
                        "match": {
                            "namespaceSelector": {"matchLabels": {"k": "v"}},
                            "serviceSelector": {"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]},
                            "expression": "size(service.spec.ports) > 1"
                        },
                        "use": {"loadBalancer": "vip", "addressPool": "public"},
                        "allowOverrides": ["example.com/metro"]
                    }
                ],
                "default": {"loadBalancer": "plain", "addressPool": "office"}
            },
            "nodes": {
                "manage": {"providerIDs": ["equinixmetal"]},
                "topology": {"region": "Metro", "zone": "Facility"},
                "rules": [{
                    "name": "r",
                    "match": {"plans": ["c3.*"], "tags": ["t"], "metros": ["da"], "facilities": ["da11"], "hostnames": ["h"], "tagPattern": "rack=(?<rack>.*)"},
                    "labels": {"rack": "{rack}"},
                    "annotations": {"example.com/plan": "{device.plan}"},
                    "taints": [{"key": "gpu", "value": "v", "effect": "NoSchedule"}]
                }]
            },
            "bgp": {
                "localASN": 65000,
                "peerASN": 65530,
                "passwordFrom": {"secretKeyRef": {"namespace": "kube-system", "name": "bgp", "key": "password"}},
                "nodeSelector": {"matchLabels": {"bgp": "yes"}},
                "annotations": {"peerASN": "example.com/peer-{{n}}-asn"}
            },
            "rollout": {"maxAffectedServices": 10, "onPoolChange": "Keep"}
        }
    })
}

fn faults(document: &Value) -> Vec<String> {
    match load(document.to_string().as_bytes(), "p", &Defaults::default()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(|fault| format!("{} {}", fault.code.as_str(), fault.pointer)).collect(),
    }
}

#[test]
fn one_changed_field_is_one_fault() {
    assert_eq!(faults(&good()), Vec::<String>::new());
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/apiVersion", json!("v1"), "not-a-policy"),
        ("/kind", json!("Policy"), "not-a-policy"),
        ("/metadata/name", json!("A B"), "invalid-value"),
        ("/metadata/name", json!(7), "wrong-type"),
        ("/spec/addressPools", json!({}), "wrong-type"),
        ("/spec/addressPools/0/name", json!("-"), "invalid-value"),
        ("/spec/addressPools/0/elasticIP/type", json!("ipv4"), "invalid-value"),
        ("/spec/addressPools/0/elasticIP/type", json!("public_ipv6"), "not-supported"),
        ("/spec/addressPools/0/elasticIP/metro", json!("Dallas 1"), "invalid-value"),
        ("/spec/addressPools/0/elasticIP/tags/0", json!("cluster=x"), "reserved-label"),
        ("/spec/addressPools/0/elasticIP/tags/0", json!(""), "invalid-value"),
        ("/spec/addressPools/0/elasticIP/maxAddresses", json!(0), "invalid-value"),
        ("/spec/addressPools/0/elasticIP/maxAddresses", json!(-1), "invalid-value"),
        ("/spec/addressPools/0/elasticIP/onRelease", json!("Keep"), "invalid-value"),
        ("/spec/addressPools/1/static/ranges/0", json!("203.0.113.18/28"), "invalid-address"),
        ("/spec/addressPools/1/static/ranges", json!([]), "empty"),
        ("/spec/addressPools/1/static/exclude/0", json!("198.51.100.1"), "outside-of-pool"),
        ("/spec/addressPools/1/name", json!("office2"), "unknown-name /spec/services/default/addressPool"),
        ("/spec/loadBalancers/0/kubeVip", json!(null), "wrong-type"),
        ("/spec/loadBalancers/0/kubeVip", json!({"a": 1}), "unknown-key /spec/loadBalancers/0/kubeVip/a"),
        ("/spec/services/overrides/metro", json!("a b"), "*"),
        ("/spec/services/overrides/facility", json!("example.com/metro"), "duplicate-name"),
        ("/spec/services/rules/0/name", json!("default"), "duplicate-name"),
        ("/spec/services/rules/0/name", json!("b"), "duplicate-name /spec/services/rules/1/name"),
        ("/spec/services/rules/0/match/namespaces", json!([]), "empty"),
        ("/spec/services/rules/0/match/namespaces/0", json!("[a"), "invalid-glob"),
        ("/spec/services/rules/0/match/names/0", json!("{a"), "invalid-glob"),
        ("/spec/services/rules/0/match/loadBalancerClasses/0", json!(1), "wrong-type"),
        ("/spec/services/rules/0/match", json!({}), "unreachable /spec/services/rules/1/match"),
        ("/spec/services/rules/0/ignore", json!(false), "invalid-value"),
        ("/spec/services/rules/1/match/namespaceSelector/matchLabels/k", json!("a b"), "invalid-label"),
        ("/spec/services/rules/1/match/serviceSelector/matchExpressions/0/operator", json!("Has"), "invalid-value"),
        ("/spec/services/rules/1/match/serviceSelector/matchExpressions/0/key", json!("a b"), "invalid-label"),
        (
            "/spec/services/rules/1/match/serviceSelector/matchExpressions/0/values",
            json!([]),
            "empty /spec/services/rules/1/match/serviceSelector/matchExpressions/0",
        ),
        ("/spec/services/rules/1/match/expression", json!("service.spec.ports"), "invalid-expression"),
        ("/spec/services/rules/1/match/expression", json!("1 +"), "invalid-expression"),
        ("/spec/services/rules/1/use/loadBalancer", json!("vap"), "unknown-name"),
        ("/spec/services/rules/1/use/addressPool", json!("publik"), "unknown-name"),
        ("/spec/services/rules/1/use", json!({"loadBalancer": "vip"}), "missing-key"),
        ("/spec/services/rules/1/allowOverrides/0", json!("example.com/metr"), "unknown-name"),
        (
            "/spec/services/default",
            json!({"ignore": true, "loadBalancer": "vip", "addressPool": "public"}),
            "not-exactly-one /spec/services/default/ignore",
        ),
        ("/spec/nodes/manage/providerIDs/0", json!("aws"), "invalid-value"),
        ("/spec/nodes/manage/providerIDs", json!([]), "empty"),
        ("/spec/nodes/topology/zone", json!("Rack"), "invalid-value"),
        ("/spec/nodes/rules/0/match/plans/0", json!("[c"), "invalid-glob"),
        ("/spec/nodes/rules/0/match/tagPattern", json!("("), "invalid-pattern"),
        ("/spec/nodes/rules/0/match/tagPattern", json!("rack=.*"), "invalid-template /spec/nodes/rules/0/labels/rack"),
        ("/spec/nodes/rules/0/labels/rack", json!("a b"), "invalid-label"),
        (
            "/spec/nodes/rules/0/labels",
            json!({"kubernetes.io/os": "x"}),
            "reserved-label /spec/nodes/rules/0/labels/kubernetes.io~1os",
        ),
        (
            "/spec/nodes/rules/0/annotations",
            json!({"metal.equinix.com/managed-fields": "x"}),
            "reserved-label /spec/nodes/rules/0/annotations/metal.equinix.com~1managed-fields",
        ),
        (
            "/spec/nodes/rules/0/annotations",
            json!({"example.com/peer-3-asn": "x"}),
            "reserved-label /spec/nodes/rules/0/annotations/example.com~1peer-3-asn",
        ),
        ("/spec/nodes/rules/0/taints/0/effect", json!("Evict"), "invalid-value"),
        ("/spec/nodes/rules/0/taints/0/key", json!("a b"), "invalid-label"),
        ("/spec/nodes/rules/0/taints/0/value", json!("a b"), "invalid-label"),
        ("/spec/bgp/localASN", json!(0), "invalid-value"),
        ("/spec/bgp/peerASN", json!(4_294_967_296_u64), "invalid-value"),
        ("/spec/bgp/passwordFrom", json!({"password": "x"}), "unknown-key /spec/bgp/passwordFrom/password"),
        ("/spec/bgp/passwordFrom", json!({"env": "A", "file": "/b"}), "not-exactly-one /spec/bgp/passwordFrom/file"),
        ("/spec/bgp/passwordFrom", json!({"file": "relative"}), "invalid-value /spec/bgp/passwordFrom/file"),
        ("/spec/bgp/nodeSelector/matchLabels/bgp", json!(true), "wrong-type"),
        ("/spec/bgp/annotations/peerASN", json!(""), "invalid-value"),
        ("/spec/rollout/maxAffectedServices", json!("ten"), "invalid-value"),
        ("/spec/rollout/maxAffectedServices", json!(-1), "invalid-value"),
        ("/spec/rollout/onPoolChange", json!("Move"), "invalid-value"),
    ];
    for (pointer, value, expected) in cases {
        let mut document = good();
        *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is there")) = value.clone();
        let found = faults(&document);
        match expected.split_once(' ') {
            Some(_) => assert_eq!(found, [expected], "{pointer} = {value}"),
            // A renamed annotation is also missed where rules allow it.
            None if expected == "*" => assert!(!found.is_empty(), "{pointer} = {value}"),
            None => assert_eq!(found, [format!("{expected} {pointer}")], "{pointer} = {value}"),
        }
    }
}

/// Every key of the good policy in turn.
fn keys(value: &Value, pointer: &str, visit: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                visit(pointer, key);
                let step = key.replace('~', "~0").replace('/', "~1");
                keys(inner, &format!("{pointer}/{step}"), visit);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                keys(item, &format!("{pointer}/{index}"), visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Maps whose keys are the user's own.
const FREE: [&str; 5] = ["/matchLabels", "/labels", "/annotations/", "/rules/0/annotations", "/rules/0/labels"];

#[test]
fn a_misspelt_key_is_one_fault_that_names_the_right_one() {
    let mut tried = 0;
    keys(&good(), "", &mut |pointer, key| {
        let is_free = FREE.iter().any(|free| pointer.ends_with(free)) || pointer.is_empty();
        if is_free || key.len() < 4 {
            return;
        }
        tried += 1;
        let mut document = good();
        let object = document.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object");
        let value = object.remove(key).expect("the key is there");
        let misspelt = format!("{}{}", &key[..2], &key[3..]);
        object.insert(misspelt.clone(), value);
        let found = match load(document.to_string().as_bytes(), "p", &Defaults::default()) {
            Ok(_) => panic!("{pointer}/{misspelt} is accepted"),
            Err(faults) => faults,
        };
        let said: Vec<_> = found.iter().map(|fault| (fault.pointer.clone(), fault.suggestion.clone())).collect();
        assert_eq!(said, [(format!("{pointer}/{misspelt}"), Some(key.to_owned()))], "{found}");
    });
    assert!(tried > 60, "only {tried} keys were tried");
}

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;

use super::*;
use crate::domain::{IpFamily, Protocol, Service, ServiceKey, ServicePort, ServiceType, TrafficPolicy};

fn service() -> Service {
    Service {
        key: ServiceKey::new("shop", "web"),
        uid: "u1".into(),
        resource_version: "1".into(),
        created_at: String::new(),
        deleting: false,
        labels: BTreeMap::from([("team".into(), "a".into())]),
        annotations: BTreeMap::from([("example.com/tier".into(), "gold".into())]),
        finalizers: Vec::new(),
        kind: ServiceType::LoadBalancer,
        load_balancer_class: None,
        load_balancer_ip: Some("10.0.0.1".into()),
        source_ranges: vec!["10.0.0.0/8".into()],
        external_ips: Vec::new(),
        ports: vec![
            ServicePort {
                name: "https".into(),
                protocol: Protocol::Tcp,
                port: 443,
                node_port: 30443,
                target_port: "8443".into(),
                app_protocol: String::new(),
            },
            ServicePort {
                name: String::new(),
                protocol: Protocol::Udp,
                port: 53,
                node_port: 0,
                target_port: "dns".into(),
                app_protocol: String::new(),
            },
        ],
        ip_families: vec![IpFamily::V4],
        external_traffic_policy: TrafficPolicy::Local,
        health_check_node_port: 32000,
        session_affinity: String::new(),
        ingress: Vec::new(),
    }
}

#[test]
fn expressions_see_the_kubernetes_object() {
    let subject = ExpressionSubject::new(&service());
    let cases = [
        ("service.metadata.name == 'web' && service.metadata.namespace == 'shop'", Ok(true)),
        ("service.metadata.labels['team'] in ['a', 'b']", Ok(true)),
        ("service.metadata.labels.team == 'a'", Ok(true)),
        ("'team' in service.metadata.labels", Ok(true)),
        ("has(service.metadata.labels.tier)", Ok(false)),
        ("service.metadata.annotations['example.com/tier'].startsWith('go')", Ok(true)),
        ("service.spec.ports.exists(p, p.port == 443 && p.protocol == 'TCP')", Ok(true)),
        ("service.spec.ports.all(p, p.port < 1024)", Ok(true)),
        ("service.spec.ports.exists_one(p, has(p.nodePort))", Ok(true)),
        ("service.spec.ports.filter(p, p.protocol == 'UDP').size() == 1", Ok(true)),
        ("service.spec.ports.map(p, p.port)[0] == 443", Ok(true)),
        ("service.spec.ports.exists(p, service.spec.ports.exists(q, p.port < q.port))", Ok(true)),
        ("size(service.spec.ports) == 2", Ok(true)),
        ("service.spec.ports[0].targetPort == 8443 && service.spec.ports[1].targetPort == 'dns'", Ok(true)),
        ("has(service.spec.loadBalancerClass)", Ok(false)),
        ("has(service.spec.loadBalancerIP) && service.spec.loadBalancerIP == '10.0.0.1'", Ok(true)),
        ("service.spec.type == 'LoadBalancer' && service.spec.externalTrafficPolicy == 'Local'", Ok(true)),
        ("service.spec.ipFamilies == ['IPv4'] && service.spec.externalIPs == []", Ok(true)),
        ("service.spec.loadBalancerSourceRanges.exists(r, r.matches('^10[.]'))", Ok(true)),
        ("service.spec.healthCheckNodePort > 30000 ? true : false", Ok(true)),
        ("service.metadata.labels['nobody'] == 'a'", Err("No such key: nobody".to_owned())),
        ("service.spec.ports[7].port == 1", Err("Index out of bounds: Int(7)".to_owned())),
    ];
    for (text, expected) in cases {
        let expression = Expression::new(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        assert_eq!(expression.holds(&subject), expected, "{text}");
    }
}

#[test]
fn what_is_not_well_typed_is_refused_where_it_stands() {
    let cases = [
        ("", "", None),
        ("1 +", "", None),
        ("svc.metadata.name == 'x'", "svc", None),
        ("servic.metadata.name == 'x'", "servic", Some("service")),
        ("service.meta.name == 'x'", "meta", Some("")),
        ("service.spec.port == 1", "port", Some("ports")),
        ("service.spec.ports.all(p, p.prt == 1)", "prt", Some("port")),
        ("service.spec.ports.all(p, q.port == 1)", "q", None),
        ("service.spec.ports == 1", "", None),
        ("service.metadata.name == 1", "", None),
        ("service.spec.ports.exists(p, p.port == '443')", "", None),
        ("service.metadata.name > 1", "", None),
        ("service.metadata.name", "", None),
        ("size(service.spec.ports)", "", None),
        ("service.metadata.name && true", "", None),
        ("!service.spec.ports", "", None),
        ("service.metadata.name.startWith('a')", "", Some("startsWith")),
        ("service.metadata.name.startsWith(1)", "", None),
        ("service.metadata.name.matches('(')", "", None),
        ("service.metadata.name[0] == 'w'", "", None),
        ("service.spec.ports['a'].port == 1", "", None),
        ("service.metadata.labels[1] == 'a'", "", None),
        ("service.metadata.name + 1 == 'web1'", "", None),
        ("service.metadata.name.foo == 'x'", "", None),
        ("service.metadata.name.all(c, c == 'x')", "", None),
        ("443 in service.metadata.labels", "", None),
        ("now() > 1", "", None),
        ("size(1, 2) == 2", "", None),
        ("[1].all(a, [1].all(b, [1].all(c, a == b)))", "", None),
    ];
    for (text, part, suggestion) in cases {
        let Err(fault) = Expression::new(text) else {
            panic!("{text} is accepted");
        };
        let shown: String = text.get(fault.from..).unwrap_or_default().chars().take(fault.length).collect();
        assert!(part.is_empty() || shown.contains(part) || text[fault.from..].contains(part), "{text}: {fault:?}");
        if let Some(suggestion) = suggestion.filter(|one| !one.is_empty()) {
            assert_eq!(fault.suggestion.as_deref(), Some(suggestion), "{text}");
        }
        assert!(!fault.expected.is_empty() && !fault.found.is_empty(), "{text}: {fault:?}");
    }
}

/// Chains and nests as deep as the longest expression allows end with an answer on a small stack.
#[test]
fn long_expressions_do_not_exhaust_the_stack() {
    let chain = |part: &str, by: &str| vec![part; MAX_BYTES / (part.len() + by.len())].join(by);
    let nest = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let cases = [
        chain("true", " && "),
        chain("1", "+") + " == 1",
        chain("true", "=="),
        "!".repeat(MAX_BYTES - 8) + "true",
        "-".repeat(MAX_BYTES - 8) + "1 == 1",
        nest("(", "true", ")", 2000),
        nest("[", "", "]", 2000) + " == []",
        "service".to_owned() + &".metadata".repeat(400),
        "service.metadata.labels".to_owned() + &"['a']".repeat(800),
        nest("true ? true : (", "true", ")", 200),
        chain("true ? true", " : ") + " : true",
        nest("[1].all(x, ", "true", ")", 300),
        vec!["true"; MAX_DEPTH - 2].join("=="),
        "x".repeat(MAX_BYTES + 1),
    ];
    for text in cases {
        let answer = std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || Expression::new(&text).map(|one| one.holds(&ExpressionSubject::new(&service()))).is_ok())
            .expect("a thread starts")
            .join();
        assert!(answer.is_ok());
    }
}

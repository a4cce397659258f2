//! The policy: how long it takes to load, and to decide.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use cloud_provider_equinix_metal::domain::{Protocol, Service, ServiceKey, ServicePort, ServiceType, TrafficPolicy};
use cloud_provider_equinix_metal::policy::{Defaults, Policy, ServiceSubject, load};

use super::Size;
use super::table::{Table, time};

const RULES: usize = 1000;
const LOADED_WITHIN: Duration = Duration::from_millis(50);
const DECIDED_WITHIN: Duration = Duration::from_micros(5);

/// Loads a policy of 1,000 rules and has it decide about Services that are far apart in it.
pub(crate) fn measure(size: Size) -> anyhow::Result<Table> {
    let (loads, decisions) = match size {
        Size::Smoke => (5, 2_000),
        Size::Full => (20, 50_000),
    };
    let mut table = Table::budgets(format!("A policy of {RULES} rules"));
    let text = policy(rule);
    let (loaded, policy) = fastest(loads, || compiled(&text));
    let policy = policy?;
    table.time(format!("validated and compiled (fastest of {loads})"), LOADED_WITHIN, loaded);
    for (what, service, namespace_labels) in subjects() {
        let subject = ServiceSubject { service: &service, namespace_labels: &namespace_labels };
        table.time(format!("a decision: {what}"), DECIDED_WITHIN, decision(&policy, &subject, decisions));
    }
    let (_, policy) = fastest(1, || compiled(&self::policy(unindexed)));
    let (_, service, labels) = subjects().into_iter().last().expect("there are subjects");
    let subject = ServiceSubject { service: &service, namespace_labels: &labels };
    let each = decision(&policy?, &subject, decisions / 10);
    table.shown("a decision when every rule must be tried (`*-prod`), none matches", time(each));
    Ok(table)
}

fn compiled(text: &str) -> anyhow::Result<Policy> {
    load(text.as_bytes(), "performance.yaml", &Defaults::default()).map_err(|faults| anyhow!("{faults}"))
}

/// The shortest of several runs, the one that was disturbed least, and what the last one made.
fn fastest<T>(runs: usize, mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut timed = || {
        let begun = Instant::now();
        let made = black_box(run());
        (begun.elapsed(), made)
    };
    let mut best = timed();
    for _ in 1..runs {
        let (took, made) = timed();
        best = (best.0.min(took), made);
    }
    best
}

/// The time of one decision: the shortest of several batches.
fn decision(policy: &Policy, subject: &ServiceSubject<'_>, times: u32) -> Duration {
    let (batch, ()) = fastest(10, || {
        for _ in 0..times / 10 {
            black_box(policy.decide(black_box(subject)));
        }
    });
    batch / (times / 10)
}

fn policy(rule: impl Fn(&mut String, usize)) -> String {
    let mut text = String::from(
        "apiVersion: policy.metal.equinix.com/v1alpha1\nkind: CloudPolicy\nmetadata: { name: performance }\nspec:\n  \
         addressPools: [{ name: public, elasticIP: { metro: da } }]\n  loadBalancers: [{ name: vip, kubeVip: {} }]\n  \
         services:\n    default: { ignore: true }\n    rules:\n",
    );
    for number in 0..RULES {
        rule(&mut text, number);
    }
    text
}

/// One of six kinds of rules, in turn.
fn rule(text: &mut String, number: usize) {
    let matches = match number % 6 {
        0 => format!("namespaces: [team-{number}]"),
        1 => format!("namespaces: [\"dept-{number}-*\"], serviceSelector: {{ matchLabels: {{ tier: web }} }}"),
        2 => format!("serviceSelector: {{ matchLabels: {{ app: app-{number} }} }}"),
        3 => format!("namespaceSelector: {{ matchLabels: {{ tenant: tenant-{number} }} }}"),
        4 => format!("names: [service-{number}], namespaces: [shop, \"shop-*\"]"),
        _ => format!("namespaces: [team-{number}], expression: \"service.spec.ports.all(p, p.port == 443)\""),
    };
    write_rule(text, number, &matches);
}

/// A rule that no look-up finds.
fn unindexed(text: &mut String, number: usize) {
    write_rule(text, number, &format!("namespaces: [\"*-prod-{number}\"]"));
}

fn write_rule(text: &mut String, number: usize, matches: &str) {
    writeln!(
        text,
        "      - name: rule-{number}\n        match: {{ {matches} }}\n        use: {{ loadBalancer: vip, addressPool: public }}"
    )
    .expect("writing to a String does not fail");
}

/// Services, what they show, and the labels of their Namespaces.
fn subjects() -> Vec<(&'static str, Service, BTreeMap<String, String>)> {
    let tenant = |name: &str| BTreeMap::from([("tenant".to_owned(), name.to_owned())]);
    vec![
        ("by the first rule", service("team-0"), BTreeMap::new()),
        ("by one of the last, with an expression", service("team-995"), tenant("other")),
        ("by labels of the Namespace", service("elsewhere"), tenant("tenant-999")),
        ("by the default, 1,000 rules do not match", service("elsewhere"), tenant("other")),
    ]
}

fn service(namespace: &str) -> Service {
    let port = ServicePort {
        name: "https".to_owned(),
        protocol: Protocol::Tcp,
        port: 443,
        node_port: 30443,
        target_port: "8443".to_owned(),
        app_protocol: String::new(),
    };
    Service {
        key: ServiceKey::new(namespace, "web"),
        uid: "6f1b9a52-0000-4000-8000-000000000001".to_owned(),
        resource_version: "1".to_owned(),
        created_at: "2026-01-01T00:00:00Z".to_owned(),
        deleting: false,
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "api".to_owned())]),
        annotations: BTreeMap::new(),
        finalizers: Vec::new(),
        kind: ServiceType::LoadBalancer,
        load_balancer_class: None,
        load_balancer_ip: None,
        source_ranges: Vec::new(),
        external_ips: Vec::new(),
        ports: vec![port],
        ip_families: Vec::new(),
        external_traffic_policy: TrafficPolicy::Cluster,
        health_check_node_port: 0,
        session_affinity: String::new(),
        ingress: Vec::new(),
    }
}

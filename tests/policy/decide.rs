//! Which rule decides for which Service.

use std::collections::BTreeMap;

use cloud_provider_equinix_metal::domain::Service;
use cloud_provider_equinix_metal::domain::reservation::Location;
use cloud_provider_equinix_metal::policy::{Decision, Defaults, FaultCode, Faults, Policy, ServiceSubject, load};
use cloud_provider_equinix_metal::strategy::{Overrides, Pool};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use crate::service::{labels, port, service};

fn policy(spec: &str) -> Policy {
    policy_with(spec, &Defaults::default())
}

fn policy_with(spec: &str, defaults: &Defaults) -> Policy {
    let text = format!(
        "apiVersion: policy.metal.equinix.com/v1alpha1\nkind: CloudPolicy\nmetadata: {{ name: p }}\nspec:\n  \
         addressPools: [{{ name: public, elasticIP: {{}} }}, {{ name: office, static: {{ ranges: [203.0.113.16/28] }} }}]\n  \
         loadBalancers: [{{ name: vip, kubeVip: {{}} }}, {{ name: plain, none: {{}} }}]\n{spec}"
    );
    load(text.as_bytes(), "p.yaml", defaults).unwrap_or_else(|faults| panic!("{faults}"))
}

fn outcome(decision: &Decision) -> String {
    match decision {
        Decision::Served(assignment) => format!(
            "{}: {} {}",
            assignment.rule,
            assignment.backend.name,
            assignment.pool.as_ref().map_or("-", |pool| pool.name())
        ),
        Decision::Ignored { rule } => format!("ignored by {rule}"),
        Decision::UnclaimedClass { class } => format!("class {class}"),
    }
}

fn decide(policy: &Policy, service: &Service, namespace_labels: &BTreeMap<String, String>) -> String {
    outcome(&policy.decide(&ServiceSubject { service, namespace_labels }))
}

const RULES: &str = r#"
  services:
    rules:
      - name: not-ours
        match: { namespaces: ["legacy-*", scratch] }
        ignore: true
      - name: internal
        match:
          loadBalancerClasses: [metal.equinix.com/internal]
          namespaceSelector: { matchLabels: { tier: internal } }
          serviceSelector: { matchExpressions: [{ key: exposure, operator: In, values: [office, vpn] }] }
        use: { loadBalancer: plain, addressPool: office }
      - name: https-only
        match: { expression: "service.spec.ports.all(p, p.port == 443)" }
        use: { loadBalancer: plain, addressPool: public }
      - name: labelled
        match: { expression: "service.metadata.labels['team'] == 'a'" }
        use: { loadBalancer: plain, addressPool: public }
      - name: named
        match: { names: ["ingress-?"], namespaces: ["*-prod"] }
        use: { loadBalancer: vip, addressPool: office }
    default: { loadBalancer: vip, addressPool: public }
"#;

#[test]
fn guarantee_9_the_first_rule_that_matches_decides() {
    let policy = policy(RULES);
    let internal = labels(&[("tier", "internal")]);
    let none = BTreeMap::new();
    let with = |change: &dyn Fn(&mut Service)| {
        let mut service = service("shop", "web");
        change(&mut service);
        service
    };
    let class = |class: &str| Some(class.to_owned());
    let cases = [
        ("nothing special", with(&|_| {}), &none, "default: vip public"),
        ("glob", with(&|s| s.key.namespace = "legacy-1".into()), &none, "ignored by not-ours"),
        ("exact", with(&|s| s.key.namespace = "scratch".into()), &none, "ignored by not-ours"),
        ("not a prefix", with(&|s| s.key.namespace = "scratch2".into()), &none, "default: vip public"),
        (
            "ignored whatever its class",
            with(&|s| {
                s.key.namespace = "legacy-1".into();
                s.load_balancer_class = class("other");
            }),
            &none,
            "ignored by not-ours",
        ),
        (
            "all fields",
            with(&|s| {
                s.load_balancer_class = class("metal.equinix.com/internal");
                s.labels = labels(&[("exposure", "vpn")]);
            }),
            &internal,
            "internal: plain office",
        ),
        (
            "all fields but one",
            with(&|s| {
                s.load_balancer_class = class("metal.equinix.com/internal");
                s.labels = labels(&[("exposure", "vpn")]);
            }),
            &none,
            "class metal.equinix.com/internal",
        ),
        ("a class that nobody names", with(&|s| s.load_balancer_class = class("other")), &internal, "class other"),
        ("an empty class is none", with(&|s| s.load_balancer_class = class("")), &none, "default: vip public"),
        ("expression", with(&|s| s.ports = vec![port(443)]), &none, "https-only: plain public"),
        ("expression is false", with(&|s| s.ports = vec![port(443), port(80)]), &none, "default: vip public"),
        ("expression on a label", with(&|s| s.labels = labels(&[("team", "a")])), &none, "labelled: plain public"),
        ("expression fails, no match", with(&|s| s.labels = labels(&[("tea", "a")])), &none, "default: vip public"),
        (
            "name and namespace",
            with(&|s| s.key = cloud_provider_equinix_metal::domain::ServiceKey::new("shop-prod", "ingress-1")),
            &none,
            "named: vip office",
        ),
        ("name alone", with(&|s| s.key.name = "ingress-1".into()), &none, "default: vip public"),
    ];
    for (name, service, namespace_labels, expected) in cases {
        assert_eq!(decide(&policy, &service, namespace_labels), expected, "{name}");
    }
    assert!(policy.needs_namespace_labels());
}

#[test]
fn without_default_a_service_is_left_alone() {
    let policy = policy("");
    assert_eq!(decide(&policy, &service("shop", "web"), &BTreeMap::new()), "ignored by default");
    assert!(!policy.needs_namespace_labels());
}

#[test]
fn an_assignment_is_found_by_its_rule() {
    let policy = policy(RULES);
    let named = |rule: &str| policy.assignment(rule).map(|one| format!("{} {}", one.rule, one.backend.name));
    assert_eq!(named("internal"), Some("internal plain".into()));
    assert_eq!(named("default"), Some("default vip".into()));
    assert_eq!(named("not-ours"), None);
    assert_eq!(named("nobody"), None);
    assert_eq!(
        policy.rules().iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(),
        ["not-ours", "internal", "https-only", "labelled", "named"]
    );
    assert_eq!(policy.pools().iter().map(|pool| pool.name()).collect::<Vec<_>>(), ["public", "office"]);
    assert_eq!(policy.backends().iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["vip", "plain"]);
    assert!(policy.pool("office").is_some() && policy.backend("plain").is_some() && policy.pool("x").is_none());
}

#[test]
fn only_the_overrides_of_the_rule_are_honoured() {
    let policy = policy(
        "
  services:
    overrides: { metro: example.com/metro }
    rules:
      - { name: a, match: { namespaces: [a] }, use: { loadBalancer: vip, addressPool: public } }
      - name: b
        match: { namespaces: [b] }
        use: { loadBalancer: vip, addressPool: public }
        allowOverrides: [example.com/metro]
    default: { loadBalancer: vip, addressPool: public, allowOverrides: [metal.equinix.com/eip-facility, example.com/metro] }
",
    );
    let overrides = |rule: &str| policy.assignment(rule).map(|one| one.overrides.clone());
    let metro = Some("example.com/metro".to_owned());
    assert_eq!(overrides("a"), Some(Overrides::default()));
    assert_eq!(overrides("b"), Some(Overrides { metro: metro.clone(), facility: None }));
    let facility = Some("metal.equinix.com/eip-facility".to_owned());
    assert_eq!(overrides("default"), Some(Overrides { metro, facility }));
}

#[test]
fn a_pool_without_place_is_where_the_controller_is() {
    let place = |pool: &str, metro: Option<&str>, facility: Option<&str>| {
        let defaults = Defaults { metro: metro.map(str::to_owned), facility: facility.map(str::to_owned) };
        let text = format!(
            "apiVersion: policy.metal.equinix.com/v1alpha1\nkind: CloudPolicy\nmetadata: {{ name: p }}\nspec:\n  \
             addressPools: [{{ name: p, elasticIP: {pool} }}]\n"
        );
        let policy = load(text.as_bytes(), "p", &defaults).unwrap_or_else(|faults| panic!("{faults}"));
        match policy.pools()[0].as_ref() {
            Pool::Elastic(pool) => pool.location.clone(),
            Pool::Static(_) => panic!("an elastic pool"),
        }
    };
    let metro = |code: &str| Some(Location::Metro(code.into()));
    let facility = |code: &str| Some(Location::Facility(code.into()));
    let cases = [
        ("the pool's metro", "{ metro: da }", Some("sv"), Some("sv15"), metro("da")),
        ("the pool's facility", "{ facility: da11 }", Some("sv"), None, facility("da11")),
        ("the controller's metro", "{}", Some("sv"), Some("sv15"), metro("sv")),
        ("the controller's facility", "{}", None, Some("sv15"), facility("sv15")),
        ("an empty metro is none", "{}", Some(""), Some("sv15"), facility("sv15")),
        ("nowhere", "{}", None, None, None),
        ("everywhere", "{ type: global_ipv4 }", Some("sv"), None, None),
    ];
    for (name, pool, controllers_metro, controllers_facility, expected) in cases {
        assert_eq!(place(pool, controllers_metro, controllers_facility), expected, "{name}");
    }
}

/// A rule's match, in YAML.
fn a_match() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec!["a", "b", "ab", "\"a*\"", "\"*b\"", "\"?b\"", "\"*\""]);
    let field = prop_oneof![
        prop::collection::vec(names.clone(), 1..3).prop_map(|one| format!("namespaces: [{}]", one.join(","))),
        prop::collection::vec(names.clone(), 1..3).prop_map(|one| format!("names: [{}]", one.join(","))),
        names.prop_map(|one| format!("loadBalancerClasses: [{one}]")),
        prop::sample::select(vec!["a", "b"]).prop_map(|v| format!("serviceSelector: {{ matchLabels: {{ k: {v} }} }}")),
        prop::sample::select(vec!["In", "NotIn"]).prop_map(|operator| format!(
            "namespaceSelector: {{ matchExpressions: [{{ key: k, operator: {operator}, values: [a] }}] }}"
        )),
        Just("expression: \"size(service.metadata.name) > 1\"".to_owned()),
    ];
    prop::collection::btree_map(0..6_u8, field, 0..3).prop_map(|fields| {
        let mut seen = std::collections::BTreeSet::new();
        let unique: Vec<String> = fields
            .into_values()
            .filter(|field| seen.insert(field.split(':').next().unwrap_or_default().to_owned()))
            .collect();
        format!("{{ {} }}", unique.join(", "))
    })
}

const HEAD: &str = "apiVersion: policy.metal.equinix.com/v1alpha1\nkind: CloudPolicy\nmetadata: { name: p }\nspec:\n  \
    addressPools: [{ name: public, elasticIP: {} }, { name: office, static: { ranges: [203.0.113.16/28] } }]\n  \
    loadBalancers: [{ name: vip, kubeVip: {} }, { name: plain, none: {} }]\n  services:\n    \
    default: { loadBalancer: plain, addressPool: office }\n    rules:\n";

fn text_of<'a>(rules: impl IntoIterator<Item = &'a String>) -> String {
    rules.into_iter().fold(HEAD.to_owned(), |text, rule| text + rule)
}

/// The rule that decides, if one does.
fn winner(policy: &Policy, subject: &ServiceSubject<'_>) -> Option<String> {
    let rule = match policy.decide(subject) {
        Decision::Served(assignment) => Some(assignment.rule.clone()),
        Decision::Ignored { rule } => Some(rule),
        Decision::UnclaimedClass { .. } => None,
    };
    rule.filter(|rule| rule != "default")
}

/// The numbers of the rules that are said never to match.
fn unreachable(faults: &Faults) -> Vec<usize> {
    let numbers = faults.iter().filter(|fault| fault.code == FaultCode::Unreachable);
    numbers.filter_map(|fault| fault.pointer.split('/').nth(4)?.parse().ok()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// The index only saves time: it never hides a rule and never invents one. A rule that is refused because it can never
    /// match is one that, by itself, matches nothing that the rules before it leave.
    #[test]
    fn guarantee_9_neither_the_index_nor_a_refused_rule_changes_a_decision(
        matches in prop::collection::vec((a_match(), any::<bool>()), 1..8),
        services in prop::collection::vec(
            ("[ab]{1,2}", "[ab]{1,2}", prop::option::of("[ab]{1,2}"), prop::option::of("[ab]"), prop::option::of("[ab]")),
            16,
        ),
    ) {
        let rules: Vec<String> = matches
            .iter()
            .enumerate()
            .map(|(number, (one, ignore))| {
                let verdict = if *ignore { "ignore: true" } else { "use: { loadBalancer: vip, addressPool: public }" };
                format!("      - {{ name: r{number}, match: {one}, {verdict} }}\n")
            })
            .collect();
        let read = |text: &str| load(text.as_bytes(), "p", &Defaults::default());
        let subjects: Vec<(Service, BTreeMap<String, String>)> = services
            .into_iter()
            .map(|(namespace, name, class, own, namespaces)| {
                let mut service = service(&namespace, &name);
                service.load_balancer_class = class;
                service.labels = own.map(|value| labels(&[("k", &value)])).unwrap_or_default();
                (service, namespaces.map(|value| labels(&[("k", &value)])).unwrap_or_default())
            })
            .collect();
        let subjects = || subjects.iter().map(|(service, namespace_labels)| ServiceSubject { service, namespace_labels });
        match read(&text_of(&rules)) {
            Ok(policy) => {
                for subject in subjects() {
                    let tried = policy.misses(&subject);
                    let first = tried.iter().find(|(_, miss)| miss.is_none()).map(|(rule, _)| rule.name.clone());
                    prop_assert_eq!(first, winner(&policy, &subject), "{:?}", rules);
                }
            }
            Err(faults) => {
                let hidden = unreachable(&faults);
                prop_assert_eq!(hidden.len(), faults.len(), "{}", faults);
                for number in &hidden {
                    let alone = read(&text_of([&rules[*number]])).expect("a rule by itself is not hidden");
                    let before = (0..*number).filter(|other| !hidden.contains(other)).map(|other| &rules[other]);
                    let before = read(&text_of(before)).expect("what hides nothing is accepted");
                    for subject in subjects().filter(|subject| winner(&alone, subject).is_some()) {
                        prop_assert!(winner(&before, &subject).is_some(), "{} of {:?}", number, rules);
                    }
                }
            }
        }
    }
}

use globset::Glob;
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::super::node_labels::{DeviceMatch, whole_tag_pattern};
use super::*;
use crate::domain::testing::{device, node};

fn globs(patterns: &[&str]) -> Option<Vec<globset::GlobMatcher>> {
    let compile = |p: &&str| Glob::new(p).expect("a glob").compile_matcher();
    Some(patterns.iter().map(compile).collect())
}

fn pattern(text: &str) -> DeviceMatch {
    DeviceMatch { tag_pattern: Some(whole_tag_pattern(text).expect("a pattern")), ..DeviceMatch::default() }
}

fn literal(text: &str) -> Template {
    Template(vec![TemplatePart::Literal(text.into())])
}

fn group(name: &str) -> Template {
    Template(vec![TemplatePart::Group(name.into())])
}

fn property(property: DeviceProperty) -> Template {
    Template(vec![TemplatePart::Device(property)])
}

fn rule(name: &str, matches: DeviceMatch, labels: &[(&str, Template)]) -> NodeRule {
    NodeRule {
        name: name.into(),
        matches,
        labels: labels.iter().map(|(k, t)| ((*k).to_owned(), t.clone())).collect(),
        annotations: BTreeMap::new(),
        taints: vec![],
    }
}

fn strategy(rules: Vec<NodeRule>) -> NodeStrategy {
    NodeStrategy { rules, ..NodeStrategy::default() }
}

fn taint(key: &str, value: &str) -> Taint {
    Taint { key: key.into(), value: value.into(), effect: TaintEffect::NoSchedule }
}

fn gpu() -> Device {
    let mut device = device("gpu-1");
    device.instance_type = Some("g2.large.x86".into());
    device.tags = vec!["gpu".into(), "rack=r7".into(), "team=ml".into()];
    device
}

#[test]
fn every_given_condition_must_match_and_one_value_of_a_list_is_enough() {
    let any = DeviceMatch::default;
    let cases = [
        ("no condition", any(), None),
        ("plan", DeviceMatch { plans: globs(&["c3.*", "g2.*"]), ..any() }, None),
        ("another plan", DeviceMatch { plans: globs(&["c3.*"]), ..any() }, Some(("plans", "g2.large.x86"))),
        ("a tag", DeviceMatch { tags: globs(&["team=*"]), ..any() }, None),
        ("no such tag", DeviceMatch { tags: globs(&["gp"]), ..any() }, Some(("tags", "gpu, rack=r7, team=ml"))),
        ("metro", DeviceMatch { metros: globs(&["sv", "da"]), ..any() }, None),
        ("another metro", DeviceMatch { metros: globs(&["sv"]), ..any() }, Some(("metros", "da"))),
        ("facility", DeviceMatch { facilities: globs(&["da??"]), ..any() }, None),
        ("another facility", DeviceMatch { facilities: globs(&["sv15"]), ..any() }, Some(("facilities", "da11"))),
        ("hostname", DeviceMatch { hostnames: globs(&["gpu-*"]), ..any() }, None),
        ("another hostname", DeviceMatch { hostnames: globs(&["db-*"]), ..any() }, Some(("hostnames", "gpu-1"))),
        ("pattern", pattern("rack=(?<rack>[a-z0-9-]+)"), None),
        (
            "a pattern is for a whole tag: no more before",
            pattern("ack=.*"),
            Some(("tagPattern", "gpu, rack=r7, team=ml")),
        ),
        (
            "a pattern is for a whole tag: no more behind",
            pattern("rack|team"),
            Some(("tagPattern", "gpu, rack=r7, team=ml")),
        ),
        ("the longer alternative counts", pattern("rack|rack=r7"), None),
        (
            "two conditions, the second fails",
            DeviceMatch { plans: globs(&["g2.*"]), metros: globs(&["sv"]), ..any() },
            Some(("metros", "da")),
        ),
    ];
    for (name, matches, miss) in cases {
        let found = matches.captures(&gpu()).err();
        let expected = miss.map(|(condition, found)| Miss { condition, found: found.to_owned() });
        assert_eq!(found, expected, "{name}");
    }
    let mut unknown = gpu();
    unknown.facility = None;
    let miss = DeviceMatch { facilities: globs(&["*"]), ..any() }.captures(&unknown);
    assert_eq!(miss.expect_err("nothing to match").to_string(), "facilities does not match: the device has none");
}

#[test]
fn a_stray_parenthesis_does_not_escape_the_whole_tag() {
    assert!(whole_tag_pattern("a)|(b").is_err());
    let either = whole_tag_pattern("a|b").expect("a pattern");
    assert_eq!((either.is_match("ax"), either.is_match("xb"), either.is_match("b")), (false, false, true));
}

#[test]
fn every_rule_that_matches_applies_and_a_later_one_wins() {
    let mut first = rule("first", DeviceMatch::default(), &[("tier", literal("bronze")), ("rack", literal("none"))]);
    first.taints = vec![taint("gpu", "old"), taint("spot", "")];
    first.annotations = [("example.org/plan".to_owned(), property(DeviceProperty::Plan))].into();
    let missed = rule("missed", pattern("rack=x"), &[("tier", literal("lead"))]);
    let mut last = rule("last", pattern("rack=(?<rack>.+)"), &[("rack", group("rack"))]);
    last.taints = vec![taint("gpu", "new")];
    let decision = strategy(vec![first, missed, last]).decide(&gpu());
    let entries = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let label = |key: &str| ManagedField::Label(key.into());
    let tainted = |key: &str| ManagedField::Taint(key.into(), TaintEffect::NoSchedule);
    assert_eq!(
        decision,
        NodeDecision {
            region: TopologyLabel::Unwanted,
            zone: TopologyLabel::Unwanted,
            managed: ManagedFields {
                labels: entries(&[("rack", "r7"), ("tier", "bronze")]),
                annotations: entries(&[("example.org/plan", "g2.large.x86")]),
                taints: vec![taint("gpu", "new"), taint("spot", "")],
            },
            rules: vec![
                RuleVerdict { rule: "first".into(), miss: None },
                RuleVerdict {
                    rule: "missed".into(),
                    miss: Some(Miss { condition: "tagPattern", found: "gpu, rack=r7, team=ml".into() }),
                },
                RuleVerdict { rule: "last".into(), miss: None },
            ],
            origins: [
                (label("rack"), "last".to_owned()),
                (label("tier"), "first".to_owned()),
                (ManagedField::Annotation("example.org/plan".into()), "first".to_owned()),
                (tainted("gpu"), "last".to_owned()),
                (tainted("spot"), "first".to_owned()),
            ]
            .into(),
            problems: vec![],
        }
    );
}

#[test]
fn a_value_that_cannot_be_set_is_skipped_and_reported() {
    let long = "x".repeat(64);
    let mut device = gpu();
    device.facility = None;
    let labels = [
        ("long", literal(&long)),
        (
            "characters",
            Template(vec![TemplatePart::Literal("rack ".into()), TemplatePart::Device(DeviceProperty::Metro)]),
        ),
        ("edge", literal("-x")),
        ("facility", property(DeviceProperty::Facility)),
        ("group", group("side")),
        ("fits", literal(&long[1..])),
        ("empty", literal("")),
    ];
    let earlier = rule("earlier", DeviceMatch::default(), &[("long", literal("short"))]);
    let decision = strategy(vec![earlier, rule("r", pattern("rack=r7(?<side>[ab])?"), &labels)]).decide(&device);
    assert_eq!(
        decision.managed.labels.keys().collect::<Vec<_>>(),
        ["empty", "fits", "long"],
        "the rest of the rule applies"
    );
    assert_eq!(decision.managed.labels["long"], "short", "what an earlier rule set stays");
    assert_eq!(
        decision.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            r#"rule r: label characters: value "rack da" is not a label value: letters, digits, '-', '_' and '.' are, beginning and ending with a letter or digit"#.to_owned(),
            r#"rule r: label edge: value "-x" is not a label value: letters, digits, '-', '_' and '.' are, beginning and ending with a letter or digit"#.to_owned(),
            "rule r: label facility: the device has no device.facility".to_owned(),
            "rule r: label group: the device has no {side}".to_owned(),
            format!(r#"rule r: label long: value "{long}" has 64 characters, Kubernetes allows 63"#),
        ]
    );
}

#[test]
fn node_14_keys_of_kubernetes_are_dropped_but_for_those_of_the_administrator() {
    let keys = [
        ("kubernetes.io/role", true),
        ("node-role.kubernetes.io/worker", false),
        ("team.node-restriction.kubernetes.io/x", false),
        ("node.kubernetes.io/exclude-from-external-load-balancers", false),
        ("node.kubernetes.io/instance-type", true),
        ("topology.kubernetes.io/zone", true),
        ("k8s.io/a", true),
        ("x.k8s.io/a", true),
        ("notkubernetes.io/a", false),
        ("kubernetes.io.example.org/a", false),
        ("kubernetes.io", false),
        ("topology.metal.equinix.com/rack", false),
    ];
    let labels: Vec<_> = keys.iter().map(|(key, _)| (*key, literal("v"))).collect();
    let mut rule = rule("r", DeviceMatch::default(), &labels);
    rule.taints = vec![taint("node.cloudprovider.kubernetes.io/uninitialized", ""), taint("ours", "")];
    rule.annotations = [MANAGED_FIELDS_ANNOTATION, "alpha.kubernetes.io/provided-node-ip", "ours"]
        .map(|key| (key.to_owned(), literal("v")))
        .into();
    let decision = strategy(vec![rule]).decide(&gpu());
    for (key, dropped) in keys {
        assert_eq!(!decision.managed.labels.contains_key(key), dropped, "{key}");
    }
    assert_eq!(decision.managed.annotations.keys().collect::<Vec<_>>(), ["ours"]);
    assert_eq!(decision.managed.taints, vec![taint("ours", "")]);
    assert!(decision.problems.iter().all(|p| p.fault == FieldFault::ReservedKey));
    assert_eq!(decision.problems.len(), 8);
}

#[test]
fn nodes_of_other_clouds_are_not_managed() {
    let strategy = NodeStrategy { provider_names: vec!["equinixmetal".into()], ..NodeStrategy::default() };
    let cases = [
        ("none yet", "", true),
        ("ours", "equinixmetal://d1", true),
        ("a bare id", "8f5e3c1a-0000-0000-0000-000000000000", true),
        ("the legacy name is not in the list", "packet://d1", false),
        ("another cloud", "aws:///us-east-1a/i-1", false),
    ];
    for (name, provider_id, managed) in cases {
        let mut node = node("n1");
        node.provider_id = provider_id.into();
        assert_eq!(strategy.manages(&node), managed, "{name}");
    }
}

proptest! {
    #[test]
    fn the_order_of_tags_decides_nothing(
        (tags, shuffled) in prop::collection::vec("(rack|team)=[a-c]{1,2}", 0..5)
            .prop_flat_map(|tags| (Just(tags.clone()), Just(tags).prop_shuffle())),
    ) {
        let strategy = strategy(vec![
            rule("rack", pattern("rack=(?<rack>[a-z]+)"), &[("rack", group("rack"))]),
            rule("team", pattern("team=(?<team>[a-z]+)"), &[("team", group("team"))]),
        ]);
        let decide = |tags: Vec<String>| strategy.decide(&Device { tags, ..gpu() }).managed;
        prop_assert_eq!(decide(tags), decide(shuffled));
    }

    #[test]
    fn what_passes_is_what_kubernetes_takes(value in "[-a-zA-Z0-9_. é]{0,70}") {
        let pattern = regex::Regex::new(r"\A(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\z").expect("Kubernetes' own pattern");
        prop_assert_eq!(label_value_fault(&value).is_none(), pattern.is_match(&value) && value.chars().count() <= 63);
    }
}

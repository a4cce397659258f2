use std::collections::BTreeMap;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::domain::ManagedFields;
use crate::domain::testing::node;

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn taint(text: &str) -> Taint {
    let (rest, effect) = text.rsplit_once(':').expect("key[=value]:effect");
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    let effect = match effect {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        _ => TaintEffect::NoExecute,
    };
    Taint { key: key.to_owned(), value: value.to_owned(), effect }
}

fn taints(listed: &[&str]) -> Vec<Taint> {
    listed.iter().map(|text| taint(text)).collect()
}

fn metadata(managed: ManagedFields) -> InstanceMetadata {
    InstanceMetadata {
        provider_id: "equinixmetal://id-n1".parse().expect("a provider ID"),
        instance_type: "c3.small.x86".into(),
        addresses: vec![],
        zone: TopologyLabel::Unwanted,
        region: TopologyLabel::Unwanted,
        managed,
        problems: vec![],
    }
}

fn labels(entries: &[(&str, &str)]) -> InstanceMetadata {
    metadata(ManagedFields { labels: map(entries), ..ManagedFields::default() })
}

fn topology(zone: TopologyLabel, region: TopologyLabel) -> InstanceMetadata {
    InstanceMetadata { zone, region, ..metadata(ManagedFields::default()) }
}

fn is(value: &str) -> TopologyLabel {
    TopologyLabel::Is(value.to_owned())
}

fn labelled(entries: &[(&str, &str)]) -> Node {
    let mut node = node("n1");
    node.labels = map(entries);
    node
}

/// The Node after the write, as an API server makes it.
fn after(node: &Node, plan: &FieldPlan) -> Node {
    let mut node = node.clone();
    let Some(patch) = &plan.patch else { return node };
    assert_eq!(patch.resource_version.as_ref(), Some(&node.resource_version));
    for (fields, changes) in [(&mut node.labels, &patch.labels), (&mut node.annotations, &patch.annotations)] {
        for (key, value) in changes {
            match value {
                Some(value) => fields.insert(key.clone(), value.clone()),
                None => fields.remove(key),
            };
        }
    }
    if let Some(id) = &patch.provider_id {
        node.provider_id.clone_from(id);
    }
    if let Some(taints) = &patch.taints {
        node.taints.clone_from(taints);
    }
    node.resource_version.push('+');
    node
}

fn reconciled(node: &Node, metadata: &InstanceMetadata) -> Node {
    after(node, &reconcile(node, metadata))
}

fn fresh() -> Node {
    let mut node = labelled(&[("kubernetes.io/os", "linux")]);
    node.taints = taints(&[
        "dedicated=db:NoExecute",
        "node.cloudprovider.kubernetes.io/uninitialized=true:NoSchedule",
        "b:NoSchedule",
        "node.cloudprovider.kubernetes.io/uninitialized:NoExecute",
    ]);
    node
}

#[test]
fn node_05_11_12_13_15_16_one_write_initialises_a_node() {
    let metadata = InstanceMetadata {
        zone: is("da11"),
        region: is("da"),
        ..metadata(ManagedFields {
            labels: map(&[("accelerator", "nvidia")]),
            annotations: map(&[("example.org/rack", "r7")]),
            taints: taints(&["gpu=yes:NoSchedule"]),
        })
    };
    let plan = initialise(&fresh(), &metadata);
    let memory = concat!(
        r#"{"labels":{"accelerator":"nvidia","failure-domain.beta.kubernetes.io/region":"da","#,
        r#""failure-domain.beta.kubernetes.io/zone":"da11","topology.kubernetes.io/region":"da","#,
        r#""topology.kubernetes.io/zone":"da11"},"annotations":{"example.org/rack":"r7"},"#,
        r#""taints":[{"key":"gpu","value":"yes","effect":"NoSchedule"}]}"#
    );
    let set = |entries: &[(&str, &str)]| map(entries).into_iter().map(|(k, v)| (k, Some(v))).collect();
    assert_eq!(
        plan,
        FieldPlan {
            patch: Some(NodePatch {
                node: "n1".into(),
                resource_version: Some("7".into()),
                provider_id: Some("equinixmetal://id-n1".into()),
                labels: set(&[
                    ("accelerator", "nvidia"),
                    ("beta.kubernetes.io/instance-type", "c3.small.x86"),
                    ("failure-domain.beta.kubernetes.io/region", "da"),
                    ("failure-domain.beta.kubernetes.io/zone", "da11"),
                    ("node.kubernetes.io/instance-type", "c3.small.x86"),
                    ("topology.kubernetes.io/region", "da"),
                    ("topology.kubernetes.io/zone", "da11"),
                ]),
                annotations: set(&[("example.org/rack", "r7"), ("metal.equinix.com/managed-fields", memory)]),
                taints: Some(taints(&["dedicated=db:NoExecute", "b:NoSchedule", "gpu=yes:NoSchedule"])),
            }),
            foreign: vec![],
        }
    );
    let initialised = after(&fresh(), &plan);
    assert_eq!(reconcile(&initialised, &metadata), FieldPlan::default(), "nothing is left");
}

#[test]
fn node_09_a_provider_id_is_written_only_where_there_is_none() {
    let mut node = fresh();
    node.provider_id = "packet://id-n1".into();
    let patch = initialise(&node, &labels(&[])).patch.expect("the taint goes");
    assert_eq!(patch.provider_id, None);
    let mut node = after(&fresh(), &initialise(&fresh(), &labels(&[])));
    node.provider_id.clear();
    assert_eq!(reconcile(&node, &labels(&[])), FieldPlan::default(), "nor after initialisation");
}

#[test]
fn node_11_12_13_old_values_are_overwritten_and_what_is_unknown_is_left() {
    let before = [
        (INSTANCE_TYPE, "old"),
        (BETA_INSTANCE_TYPE, "older"),
        (ZONE, "z"),
        (BETA_ZONE, "z"),
        (REGION, "r"),
        (BETA_REGION, "r"),
    ];
    let mut node = fresh();
    node.labels = map(&before);
    let known = InstanceMetadata { zone: is("da11"), region: is("da"), ..labels(&[]) };
    assert_eq!(
        after(&node, &initialise(&node, &known)).labels,
        map(&[
            (INSTANCE_TYPE, "c3.small.x86"),
            (BETA_INSTANCE_TYPE, "c3.small.x86"),
            (ZONE, "da11"),
            (BETA_ZONE, "da11"),
            (REGION, "da"),
            (BETA_REGION, "da"),
        ])
    );
    let unknown = InstanceMetadata {
        instance_type: String::new(),
        zone: TopologyLabel::Unknown,
        region: TopologyLabel::Unknown,
        ..labels(&[])
    };
    node.labels.insert(INSTANCE_TYPE.into(), "older".into());
    assert_eq!(after(&node, &initialise(&node, &unknown)).labels, node.labels);
}

#[test]
fn node_14_a_key_that_is_there_keeps_its_value_and_the_others_are_added() {
    let mut node = fresh();
    node.labels = map(&[("tier", "bronze"), ("same", "s")]);
    let plan = initialise(&node, &labels(&[("tier", "gold"), ("same", "s"), ("new", "n")]));
    let node = after(&node, &plan);
    assert_eq!(node.labels["tier"], "bronze");
    assert_eq!(node.labels["new"], "n");
    assert_eq!(
        plan.foreign,
        vec![ForeignField { field: "label tier".into(), wanted: "gold".into(), found: "bronze".into() }]
    );
    assert_eq!(plan.foreign[0].to_string(), r#"label tier is "bronze" by somebody else's hand, a rule wants "gold""#);
    assert_eq!(node.annotations[MANAGED_FIELDS_ANNOTATION], r#"{"labels":{"new":"n"}}"#);
}

#[test]
fn node_35_36_37_stable_labels_follow_the_beta_ones() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [(&'a str, Option<&'a str>)]);
    let cases: [Case; 5] = [
        (
            "stable missing",
            &[(BETA_ZONE, "z"), (BETA_REGION, "r"), (BETA_INSTANCE_TYPE, "t")],
            &[(ZONE, Some("z")), (REGION, Some("r")), (INSTANCE_TYPE, Some("t"))],
        ),
        ("stable edited by hand", &[(BETA_ZONE, "z"), (ZONE, "x")], &[(ZONE, Some("z"))]),
        ("equal", &[(BETA_REGION, "r"), (REGION, "r")], &[]),
        ("beta missing", &[(REGION, "x"), (ZONE, "y"), (INSTANCE_TYPE, "t")], &[]),
        ("neither", &[], &[]),
    ];
    for (name, before, changes) in cases {
        let expected = (!changes.is_empty()).then(|| NodePatch {
            resource_version: Some("7".into()),
            labels: changes.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect(),
            ..NodePatch::new("n1")
        });
        let node = labelled(before);
        assert_eq!(repair(&node), expected, "{name}: of a machine nothing is known of");
        assert_eq!(reconcile(&node, &labels(&[])).patch, expected, "{name}: beside the rules");
    }
}

#[test]
fn node_39_labels_are_kept_in_step_after_initialisation() {
    let first = labels(&[("rack", "r1"), ("tier", "gold")]);
    let mut node = reconciled(&node("n1"), &first);
    assert_eq!(node.labels, map(&[("rack", "r1"), ("tier", "gold")]), "a rule is added");
    node.labels.insert("rack".into(), "by-hand".into());
    assert_eq!(reconciled(&node, &first).labels["rack"], "r1", "an edit snaps back");
    node.labels.remove("rack");
    assert_eq!(reconciled(&node, &first).labels["rack"], "r1", "a removed label comes back");
    node = reconciled(&node, &labels(&[("rack", "r2"), ("tier", "gold")]));
    assert_eq!(node.labels, map(&[("rack", "r2"), ("tier", "gold")]), "a rule changes");
    node = reconciled(&node, &labels(&[("tier", "gold")]));
    assert_eq!(node.labels, map(&[("tier", "gold")]), "a rule goes");
    node = reconciled(&node, &labels(&[]));
    assert_eq!((node.labels, node.annotations), (map(&[]), map(&[])), "nothing is left of the last");
}

#[test]
fn node_39_topology_is_the_policys_and_goes_with_it() {
    let edited = labelled(&[(ZONE, "mine"), (BETA_ZONE, "mine")]);
    let set = reconciled(&edited, &topology(is("da11"), TopologyLabel::Unwanted));
    assert_eq!(set.labels, map(&[(ZONE, "da11"), (BETA_ZONE, "da11")]), "whatever stands there");
    let unknown = topology(TopologyLabel::Unknown, TopologyLabel::Unknown);
    assert_eq!(reconcile(&set, &unknown), FieldPlan::default(), "a gap in the cloud's answer removes nothing");
    let unwanted = topology(TopologyLabel::Unwanted, TopologyLabel::Unwanted);
    let bare = reconciled(&set, &unwanted);
    assert_eq!((bare.labels, bare.annotations), (map(&[]), map(&[])), "an earlier policy's goes");
    assert_eq!(reconcile(&edited, &unwanted), FieldPlan::default(), "and nobody else's");
    let mut taken = set;
    taken.labels.insert(ZONE.into(), "theirs".into());
    taken.labels.remove(BETA_ZONE);
    assert_eq!(reconciled(&taken, &unwanted).labels, map(&[(ZONE, "theirs")]), "nor what somebody took over");
}

#[test]
fn a_field_that_somebody_else_took_over_is_forgotten_and_not_removed() {
    let mut node = reconciled(&node("n1"), &labels(&[("rack", "r1")]));
    node.labels.insert("rack".into(), "theirs".into());
    node = reconciled(&node, &labels(&[]));
    assert_eq!((node.labels, node.annotations), (map(&[("rack", "theirs")]), map(&[])));
}

#[test]
fn a_field_that_was_there_first_stays_when_its_rule_goes() {
    let node = labelled(&[("rack", "r1")]);
    assert_eq!(reconcile(&node, &labels(&[("rack", "r1")])), FieldPlan::default());
    assert_eq!(reconcile(&node, &labels(&[])), FieldPlan::default());
}

#[test]
fn taints_are_kept_in_step_and_those_of_others_keep_their_place() {
    let with = |listed: &[&str]| metadata(ManagedFields { taints: taints(listed), ..ManagedFields::default() });
    let mut node = node("n1");
    node.taints = taints(&["z:NoExecute", "gpu=theirs:NoExecute", "a:NoSchedule"]);
    node = reconciled(&node, &with(&["gpu=1:NoSchedule", "b:NoSchedule"]));
    let others = ["z:NoExecute", "gpu=theirs:NoExecute", "a:NoSchedule"];
    assert_eq!(node.taints, taints(&[&others[..], &["b:NoSchedule", "gpu=1:NoSchedule"]].concat()));
    node.taints.push(taint("late:NoExecute"));
    node = reconciled(&node, &with(&["gpu=2:NoSchedule", "z=x:NoExecute"]));
    assert_eq!(
        node.taints,
        taints(&[&others[..], &["gpu=2:NoSchedule", "late:NoExecute"]].concat()),
        "changed in place, removed, and another's left"
    );
    let plan = reconcile(&node, &with(&["z=x:NoExecute"]));
    assert_eq!(plan.foreign[0].field, "taint z:NoExecute");
    node = after(&node, &plan);
    assert_eq!(node.taints, taints(&[&others[..], &["late:NoExecute"]].concat()));
}

#[test]
fn a_memory_that_cannot_be_read_or_claims_too_much_removes_nothing() {
    let cases = [
        ("no JSON", "{"),
        ("another shape", r#"{"labels":["rack"]}"#),
        (
            "keys of Kubernetes",
            concat!(
                r#"{"labels":{"node.kubernetes.io/team":"a"},"#,
                r#""taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]}"#
            ),
        ),
    ];
    for (name, memory) in cases {
        let mut node = labelled(&[("rack", "r1"), ("node.kubernetes.io/team", "a")]);
        node.taints = taints(&["node.kubernetes.io/unschedulable:NoSchedule"]);
        node.annotations.insert(MANAGED_FIELDS_ANNOTATION.into(), memory.into());
        assert_eq!(reconcile(&node, &labels(&[])), FieldPlan::default(), "{name}");
    }
}

/// Few keys and values, so that histories collide.
fn fields() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-e]", "[xy]", 0..4)
}

fn taint_list() -> impl Strategy<Value = Vec<Taint>> {
    let effect = prop::sample::select(vec![TaintEffect::NoSchedule, TaintEffect::NoExecute]);
    prop::collection::btree_map(("[a-c]", effect), "[xy]?", 0..4)
        .prop_map(|all| all.into_iter().map(to_taint).collect::<Vec<_>>())
        .prop_shuffle()
}

fn topology_label() -> impl Strategy<Value = TopologyLabel> {
    prop_oneof!["[xy]".prop_map(TopologyLabel::Is), Just(TopologyLabel::Unknown), Just(TopologyLabel::Unwanted)]
}

fn any_metadata() -> impl Strategy<Value = InstanceMetadata> {
    (fields(), fields(), taint_list(), topology_label(), topology_label()).prop_map(
        |(labels, annotations, taints, zone, region)| InstanceMetadata {
            zone,
            region,
            ..metadata(ManagedFields { labels, annotations, taints })
        },
    )
}

fn any_node() -> impl Strategy<Value = Node> {
    let key = prop::sample::select(vec![ZONE, BETA_ZONE, REGION, BETA_INSTANCE_TYPE, INSTANCE_TYPE]);
    let special = prop::collection::btree_map(key.prop_map(str::to_owned), "[xyz]", 0..3);
    (fields(), special, fields(), taint_list()).prop_map(|(mut labels, special, annotations, taints)| {
        labels.extend(special);
        let mut node = node("n1");
        (node.labels, node.annotations, node.taints) = (labels, annotations, taints);
        node
    })
}

fn remembered_labels(node: &Node) -> Vec<String> {
    Memory::of(node).labels.into_keys().collect()
}

proptest! {
    #[test]
    fn node_08_no_node_is_released_from_its_taint_without_a_provider_id(
        mut start in any_node(),
        provider_id in prop::sample::select(vec!["", "packet://id-n1", "equinixmetal://id-n1"]),
        metadata in any_metadata(),
    ) {
        start.provider_id = provider_id.to_owned();
        start.taints.extend(fresh().taints);
        let released = after(&start, &initialise(&start, &metadata));
        prop_assert!(!released.is_uninitialized());
        prop_assert_eq!(released.provider_id, if provider_id.is_empty() { "equinixmetal://id-n1" } else { provider_id });
    }

    #[test]
    fn planning_again_plans_nothing(
        start in any_node(),
        history in prop::collection::vec((any_metadata(), any_node()), 1..6),
    ) {
        let mut node = start;
        for (metadata, edits) in history {
            node = reconciled(&node, &metadata);
            prop_assert_eq!(reconcile(&node, &metadata).patch, None);
            // Somebody else edits: some labels overwritten, all taints replaced.
            node.labels.extend(edits.labels);
            node.taints = edits.taints;
        }
    }

    #[test]
    fn fields_of_others_are_never_touched(
        start in any_node(),
        history in prop::collection::vec((any_metadata(), fields()), 1..8),
    ) {
        let mut node = start;
        for (metadata, edits) in history {
            node.labels.extend(edits);
            let remembered = remembered_labels(&node);
            let taints_remembered = by_identity(&Memory::of(&node).taints);
            let next = reconciled(&node, &metadata);
            for (key, value) in node.labels.iter().filter(|(key, _)| !is_topology(key) && *key != INSTANCE_TYPE) {
                if !remembered.contains(key) {
                    prop_assert_eq!(next.labels.get(key), Some(value), "label {} was not ours", key);
                }
            }
            let foreign: Vec<_> = node.taints.iter().filter(|t| !taints_remembered.contains_key(&identity(t))).collect();
            let kept: Vec<_> = next.taints.iter().filter(|t| foreign.contains(t)).collect();
            prop_assert_eq!(kept, foreign, "taints of others and their order");
            for (key, value) in &metadata.managed.labels {
                let ours = remembered.contains(key) || !node.labels.contains_key(key);
                prop_assert!(!ours || next.labels.get(key) == Some(value), "label {} is wanted and ours", key);
            }
            node = next;
        }
    }

    #[test]
    fn only_the_last_rules_count_and_without_rules_the_node_is_as_before(
        start in any_node(),
        history in prop::collection::vec((fields(), fields(), taint_list()), 0..6),
        last in (fields(), fields(), taint_list()),
    ) {
        let rules = |(labels, annotations, taints)| metadata(ManagedFields { labels, annotations, taints });
        // The stable labels are repaired first, once: from there on, rules alone make the difference.
        let start = reconciled(&start, &labels(&[]));
        let mut node = start.clone();
        for each in history {
            node = reconciled(&node, &rules(each));
        }
        let long = reconciled(&node, &rules(last.clone()));
        let direct = reconciled(&start, &rules(last));
        let content = |node: &Node| (node.labels.clone(), node.annotations.clone(), by_identity(&node.taints));
        prop_assert_eq!(content(&long), content(&direct));
        let bare = reconciled(&long, &labels(&[]));
        prop_assert_eq!((bare.labels, bare.annotations, bare.taints), (start.labels, start.annotations, start.taints));
    }

    #[test]
    fn the_order_in_which_rules_list_taints_makes_no_difference(
        start in any_node(),
        (one, other) in taint_list().prop_flat_map(|taints| (Just(taints.clone()), Just(taints).prop_shuffle())),
    ) {
        let with = |taints| metadata(ManagedFields { taints, ..ManagedFields::default() });
        prop_assert_eq!(reconcile(&start, &with(one)), reconcile(&start, &with(other)));
    }
}

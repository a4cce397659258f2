//! The node controllers between a simulated Metal project and a small Kubernetes API.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "support/node_world.rs"]
mod node_world;

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_provider_equinix_metal::domain::{Taint, TaintEffect};
use cloud_provider_equinix_metal::sandbox::kubernetes::{Fault, FaultEffect, Verb};
use cloud_provider_equinix_metal::sandbox::metal::{
    Access, CannedReply, DeviceState, Effect, Fault as MetalFault, Networking,
};
use cloud_provider_equinix_metal::strategy::NodeStrategy;
use cloud_provider_equinix_metal::strategy::node_labels::{
    DeviceMatch, DeviceProperty, NodeRule, Template, TemplatePart, whole_tag_pattern,
};
use node_world::{KEY, World, is_uninitialized, policy, strategy};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

fn writes(patches: u64, addresses: u64) -> BTreeMap<(Verb, String), u64> {
    let all = [((Verb::Patch, "nodes".to_owned()), patches), ((Verb::Patch, "nodes/status".to_owned()), addresses)];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn rule(labels: &[(&str, Vec<TemplatePart>)]) -> NodeRule {
    NodeRule {
        name: "test".into(),
        matches: DeviceMatch::default(),
        labels: labels.iter().map(|(key, parts)| ((*key).to_owned(), Template(parts.clone()))).collect(),
        annotations: BTreeMap::new(),
        taints: Vec::new(),
    }
}

fn rules(rules: Vec<NodeRule>) -> NodeStrategy {
    NodeStrategy { rules, ..strategy() }
}

fn label(node: &Value, key: &str) -> Option<String> {
    node["metadata"]["labels"].get(key).map(|value| value.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn inst_07_20_node_16_19_25_devices_on_three_pages_are_initialised_with_one_listing() {
    let mut world = World::new().await;
    let names: Vec<String> = (0..25).map(|i| format!("node-{i:02}")).collect();
    let ids: Vec<String> = names.iter().map(|name| world.device(name)).collect();
    for name in &names {
        world.node(name, |_| {});
    }
    world.cluster().clear_journal();
    world.address_period = Duration::from_secs(300);
    world.run();
    world.settled().await;
    world.until("every event is written", || world.events().len() == 25).await;

    assert_eq!(world.metal().journal().counts(), [("GET /projects/{p}/devices".to_owned(), 3)].into());
    assert_eq!(world.node_writes(), writes(25, 25), "one write a Node, and one of its addresses");
    let devices = world.metal().devices();
    for ((name, id), device) in names.iter().zip(&ids).zip(devices) {
        let node = world.stored(name);
        assert_eq!(node["spec"], json!({ "providerID": format!("equinixmetal://{id}") }));
        for (key, value) in [
            ("node.kubernetes.io/instance-type", "c3.small.x86"),
            ("beta.kubernetes.io/instance-type", "c3.small.x86"),
            ("topology.kubernetes.io/region", "da"),
            ("failure-domain.beta.kubernetes.io/region", "da"),
            ("kubernetes.io/os", "linux"),
        ] {
            assert_eq!(label(&node, key).as_deref(), Some(value), "{name}: {key}");
        }
        assert_eq!(label(&node, "topology.kubernetes.io/zone"), label(&node, "failure-domain.beta.kubernetes.io/zone"));
        assert!(label(&node, "topology.kubernetes.io/zone").is_some_and(|zone| zone.starts_with("da")));
        let [public, _v6, private] = device.management[..] else { panic!("three management addresses") };
        assert_eq!(
            node["status"]["addresses"],
            json!([
                { "type": "Hostname", "address": name },
                { "type": "ExternalIP", "address": public },
                { "type": "InternalIP", "address": private },
            ])
        );
    }
    for entry in world.cluster().journal().iter().filter(|entry| entry.verb.writes()) {
        assert_eq!(
            entry.field_manager.as_deref(),
            Some("cloud-provider-equinix-metal"),
            "it says who wrote: {entry:?}"
        );
    }
    let expected: Vec<_> =
        names.iter().map(|name| format!("Normal Synced of cloud-node-controller in default: Node {name}")).collect();
    assert_eq!(world.events(), expected);

    world.stop().await;
    world.cluster().clear_journal();
    world.metal().journal().reset();
    world.address_period = Duration::from_millis(100);
    world.run();
    world.rounds(8).await;
    assert_eq!(
        (world.node_writes(), world.metal().journal().total()),
        (BTreeMap::new(), 3),
        "an unchanged world, after a restart: one listing, no write"
    );
    world.end().await;
}

#[tokio::test]
async fn inst_15_16_a_device_without_a_public_address_is_initialised_with_its_private_one() {
    let mut world = World::new().await;
    let seed = cloud_provider_equinix_metal::sandbox::metal::DeviceSeed {
        network: Networking::PrivateOnly,
        ..cloud_provider_equinix_metal::sandbox::metal::DeviceSeed::new("n1", "da")
    };
    world.metal().seed_device(seed).unwrap();
    world.node("n1", |_| {});
    world.run();
    world.settled().await;
    let private = world.metal().devices()[0].management[0];
    assert_eq!(
        world.stored("n1")["status"]["addresses"],
        json!([{ "type": "Hostname", "address": "n1" }, { "type": "InternalIP", "address": private }])
    );
    world.end().await;
}

#[tokio::test]
async fn inst_17_node_24_a_dual_stack_node_ip_gives_two_internal_addresses() {
    let mut world = World::new().await;
    world.device("n1");
    let [public, v6, private] = world.metal().devices()[0].management[..] else { panic!("three addresses") };
    world.node("n1", |node| {
        node["metadata"]["annotations"]["alpha.kubernetes.io/provided-node-ip"] = json!(format!("{private},{v6}"));
    });
    world.run();
    world.settled().await;
    assert_eq!(
        world.stored("n1")["status"]["addresses"],
        json!([
            { "type": "InternalIP", "address": private },
            { "type": "InternalIP", "address": v6 },
            { "type": "Hostname", "address": "n1" },
            { "type": "ExternalIP", "address": public },
        ]),
        "entries of one type do not collapse"
    );
    world.end().await;
}

#[tokio::test]
async fn node_15_foreign_taints_keep_their_order_and_every_field() {
    let mut world = World::new().await;
    world.device("n1");
    let late = json!({ "key": "late", "value": "x", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z" });
    let foreign = json!({ "key": "a", "effect": "NoSchedule" });
    world.node("n1", |node| {
        let taints = node["spec"]["taints"].as_array_mut().unwrap();
        taints.insert(0, late.clone());
        taints.push(foreign.clone());
    });
    world.run();
    world.settled().await;
    assert_eq!(world.stored("n1")["spec"]["taints"], json!([late, foreign]));
    world.end().await;
}

#[tokio::test]
async fn node_17_conflicts_refusals_and_lost_answers_end_in_one_initialised_node() {
    let fault = |effect, times| Fault {
        verb: Some(Verb::Patch),
        resource: Some("nodes".into()),
        name: Some("n1".into()),
        times,
        effect,
    };
    for (name, effect, times) in [
        ("409", FaultEffect::Refuse(409), 3),
        ("500", FaultEffect::Refuse(500), 3),
        ("403", FaultEffect::Refuse(403), 3),
        ("the connection is cut before", FaultEffect::CutBefore, 2),
        ("the connection is cut after", FaultEffect::CutAfter, 1),
    ] {
        let mut world = World::new().await;
        let id = world.device("n1");
        world.node("n1", |_| {});
        world.cluster().inject(fault(effect, times));
        world.run();
        world.settled().await;
        assert_eq!(world.stored("n1")["spec"]["providerID"], json!(format!("equinixmetal://{id}")), "{name}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_node_that_registers_before_its_device_is_listed_is_initialised_promptly() {
    let mut world = World::new().await;
    world.device("early");
    world.node("early", |_| {});
    world.run();
    world.settled().await;
    world.node("n1", |_| {});
    world.rounds(2).await;
    assert!(is_uninitialized(&world.stored("n1")));
    world.device("n1");
    world.settled().await;
    assert!(world.metal().journal().total() < 20, "{:?}", world.metal().journal().counts());
    world.end().await;
}

#[tokio::test]
async fn node_39_rules_come_change_and_go_and_nothing_of_others_is_touched() {
    let mut world = World::new().await;
    let gpu = world.device("gpu");
    world.metal().relabel_device(&gpu, "gpu", &["rack=r7", "gpu"]).unwrap();
    for name in ["gpu", "plain"] {
        if name == "plain" {
            world.device(name);
        }
        world.node(name, |node| {
            node["metadata"]["labels"]["tier"] = json!("theirs");
            node["spec"]["taints"].as_array_mut().unwrap().push(json!({ "key": "db", "effect": "NoSchedule" }));
        });
    }
    world.run();
    world.settled().await;
    let bare = [world.stored("gpu"), world.stored("plain")];

    let pattern = whole_tag_pattern("rack=(?<rack>[a-z0-9-]+)").unwrap();
    let racks = NodeRule {
        matches: DeviceMatch { tag_pattern: Some(pattern), ..DeviceMatch::default() },
        annotations: [("example.org/plan".to_owned(), Template(vec![TemplatePart::Device(DeviceProperty::Plan)]))]
            .into(),
        taints: vec![Taint { key: "gpu".into(), value: "yes".into(), effect: TaintEffect::NoExecute }],
        ..rule(&[
            ("topology.metal.equinix.com/rack", vec![TemplatePart::Group("rack".into())]),
            ("tier", vec![TemplatePart::Literal("gold".into())]),
        ])
    };
    world.policy.swap(policy(rules(vec![racks.clone()])));
    world
        .until("the rule is applied", || {
            label(&world.stored("gpu"), "topology.metal.equinix.com/rack").as_deref() == Some("r7")
        })
        .await;
    let ruled = world.stored("gpu");
    assert_eq!(label(&ruled, "tier").as_deref(), Some("theirs"));
    assert_eq!(ruled["metadata"]["annotations"]["example.org/plan"], json!("c3.small.x86"));
    let taints: Vec<_> = ruled["spec"]["taints"].as_array().unwrap().iter().map(|taint| &taint["key"]).collect();
    assert_eq!(taints, ["db", "gpu"]);
    world
        .until("somebody is told of the label", || {
            let told = "Warning NodeRuleNotApplied of cloud-node-controller in default: Node gpu";
            world.events().iter().any(|event| event == told)
        })
        .await;
    assert_eq!(content(&world.stored("plain")), content(&bare[1]), "the rule is not for it");

    world.edit("gpu", |node| {
        node["metadata"]["labels"]["topology.metal.equinix.com/rack"] = json!("by-hand");
        node["metadata"]["labels"].as_object_mut().unwrap().remove("topology.kubernetes.io/region");
    });
    world.until("the edit snaps back", || content(&world.stored("gpu")) == content(&ruled)).await;

    // A restart in between: what was set is remembered on the Node.
    world.stop().await;
    world.policy.swap(policy(strategy()));
    world.run();
    world.until("nothing of the rule is left", || content(&world.stored("gpu")) == content(&bare[0])).await;
    world.end().await;
}

/// What of a Node is decided by somebody.
fn content(node: &Value) -> Value {
    json!([node["metadata"]["labels"], node["metadata"]["annotations"], node["spec"]])
}

#[tokio::test]
async fn life_06_16_18_the_node_of_a_removed_device_is_deleted_when_it_falls_ill() {
    let mut world = World::new().await;
    let gone = world.initialised("gone");
    world.initialised("ill");
    world.initialised("well");
    world.run();
    world.settled().await;
    world.metal().remove_device(&gone).unwrap();
    world.rounds(3).await;
    assert_eq!(world.names(), ["gone", "ill", "well"], "a ready Node stays, even without its device");
    world.fall_ill("ill");
    world.fall_ill("gone");
    world.until("it is deleted", || world.names() == ["ill", "well"]).await;
    world
        .until("the event is written", || {
            let told = "Normal DeletingNode of cloud-node-lifecycle-controller in default: Node gone";
            world.events().iter().any(|event| event == told)
        })
        .await;
    world.rounds(3).await;
    assert_eq!(world.names(), ["ill", "well"]);
    world.end().await;
}

#[tokio::test]
async fn life_08_a_token_that_loses_its_rights_deletes_zero_nodes() {
    let names: Vec<String> = (0..12).map(|i| format!("node-{i:02}")).collect();
    for access in [Access::Forbidden, Access::EmptyLists, Access::Unknown] {
        let mut world = World::new().await;
        for name in &names {
            world.initialised(name);
        }
        world.run();
        world.settled().await;
        world.metal().set_access(KEY, access);
        for name in &names {
            world.fall_ill(name);
        }
        let asked = || world.metal().journal().total();
        let before = asked();
        world.until("the controllers have asked repeatedly", || asked() > before + 5).await;
        world.rounds(4).await;
        assert_eq!(world.names(), names, "{access:?}");
        assert_eq!(world.node_writes().get(&(Verb::Delete, "nodes".to_owned())), None, "{access:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn life_08_an_api_that_fails_deletes_zero_nodes() {
    let effects = [
        Effect::Reply(CannedReply::html(502)),
        Effect::Reply(CannedReply::oh_snap()),
        Effect::Reply(CannedReply::json(200, "{}".into())),
        Effect::Reply(CannedReply::empty(404)),
        Effect::TruncatedJson,
        Effect::Cut,
    ];
    for effect in effects {
        let mut world = World::new().await;
        let name = format!("{effect:?}");
        for node in ["a", "b", "c"] {
            world.initialised(node);
        }
        world.run();
        world.settled().await;
        world.metal().faults().push(MetalFault::on("*", effect)).unwrap();
        for node in ["a", "b", "c"] {
            world.fall_ill(node);
        }
        let asked = || world.metal().journal().total();
        let before = asked();
        world.until("the controllers have asked repeatedly", || asked() > before + 5).await;
        world.rounds(2).await;
        assert_eq!(world.names(), ["a", "b", "c"], "{name}");
        world.end().await;
    }
}

#[tokio::test]
async fn life_10_13_15_the_node_of_a_machine_that_is_off_is_tainted_until_it_is_ready() {
    let mut world = World::new().await;
    let id = world.initialised("n1");
    world.run();
    world.settled().await;
    world.metal().set_device_state(&id, DeviceState::Inactive).unwrap();
    world.fall_ill("n1");
    let taint = json!([{ "key": "node.cloudprovider.kubernetes.io/shutdown", "effect": "NoSchedule" }]);
    world.until("it is tainted", || world.stored("n1")["spec"]["taints"] == taint).await;
    world.edit("n1", |node| node["status"]["conditions"][0]["status"] = json!("True"));
    world.until("the taint is gone", || world.stored("n1")["spec"].get("taints").is_none()).await;
    world.end().await;
}

#[tokio::test]
async fn nodes_of_another_cloud_are_never_written() {
    let mut world = World::new().await;
    world.device("theirs");
    world.device("ours");
    world.node("ours", |_| {});
    world.node("theirs", |node| {
        node["spec"]["providerID"] = json!("aws:///us-east-1a/i-0123");
        node["status"]["conditions"][0]["status"] = json!("Unknown");
    });
    let before = world.stored("theirs");
    world.run();
    world.until("ours is initialised", || !is_uninitialized(&world.stored("ours"))).await;
    world.rounds(3).await;
    assert_eq!(world.stored("theirs"), before);
    world.end().await;
}

#[tokio::test]
async fn a_watch_that_breaks_and_a_compaction_repeat_nothing() {
    let mut world = World::new().await;
    for name in ["a", "b"] {
        world.device(name);
        world.node(name, |_| {});
    }
    world.run();
    world.settled().await;
    world.until("the events are written", || world.events().len() == 2).await;
    world.cluster().clear_journal();
    world.cluster().compact();
    world.cluster().drop_watches();
    world.device("c");
    world.node("c", |_| {});
    world.until("c is initialised", || !is_uninitialized(&world.stored("c"))).await;
    world.rounds(2).await;
    assert_eq!(world.node_writes(), writes(1, 1), "the new Node alone");
    world.end().await;
}

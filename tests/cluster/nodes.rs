//! Nodes get what the cloud and the policy know of their machine, and go when it is gone.

use cloud_provider_equinix_metal::sandbox::metal::{DeviceSeed, DeviceState, Networking};
use k8s_openapi::api::core::v1::Node;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::KUBE_VIP;
use crate::world::World;

const RULES: &str = "
  nodes:
    rules:
      - name: gpu
        match: {tags: [gpu]}
        labels: {accelerator: nvidia, metal.equinix.com/plan: \"{device.plan}\"}
        taints: [{key: nvidia.com/gpu, effect: NoSchedule}]
      - name: rack
        match: {tagPattern: \"rack=(?<rack>[a-z0-9-]+)\"}
        labels: {topology.metal.equinix.com/rack: \"{rack}\"}
";

fn label(node: &Node, key: &str) -> Option<String> {
    node.metadata.labels.as_ref()?.get(key).cloned()
}

fn taints(node: &Node) -> Vec<String> {
    let taints = node.spec.clone().unwrap_or_default().taints.unwrap_or_default();
    // The API server's own, which follow the conditions of the Node, are left out.
    let foreign = |key: &str| key.starts_with("node.kubernetes.io/");
    taints.into_iter().filter(|t| !foreign(&t.key)).map(|t| format!("{}:{}", t.key, t.effect)).collect()
}

fn addresses(node: &Node) -> Vec<String> {
    let addresses = node.status.clone().unwrap_or_default().addresses.unwrap_or_default();
    addresses.into_iter().map(|a| a.type_).collect()
}

#[tokio::test]
async fn tst_09_10_11_a_new_node_gets_provider_id_type_addresses_zone_and_region() {
    let world = World::new().await;
    let id = world.add_node("worker-1").await;
    let _controller = world.run(KUBE_VIP);
    world.all_initialised().await;
    let node = world.node("worker-1").await;
    assert_eq!(node.spec.as_ref().unwrap().provider_id, Some(format!("equinixmetal://{id}")));
    let labels = [
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/zone",
    ];
    let values: Vec<_> = labels.iter().map(|key| label(&node, key).unwrap_or_default()).collect();
    assert_eq!(values[..4], ["c3.small.x86", "c3.small.x86", "da", "da"]);
    assert!(values[4].starts_with("da1") && values[4] == values[5], "{values:?}");
    world
        .eventually("the addresses are there", || async {
            addresses(&world.node("worker-1").await) == ["Hostname", "ExternalIP", "InternalIP"]
        })
        .await;
    world.eventually("the event is there", || async { world.events_of("worker-1").await == ["Synced"] }).await;
}

#[tokio::test]
async fn inst_15_16_a_machine_without_a_public_address_is_initialised_with_what_it_has() {
    let world = World::new().await;
    world.add_node_of(DeviceSeed { network: Networking::PrivateOnly, ..DeviceSeed::new("inside", "da") }).await;
    let _controller = world.run(KUBE_VIP);
    world.all_initialised().await;
    world
        .eventually("the addresses are there", || async {
            addresses(&world.node("inside").await) == ["Hostname", "InternalIP"]
        })
        .await;
}

#[tokio::test]
async fn labels_and_taints_of_rules_are_added_changed_and_removed_and_others_are_left() {
    let world = World::new().await;
    let seed = DeviceSeed { tags: vec!["gpu".into(), "rack=r1".into()], ..DeviceSeed::new("worker-1", "da") };
    let id = world.add_node_of(seed).await;
    world.change_node("worker-1", json!({"metadata": {"labels": {"example.com/own": "kept"}}})).await;
    let mut controller = world.run(&(KUBE_VIP.to_owned() + RULES));
    world.all_initialised().await;
    let node = world.node("worker-1").await;
    assert_eq!(label(&node, "accelerator").as_deref(), Some("nvidia"));
    assert_eq!(label(&node, "metal.equinix.com/plan").as_deref(), Some("c3.small.x86"));
    assert_eq!(label(&node, "topology.metal.equinix.com/rack").as_deref(), Some("r1"));
    assert_eq!(taints(&node), ["nvidia.com/gpu:NoSchedule"]);

    world.change_node("worker-1", json!({"metadata": {"labels": {"accelerator": "none"}}})).await;
    world
        .eventually("a label of ours snaps back", || async {
            label(&world.node("worker-1").await, "accelerator").as_deref() == Some("nvidia")
        })
        .await;

    assert_eq!(controller.stop().await, Some(0));
    world.project.relabel_device(&id, "worker-1", &["rack=r2"]).unwrap();
    let mut controller = world.run(&(KUBE_VIP.to_owned() + RULES));
    world
        .eventually("the labels follow the device's tags", || async {
            let node = world.node("worker-1").await;
            label(&node, "topology.metal.equinix.com/rack").as_deref() == Some("r2")
                && label(&node, "accelerator").is_none()
                && taints(&node).is_empty()
        })
        .await;

    assert_eq!(controller.stop().await, Some(0));
    let _controller = world.run(KUBE_VIP);
    world
        .eventually("the labels go with their rules", || async {
            label(&world.node("worker-1").await, "topology.metal.equinix.com/rack").is_none()
        })
        .await;
    let node = world.node("worker-1").await;
    assert_eq!(label(&node, "example.com/own").as_deref(), Some("kept"));
    assert_eq!(label(&node, "topology.kubernetes.io/region").as_deref(), Some("da"));
}

#[tokio::test]
async fn tst_12_a_node_goes_when_its_device_is_gone_and_not_before() {
    let world = World::new().await;
    let id = world.add_node("worker-1").await;
    world.add_node("worker-2").await;
    let _controller = world.run(KUBE_VIP);
    world.all_initialised().await;
    world.project.remove_device(&id).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert!(world.nodes().get_opt("worker-1").await.unwrap().is_some(), "a healthy Node is never asked about");
    world.set_ready("worker-1", "False").await;
    world
        .eventually("the Node is deleted", || async { world.nodes().get_opt("worker-1").await.unwrap().is_none() })
        .await;
    assert!(world.nodes().get_opt("worker-2").await.unwrap().is_some());
    assert_eq!(world.events_of("worker-1").await, ["DeletingNode", "Synced"]);
}

#[tokio::test]
async fn life_10_13_inst_05_a_machine_that_is_switched_off_is_tainted_until_it_is_ready_again() {
    let world = World::new().await;
    let id = world.add_node("worker-1").await;
    let _controller = world.run(KUBE_VIP);
    world.all_initialised().await;
    world.project.set_device_state(&id, DeviceState::Inactive).unwrap();
    world.set_ready("worker-1", "Unknown").await;
    let shutdown = "node.cloudprovider.kubernetes.io/shutdown:NoSchedule";
    world.eventually("the taint is there", || async { taints(&world.node("worker-1").await) == [shutdown] }).await;
    world.set_ready("worker-1", "True").await;
    world.eventually("the taint is gone", || async { taints(&world.node("worker-1").await).is_empty() }).await;
}

#[tokio::test]
async fn nodes_of_another_cloud_are_left_alone() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    world.register("theirs").await;
    world.change_node("theirs", json!({"spec": {"providerID": "aws:///us-east-1a/i-1"}})).await;
    world.set_ready("theirs", "False").await;
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "web", serde_json::Value::Null).await;
    world.address_of("default", "web").await;
    world.quiet().await;
    let theirs = world.node("theirs").await;
    assert_eq!(taints(&theirs), ["node.cloudprovider.kubernetes.io/uninitialized:NoSchedule"]);
    assert_eq!(theirs.metadata.annotations, None);
}

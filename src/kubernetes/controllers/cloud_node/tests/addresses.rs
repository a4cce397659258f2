use pretty_assertions::assert_eq;

use super::*;

#[tokio::test]
async fn node_18_addresses_that_cannot_be_written_do_not_undo_the_initialisation() {
    let scene = scene(Nodes::new([fresh("n1")]), Cloud::of(&["n1"]));
    let nodes = Arc::clone(&scene.nodes);
    nodes.fail_second(ClusterError::Failed { object: "Node n1".into(), message: "503".into() });
    assert_eq!(scene.pass("n1").await, Outcome::Done);
    assert_eq!(nodes.take_writes(), [INITIALISED]);
    assert_eq!(scene.ears.take(), ["Normal Synced n1"]);
    scene.controller.shared.address_round().await;
    assert_eq!(nodes.take_writes(), [ADDRESSES], "the next round repairs it");
}

#[tokio::test]
async fn node_21_22_32_a_provided_address_that_does_not_fit_keeps_the_taint() {
    for value in ["10.0.0.9", "10.0.0.1,10.0.0.2", "", "10.0.0.1,fd00::1", "host"] {
        let scene = scene(Nodes::new([provided("n1", value)]), Cloud::of(&["n1"]));
        assert_eq!(scene.pass("n1").await, Outcome::Failed, "{value:?}");
        assert_eq!((scene.nodes.take_writes(), scene.ears.take()), (vec![], vec![]), "{value:?}");
        scene.nodes.edit("n1", |node| node.taints.clear());
        scene.controller.shared.address_round().await;
        assert_eq!(scene.nodes.take_writes(), [""; 0], "{value:?}: nor does the loop write");
    }
}

#[tokio::test]
async fn node_24_the_order_of_the_provided_addresses_decides_and_is_compared_in_full() {
    let scene = scene(Nodes::new([provided("n1", "fd00::1,10.0.0.1")]), Cloud::of(&[]));
    scene.cloud.put("n1", |machine| {
        machine.metadata.addresses = addresses(&["InternalIP=10.0.0.1", "InternalIP=fd00::1", "Hostname=n1"]);
    });
    scene.pass("n1").await;
    let written = ["addresses of n1: InternalIP=fd00::1 InternalIP=10.0.0.1 Hostname=n1"];
    assert_eq!(scene.nodes.take_writes()[1..], written);
    scene.controller.shared.address_round().await;
    assert_eq!(scene.nodes.take_writes(), [""; 0], "nothing changed");
    scene.nodes.edit("n1", |node| node.addresses.swap(0, 1));
    scene.controller.shared.address_round().await;
    assert_eq!(scene.nodes.take_writes(), written, "the same entries in another order differ");
}

#[tokio::test(start_paused = true)]
async fn node_28_29_the_address_loop_writes_what_changed_and_pauses_after_each_round() {
    let (nodes, cloud) = initialised(&["n1", "n2"]).await;
    let config = CloudNodeConfig { upkeep_period: Duration::from_secs(100_000), ..CloudNodeConfig::default() };
    let running = scene_with(Arc::clone(&nodes), Arc::clone(&cloud), config).start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(nodes.take_writes(), [""; 0], "the first round found everything in order");
    cloud.put("n1", |machine| {
        machine.metadata.addresses = addresses(&["Hostname=n1", "InternalIP=10.0.0.3"]);
        machine.metadata.region = crate::domain::TopologyLabel::Is("sv".into());
    });
    tokio::time::sleep(Duration::from_secs(298)).await;
    assert_eq!(nodes.take_writes(), [""; 0]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        nodes.take_writes(),
        ["addresses of n1: Hostname=n1 InternalIP=10.0.0.3"],
        "after the pause, addresses only, and the whole list"
    );
    running.stop().await;
}

#[tokio::test]
async fn node_26_30_31_the_loop_passes_over_what_it_cannot_or_must_not_write() {
    let (nodes, cloud) = initialised(&["a-doubt", "b-gone", "c-empty", "d"]).await;
    nodes.add(fresh("e-fresh"));
    for name in ["a-doubt", "b-gone", "d", "e-fresh"] {
        cloud.put(name, |machine| machine.metadata.addresses = addresses(&["InternalIP=10.0.0.7", "Hostname=x"]));
    }
    let (_, failure) = metal_failures().remove(0);
    cloud.fail("a-doubt", failure);
    cloud.remove("b-gone");
    cloud.put("c-empty", |machine| machine.metadata.addresses.clear());
    let scene = scene(Arc::clone(&nodes), cloud);
    scene.controller.shared.address_round().await;
    assert_eq!(nodes.take_writes(), ["addresses of d: InternalIP=10.0.0.7 Hostname=x"]);
}

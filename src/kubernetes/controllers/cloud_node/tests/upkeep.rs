use pretty_assertions::assert_eq;

use super::*;

#[tokio::test(start_paused = true)]
async fn node_35_36_37_stable_labels_are_repaired_even_when_the_machine_cannot_be_told() {
    let (nodes, cloud) = initialised(&["n1"]).await;
    let scene = scene(Arc::clone(&nodes), cloud);
    for outage in metal_failures().into_iter().map(|(_, failure)| Some(failure)).chain([None]) {
        tokio::time::advance(Duration::from_secs(1)).await;
        scene.cloud.outage(outage);
        nodes.edit("n1", |node| {
            node.labels.insert("node.kubernetes.io/instance-type".into(), "by-hand".into());
        });
        assert_eq!(scene.pass("n1").await, Outcome::Done);
        assert_eq!(
            nodes.take_writes(),
            ["patch node n1: label node.kubernetes.io/instance-type=c3.small.x86"],
            "labels and nothing else"
        );
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    nodes.edit("n1", |node| {
        node.labels.remove("beta.kubernetes.io/instance-type");
        node.labels.insert("node.kubernetes.io/instance-type".into(), "by-hand".into());
    });
    scene.pass("n1").await;
    assert_eq!(nodes.take_writes(), [""; 0], "without the beta label nothing happens");
}

#[tokio::test(start_paused = true)]
async fn node_39_labels_follow_the_devices_and_the_policy_after_initialisation() {
    let (nodes, cloud) = initialised(&["n1", "n2"]).await;
    let config = CloudNodeConfig { address_period: Duration::from_secs(100_000), ..CloudNodeConfig::default() };
    let running = scene_with(Arc::clone(&nodes), Arc::clone(&cloud), config).start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(nodes.take_writes(), [""; 0], "an unchanged world is not written");

    cloud.put("n1", |machine| {
        machine.metadata.managed.labels.insert("rack".into(), "r7".into());
    });
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(nodes.get("n1").labels["rack"], "r7", "a changed device, within a minute");

    cloud.put("n2", |machine| {
        machine.metadata.managed.taints.push(taint("gpu", "", TaintEffect::NoSchedule));
    });
    running.policy.send_replace(PolicyHash::new("2"));
    nodes.until(|nodes| nodes["n2"].taints.len() == 1).await;

    nodes.edit("n1", |node| {
        node.labels.insert("rack".into(), "by-hand".into());
    });
    nodes.until(|nodes| nodes["n1"].labels["rack"] == "r7").await;

    cloud.put("n1", |machine| machine.metadata.managed.labels.clear());
    running.policy.send_replace(PolicyHash::new("3"));
    nodes.until(|nodes| !nodes["n1"].labels.contains_key("rack")).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn somebody_who_keeps_undoing_a_change_is_met_with_one_write_a_second() {
    let (nodes, cloud) = initialised(&["n1"]).await;
    cloud.put("n1", |machine| {
        machine.metadata.managed.labels.insert("rack".into(), "r7".into());
    });
    let running = scene(Arc::clone(&nodes), cloud).start();
    for _ in 0..1_000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        nodes.edit("n1", |node| {
            node.labels.insert("rack".into(), "theirs".into());
        });
    }
    let writes = nodes.take_writes().len();
    assert!((9..=11).contains(&writes), "in ten seconds: {writes}");
    nodes.until(|nodes| nodes["n1"].labels["rack"] == "r7").await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_world_is_not_written_for_an_hour() {
    let (nodes, cloud) = initialised(&["n1", "n2"]).await;
    let running = scene(Arc::clone(&nodes), cloud).start();
    for second in 0..360 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        // A kubelet's heartbeat.
        nodes.edit("n1", |node| node.readiness_since = second);
    }
    assert_eq!(nodes.take_writes(), [""; 0]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_cache_is_noticed_by_the_write() {
    let (nodes, cloud) = initialised(&["n1"]).await;
    let scene = scene(Arc::clone(&nodes), Arc::clone(&cloud));
    nodes.watch(false);
    nodes.edit("n1", |node| {
        node.labels.insert("rack".into(), "theirs".into());
    });
    cloud.put("n1", |machine| {
        machine.metadata.managed.labels.insert("rack".into(), "r7".into());
    });
    scene.pass("n1").await;
    assert_eq!(nodes.take_writes(), [""; 0], "the label was somebody else's by then");
    assert_eq!(scene.ears.take(), ["Warning NodeRuleNotApplied n1"]);
    nodes.watch(true);
    scene.pass("n1").await;
    assert_eq!(scene.ears.take(), [""; 0], "told once");
}

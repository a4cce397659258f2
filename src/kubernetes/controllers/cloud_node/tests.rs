use std::sync::Mutex;

use pretty_assertions::assert_eq;

use super::*;
use crate::domain::node::{PROVIDED_NODE_IP_ANNOTATION, UNINITIALIZED_TAINT};
use crate::domain::testing::node;
use crate::domain::{Taint, TaintEffect};
use crate::kubernetes::controllers::testing::{Cloud, Ears, Nodes, addresses, metal_failures};
use crate::kubernetes::queue::NoQueueMetrics;
use crate::ports::ClusterError;

/// The test's time of day, and the ages at which Nodes were initialised.
#[derive(Default)]
struct Watch(Mutex<Vec<u64>>);

impl Clock for Watch {
    fn now(&self) -> i64 {
        1_042
    }
}

impl NodeMetrics for Watch {
    fn initialised(&self, since_creation: Duration) {
        self.0.lock().unwrap().push(since_creation.as_secs());
    }
}

type Edit = fn(&mut Node);

struct Scene {
    nodes: Arc<Nodes>,
    cloud: Arc<Cloud>,
    ears: Arc<Ears>,
    watch: Arc<Watch>,
    policy: watch::Sender<PolicyHash>,
    controller: CloudNode,
}

fn scene(nodes: Arc<Nodes>, cloud: Arc<Cloud>) -> Scene {
    scene_with(nodes, cloud, CloudNodeConfig::default())
}

fn scene_with(nodes: Arc<Nodes>, cloud: Arc<Cloud>, config: CloudNodeConfig) -> Scene {
    let ears = Arc::new(Ears::default());
    let watch = Arc::new(Watch::default());
    let policy = watch::Sender::new(PolicyHash::new("1"));
    let controller = CloudNode::new(CloudNodeParts {
        config,
        instances: Arc::clone(&cloud) as Arc<dyn InstancesV2>,
        cache: nodes.cache.clone(),
        nodes: Arc::clone(&nodes) as Arc<dyn NodeApi>,
        events: Arc::clone(&ears) as Arc<dyn EventSink>,
        policy: policy.subscribe(),
        clock: Arc::clone(&watch) as Arc<dyn Clock>,
        metrics: Arc::clone(&watch) as Arc<dyn NodeMetrics>,
        queue_metrics: Arc::new(NoQueueMetrics),
    });
    Scene { nodes, cloud, ears, watch, policy, controller }
}

impl Scene {
    /// One pass over a Node, as a worker makes it.
    async fn pass(&self, name: &str) -> Outcome {
        self.controller.shared.pass(&name.to_owned()).await
    }

    fn start(self) -> Running {
        let cancel = CancellationToken::new();
        let task = tokio::spawn(self.controller.run(cancel.clone()));
        Running { nodes: self.nodes, cloud: self.cloud, policy: self.policy, cancel, task }
    }
}

struct Running {
    nodes: Arc<Nodes>,
    cloud: Arc<Cloud>,
    policy: watch::Sender<PolicyHash>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), ControllerError>>,
}

impl Running {
    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap().unwrap();
    }

    async fn until_initialised(&self) {
        self.nodes.until(|nodes| nodes.values().all(|node| !node.is_uninitialized())).await;
    }
}

fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
    Taint { key: key.into(), value: value.into(), effect }
}

fn fresh(name: &str) -> Node {
    Node { taints: vec![taint(UNINITIALIZED_TAINT, "true", TaintEffect::NoSchedule)], ..node(name) }
}

fn provided(name: &str, ip: &str) -> Node {
    let mut node = fresh(name);
    node.annotations.insert(PROVIDED_NODE_IP_ANNOTATION.into(), ip.into());
    node
}

/// A Node as the controller leaves it, and the two writes that made it so.
async fn initialised(names: &[&str]) -> (Arc<Nodes>, Arc<Cloud>) {
    let nodes = Nodes::new(names.iter().map(|name| fresh(name)));
    let cloud = Cloud::of(names);
    let scene = scene(Arc::clone(&nodes), Arc::clone(&cloud));
    for name in names {
        assert_eq!(scene.pass(name).await, Outcome::Done);
        assert!(!nodes.get(name).is_uninitialized());
    }
    nodes.take_writes();
    cloud.take_questions();
    (nodes, cloud)
}

fn conflict() -> ClusterError {
    ClusterError::Conflict { object: "Node n1".into() }
}

const INITIALISED: &str = concat!(
    "patch node n1: providerID=equinixmetal://id-n1",
    " label beta.kubernetes.io/instance-type=c3.small.x86",
    " label failure-domain.beta.kubernetes.io/region=da",
    " label node.kubernetes.io/instance-type=c3.small.x86",
    " label topology.kubernetes.io/region=da",
    " annotation metal.equinix.com/managed-fields=",
    r#"{"labels":{"failure-domain.beta.kubernetes.io/region":"da","topology.kubernetes.io/region":"da"}}"#,
    " taints=[]"
);
const ADDRESSES: &str = "addresses of n1: Hostname=n1 ExternalIP=147.75.0.1 InternalIP=10.0.0.1";

#[tokio::test]
async fn node_05_16_18_19_20_one_question_one_write_then_the_addresses_and_an_event() {
    let scene = scene(Nodes::new([fresh("n1")]), Cloud::of(&["n1"]));
    assert_eq!(scene.pass("n1").await, Outcome::Done);
    assert_eq!(scene.cloud.take_questions(), ["metadata n1"]);
    assert_eq!(scene.nodes.take_writes(), [INITIALISED, ADDRESSES]);
    assert_eq!(scene.ears.take(), ["Normal Synced n1"]);
    assert_eq!(*scene.watch.0.lock().unwrap(), [42], "seconds since it was created");
    assert_eq!(scene.pass("n1").await, Outcome::Done);
    assert_eq!(scene.nodes.take_writes(), [""; 0], "the second pass has nothing to do");
}

#[tokio::test]
async fn node_04_the_taint_counts_by_its_key_alone() {
    let cases = [
        taint(UNINITIALIZED_TAINT, "true", TaintEffect::NoSchedule),
        taint(UNINITIALIZED_TAINT, "", TaintEffect::NoExecute),
        taint(UNINITIALIZED_TAINT, "odd", TaintEffect::PreferNoSchedule),
    ];
    for each in cases {
        let name = each.to_string();
        let scene = scene(Nodes::new([Node { taints: vec![each], ..node("n1") }]), Cloud::of(&["n1"]));
        scene.pass("n1").await;
        assert_eq!(scene.nodes.get("n1").provider_id, "equinixmetal://id-n1", "{name}");
    }
    let scene = scene(Nodes::new([node("n1")]), Cloud::of(&["n1"]));
    scene.pass("n1").await;
    assert_eq!(scene.nodes.get("n1").provider_id, "", "absent: never initialised");
}

#[tokio::test]
async fn node_06_without_metadata_nothing_is_written_and_the_node_is_tried_again() {
    let scene = scene(Nodes::new([fresh("n1")]), Cloud::of(&[]));
    assert_eq!(scene.pass("n1").await, Outcome::Failed, "instance not found");
    for (name, failure) in metal_failures() {
        scene.cloud.outage(Some(failure));
        let outcome = scene.pass("n1").await;
        let expected = if name == "429" { Outcome::RetryAfter(Duration::from_secs(1)) } else { Outcome::Failed };
        assert_eq!(outcome, expected, "{name}");
    }
    assert_eq!((scene.nodes.take_writes(), scene.ears.take()), (vec![], vec![]));
    assert!(scene.nodes.get("n1").is_uninitialized(), "and it is there: this controller deletes no Node");
}

#[tokio::test]
async fn node_02_a_key_whose_node_is_gone_is_done() {
    let scene = scene(Nodes::new([]), Cloud::of(&["n1"]));
    assert_eq!(scene.pass("n1").await, Outcome::Done);
    assert_eq!(scene.cloud.take_questions(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn node_02_03_nodes_that_are_there_and_nodes_that_come_are_initialised_once_the_cache_has_listed() {
    let scene = scene(Nodes::unlisted([fresh("n1"), fresh("n2")]), Cloud::of(&["n1", "n2", "n3"]));
    let running = scene.start();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(running.cloud.take_questions(), [""; 0], "neither workers nor the address loop");
    running.nodes.list();
    running.until_initialised().await;
    running.nodes.add(fresh("n3"));
    running.until_initialised().await;
    running.nodes.edit("n2", |node| node.taints = fresh("n2").taints);
    running.until_initialised().await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn node_17_a_conflict_is_met_with_the_same_changes_to_the_fresh_node() {
    let scene = scene(Nodes::new([fresh("n1")]), Cloud::of(&["n1"]));
    for _ in 0..19 {
        scene.nodes.meddle(|node| {
            let key = format!("late-{}", node.taints.len());
            node.taints.push(taint(&key, "", TaintEffect::NoExecute));
            node.labels.insert("late".into(), "yes".into());
        });
    }
    let begun = tokio::time::Instant::now();
    assert_eq!(scene.pass("n1").await, Outcome::Done, "the twentieth try");
    let took = begun.elapsed().as_millis();
    assert!((19 * 50..=19 * 105).contains(&took), "19 pauses of 50 to 100 ms: {took}");
    assert_eq!(scene.cloud.take_questions(), ["metadata n1"], "asked once");
    let node = scene.nodes.get("n1");
    assert_eq!((node.taints.len(), node.labels["late"].as_str()), (19, "yes"), "what others wrote meanwhile is there");
    assert_eq!(scene.nodes.reads(), 19);
}

#[tokio::test(start_paused = true)]
async fn node_17_after_twenty_conflicts_or_another_error_the_delay_applies() {
    let scene = scene(Nodes::new([fresh("n1")]), Cloud::of(&["n1"]));
    for _ in 0..20 {
        scene.nodes.fail(conflict());
    }
    assert_eq!(scene.pass("n1").await, Outcome::Failed);
    scene.nodes.fail(ClusterError::Failed { object: "Node n1".into(), message: "503".into() });
    assert_eq!(scene.pass("n1").await, Outcome::Failed);
    assert_eq!(scene.nodes.reads(), 19, "another error is not tried again on the spot");
    assert_eq!((scene.nodes.take_writes(), scene.ears.take()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn node_17_a_node_that_changed_hands_meanwhile_is_let_go() {
    let cases: [(&str, Edit); 2] = [
        ("initialised by another replica", |node| node.taints.clear()),
        ("another Node of the name", |node| node.uid = "another".into()),
    ];
    for (name, meddling) in cases {
        let scene = scene(Nodes::new([fresh("n1")]), Cloud::of(&["n1"]));
        scene.nodes.meddle(meddling);
        assert_eq!(scene.pass("n1").await, Outcome::Done, "{name}");
        assert_eq!((scene.nodes.take_writes(), scene.ears.take()), (vec![], vec![]), "{name}");
    }
}

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

#[tokio::test(start_paused = true)]
async fn node_34_a_failing_node_is_tried_again_ever_more_seldom_and_at_once_after_an_event() {
    let running = scene(Nodes::new([fresh("n1")]), Cloud::of(&[])).start();
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    // At 0, 5, 15, 35, … ms: ten doublings of 5 ms end at 5,115 ms.
    assert_eq!(running.cloud.take_questions().len(), 11);
    tokio::time::sleep(Duration::from_millis(5_000)).await;
    assert_eq!(running.cloud.take_questions().len(), 0, "the next is due 5.12 s after the last");
    running.cloud.put("n1", |_| {});
    running.nodes.edit("n1", |node| node.readiness_since += 1);
    running.until_initialised().await;
    running.stop().await;
}

#[tokio::test]
async fn node_35_36_37_stable_labels_are_repaired_even_when_the_machine_cannot_be_told() {
    let (nodes, cloud) = initialised(&["n1"]).await;
    let scene = scene(Arc::clone(&nodes), cloud);
    for outage in metal_failures().into_iter().map(|(_, failure)| Some(failure)).chain([None]) {
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
    nodes.edit("n1", |node| {
        node.labels.remove("beta.kubernetes.io/instance-type");
        node.labels.insert("node.kubernetes.io/instance-type".into(), "by-hand".into());
    });
    scene.pass("n1").await;
    assert_eq!(nodes.take_writes(), [""; 0], "without the beta label nothing happens");
}

#[tokio::test(start_paused = true)]
async fn node_38_a_node_is_never_processed_twice_at_once() {
    let names: Vec<String> = (0..20).map(|i| format!("n{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let config = CloudNodeConfig { workers: 8, ..CloudNodeConfig::default() };
    let scene = scene_with(Nodes::new(names.iter().map(|name| fresh(name))), Cloud::of(&names), config);
    let ears = Arc::clone(&scene.ears);
    let running = scene.start();
    for name in &names {
        running.nodes.edit(name, |node| node.readiness_since += 1);
    }
    running.until_initialised().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut synced = ears.take();
    synced.sort();
    assert_eq!(synced, names.iter().map(|name| format!("Normal Synced {name}")).collect::<Vec<_>>(), "once each");
    running.stop().await;
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

#[tokio::test]
async fn nodes_of_other_clouds_and_nodes_on_their_way_out_are_left_alone() {
    let theirs = Node { provider_id: "aws:///i-1".into(), ..fresh("theirs") };
    let going = Node { deleting: true, ..fresh("going") };
    let scene = scene(Nodes::new([theirs, going]), Cloud::of(&["theirs", "going"]));
    scene.cloud.disown("theirs");
    for name in ["theirs", "going"] {
        assert_eq!(scene.pass(name).await, Outcome::Done);
    }
    scene.controller.shared.address_round().await;
    assert_eq!((scene.nodes.take_writes(), scene.cloud.take_questions()), (vec![], vec![]));
}

#[tokio::test]
async fn a_task_that_panics_ends_the_controller() {
    struct Panics;
    impl Clock for Panics {
        fn now(&self) -> i64 {
            panic!("as a defect would")
        }
    }
    let Scene { nodes, cloud, mut controller, .. } = scene(Nodes::new([fresh("n1")]), Cloud::of(&["n1"]));
    let shared = Arc::get_mut(&mut controller.shared).expect("nobody else has it yet");
    shared.parts.clock = Arc::new(Panics);
    let ended = controller.run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(ended.to_string(), "cloud-node-controller: processing an object failed for good");
    assert_eq!(nodes.take_writes().len(), 2, "it was under way");
    drop(cloud);
}

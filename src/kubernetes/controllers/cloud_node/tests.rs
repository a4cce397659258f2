mod addresses;
mod initialise;
mod upkeep;

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
async fn node_33_so_many_nodes_at_once_as_the_flags_say() {
    let names: Vec<String> = (0..12).map(|i| format!("n{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (workers, status_workers, width) in [(1, 0, 1), (3, 0, 3), (3, 5, 5), (4, 1, 1)] {
        let config = CloudNodeConfig { workers, status_workers, ..CloudNodeConfig::default() };
        let nodes = Nodes::new(names.iter().map(|name| fresh(name)));
        let cloud = Cloud::of(&names);
        cloud.pace(Duration::from_millis(10));
        let running = scene_with(Arc::clone(&nodes), Arc::clone(&cloud), config.clone()).start();
        running.until_initialised().await;
        assert_eq!(cloud.take_most_waiting(), workers, "workers: {config:?}");
        running.stop().await;

        let scene = scene_with(nodes, Arc::clone(&cloud), config.clone());
        scene.controller.shared.address_round().await;
        assert_eq!(cloud.take_most_waiting(), width, "width of the loop: {config:?}");
    }
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

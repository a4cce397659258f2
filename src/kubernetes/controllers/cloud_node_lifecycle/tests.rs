use pretty_assertions::assert_eq;

use super::*;
use crate::domain::node::{SHUTDOWN_TAINT, UNINITIALIZED_TAINT};
use crate::domain::testing::node;
use crate::domain::{Taint, TaintEffect};
use crate::kubernetes::controllers::testing::{Cloud, Ears, Nodes, metal_failures};

type Edit = fn(&mut Node);

struct Scene {
    nodes: Arc<Nodes>,
    cloud: Arc<Cloud>,
    ears: Arc<Ears>,
    controller: CloudNodeLifecycle,
}

fn scene(nodes: Arc<Nodes>, cloud: Arc<Cloud>) -> Scene {
    let ears = Arc::new(Ears::default());
    let controller = CloudNodeLifecycle::new(CloudNodeLifecycleParts {
        period: Duration::from_secs(5),
        instances: Arc::clone(&cloud) as Arc<dyn InstancesV2>,
        cache: nodes.cache.clone(),
        nodes: Arc::clone(&nodes) as Arc<dyn NodeApi>,
        events: Arc::clone(&ears) as Arc<dyn EventSink>,
    });
    Scene { nodes, cloud, ears, controller }
}

fn ready(name: &str) -> Node {
    Node { provider_id: format!("equinixmetal://id-{name}"), ..node(name) }
}

fn ill(name: &str) -> Node {
    Node { readiness: Readiness::NotReady, ..ready(name) }
}

fn taint(key: &str, value: &str) -> Taint {
    Taint { key: key.into(), value: value.into(), effect: TaintEffect::NoSchedule }
}

fn tainted(node: Node, taints: &[Taint]) -> Node {
    Node { taints: taints.to_vec(), ..node }
}

#[tokio::test(start_paused = true)]
async fn life_02_a_pass_follows_each_pause_and_none_runs_beside_another() {
    let Scene { nodes, cloud, controller, .. } = scene(Nodes::unlisted([ill("a"), ill("b")]), Cloud::of(&["a", "b"]));
    let cancel = CancellationToken::new();
    let running = tokio::spawn(controller.run(cancel.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cloud.take_questions(), [""; 0], "the cache has not listed the Nodes");
    nodes.list();
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    let round = ["exists a", "shutdown a", "exists b", "shutdown b"];
    assert_eq!(cloud.take_questions(), round, "at once, one Node after another");
    tokio::time::sleep(Duration::from_millis(5_000)).await;
    assert_eq!(cloud.take_questions(), round, "and after the pause");
    cancel.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn life_03_a_cache_that_listed_nothing_means_nothing() {
    let Scene { nodes, cloud, controller, .. } = scene(Nodes::unlisted([ill("a")]), Cloud::of(&[]));
    controller.pass().await;
    assert_eq!((nodes.take_writes(), cloud.take_questions()), (vec![], vec![]));
}

#[tokio::test]
async fn life_05_a_ready_node_is_never_asked_about_nor_deleted() {
    let shutdown = taint(SHUTDOWN_TAINT, "");
    let other = taint("dedicated", "db");
    let stale = tainted(ready("stale"), &[other.clone(), shutdown]);
    let Scene { nodes, cloud, ears, controller } = scene(Nodes::new([ready("lost"), stale]), Cloud::of(&[]));
    controller.pass().await;
    assert_eq!(cloud.take_questions(), [""; 0]);
    assert_eq!(nodes.take_writes(), ["patch node stale: taints=[dedicated=db:NoSchedule]"]);
    assert_eq!(nodes.names(), ["lost", "stale"]);
    assert_eq!(ears.take(), [""; 0]);
    controller.pass().await;
    assert_eq!(nodes.take_writes(), [""; 0], "nothing is left to do");
}

#[tokio::test]
async fn life_06_an_ill_node_without_a_machine_is_deleted() {
    let Scene { nodes, ears, controller, .. } = scene(Nodes::new([ill("gone"), ill("here")]), Cloud::of(&["here"]));
    controller.pass().await;
    assert_eq!(ears.take(), ["Normal DeletingNode gone"]);
    assert_eq!(nodes.take_writes(), ["delete gone"]);
    assert!(nodes.cache.get(&"gone".to_owned()).is_none(), "whoever watches Nodes hears of it");
}

#[tokio::test]
async fn life_07_a_deletion_that_fails_is_told_and_tried_again() {
    let Scene { nodes, ears, controller, .. } = scene(Nodes::new([ill("gone")]), Cloud::of(&[]));
    nodes.fail(ClusterError::Forbidden { object: "Node gone".into(), message: "no".into() });
    controller.pass().await;
    assert_eq!(ears.take(), ["Normal DeletingNode gone", "Warning DeletingNodeFailed gone"]);
    assert_eq!(nodes.names(), ["gone"]);
    nodes.fail(ClusterError::NotFound { object: "Node gone".into() });
    controller.pass().await;
    assert_eq!(ears.take(), ["Normal DeletingNode gone"], "gone already is done");
    controller.pass().await;
    assert_eq!(nodes.names(), [""; 0]);
}

#[tokio::test]
async fn life_08_a_token_that_loses_its_rights_deletes_zero_nodes() {
    let names: Vec<String> = (0..50).map(|i| format!("n{i:02}")).collect();
    for (name, failure) in metal_failures() {
        let all = names.iter().map(|name| tainted(ill(name), &[taint("dedicated", "db")]));
        let Scene { nodes, cloud, ears, controller } = scene(Nodes::new(all), Cloud::of(&[]));
        cloud.outage(Some(failure));
        for _ in 0..3 {
            controller.pass().await;
        }
        assert_eq!(nodes.names(), names, "{name}");
        assert_eq!((nodes.take_writes(), ears.take()), (vec![], vec![]), "{name}: no taint and no event either");
    }
}

#[tokio::test]
async fn life_08_a_pass_with_a_doubt_deletes_nothing() {
    for (name, failure) in metal_failures() {
        let Scene { nodes, cloud, ears, controller } =
            scene(Nodes::new([ill("a-gone"), ill("b-doubt"), ill("c-gone")]), Cloud::of(&[]));
        cloud.fail("b-doubt", failure);
        controller.pass().await;
        assert_eq!(nodes.names(), ["a-gone", "b-doubt", "c-gone"], "{name}");
        assert_eq!(ears.take(), [""; 0], "{name}");
        cloud.heal("b-doubt");
        controller.pass().await;
        assert_eq!(nodes.names(), [""; 0], "{name}: the doubt is gone");
    }
}

#[tokio::test]
async fn life_09_nodes_that_are_new_or_without_provider_id_are_asked_about_and_never_deleted_on_a_guess() {
    let unnamed = Node { provider_id: String::new(), ..ill("unnamed") };
    let fresh = tainted(ill("fresh"), &[taint(UNINITIALIZED_TAINT, "true")]);
    let Scene { nodes, cloud, controller, .. } =
        scene(Nodes::new([unnamed, fresh, ill("gone")]), Cloud::of(&["fresh"]));
    controller.pass().await;
    assert_eq!(nodes.names(), ["fresh", "unnamed"], "what cannot be told of one stops nothing of the others");
    assert_eq!(cloud.take_questions(), ["exists fresh", "shutdown fresh", "exists gone"]);
}

#[tokio::test]
async fn life_08_what_metal_refuses_for_one_node_alone_stops_nothing_of_the_others() {
    let Scene { nodes, cloud, controller, .. } = scene(Nodes::new([ill("gone"), ill("odd")]), Cloud::of(&[]));
    let request = "GET /devices/odd".into();
    cloud.fail("odd", MetalError::Rejected { request, status: 422, errors: vec![] });
    controller.pass().await;
    assert_eq!(nodes.names(), ["odd"]);
}

#[tokio::test]
async fn life_10_11_13_15_a_machine_that_is_off_exists_and_its_node_is_tainted_until_ready() {
    let Scene { nodes, cloud, ears, controller } = scene(
        Nodes::new([ill("off"), tainted(ill("valued"), &[taint(SHUTDOWN_TAINT, "x"), taint("dedicated", "db")])]),
        Cloud::of(&["off", "valued"]),
    );
    let off = |off: bool| {
        for name in ["off", "valued"] {
            cloud.put(name, |machine| machine.shut_down = off);
        }
    };
    off(true);
    controller.pass().await;
    assert_eq!(
        nodes.take_writes(),
        [
            format!("patch node off: taints=[{SHUTDOWN_TAINT}:NoSchedule]"),
            format!("patch node valued: taints=[{SHUTDOWN_TAINT}:NoSchedule,dedicated=db:NoSchedule]"),
        ]
    );
    controller.pass().await;
    assert_eq!(nodes.take_writes(), [""; 0], "identical already");
    off(false);
    controller.pass().await;
    assert_eq!(nodes.take_writes(), [""; 0], "switched on, not ready yet");
    nodes.edit("off", |node| node.readiness = Readiness::Ready);
    controller.pass().await;
    assert_eq!(nodes.take_writes(), ["patch node off: taints=[]"]);
    assert_eq!(ears.take(), [""; 0]);
}

#[tokio::test]
async fn life_12_a_shutdown_check_that_fails_changes_nothing() {
    let off = tainted(ill("off"), &[taint(SHUTDOWN_TAINT, "")]);
    let Scene { nodes, cloud, controller, .. } = scene(Nodes::new([ill("on"), off]), Cloud::of(&["on", "off"]));
    for (name, failure) in metal_failures() {
        cloud.outage(Some(failure));
        controller.pass().await;
        assert_eq!(nodes.take_writes(), [""; 0], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn life_14_a_conflict_is_met_with_a_fresh_decision() {
    let Scene { nodes, cloud, controller, .. } = scene(Nodes::new([ill("off")]), Cloud::of(&["off"]));
    cloud.put("off", |machine| machine.shut_down = true);
    for _ in 0..4 {
        nodes.meddle(|node| {
            node.taints.insert(0, taint(&format!("late-{}", node.taints.len()), ""));
        });
    }
    controller.pass().await;
    assert_eq!(
        nodes.take_writes(),
        [format!(
            "patch node off: taints=[late-3:NoSchedule,late-2:NoSchedule,late-1:NoSchedule,late-0:NoSchedule,{SHUTDOWN_TAINT}:NoSchedule]"
        )],
        "the fifth try, with what others added meanwhile"
    );
    assert_eq!(nodes.reads(), 4);

    let Scene { nodes, cloud, controller, .. } = scene(Nodes::new([ill("off")]), Cloud::of(&["off"]));
    cloud.put("off", |machine| machine.shut_down = true);
    nodes.meddle(|node| node.readiness = Readiness::Ready);
    controller.pass().await;
    assert_eq!(nodes.take_writes(), [""; 0], "it became ready meanwhile");
}

#[tokio::test]
async fn life_18_only_the_node_that_was_looked_at_is_deleted() {
    let cases: [(&str, Edit); 2] = [
        ("another of its name", |node| node.uid = "uid-of-another".into()),
        ("ready again", |node| node.readiness = Readiness::Ready),
    ];
    for (name, meddling) in cases {
        let Scene { nodes, ears, controller, .. } = scene(Nodes::new([ill("gone")]), Cloud::of(&[]));
        nodes.meddle(meddling);
        controller.pass().await;
        assert_eq!(nodes.names(), ["gone"], "{name}");
        assert_eq!(ears.take(), ["Normal DeletingNode gone", "Warning DeletingNodeFailed gone"], "{name}");
    }
}

#[tokio::test]
async fn nodes_of_other_clouds_and_nodes_on_their_way_out_are_left_alone() {
    let deleting = Node { deleting: true, ..ill("deleting") };
    let foreign = tainted(ready("foreign"), &[taint(SHUTDOWN_TAINT, "")]);
    let Scene { nodes, cloud, ears, controller } =
        scene(Nodes::new([deleting, foreign, ill("theirs")]), Cloud::of(&[]));
    cloud.disown("foreign");
    cloud.disown("theirs");
    controller.pass().await;
    assert_eq!((nodes.take_writes(), ears.take(), cloud.take_questions()), (vec![], vec![], vec![]));
}

#[tokio::test]
async fn a_pass_that_panics_ends_the_controller() {
    struct Panics;
    #[async_trait::async_trait]
    impl InstancesV2 for Panics {
        fn manages(&self, _: &Node) -> bool {
            panic!("as a defect would")
        }
        async fn instance_exists(&self, _: &Node) -> Result<bool, ProviderError> {
            Ok(true)
        }
        async fn instance_shutdown(&self, _: &Node) -> Result<bool, ProviderError> {
            Ok(false)
        }
        async fn instance_metadata(&self, _: &Node) -> Result<crate::domain::InstanceMetadata, ProviderError> {
            Err(ProviderError::ImplementedElsewhere)
        }
    }
    let Scene { mut controller, .. } = scene(Nodes::new([ill("a")]), Cloud::of(&[]));
    controller.parts.instances = Arc::new(Panics);
    let ended = controller.run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(ended.to_string(), "cloud-node-lifecycle-controller: a task panicked");
}

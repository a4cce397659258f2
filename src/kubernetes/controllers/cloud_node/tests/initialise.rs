use pretty_assertions::assert_eq;

use super::*;

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

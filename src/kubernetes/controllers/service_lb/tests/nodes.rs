//! Telling load balancers of other nodes.

use pretty_assertions::assert_eq;
use serde_json::json;

use super::world::{World, load_balancer, web};
use crate::domain::ServiceKey;
use crate::kubernetes::predicates::{EXCLUDE_LABEL, TO_BE_DELETED_TAINT};
use crate::ports::ProviderError;

const NOTHING: [&str; 0] = [];

fn refused(message: &str) -> ProviderError {
    ProviderError::Refused { message: message.into() }
}

#[tokio::test(start_paused = true)]
async fn svc_36_40_a_change_of_the_nodes_is_carried_to_load_balancers() {
    let world = World::with_web().await;
    world.cluster.node("n3", json!({}));
    world.idle().await;
    assert_eq!(world.log(), ["cloud update shop/web [n1 n2 n3]", "event Normal UpdatedLoadBalancer web"], "added");
    world.cluster.node_gone("n1");
    world.idle().await;
    assert_eq!(world.log()[0], "cloud update shop/web [n2 n3]", "deleted");
    world.cluster.node("n2", json!({ "metadata": { "labels": { (EXCLUDE_LABEL): "" } } }));
    world.idle().await;
    assert_eq!(world.log()[0], "cloud update shop/web [n3]", "excluded");
    world.cluster.node("n3", json!({ "spec": { "providerID": "equinixmetal://other" } }));
    world.idle().await;
    assert_eq!(world.log()[0], "cloud update shop/web [n3]", "another provider ID");
    world.cluster.list_nodes(&["n2"]);
    world.idle().await;
    assert_eq!(world.log()[0], "cloud update shop/web [n2]", "deleted while the watch was broken");
}

#[tokio::test(start_paused = true)]
async fn svc_37_41_other_changes_are_seen_when_something_else_triggers_a_sync() {
    let world = World::with_web().await;
    let marked = json!({ "spec": { "taints": [{ "key": TO_BE_DELETED_TAINT, "effect": "NoSchedule" }] } });
    world.cluster.node("n1", marked.clone());
    let not_ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } });
    world.cluster.node("n2", not_ready);
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING);
    world.cluster.node("n3", json!({}));
    world.idle().await;
    assert_eq!(world.log()[0], "cloud update shop/web [n2 n3]");
}

#[tokio::test(start_paused = true)]
async fn svc_40_the_same_nodes_mean_no_call() {
    let world = World::with_web().await;
    world.cluster.node("n3", json!({ "metadata": { "labels": { (EXCLUDE_LABEL): "true" } } }));
    world.idle().await;
    assert_eq!(world.log(), NOTHING, "a node that receives no traffic");
    world.cluster.node("n1", json!({ "metadata": { "labels": { "bgp": "yes" } } }));
    world.idle().await;
    assert_eq!(world.log(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn svc_47_the_external_traffic_policy_does_not_change_the_nodes() {
    let world = World::with_web().await;
    let local = json!({ "spec": { "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000 } });
    world.cluster.write(&web(), local);
    world.idle().await;
    assert_eq!(world.log()[1], "cloud ensure shop/web [n1 n2]");
    world.cluster.node("n3", json!({}));
    world.idle().await;
    assert_eq!(world.log()[0], "cloud update shop/web [n1 n2 n3]");
}

#[tokio::test(start_paused = true)]
async fn svc_40_no_node_left_is_a_warning() {
    let world = World::with_web().await;
    world.cluster.list_nodes(&[]);
    world.idle().await;
    assert_eq!(world.log(), ["cloud update shop/web []", "event Warning UnAvailableLoadBalancer web"]);
}

#[tokio::test(start_paused = true)]
async fn svc_40_only_services_that_are_wanted_are_visited() {
    let world = World::with_web().await;
    world.cluster.write(&ServiceKey::new("shop", "plain"), json!({ "spec": { "type": "ClusterIP" } }));
    world.cluster.write(&ServiceKey::new("shop", "db"), load_balancer());
    world.idle().await;
    world.log();
    world.cluster.node("n3", json!({}));
    world.idle().await;
    let mut log = world.log();
    log.sort();
    assert_eq!(
        log,
        [
            "cloud update shop/db [n1 n2 n3]",
            "cloud update shop/web [n1 n2 n3]",
            "event Normal UpdatedLoadBalancer db",
            "event Normal UpdatedLoadBalancer web",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn svc_42_43_a_failed_update_is_mended_by_one_full_ensure_at_once() {
    let world = World::with_web().await;
    world.provider.fail("update", refused("no"));
    world.cluster.node("n3", json!({}));
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "cloud update shop/web [n1 n2 n3]",
            "cloud get shop/web",
            "event Warning UpdateLoadBalancerFailed web: Error updating load balancer with new hosts [n1 n2 n3] (names \
             limited, 3 in all): no",
            "event Normal EnsuringLoadBalancer web",
            "cloud ensure shop/web [n1 n2 n3]",
            "event Normal EnsuredLoadBalancer web",
        ]
    );
    world.cluster.node("n4", json!({ "metadata": { "labels": { (EXCLUDE_LABEL): "" } } }));
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING, "the nodes count as told");
}

#[tokio::test(start_paused = true)]
async fn svc_42_a_failed_ensure_has_told_the_nodes_as_well() {
    let world = World::running().await;
    world.provider.fail("ensure", refused("no"));
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    world.log();
    world.cluster.node("n3", json!({ "metadata": { "labels": { (EXCLUDE_LABEL): "" } } }));
    world.pass(1).await;
    assert_eq!(world.log(), NOTHING, "only its own retry is left");
    world.pass(5).await;
    assert_eq!(world.log()[1], "cloud ensure shop/web [n1 n2]");
}

#[tokio::test(start_paused = true)]
async fn svc_43_a_load_balancer_that_is_gone_needs_no_nodes() {
    let world = World::with_web().await;
    world.provider.fail("update", refused("no"));
    world.provider.balancers.lock().expect("no panic").clear();
    world.cluster.node("n3", json!({}));
    world.pass(60).await;
    assert_eq!(world.log(), ["cloud update shop/web [n1 n2 n3]", "cloud get shop/web"]);
    assert!(!world.figures.0.lock().expect("no panic").contains(&"failed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn svc_43_the_message_names_20_nodes_at_most() {
    let world = World::with_web().await;
    world.provider.fail("update", refused("no"));
    let names: Vec<String> = (10..40).map(|n| format!("n{n}")).collect();
    world.cluster.list_nodes(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.idle().await;
    let log = world.log();
    let message = log.iter().find(|line| line.contains("UpdateLoadBalancerFailed")).expect("told");
    assert!(message.contains("[n10 n11 ") && message.contains(" n29] (names limited, 30 in all)"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn svc_44_implemented_elsewhere_is_silent() {
    let world = World::with_web().await;
    world.provider.fail("update", ProviderError::ImplementedElsewhere);
    world.cluster.node("n3", json!({}));
    world.pass(60).await;
    assert_eq!(world.log(), ["cloud update shop/web [n1 n2 n3]"]);
}

#[tokio::test(start_paused = true)]
async fn svc_45_services_are_told_side_by_side_as_far_as_there_are_workers() {
    let mut world = World::new();
    world.workers(2);
    for n in 0..6 {
        world.cluster.write(&ServiceKey::new("shop", format!("s{n}")), load_balancer());
    }
    world.cluster.list_nodes(&["n1"]);
    world.cluster.relist();
    world.start().await;
    world.log();
    world.provider.gate.forget_permits(2000);
    world.cluster.node("n2", json!({}));
    world.idle().await;
    assert_eq!(world.log().len(), 2, "two at once");
    world.provider.gate.add_permits(2000);
    world.idle().await;
    let updated = world.log().iter().filter(|line| line.starts_with("cloud update")).count();
    assert_eq!(updated, 4, "then the rest");
}

#[tokio::test(start_paused = true)]
async fn svc_46_an_update_waits_for_the_ensure_of_the_same_service() {
    let mut world = World::new();
    world.workers(4);
    world.cluster.list_nodes(&["n1"]);
    world.cluster.relist();
    world.start().await;
    world.provider.gate.forget_permits(2000);
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    world.cluster.node("n2", json!({}));
    world.idle().await;
    assert_eq!(world.log().last().map(String::as_str), Some("cloud ensure shop/web [n1]"));
    world.provider.gate.add_permits(2000);
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "event Normal EnsuredLoadBalancer web",
            "api status shop/web [192.0.2.1]",
            "cloud update shop/web [n1 n2]",
            "event Normal UpdatedLoadBalancer web",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn node_syncs_tell_their_figures_and_ensures_do_not() {
    let world = World::with_web().await;
    let figures = || std::mem::take(&mut *world.figures.0.lock().expect("no panic"));
    assert_eq!(figures(), NOTHING);
    world.cluster.node("n3", json!({}));
    world.idle().await;
    assert_eq!(figures(), ["updated in 0ns", "synced in 0ns"]);
    world.provider.fail("update", refused("no"));
    world.cluster.node("n4", json!({}));
    world.idle().await;
    assert_eq!(figures(), ["updated in 0ns", "failed", "synced in 0ns"]);
    world.cluster.node("n5", json!({ "metadata": { "labels": { (EXCLUDE_LABEL): "" } } }));
    world.idle().await;
    assert_eq!(figures(), ["synced in 0ns"], "nothing to tell");
}

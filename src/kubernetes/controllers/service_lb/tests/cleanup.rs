//! Taking a load balancer down.

use pretty_assertions::assert_eq;
use serde_json::json;

use super::world::{World, load_balancer, web};
use crate::kubernetes::predicates::LOAD_BALANCER_FINALIZER;
use crate::ports::{ClusterError, ProviderError};

const NOTHING: [&str; 0] = [];

fn refused(message: &str) -> ProviderError {
    ProviderError::Refused { message: message.into() }
}

#[tokio::test(start_paused = true)]
async fn svc_23_a_deleted_service_loses_its_load_balancer_and_then_the_finalizer() {
    let world = World::with_web().await;
    world.cluster.delete(&web());
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "cloud get shop/web",
            "event Normal DeletingLoadBalancer web",
            "cloud delete shop/web uid-1",
            "api -finalizer shop/web",
            "event Normal DeletedLoadBalancer web",
        ]
    );
    assert_eq!(world.cluster.service(&web()), None);
    world.pass(600).await;
    assert_eq!(world.log(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn svc_24_what_does_not_exist_is_not_deleted_but_the_finalizer_goes() {
    let world = World::with_web().await;
    world.provider.balancers.lock().expect("no panic").clear();
    world.cluster.delete(&web());
    world.idle().await;
    assert_eq!(world.log(), ["cloud get shop/web", "api -finalizer shop/web", "event Normal DeletedLoadBalancer web"]);
}

#[tokio::test(start_paused = true)]
async fn svc_25_a_failure_keeps_the_finalizer_and_is_retried() {
    for (call, step) in [
        ("get", "failed to check if load balancer exists before cleanup"),
        ("delete", "failed to delete load balancer"),
    ] {
        let world = World::with_web().await;
        world.provider.fail(call, refused("no"));
        world.cluster.delete(&web());
        world.idle().await;
        assert_eq!(
            world.log().last(),
            Some(&format!("event Warning SyncLoadBalancerFailed web: Error syncing load balancer: {step}: no"))
        );
        let service = world.cluster.service(&web()).expect("its finalizer keeps it");
        assert_eq!(service.finalizers, [LOAD_BALANCER_FINALIZER]);
        world.pass(5).await;
        assert_eq!(world.cluster.service(&web()), None, "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn svc_25_implemented_elsewhere_counts_as_deleted() {
    let world = World::with_web().await;
    world.provider.fail("delete", ProviderError::ImplementedElsewhere);
    world.cluster.delete(&web());
    world.idle().await;
    assert_eq!(world.cluster.service(&web()), None);
    assert_eq!(world.log().last().map(String::as_str), Some("event Normal DeletedLoadBalancer web"));
}

#[tokio::test(start_paused = true)]
async fn svc_26_other_finalizers_stay_and_the_status_is_cleared() {
    let world = World::with_web().await;
    world.cluster.write(&web(), json!({ "metadata": { "finalizers": [LOAD_BALANCER_FINALIZER, "other/one"] } }));
    world.cluster.delete(&web());
    world.idle().await;
    assert_eq!(
        world.log()[3..],
        ["api -finalizer shop/web", "event Normal DeletedLoadBalancer web", "api status shop/web []"]
    );
    let service = world.cluster.service(&web()).expect("the other finalizer keeps it");
    assert_eq!((service.finalizers, service.ingress), (vec!["other/one".to_owned()], vec![]));
    world.pass(600).await;
    assert_eq!(world.log(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn svc_26_a_service_that_is_gone_by_then_is_no_failure() {
    let gone = || ClusterError::NotFound { object: "Service shop/web".into() };
    for call in ["-finalizer", "status"] {
        let world = World::with_web().await;
        world.cluster.write(&web(), json!({ "metadata": { "finalizers": [LOAD_BALANCER_FINALIZER, "other/one"] } }));
        world.cluster.refuse(call, gone());
        world.cluster.delete(&web());
        world.pass(60).await;
        assert!(!world.log().iter().any(|line| line.contains("Failed")), "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn svc_27_a_service_of_another_type_now_loses_its_load_balancer_and_lives_on() {
    let world = World::with_web().await;
    world.cluster.write(&web(), json!({ "spec": { "type": "ClusterIP" }, "status": { "loadBalancer": null } }));
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "cloud get shop/web",
            "event Normal DeletingLoadBalancer web",
            "cloud delete shop/web uid-1",
            "api -finalizer shop/web",
            "event Normal DeletedLoadBalancer web",
        ],
        "the API server has emptied the status by itself"
    );
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(world.log()[2], "cloud ensure shop/web [n1 n2]", "and it may have one again");
}

#[tokio::test(start_paused = true)]
async fn svc_28_a_service_that_was_cleaned_up_takes_no_part_in_node_syncs() {
    let world = World::with_web().await;
    world.cluster.write(&web(), json!({ "spec": { "type": "ClusterIP" } }));
    world.idle().await;
    world.log();
    world.cluster.node("n3", json!({}));
    world.idle().await;
    assert_eq!(world.log(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn svc_29_a_service_made_anew_under_the_same_name_has_the_old_ones_taken_down_first() {
    let world = World::with_web().await;
    world.cluster.fall_behind();
    world.cluster.force_delete(&web());
    world.cluster.write(&web(), load_balancer());
    world.cluster.relist();
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "event Normal DeletingLoadBalancer web",
            "cloud delete shop/web uid-1",
            "event Normal DeletedLoadBalancer web",
            "event Normal EnsuringLoadBalancer web",
            "api +finalizer shop/web",
            "cloud ensure shop/web [n1 n2]",
            "event Normal EnsuredLoadBalancer web",
            "api status shop/web [192.0.2.1]",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn svc_29_if_that_fails_it_stops_there_and_is_retried() {
    let world = World::with_web().await;
    world.provider.fail("delete", refused("no"));
    world.cluster.force_delete(&web());
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "event Normal DeletingLoadBalancer web",
            "cloud delete shop/web uid-1",
            "event Warning DeleteLoadBalancerFailed web: Error deleting load balancer: no",
            "event Warning SyncLoadBalancerFailed web: Error syncing load balancer: failed to delete load balancer: no",
        ]
    );
    world.pass(5).await;
    assert_eq!(world.log().last().map(String::as_str), Some("api status shop/web [192.0.2.1]"));
}

#[tokio::test(start_paused = true)]
async fn svc_32_a_service_that_vanished_while_it_waited_is_cleaned_up_from_memory() {
    let world = World::with_web().await;
    world.provider.fail("ensure", refused("no"));
    world.cluster.write(&web(), json!({ "metadata": { "annotations": { "a": "b" } } }));
    world.idle().await;
    world.log();
    world.cluster.force_delete(&web());
    world.pass(5).await;
    assert_eq!(
        world.log(),
        [
            "cloud get shop/web",
            "event Normal DeletingLoadBalancer web",
            "cloud delete shop/web uid-1",
            "event Normal DeletedLoadBalancer web",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn svc_32_what_the_api_server_still_has_is_not_taken_down() {
    let world = World::with_web().await;
    world.provider.fail("ensure", refused("no"));
    world.cluster.write(&web(), json!({ "metadata": { "annotations": { "a": "b" } } }));
    world.idle().await;
    world.log();
    world.cluster.lose(&web());
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING);
    world.cluster.relist();
    world.idle().await;
    assert_eq!(world.log()[1], "cloud ensure shop/web [n1 n2]", "found again");
}

#[tokio::test(start_paused = true)]
async fn svc_07_32_a_cache_that_lost_a_service_takes_nothing_down() {
    let world = World::with_web().await;
    world.cluster.force_delete(&web());
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING, "a DELETE event is not the deletion path");
}

#[tokio::test(start_paused = true)]
async fn svc_34_a_retry_that_is_no_longer_wanted_does_nothing() {
    let world = World::running().await;
    let forbidden = ClusterError::Forbidden { object: "Service shop/web".into(), message: "no".into() };
    world.cluster.refuse("+finalizer", forbidden);
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    world.log();
    world.cluster.write(&web(), json!({ "spec": { "type": "ClusterIP" } }));
    world.pass(600).await;
    assert_eq!(world.log(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn svc_35_a_service_deleted_while_its_ensure_keeps_failing_is_cleaned_up_at_once() {
    let world = World::running().await;
    for _ in 0..4 {
        world.provider.fail("ensure", refused("no"));
    }
    world.cluster.write(&web(), load_balancer());
    world.pass(36).await;
    world.log();
    world.cluster.delete(&web());
    world.idle().await;
    assert_eq!(world.log(), ["cloud get shop/web", "api -finalizer shop/web", "event Normal DeletedLoadBalancer web"]);
}

#[tokio::test(start_paused = true)]
async fn a_cleanup_that_the_cache_shows_late_is_not_done_twice() {
    let world = World::with_web().await;
    world.cluster.write(&web(), json!({ "metadata": { "finalizers": [LOAD_BALANCER_FINALIZER, "other/one"] } }));
    world.cluster.delete(&web());
    world.cluster.fall_behind();
    world.pass(45).await;
    let log = world.log();
    assert_eq!(log.iter().filter(|line| line.contains("DeletedLoadBalancer")).count(), 1);
    world.cluster.catch_up();
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_for_a_service_that_is_being_deleted() {
    let world = World::running().await;
    world.cluster.write(&web(), json!({ "metadata": { "finalizers": ["other/one"] } }));
    world.cluster.delete(&web());
    world.cluster.write(&web(), load_balancer());
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING);
}

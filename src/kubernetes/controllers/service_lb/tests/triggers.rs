//! What has a Service looked at again, and what does not.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::world::{World, load_balancer, web};
use crate::domain::ServiceKey;
use crate::kubernetes::predicates::LOAD_BALANCER_FINALIZER;
use crate::ports::ProviderError;

const NOTHING: [&str; 0] = [];

fn ensured(log: &[String]) -> usize {
    log.iter().filter(|line| line.starts_with("cloud ensure")).count()
}

#[tokio::test(start_paused = true)]
async fn svc_07_09_an_update_that_matters_is_ensured() {
    let cases: [(&str, Value); 7] = [
        ("source ranges", json!({ "spec": { "loadBalancerSourceRanges": ["10.0.0.0/8"] } })),
        ("ports", json!({ "spec": { "ports": [{ "port": 81 }] } })),
        ("session affinity", json!({ "spec": { "sessionAffinity": "ClientIP" } })),
        ("load balancer IP", json!({ "spec": { "loadBalancerIP": "192.0.2.9" } })),
        ("external IPs", json!({ "spec": { "externalIPs": ["192.0.2.9"] } })),
        ("an annotation", json!({ "metadata": { "annotations": { "a": "b" } } })),
        ("IP families", json!({ "spec": { "ipFamilies": ["IPv4", "IPv6"] } })),
    ];
    for (name, fields) in cases {
        let world = World::with_web().await;
        world.cluster.write(&web(), fields);
        world.idle().await;
        assert_eq!(ensured(&world.log()), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn svc_10_an_update_that_does_not_matter_is_not() {
    let cases: [(&str, Value); 5] = [
        ("labels", json!({ "metadata": { "labels": { "a": "b" } } })),
        ("selector", json!({ "spec": { "selector": { "a": "b" } } })),
        ("finalizers", json!({ "metadata": { "finalizers": [LOAD_BALANCER_FINALIZER, "other/one"] } })),
        ("status", json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.9" }] } } })),
        ("internal traffic policy", json!({ "spec": { "internalTrafficPolicy": "Local" } })),
    ];
    for (name, fields) in cases {
        let world = World::with_web().await;
        world.cluster.write(&web(), fields);
        world.pass(60).await;
        assert_eq!(world.log(), NOTHING, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn svc_09_wanted_flips_with_the_type() {
    let world = World::running().await;
    world.cluster.write(&web(), json!({ "spec": { "type": "ClusterIP" } }));
    world.idle().await;
    assert_eq!(world.log(), NOTHING);
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(ensured(&world.log()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_made_again_repeats_nothing() {
    let world = World::with_web().await;
    world.cluster.relist();
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn svc_49_what_the_provider_writes_back_causes_no_second_ensure() {
    let world = World::running().await;
    *world.provider.writes_back.lock().expect("no panic") = Some(world.cluster.clone());
    world.cluster.write(&web(), load_balancer());
    world.pass(60).await;
    assert_eq!(
        world.log(),
        [
            "event Normal EnsuringLoadBalancer web",
            "api +finalizer shop/web",
            "cloud ensure shop/web [n1 n2]",
            "cloud writes shop/web",
            "cloud writes shop/web",
            "event Normal EnsuredLoadBalancer web",
            "api status shop/web [192.0.2.1]",
        ]
    );
    world.cluster.write(&web(), json!({ "metadata": { "annotations": { "record": null } } }));
    world.idle().await;
    assert_eq!(ensured(&world.log()), 1, "what somebody takes away is put back");
}

#[tokio::test(start_paused = true)]
async fn svc_49_not_even_when_the_cache_shows_it_late() {
    let world = World::running().await;
    *world.provider.writes_back.lock().expect("no panic") = Some(world.cluster.clone());
    world.cluster.write(&web(), load_balancer());
    world.cluster.fall_behind();
    world.idle().await;
    world.decide("vip").await;
    world.cluster.catch_up();
    world.pass(60).await;
    assert_eq!(ensured(&world.log()), 1);
}

#[tokio::test(start_paused = true)]
async fn svc_49_a_node_sync_meanwhile_does_not_take_the_late_cache_for_a_change() {
    let world = World::running().await;
    *world.provider.writes_back.lock().expect("no panic") = Some(world.cluster.clone());
    world.cluster.write(&web(), load_balancer());
    world.cluster.fall_behind();
    world.idle().await;
    world.log();
    world.cluster.node("n3", json!({}));
    world.idle().await;
    assert_eq!(world.log(), ["cloud update shop/web [n1 n2 n3]", "event Normal UpdatedLoadBalancer web"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_ensure_going_back_is_ensured_as_well() {
    let world = World::with_web().await;
    world.provider.fail("ensure", ProviderError::Refused { message: "half done".into() });
    world.cluster.write(&web(), json!({ "metadata": { "annotations": { "a": "b" } } }));
    world.idle().await;
    world.log();
    world.cluster.write(&web(), json!({ "metadata": { "annotations": null } }));
    world.idle().await;
    assert_eq!(ensured(&world.log()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_served_again_hears_of_the_nodes_that_changed_meanwhile() {
    let world = World::with_web().await;
    world.decide("ignore").await;
    world.cluster.node("n3", json!({}));
    world.pass(60).await;
    world.decide("vip").await;
    assert_eq!(world.log()[1], "cloud ensure shop/web [n1 n2 n3]");
}

#[tokio::test(start_paused = true)]
async fn svc_49_a_failed_pass_is_not_retried_early_because_of_its_own_writes() {
    let world = World::running().await;
    *world.provider.writes_back.lock().expect("no panic") = Some(world.cluster.clone());
    world.provider.fail("ensure", ProviderError::Refused { message: "no".into() });
    world.cluster.write(&web(), load_balancer());
    world.pass(4).await;
    assert_eq!(ensured(&world.log()), 1);
    world.pass(2).await;
    assert_eq!(ensured(&world.log()), 1);
}

#[tokio::test(start_paused = true)]
async fn svc_49_a_change_somebody_makes_meanwhile_is_not_taken_for_an_own_write() {
    let world = World::running().await;
    *world.provider.writes_back.lock().expect("no panic") = Some(world.cluster.clone());
    world.provider.gate.forget_permits(2000);
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    world.cluster.write(&web(), json!({ "spec": { "ports": [{ "port": 81 }] } }));
    world.idle().await;
    world.provider.gate.add_permits(2000);
    world.pass(60).await;
    assert_eq!(ensured(&world.log()), 2);
}

#[tokio::test(start_paused = true)]
async fn another_policy_has_only_those_ensured_whose_decision_changed() {
    let world = World::with_web().await;
    world.decide("vip").await;
    assert_eq!(world.log(), NOTHING, "the same decision");
    world.decide("another backend").await;
    assert_eq!(ensured(&world.log()), 1);
    world.decide("another backend").await;
    assert_eq!(world.log(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_the_policy_no_longer_serves_is_left_until_it_goes() {
    let world = World::with_web().await;
    world.decide("ignore").await;
    world.cluster.write(&web(), json!({ "metadata": { "annotations": { "a": "b" } } }));
    world.cluster.node("n3", json!({}));
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING);
    assert_eq!(world.cluster.service(&web()).expect("there").ingress.len(), 1);

    world.decide("vip").await;
    assert_eq!(world.log()[1], "cloud ensure shop/web [n1 n2 n3]", "served again, with what changed meanwhile");

    world.decide("ignore").await;
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
}

#[tokio::test(start_paused = true)]
async fn svc_30_a_service_with_a_class_and_our_finalizer_is_cleaned_up_when_it_goes() {
    let world = World::running().await;
    let classed = json!({
        "metadata": { "finalizers": [LOAD_BALANCER_FINALIZER] },
        "spec": { "type": "LoadBalancer", "loadBalancerClass": "x/y" },
    });
    world.cluster.write(&web(), classed);
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING);
    world.cluster.delete(&web());
    world.idle().await;
    assert_eq!(world.log(), ["cloud get shop/web", "api -finalizer shop/web", "event Normal DeletedLoadBalancer web"]);
    assert_eq!(world.cluster.service(&web()), None);
}

#[tokio::test(start_paused = true)]
async fn svc_08_cleanups_are_looked_for_every_30_s_and_nothing_else_is() {
    let world = World::with_web().await;
    let gone = ServiceKey::new("shop", "gone");
    world.cluster.write(&gone, load_balancer());
    world.idle().await;
    for _ in 0..20 {
        world.provider.fail("get", ProviderError::Refused { message: "no".into() });
    }
    world.cluster.delete(&gone);
    world.idle().await;
    world.pass(310).await;
    let log = world.log();
    let asked = log.iter().filter(|line| *line == "cloud get shop/gone").count();
    assert!((10..=20).contains(&asked), "{asked}: at least every 30 s");
    assert_eq!(ensured(&log), 1, "that of the one that is gone now");
}

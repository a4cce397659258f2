//! Giving a Service its load balancer.

use pretty_assertions::assert_eq;
use serde_json::json;

use super::world::{World, load_balancer, web};
use crate::domain::{Ingress, ServiceKey};
use crate::kubernetes::predicates::LOAD_BALANCER_FINALIZER;
use crate::ports::{ClusterError, ProviderError};
use std::time::Duration;

const NOTHING: [&str; 0] = [];

fn refused(message: &str) -> ProviderError {
    ProviderError::Refused { message: message.into() }
}

fn address() -> Ingress {
    Ingress::address("192.0.2.1".parse().expect("an address"))
}

#[tokio::test(start_paused = true)]
async fn svc_12_13_15_16_a_service_gets_its_load_balancer_step_by_step() {
    let world = World::running().await;
    world.cluster.write(&web(), json!({ "metadata": { "finalizers": ["other/one"] } }));
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "event Normal EnsuringLoadBalancer web",
            "api +finalizer shop/web",
            "cloud ensure shop/web [n1 n2]",
            "event Normal EnsuredLoadBalancer web",
            "api status shop/web [192.0.2.1]",
        ]
    );
    let service = world.cluster.service(&web()).expect("there");
    assert_eq!(service.finalizers, ["other/one", LOAD_BALANCER_FINALIZER]);
    assert_eq!(service.ingress, [address()]);
    world.pass(600).await;
    assert_eq!(world.log(), NOTHING, "nothing is repeated on a timer");
}

#[tokio::test(start_paused = true)]
async fn svc_02_nothing_is_ensured_before_services_and_nodes_are_known() {
    let mut world = World::new();
    world.cluster.write(&web(), load_balancer());
    world.start().await;
    world.cluster.relist();
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING, "the nodes are not known");
    world.cluster.list_nodes(&["n1"]);
    world.idle().await;
    assert_eq!(world.log()[2], "cloud ensure shop/web [n1]");

    let mut world = World::new();
    world.cluster.list_nodes(&["n1"]);
    world.start().await;
    world.cluster.write(&web(), load_balancer());
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING, "the services are not known");
    world.cluster.relist();
    world.idle().await;
    assert_eq!(world.log()[2], "cloud ensure shop/web [n1]");
}

#[tokio::test(start_paused = true)]
async fn svc_06_a_start_ensures_every_load_balancer_again_and_repeats_its_events() {
    let mut world = World::new();
    let has_all = json!({
        "metadata": { "finalizers": [LOAD_BALANCER_FINALIZER] },
        "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1", "ipMode": "VIP" }] } },
    });
    let gone = ServiceKey::new("shop", "gone");
    for key in [web(), gone.clone()] {
        world.cluster.write(&key, load_balancer());
        world.cluster.write(&key, has_all.clone());
    }
    world.cluster.delete(&gone);
    world.cluster.write(&ServiceKey::new("shop", "plain"), json!({ "spec": { "type": "ClusterIP" } }));
    world.cluster.list_nodes(&["n1"]);
    world.cluster.relist();
    world.start().await;
    let mut log = world.log();
    log.sort();
    assert_eq!(
        log,
        [
            "api -finalizer shop/gone",
            "cloud ensure shop/web [n1]",
            "cloud get shop/gone",
            "event Normal DeletedLoadBalancer gone",
            "event Normal EnsuredLoadBalancer web",
            "event Normal EnsuringLoadBalancer web",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn every_service_is_shown_to_the_provider_before_the_first_is_ensured() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.cluster.write(&ServiceKey::new("shop", name), load_balancer());
    }
    world.cluster.list_nodes(&["n1"]);
    world.cluster.relist();
    world.start().await;
    let log = world.whole_log();
    let first = log.iter().position(|line| line.starts_with("cloud ensure")).expect("ensured");
    for name in ["a", "b", "c"] {
        let seen = log.iter().position(|line| *line == format!("seen shop/{name}")).expect("shown");
        assert!(seen < first, "{name}");
    }
    let b = ServiceKey::new("shop", "b");
    world.cluster.force_delete(&b);
    world.idle().await;
    assert_eq!(world.whole_log(), ["forgotten shop/b"]);
}

#[tokio::test(start_paused = true)]
async fn svc_04_a_service_with_a_class_that_is_not_ours_is_left_alone() {
    let world = World::running().await;
    world.cluster.write(&web(), json!({ "spec": { "type": "LoadBalancer", "loadBalancerClass": "x/y" } }));
    world.pass(60).await;
    assert_eq!(world.log(), NOTHING);
    assert_eq!(world.cluster.service(&web()).expect("there").finalizers, NOTHING);
}

#[tokio::test(start_paused = true)]
async fn svc_13_without_the_finalizer_the_cloud_is_not_called() {
    let world = World::running().await;
    let forbidden = ClusterError::Forbidden { object: "Service shop/web".into(), message: "no".into() };
    world.cluster.refuse("+finalizer", forbidden);
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "event Normal EnsuringLoadBalancer web",
            "api +finalizer shop/web: refused",
            "event Warning SyncLoadBalancerFailed web: Error syncing load balancer: failed to add load balancer \
             cleanup finalizer: Service shop/web: forbidden: no; the controller's ClusterRole lacks this right",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn svc_13_a_finalizer_that_is_there_is_not_written_again() {
    let world = World::with_web().await;
    world.cluster.write(&web(), json!({ "spec": { "externalTrafficPolicy": "Local" } }));
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "event Normal EnsuringLoadBalancer web",
            "cloud ensure shop/web [n1 n2]",
            "event Normal EnsuredLoadBalancer web",
        ],
        "and neither is a status that did not change"
    );
}

#[tokio::test(start_paused = true)]
async fn svc_16_another_ingress_is_replaced_whole() {
    let world = World::with_web().await;
    let entries = json!([{ "ip": "192.0.2.9" }, { "ip": "192.0.2.1" }]);
    world.cluster.write(&web(), json!({ "status": { "loadBalancer": { "ingress": entries } } }));
    world.cluster.write(&web(), json!({ "metadata": { "annotations": { "a": "b" } } }));
    world.idle().await;
    assert_eq!(world.log().last().map(String::as_str), Some("api status shop/web [192.0.2.1]"));
    assert_eq!(world.cluster.service(&web()).expect("there").ingress, [address()]);
}

#[tokio::test(start_paused = true)]
async fn svc_17_an_ensure_without_an_address_is_a_failure() {
    let world = World::running().await;
    *world.provider.no_address.lock().expect("no panic") = true;
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(
        world.log()[2..],
        [
            "cloud ensure shop/web [n1 n2]",
            "event Warning SyncLoadBalancerFailed web: Error syncing load balancer: failed to ensure load balancer: \
             the provider returned no address",
        ]
    );
    *world.provider.no_address.lock().expect("no panic") = false;
    world.pass(5).await;
    assert_eq!(world.log().last().map(String::as_str), Some("api status shop/web [192.0.2.1]"));
}

#[tokio::test(start_paused = true)]
async fn svc_18_without_an_eligible_node_the_cloud_is_called_all_the_same() {
    let mut world = World::new();
    world.cluster.list_nodes(&[]);
    world.cluster.relist();
    world.start().await;
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "event Normal EnsuringLoadBalancer web",
            "api +finalizer shop/web",
            "event Warning UnAvailableLoadBalancer web",
            "cloud ensure shop/web []",
            "event Normal EnsuredLoadBalancer web",
            "api status shop/web [192.0.2.1]",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn svc_19_a_failed_ensure_keeps_finalizer_and_status_and_is_retried() {
    let world = World::with_web().await;
    world.provider.fail("ensure", refused("no capacity"));
    world.cluster.write(&web(), json!({ "metadata": { "annotations": { "a": "b" } } }));
    world.idle().await;
    assert_eq!(
        world.log(),
        [
            "event Normal EnsuringLoadBalancer web",
            "cloud ensure shop/web [n1 n2]",
            "event Warning SyncLoadBalancerFailed web: Error syncing load balancer: failed to ensure load balancer: \
             no capacity",
        ]
    );
    let service = world.cluster.service(&web()).expect("there");
    assert_eq!((service.finalizers, service.ingress), (vec![LOAD_BALANCER_FINALIZER.to_owned()], vec![address()]));
    world.pass(5).await;
    assert_eq!(world.log()[1..], ["cloud ensure shop/web [n1 n2]", "event Normal EnsuredLoadBalancer web"]);
}

#[tokio::test(start_paused = true)]
async fn svc_19_a_status_that_cannot_be_written_is_a_failure() {
    let world = World::running().await;
    let down = ClusterError::Failed { object: "Service shop/web".into(), message: "no answer".into() };
    world.cluster.refuse("status", down);
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(
        world.log()[3..],
        [
            "event Normal EnsuredLoadBalancer web",
            "api status shop/web: refused",
            "event Warning SyncLoadBalancerFailed web: Error syncing load balancer: failed to update load balancer \
             status: Service shop/web: no answer",
        ]
    );
    world.pass(5).await;
    assert_eq!(world.log().last().map(String::as_str), Some("api status shop/web [192.0.2.1]"));
}

/// How often the cloud was asked to ensure the Service, second by second.
async fn ensured_at(world: &World, seconds: u64) -> Vec<u64> {
    let mut at = Vec::new();
    for second in 0..seconds {
        let ensured = world.log().iter().filter(|line| line.starts_with("cloud ensure")).count();
        at.extend(std::iter::repeat_n(second, ensured));
        world.pass(1).await;
    }
    at
}

#[tokio::test(start_paused = true)]
async fn svc_20_retries_wait_5_s_then_10_s_and_an_update_that_matters_is_handled_at_once() {
    let world = World::running().await;
    for _ in 0..5 {
        world.provider.fail("ensure", refused("no"));
    }
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(ensured_at(&world, 16).await, [0, 5, 15]);
    world.cluster.write(&web(), json!({ "metadata": { "labels": { "a": "b" } } }));
    world.idle().await;
    assert_eq!(ensured_at(&world, 2).await, [0_u64; 0], "a label does not matter");
    world.cluster.write(&web(), json!({ "metadata": { "annotations": { "a": "b" } } }));
    world.idle().await;
    assert_eq!(ensured_at(&world, 70).await, [0, 40], "the fourth failure is followed by the fourth delay");
}

#[tokio::test(start_paused = true)]
async fn svc_21_a_delay_that_the_provider_asks_for_is_honoured() {
    let world = World::running().await;
    let wait = || ProviderError::NotYet { message: "waiting for approval".into(), after: Duration::from_secs(15) };
    world.provider.fail("ensure", wait());
    world.provider.fail("ensure", wait());
    world.provider.fail("ensure", refused("no"));
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(ensured_at(&world, 40).await, [0, 15, 30, 35]);
}

#[tokio::test(start_paused = true)]
async fn svc_22_implemented_elsewhere_is_success_without_a_status() {
    let world = World::running().await;
    world.provider.fail("ensure", ProviderError::ImplementedElsewhere);
    world.cluster.write(&web(), load_balancer());
    world.pass(600).await;
    assert_eq!(
        world.log(),
        ["event Normal EnsuringLoadBalancer web", "api +finalizer shop/web", "cloud ensure shop/web [n1 n2]"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_partial_success_shows_the_address_and_is_retried() {
    let world = World::running().await;
    let partial = ProviderError::Partial { ingress: vec![address()], failures: vec!["node n2: no session".into()] };
    world.provider.fail("ensure", partial);
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    assert_eq!(
        world.log()[2..],
        [
            "cloud ensure shop/web [n1 n2]",
            "api status shop/web [192.0.2.1]",
            "event Warning SyncLoadBalancerFailed web: Error syncing load balancer: failed to ensure load balancer: \
             node n2: no session",
        ]
    );
    world.pass(5).await;
    assert_eq!(world.log().last().map(String::as_str), Some("event Normal EnsuredLoadBalancer web"));
}

#[tokio::test(start_paused = true)]
async fn svc_33_changes_during_a_pass_cause_one_more_and_never_two_at_once() {
    let mut world = World::new();
    world.workers(4);
    world.cluster.list_nodes(&["n1"]);
    world.cluster.relist();
    world.start().await;
    world.provider.gate.forget_permits(2000);
    world.cluster.write(&web(), load_balancer());
    world.idle().await;
    for n in 0..3 {
        world.cluster.write(&web(), json!({ "metadata": { "annotations": { "n": n.to_string() } } }));
        world.idle().await;
    }
    assert_eq!(ensured_at(&world, 1).await, [0], "the first pass has not ended");
    world.provider.gate.add_permits(1);
    world.idle().await;
    assert_eq!(ensured_at(&world, 1).await, [0], "one more for three changes");
    world.provider.gate.add_permits(1);
    world.pass(600).await;
    assert_eq!(ensured_at(&world, 1).await, [0_u64; 0]);
}

#[tokio::test(start_paused = true)]
async fn svc_33_as_many_services_at_once_as_there_are_workers() {
    let mut world = World::new();
    world.workers(3);
    for n in 0..9 {
        world.cluster.write(&ServiceKey::new("shop", format!("s{n}")), load_balancer());
    }
    world.cluster.list_nodes(&["n1"]);
    world.cluster.relist();
    world.provider.gate.forget_permits(2000);
    world.start().await;
    assert_eq!(*world.provider.most_at_once.lock().expect("no panic"), 3);
    world.provider.gate.add_permits(9);
    world.idle().await;
    assert_eq!(world.provider.balancers.lock().expect("no panic").len(), 9);
    assert_eq!(*world.provider.most_at_once.lock().expect("no panic"), 3);
}

#[tokio::test(start_paused = true)]
async fn app_33_a_panic_in_a_pass_ends_the_controller() {
    let world = World::running().await;
    world.provider.gate.close();
    world.cluster.write(&web(), load_balancer());
    assert!(world.end().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn asked_to_end_it_finishes_the_pass_under_way_and_begins_no_other() {
    let world = World::running().await;
    world.provider.gate.forget_permits(2000);
    world.cluster.write(&web(), load_balancer());
    world.cluster.write(&ServiceKey::new("shop", "db"), load_balancer());
    world.idle().await;
    world.provider.gate.add_permits(1);
    let (cluster, provider) = (world.cluster.clone(), world.provider.clone());
    world.stop().await.expect("ended as asked");
    assert_eq!(provider.balancers.lock().expect("no panic").len(), 1);
    let shown = [web(), ServiceKey::new("shop", "db")]
        .iter()
        .filter(|key| !cluster.service(key).expect("there").ingress.is_empty())
        .count();
    assert_eq!(shown, 1, "what was made is shown");
}

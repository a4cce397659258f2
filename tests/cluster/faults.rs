//! What Metal may answer on a bad day, and what must not come of it.

use std::time::Duration;

use cloud_provider_equinix_metal::sandbox::metal::{Access, CannedReply, Effect, Fault, SimulatorConfig};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::KUBE_VIP;
use crate::world::World;

#[tokio::test]
async fn a_key_that_loses_its_rights_deletes_no_node_and_no_address() {
    for access in [Access::Forbidden, Access::Unknown, Access::EmptyLists] {
        let world = World::new().await;
        for node in ["worker-1", "worker-2", "worker-3"] {
            world.add_node(node).await;
        }
        world.add_service("default", "web", Value::Null).await;
        let mut controller = world.run(KUBE_VIP);
        world.all_initialised().await;
        let address = world.address_of("default", "web").await;
        world.quiet().await;
        world.project.set_access(SimulatorConfig::default().auth_token.reveal().to_owned(), access);
        for node in ["worker-1", "worker-2", "worker-3"] {
            world.set_ready(node, "False").await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let nodes = world.nodes().list(&Default::default()).await.unwrap();
        assert_eq!(nodes.items.len(), 3, "{access:?}");
        assert_eq!(world.reserved(), std::slice::from_ref(&address), "{access:?}");
        assert_eq!(world.given().await["default/web"], [address], "{access:?}");
        assert!(controller.is_running(), "{access:?}");
    }
}

#[tokio::test]
async fn cfg_35_whatever_the_api_answers_the_controller_waits_and_then_goes_on() {
    // What a purchase makes of a bad answer has tests of its own: it waits half a minute for what it may have bought.
    let faults = |reply: CannedReply| {
        [
            Fault::on("GET /projects/{p}/devices", Effect::Reply(reply.clone())).times(2),
            Fault::on("GET /projects/{p}/ips", Effect::Reply(reply)).times(2),
        ]
    };
    let replies = [
        ("HTML", CannedReply::html(200)),
        ("HTML with 502", CannedReply::html(502)),
        ("half a JSON", CannedReply::json(200, "{\"devices\":[{\"id\"".into())),
        ("500", CannedReply::oh_snap()),
        ("429", CannedReply::too_many_requests(Some(1))),
        ("429 without a time", CannedReply::too_many_requests(None)),
        ("nothing", CannedReply::empty(200)),
    ];
    for (name, reply) in replies {
        let world = World::new().await;
        world.add_node("worker-1").await;
        world.add_service("default", "web", Value::Null).await;
        for fault in faults(reply) {
            world.project.faults().push(fault).unwrap();
        }
        let mut controller = world.run(KUBE_VIP);
        let address = world.address_of("default", "web").await;
        world.all_initialised().await;
        assert_eq!(world.reserved(), [address], "{name}");
        assert!(controller.is_running(), "{name}");
        assert!(!controller.log().contains("panicked"), "{name}");
    }
}

#[tokio::test]
async fn a_purchase_that_is_refused_for_a_while_is_tried_again() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let slow_down = Effect::Reply(CannedReply::too_many_requests(Some(1)));
    world.project.faults().push(Fault::on("POST /projects/{p}/ips", slow_down).times(2)).unwrap();
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "web", Value::Null).await;
    let address = world.address_of("default", "web").await;
    assert_eq!(world.reserved(), [address]);
}

#[tokio::test]
async fn a_reservation_whose_answer_was_lost_is_adopted_and_not_bought_again() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    world.project.faults().push(Fault::on("POST /projects/{p}/ips", Effect::Cut).after_commit().once()).unwrap();
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "web", Value::Null).await;
    let address = world.address_of("default", "web").await;
    world.quiet().await;
    assert_eq!(world.reserved(), [address]);
    assert_eq!(world.project.journal().count("POST /projects/{p}/ips"), 1);
}

#[tokio::test]
async fn lb_19_20_a_node_that_fails_does_not_keep_the_others_from_being_served() {
    let world = World::new().await;
    world.add_node("good").await;
    let bad = world.add_node("bad").await;
    world
        .project
        .faults()
        .push(
            Fault::on("GET /devices/{d}/bgp/neighbors", Effect::Reply(CannedReply::oh_snap()))
                .at(&format!("/devices/{bad}/bgp/neighbors")),
        )
        .unwrap();
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "web", Value::Null).await;
    world.address_of("default", "web").await;
    world.all_initialised().await;
    let good = world.node("good").await.metadata.annotations.unwrap();
    assert!(good.contains_key("metal.equinix.com/bgp-peers-0-peer-ip"));
    world
        .eventually("the failure is told", || async {
            world.messages("web", "SyncLoadBalancerFailed").await.iter().any(|m| m.contains("node bad"))
        })
        .await;
    world.project.faults().clear();
    world
        .eventually("the node is served once it can be", || async {
            let bad = world.node("bad").await.metadata.annotations.unwrap_or_default();
            bad.contains_key("metal.equinix.com/bgp-peers-0-peer-ip")
        })
        .await;
}

#[tokio::test]
async fn cfg_02_03_cfg_38_what_is_wrong_from_the_start_is_said_and_ends_the_process() {
    let world = World::new().await;
    let cases = [
        ("no key", [("METAL_API_KEY", "")], "METAL_API_KEY"),
        ("no project", [("METAL_PROJECT_ID", "")], "METAL_PROJECT_ID"),
        ("a wrong key", [("METAL_API_KEY", "wr0ng-key")], "METAL_API_KEY"),
        ("a wrong project", [("METAL_PROJECT_ID", "00000000-0000-0000-0000-000000000000")], "METAL_PROJECT_ID"),
        ("a wrong backend", [("METAL_LOAD_BALANCER", "metallb")], "METAL_LOAD_BALANCER"),
    ];
    for (name, environment, expected) in cases {
        let mut controller = world.run_with(None, &[], &environment);
        let code = controller.wait(Duration::from_secs(30)).await;
        assert_eq!(code, Some(1), "{name}: {}", controller.log());
        let log = controller.log();
        assert!(log.contains(expected), "{name}: {log}");
        assert!(!log.contains("wr0ng-key"), "{name}: {log}");
    }
}

//! The service controller and the provider between a simulated Metal project and a Kubernetes API: the small one, or
//! under `make e2e` a real kube-apiserver with the rights that the manifests give.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "support/service_world.rs"]
mod service_world;

use std::collections::BTreeSet;

use cloud_provider_equinix_metal::domain::{Ingress, Service};
use cloud_provider_equinix_metal::kubernetes::cluster::KubeCluster;
use cloud_provider_equinix_metal::kubernetes::convert;
use cloud_provider_equinix_metal::kubernetes::services::{KubeServices, ServiceApi};
use cloud_provider_equinix_metal::plan::{Change, ServicePatch};
use cloud_provider_equinix_metal::ports::{Cluster as _, ClusterError};
use cloud_provider_equinix_metal::sandbox::kubernetes::{Fault, FaultEffect, Verb};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use service_world::{Cluster, World};

const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

/// In no particular order: a strategic merge keeps none.
fn finalizers(service: &Value) -> BTreeSet<String> {
    serde_json::from_value(service["metadata"]["finalizers"].clone()).unwrap_or_default()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn a_service_gets_an_address_and_gives_it_back() {
    let world = World::running().await;
    world.create("web", json!({ "metadata": { "finalizers": ["example.com/other"] } })).await;
    world.has_address("web").await;
    let reserved: Vec<String> =
        world.reservations().iter().map(|held| held.block.unwrap().addr().to_string()).collect();
    assert_eq!(world.addresses("web").await, reserved);
    let stored = world.stored("web").await;
    assert_eq!(finalizers(&stored), set(&["example.com/other", FINALIZER]));
    assert_eq!(stored["spec"]["loadBalancerIP"], json!(reserved[0]));
    assert_eq!(stored["status"]["loadBalancer"], json!({ "ingress": [{ "ip": reserved[0], "ipMode": "VIP" }] }));
    assert_eq!(stored["status"].get("conditions"), None);

    world.delete("web").await;
    world
        .until("only the other finalizer keeps it", || async {
            let stored = world.stored("web").await;
            finalizers(&stored) == set(&["example.com/other"]) && stored["status"] == json!({ "loadBalancer": {} })
        })
        .await;
    assert_eq!(world.reservations(), []);
    world.edit("web", json!({ "metadata": { "finalizers": null } })).await;
    world.is_gone("web").await;
    world.end().await;
}

#[tokio::test]
async fn lb_30_svc_53_the_events_are_those_users_know_each_once() {
    let mut world = World::new().await;
    world.node("n1").await;
    let device = world.device("n2");
    world.run().await;
    world.create("web", json!({})).await;
    world.has_address("web").await;
    world.quiet().await;
    let ensured =
        ["Normal EnsuredLoadBalancer by service-controller x1", "Normal EnsuringLoadBalancer by service-controller x1"];
    assert_eq!(world.events("web").await, ensured, "own writes cause no second pass");
    world.node_of(&device, "n2").await;
    world
        .until("the new node is told", || async {
            world.events("web").await.contains(&"Normal UpdatedLoadBalancer by service-controller x1".to_owned())
        })
        .await;
    world.delete("web").await;
    world.is_gone("web").await;
    world.quiet().await;
    assert_eq!(
        world.events("web").await,
        [
            "Normal DeletedLoadBalancer by service-controller x1",
            "Normal DeletingLoadBalancer by service-controller x1",
            "Normal EnsuredLoadBalancer by service-controller x1",
            "Normal EnsuringLoadBalancer by service-controller x1",
            "Normal UpdatedLoadBalancer by service-controller x1",
        ]
    );
    world.end().await;
}

#[tokio::test]
async fn svc_27_a_service_of_another_type_gives_its_address_back_and_lives_on() {
    let world = World::running().await;
    world.create("web", json!({})).await;
    world.has_address("web").await;
    world.edit("web", json!({ "spec": { "type": "ClusterIP" } })).await;
    world
        .until("it is cleaned up", || async {
            let stored = world.stored("web").await;
            finalizers(&stored).is_empty() && stored["status"] == json!({ "loadBalancer": {} })
        })
        .await;
    assert_eq!(world.reservations(), []);
    world.edit("web", json!({ "spec": { "type": "LoadBalancer" } })).await;
    world.has_address("web").await;
    assert_eq!(world.reservations().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn svc_31_a_class_that_comes_with_the_type_is_taken_for_what_it_is_then() {
    let world = World::running().await;
    let class = |class: &str| json!({ "spec": { "type": "LoadBalancer", "loadBalancerClass": class } });
    world.create("other", class("example.com/other")).await;
    world.create("ours", class("metal.equinix.com/internal")).await;
    world.has_address("ours").await;
    world.quiet().await;
    assert_eq!((world.addresses("other").await.len(), finalizers(&world.stored("other").await).len()), (0, 0));

    world.edit("other", json!({ "spec": { "type": "ClusterIP", "loadBalancerClass": null } })).await;
    world.edit("other", class("metal.equinix.com/internal")).await;
    world.has_address("other").await;

    world.edit("ours", json!({ "spec": { "type": "ClusterIP", "loadBalancerClass": null } })).await;
    world.until("its address is given back", || async { world.reservations().len() == 1 }).await;
    world.edit("ours", class("example.com/other")).await;
    world.quiet().await;
    assert_eq!((world.addresses("ours").await.len(), finalizers(&world.stored("ours").await).len()), (0, 0));
    world.end().await;
}

#[tokio::test]
async fn svc_06_16_a_restart_goes_over_everything_and_changes_nothing() {
    let mut world = World::running().await;
    for name in ["a", "b", "c"] {
        world.create(name, json!({})).await;
    }
    for name in ["a", "b", "c"] {
        world.has_address(name).await;
    }
    world.quiet().await;
    world.stop().await;
    let before = [world.stored("a").await, world.stored("b").await, world.stored("c").await];
    let reserved = world.reservations();

    world.run().await;
    world
        .until("each is ensured again", || async {
            let again = "Normal EnsuredLoadBalancer by service-controller x";
            // Counted apart: the new process does not know of the old one's Events.
            let ensured = |events: Vec<String>| events.iter().any(|event| *event == format!("{again}2"));
            ensured(world.events("a").await) && ensured(world.events("b").await) && ensured(world.events("c").await)
        })
        .await;
    world.quiet().await;
    assert_eq!([world.stored("a").await, world.stored("b").await, world.stored("c").await], before);
    assert_eq!(world.reservations(), reserved);
    world.end().await;
}

#[tokio::test]
async fn every_service_gets_an_address_of_its_own() {
    let world = World::running().await;
    let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    futures::future::join_all(names.iter().map(|name| world.create(name, json!({})))).await;
    let mut addresses = BTreeSet::new();
    for name in &names {
        world.has_address(name).await;
        addresses.extend(world.addresses(name).await);
    }
    assert_eq!((addresses.len(), world.reservations().len()), (20, 20));
    futures::future::join_all(names.iter().map(|name| world.delete(name))).await;
    for name in &names {
        world.is_gone(name).await;
    }
    assert_eq!(world.reservations(), []);
    world.end().await;
}

#[tokio::test]
async fn a_controller_that_is_killed_at_any_moment_leaks_nothing() {
    let mut world = World::new().await;
    world.node("n1").await;
    let names: Vec<String> = (0..8).map(|n| format!("s{n}")).collect();
    for name in &names {
        world.create(name, json!({})).await;
    }
    for millis in [5, 15, 30, 50, 80, 120] {
        world.run().await;
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        world.kill().await;
    }
    world.run().await;
    let mut addresses = BTreeSet::new();
    for name in &names {
        world.has_address(name).await;
        addresses.extend(world.addresses(name).await);
    }
    assert_eq!((addresses.len(), world.reservations().len()), (8, 8));
    for name in &names {
        world.delete(name).await;
    }
    for millis in [5, 15, 30, 50] {
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        world.kill().await;
        world.run().await;
    }
    for name in &names {
        world.is_gone(name).await;
    }
    assert_eq!(world.reservations(), []);
    world.end().await;
}

#[tokio::test]
async fn a_watch_that_breaks_is_made_good() {
    let mut world = World::running().await;
    world.create("web", json!({})).await;
    world.create("gone", json!({})).await;
    world.has_address("web").await;
    world.has_address("gone").await;
    world.quiet().await;
    match &mut world.cluster {
        Cluster::Small(api) => {
            api.store().compact();
            api.store().drop_watches();
        }
        Cluster::Real(control_plane) => control_plane.restart_apiserver().await,
    }
    world.delete("gone").await;
    world.is_gone("gone").await;
    world.create("new", json!({})).await;
    world.has_address("new").await;
    world.quiet().await;
    assert_eq!(
        world.events("web").await,
        ["Normal EnsuredLoadBalancer by service-controller x1", "Normal EnsuringLoadBalancer by service-controller x1"],
        "what did not change is not gone over again"
    );
    world.end().await;
}

#[tokio::test]
async fn another_backend_keeps_the_address() {
    let world = World::running().await;
    world.create("web", json!({})).await;
    world.has_address("web").await;
    let address = world.addresses("web").await;
    world.use_backend("none: {}");
    world
        .until("the record names the new backend", || async {
            world.stored("web").await["metadata"]["annotations"].to_string().contains("none")
        })
        .await;
    assert_eq!(world.addresses("web").await, address);
    assert_eq!(world.reservations().len(), 1);
    world.end().await;
}

/// A Service as the domain has it.
async fn read(world: &World, name: &str) -> Service {
    convert::service(&world.services().get(name).await.unwrap())
}

#[tokio::test]
async fn what_was_meant_for_one_service_never_reaches_another_of_its_name() {
    let world = World::new().await;
    world.create("web", json!({})).await;
    let old = read(&world, "web").await;
    world.delete("web").await;
    world.create("web", json!({})).await;
    let before = world.stored("web").await;

    let services = KubeServices::new(world.controller.clone());
    let ingress = [Ingress::address("192.0.2.1".parse().unwrap())];
    let conflict = |result: &Result<(), ClusterError>| matches!(result, Err(ClusterError::Conflict { .. }));
    let added = services.add_finalizer(&old).await;
    assert!(conflict(&added), "{added:?}");
    let removed = services.remove_finalizer(&old).await.map(drop);
    assert!(conflict(&removed), "{removed:?}");
    let shown = services.set_ingress(&old, &ingress).await;
    assert!(conflict(&shown), "{shown:?}");
    let patch = ServicePatch {
        service: old.key.clone(),
        uid: old.uid.clone(),
        load_balancer_ip: Change::Set("192.0.2.1".parse().unwrap()),
        annotations: [("a".to_owned(), Some("b".to_owned()))].into(),
    };
    let patched = KubeCluster::new(world.controller.clone(), Default::default()).patch_service(&patch).await.map(drop);
    assert!(conflict(&patched), "{patched:?}");
    assert_eq!(world.stored("web").await, before);
    world.end().await;
}

#[tokio::test]
async fn svc_14_26_finalizer_and_status_are_changed_without_touching_anything_else() {
    let world = World::new().await;
    world.create("web", json!({ "metadata": { "finalizers": ["example.com/a", "example.com/b"] } })).await;
    let services = KubeServices::new(world.controller.clone());
    let service = read(&world, "web").await;
    let fresh = world.stored("web").await;

    for _ in 0..2 {
        services.add_finalizer(&service).await.unwrap();
        assert_eq!(finalizers(&world.stored("web").await), set(&["example.com/a", "example.com/b", FINALIZER]));
    }
    let two = ["192.0.2.1", "192.0.2.2"].map(|ip| Ingress::address(ip.parse().unwrap()));
    services.set_ingress(&service, &two).await.unwrap();
    assert_eq!(read(&world, "web").await.ingress, two);
    services.set_ingress(&service, &two[1..]).await.unwrap();
    assert_eq!(read(&world, "web").await.ingress, two[1..], "replaced as a whole");
    services.set_ingress(&service, &[]).await.unwrap();
    assert_eq!(read(&world, "web").await.ingress, [], "cleared");
    for _ in 0..2 {
        let left = services.remove_finalizer(&service).await.unwrap();
        assert_eq!(left.finalizers, ["example.com/a", "example.com/b"]);
    }
    let mut after = world.stored("web").await;
    for ours in ["resourceVersion", "managedFields"] {
        after["metadata"][ours] = fresh["metadata"][ours].clone();
    }
    assert_eq!(after, fresh);
    world.end().await;
}

#[tokio::test]
async fn rbac_09_a_cluster_that_refuses_events_is_served_all_the_same() {
    let world = World::running().await;
    match &world.cluster {
        Cluster::Small(api) => api.store().inject(Fault {
            verb: Some(Verb::Create),
            resource: Some("events".into()),
            name: None,
            times: 1000,
            effect: FaultEffect::Refuse(403),
        }),
        Cluster::Real(_) => world.take_rights_to("events").await,
    }
    world.create("web", json!({})).await;
    world.has_address("web").await;
    world.delete("web").await;
    world.is_gone("web").await;
    assert_eq!(world.events("web").await, [""; 0]);
    world.end().await;
}

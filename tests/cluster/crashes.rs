//! `kill -9` after every single write, then one address per Service and none leaked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::KUBE_VIP;
use crate::world::World;

/// What the controller is made to do: two Services appear, one changes its type, one is deleted.
async fn history(world: &World) {
    for name in ["stays", "flips", "goes"] {
        world.add_service("default", name, Value::Null).await;
    }
}

async fn second_half(world: &World) {
    world.change_service("default", "flips", json!({"spec": {"type": "NodePort"}})).await;
    match world.services("default").delete("goes", &Default::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => panic!("the Service is deleted: {error}"),
    }
}

async fn settled(world: &World) {
    world
        .eventually("only the Service that stays has an address", || async {
            let given = world.given().await;
            let gone = world.services("default").get_opt("goes").await.unwrap().is_none();
            let flipped = world.services("default").get("flips").await.unwrap().metadata.finalizers.unwrap_or_default();
            gone && flipped.is_empty() && given.len() == 1 && given["default/stays"] == world.reserved()
        })
        .await;
}

/// Runs the history with the controller killed at write number `n`; `false` when there are fewer writes.
async fn survives(n: u64) -> bool {
    let world = World::new().await;
    world.add_node("worker-1").await;
    world.add_node("worker-2").await;
    history(&world).await;
    world.gate.reset(Some(n));
    let mut controller = world.run(KUBE_VIP);
    let first_half = async {
        for name in ["stays", "flips", "goes"] {
            world.address_of("default", name).await;
        }
        world.all_initialised().await;
        world.quiet().await;
        second_half(&world).await;
        settled(&world).await;
        world.quiet().await;
    };
    let killed = tokio::select! {
        () = world.gate.swallowed() => true,
        () = first_half => false,
    };
    if !killed {
        return false;
    }
    controller.kill();
    let at = world.gate.log().last().cloned().unwrap_or_default();
    world.gate.reset(None);
    let _again = world.run(KUBE_VIP);
    for name in ["stays", "flips", "goes"] {
        let service = world.services("default").get_opt(name).await.unwrap();
        if service.is_some_and(|s| s.metadata.deletion_timestamp.is_none() && is_load_balancer(&s)) {
            world.address_of("default", name).await;
        }
    }
    if world.services("default").get_opt("goes").await.unwrap().is_some() {
        second_half(&world).await;
    }
    settled(&world).await;
    world.all_initialised().await;
    world.quiet().await;
    let audit = world.project.audit();
    assert!(audit.duplicate_tags.is_empty() && audit.granted_twice.is_empty(), "killed at write {n} ({at}): {audit:?}");
    let reserved = world.reserved();
    assert_eq!(reserved.iter().collect::<BTreeSet<_>>().len(), 1, "killed at write {n} ({at}): {reserved:?}");
    true
}

fn is_load_balancer(service: &k8s_openapi::api::core::v1::Service) -> bool {
    service.spec.as_ref().and_then(|s| s.type_.as_deref()) == Some("LoadBalancer")
}

#[tokio::test]
async fn killed_at_any_write_the_next_process_leaves_one_address_per_service_and_none_leaked() {
    let mut writes = 0;
    while survives(writes + 1).await {
        writes += 1;
    }
    println!("killed and restarted at each of {writes} writes");
    assert!(writes >= 20, "the history is long enough to be worth it: {writes}");
}

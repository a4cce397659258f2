//! Services get an address, keep it, and give it back.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::KUBE_VIP;
use crate::world::World;

#[tokio::test]
async fn kv_02_03_05_08_the_worked_example_two_services_two_nodes() {
    let world = World::new().await;
    for node in ["worker-1", "worker-2"] {
        world.add_node(node).await;
    }
    world.add_service("default", "web", Value::Null).await;
    world.add_service("default", "trainer", Value::Null).await;
    let _controller = world.run(KUBE_VIP);

    let (web, trainer) = (world.address_of("default", "web").await, world.address_of("default", "trainer").await);
    assert_ne!(web, trainer);
    let service = world.services("default").get("web").await.unwrap();
    assert_eq!(service.spec.as_ref().unwrap().load_balancer_ip.as_deref(), Some(web.as_str()));

    world.delete_service("default", "web").await;
    assert_eq!(world.reserved(), std::slice::from_ref(&trainer), "the other address stays");
    assert_eq!(world.address_of("default", "trainer").await, trainer);
    let annotations = world.node("worker-1").await.metadata.annotations.unwrap_or_default();
    assert!(annotations.contains_key("metal.equinix.com/bgp-peers-0-peer-ip"), "annotations stay: {annotations:?}");
}

#[tokio::test]
async fn tst_13_14_15_16_17_18_kube_vip_from_none_to_two_services_and_back() {
    let world = World::new().await;
    let device = world.add_node("worker-1").await;
    let _controller = world.run(KUBE_VIP);
    world.all_initialised().await;

    world.add_service("default", "a", Value::Null).await;
    world.add_service("default", "b", Value::Null).await;
    let (a, b) = (world.address_of("default", "a").await, world.address_of("default", "b").await);
    let mut both = vec![a.clone(), b.clone()];
    both.sort();
    assert_eq!(world.reserved(), both);

    let uid = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(world.client.clone())
        .get("kube-system")
        .await
        .unwrap()
        .metadata
        .uid
        .unwrap();
    for reservation in world.project.reservations() {
        if reservation.tags.iter().any(|t| t.starts_with("usage=")) {
            assert_eq!(reservation.tags[0], "usage=cloud-provider-equinix-metal-auto");
            assert!(reservation.tags[1].starts_with("service="), "{:?}", reservation.tags);
            assert_eq!(reservation.tags[2], format!("cluster={uid}"));
            assert_eq!(reservation.tags.len(), 3);
        }
    }
    assert!(world.project.bgp().is_some(), "BGP of the project is on");
    let sessions: Vec<_> = world.project.sessions().into_iter().map(|s| s.device).collect();
    assert_eq!(sessions, [device]);

    let annotations = world.node("worker-1").await.metadata.annotations.unwrap();
    for peer in 0..2 {
        for what in ["node-asn", "peer-asn", "peer-ip", "src-ip", "bgp-pass"] {
            let key = format!("metal.equinix.com/bgp-peers-{peer}-{what}");
            assert!(annotations.contains_key(&key), "{key} in {annotations:?}");
        }
    }
    world.delete_service("default", "a").await;
    assert_eq!(world.reserved(), [b]);
    world.delete_service("default", "b").await;
    assert_eq!(world.reserved(), Vec::<String>::new());
}

#[tokio::test]
async fn lb_02_the_uid_of_kube_system_is_the_identity_of_the_cluster() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "web", Value::Null).await;
    world.address_of("default", "web").await;
    let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(world.client.clone());
    let uid = namespaces.get("kube-system").await.unwrap().metadata.uid.unwrap();
    let of_cluster = |tags: &[String]| tags.contains(&format!("cluster={uid}"));
    assert_eq!(world.project.reservations().iter().filter(|r| of_cluster(&r.tags)).count(), 1);
}

#[tokio::test]
async fn route_01_metal_has_no_routes_and_nothing_else_minds() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let mut controller = world.run(KUBE_VIP);
    world.all_initialised().await;
    assert!(controller.log().contains("Metal has no routes: the controller is skipped"));
    assert!(controller.is_running());
}

#[tokio::test]
async fn svc_12_13_53_lb_30_the_events_and_the_finalizer_of_a_served_service() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "web", Value::Null).await;
    world.address_of("default", "web").await;
    let service = world.services("default").get("web").await.unwrap();
    assert_eq!(service.metadata.finalizers, Some(vec!["service.kubernetes.io/load-balancer-cleanup".to_owned()]));
    world
        .eventually("both events are there", || async {
            let events = world.events_of("web").await;
            ["EnsuringLoadBalancer", "EnsuredLoadBalancer"].iter().all(|reason| events.iter().any(|e| e == reason))
        })
        .await;
}

#[tokio::test]
async fn lb_13_an_unchanged_world_costs_no_write_and_a_restart_none_either() {
    let world = World::new().await;
    for node in ["worker-1", "worker-2"] {
        world.add_node(node).await;
    }
    world.add_service("default", "web", Value::Null).await;
    let mut controller = world.run(KUBE_VIP);
    let address = world.address_of("default", "web").await;
    world.quiet().await;
    let settled = world.gate.writes();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(world.gate.writes(), settled, "{:?}", world.gate.log());

    assert_eq!(controller.stop().await, Some(0));
    world.gate.reset(None);
    world.project.journal().reset();
    let _again = world.run(KUBE_VIP);
    world
        .eventually("the new process has looked at Metal", || async {
            world.project.journal().count("GET /projects/{p}/ips") > 0
        })
        .await;
    world.quiet().await;
    assert_eq!(*world.gate.log(), Vec::<String>::new(), "a restart finds everything in order");
    assert_eq!(world.address_of("default", "web").await, address);
}

#[tokio::test]
async fn svc_27_lb_25_a_service_that_changes_its_type_gives_everything_back_and_may_come_again() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "web", Value::Null).await;
    world.address_of("default", "web").await;
    world.change_service("default", "web", json!({"spec": {"type": "ClusterIP"}})).await;
    world
        .eventually("the Service is clean", || async {
            let service = world.services("default").get("web").await.unwrap();
            service.metadata.finalizers.unwrap_or_default().is_empty()
        })
        .await;
    let service = world.services("default").get("web").await.unwrap();
    assert_eq!(service.spec.unwrap().load_balancer_ip, None);
    assert!(!service.metadata.annotations.unwrap_or_default().contains_key("metal.equinix.com/load-balancer"));
    assert_eq!(world.reserved(), Vec::<String>::new());

    world.change_service("default", "web", json!({"spec": {"type": "LoadBalancer"}})).await;
    let address = world.address_of("default", "web").await;
    assert_eq!(world.reserved(), [address]);
}

#[tokio::test]
async fn svc_04_a_service_of_another_class_is_left_alone() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "theirs", json!({"spec": {"loadBalancerClass": "example.com/other"}})).await;
    world.add_service("default", "ours", Value::Null).await;
    world.address_of("default", "ours").await;
    world.quiet().await;
    let theirs = world.services("default").get("theirs").await.unwrap();
    assert_eq!(theirs.metadata.finalizers, None);
    assert_eq!(world.given().await.len(), 1);
    assert_eq!(world.events_of("theirs").await, Vec::<String>::new());
}

#[tokio::test]
async fn svc_36_40_lb_22_a_node_that_joins_gets_its_session_without_another_address_being_touched() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "web", Value::Null).await;
    let address = world.address_of("default", "web").await;
    world.quiet().await;
    world.add_node("worker-2").await;
    world
        .eventually("the new node is annotated", || async {
            world
                .node("worker-2")
                .await
                .metadata
                .annotations
                .unwrap_or_default()
                .contains_key("metal.equinix.com/bgp-peers-1-src-ip")
        })
        .await;
    assert_eq!(world.project.sessions().len(), 2);
    assert_eq!(world.reserved(), [address]);
}

#[tokio::test]
async fn bgp_15_17_18_annotations_are_kept_right_and_only_on_selected_nodes() {
    let world = World::new().await;
    world.add_node("in").await;
    world.add_node("out").await;
    world
        .change_node("in", json!({"metadata": {"labels": {"bgp": "yes"}, "annotations": {"example.com/own": "x"}}}))
        .await;
    let policy = KUBE_VIP.to_owned() + "  bgp: {nodeSelector: {matchLabels: {bgp: \"yes\"}}}\n";
    let _controller = world.run(&policy);
    world.add_service("default", "web", Value::Null).await;
    world.address_of("default", "web").await;
    let inside = world.node("in").await.metadata.annotations.unwrap();
    assert_eq!(inside.get("example.com/own").map(String::as_str), Some("x"));
    assert!(inside.contains_key("metal.equinix.com/bgp-peers-0-node-asn"));
    let outside = world.node("out").await.metadata.annotations.unwrap_or_default();
    assert!(!outside.keys().any(|key| key.contains("bgp-peers")), "{outside:?}");
    assert_eq!(world.project.sessions().len(), 1);
}

#[tokio::test]
async fn svc_01_without_a_load_balancer_nodes_are_initialised_and_services_left_alone() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let mut controller = world.run_with(None, &[], &[("METAL_METRO_NAME", "da")]);
    world.all_initialised().await;
    world.add_service("default", "web", Value::Null).await;
    world.quiet().await;
    assert_eq!(world.services("default").get("web").await.unwrap().metadata.finalizers, None);
    assert_eq!(world.reserved(), Vec::<String>::new());
    assert_eq!(world.project.bgp(), None, "BGP is not enabled for nothing");
    assert!(controller.is_running());
}

#[tokio::test]
async fn none_01_02_03_04_the_original_settings_do_what_they_did() {
    for backend in ["kube-vip://", "empty://"] {
        let world = World::new().await;
        world.add_node("worker-1").await;
        let environment =
            [("METAL_LOAD_BALANCER", backend), ("METAL_METRO_NAME", "da"), ("METAL_BGP_PASS", "Passw0rdPassw0rd")];
        let controller = world.run_with(None, &[], &environment);
        world.add_service("default", "here", Value::Null).await;
        world
            .add_service(
                "default",
                "there",
                json!({"metadata": {"annotations": {"metal.equinix.com/eip-metro": "sv"}}}),
            )
            .await;
        world.address_of("default", "here").await;
        world.address_of("default", "there").await;
        let mut metros: Vec<_> = world
            .project
            .reservations()
            .into_iter()
            .filter(|r| r.tags.iter().any(|t| t.starts_with("service=")))
            .filter_map(|r| r.metro)
            .collect();
        metros.sort();
        assert_eq!(metros, ["da", "sv"], "{backend}");
        assert_eq!(world.project.sessions().len(), 1, "{backend}");
        let annotations = world.node("worker-1").await.metadata.annotations.unwrap();
        assert!(!annotations["metal.equinix.com/bgp-peers-0-bgp-pass"].is_empty(), "{backend}");
        for name in ["here", "there"] {
            world.delete_service("default", name).await;
        }
        assert_eq!(world.reserved(), Vec::<String>::new(), "{backend}");
        assert!(!controller.log().contains("Passw0rd"), "the password is in no log");
    }
}

#[tokio::test]
async fn lb_15_16_a_user_may_bring_an_address() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let _controller = world.run(KUBE_VIP);
    world.add_service("default", "web", json!({"spec": {"loadBalancerIP": "198.51.100.7"}})).await;
    assert_eq!(world.address_of("default", "web").await, "198.51.100.7");
    assert_eq!(world.reserved(), Vec::<String>::new());
    world.delete_service("default", "web").await;

    world.add_service("default", "moves", Value::Null).await;
    world.address_of("default", "moves").await;
    world.change_service("default", "moves", json!({"spec": {"loadBalancerIP": "198.51.100.8"}})).await;
    world
        .eventually("the status shows the user's address and the other is given back", || async {
            world.given().await["default/moves"] == ["198.51.100.8"] && world.reserved().is_empty()
        })
        .await;
}

#[tokio::test]
async fn inst_07_twenty_five_devices_with_the_apis_own_page_size() {
    let world = World::with(cloud_provider_equinix_metal::sandbox::metal::SimulatorConfig {
        per_page_cap: 10,
        ..Default::default()
    })
    .await;
    for n in 0..25 {
        world.add_node(&format!("worker-{n:02}")).await;
    }
    let _controller = world.run(KUBE_VIP);
    world.all_initialised().await;
    world.add_service("default", "web", Value::Null).await;
    world.address_of("default", "web").await;
    assert_eq!(world.project.sessions().len(), 25);
}

//! Rules, pools and requested addresses.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::world::World;

const POLICY: &str = "
apiVersion: policy.metal.equinix.com/v1alpha1
kind: CloudPolicy
metadata: {name: test}
spec:
  addressPools:
    - name: public
      elasticIP: {type: public_ipv4, metro: da}
    - name: office
      static: {ranges: [203.0.113.16/30], exclude: [203.0.113.17]}
  loadBalancers:
    - name: vip
      kubeVip: {}
    - name: address-only
      none: {}
  services:
    rules:
      - name: legacy
        match: {namespaces: [\"legacy-*\"]}
        ignore: true
      - name: internal
        match:
          loadBalancerClasses: [metal.equinix.com/internal]
        use: {loadBalancer: address-only, addressPool: office}
      - name: office
        match: {namespaceSelector: {matchLabels: {tier: office}}}
        use: {loadBalancer: vip, addressPool: office}
    default: {loadBalancer: vip, addressPool: public}
";

#[tokio::test]
async fn rules_choose_backend_and_pool_and_ignored_services_are_left_alone() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    world.add_namespace("legacy-shop", &[]).await;
    world.add_namespace("desk", &[("tier", "office")]).await;
    let _controller = world.run(POLICY);
    world.add_service("legacy-shop", "old", Value::Null).await;
    world.add_service("desk", "printer", Value::Null).await;
    world.add_service("default", "classed", json!({"spec": {"loadBalancerClass": "metal.equinix.com/internal"}})).await;
    world.add_service("default", "web", Value::Null).await;
    let web = world.address_of("default", "web").await;
    let mut office = vec![world.address_of("desk", "printer").await, world.address_of("default", "classed").await];
    office.sort();
    assert_eq!(office, ["203.0.113.16", "203.0.113.18"]);
    assert_eq!(world.reserved(), [web]);
    let old = world.services("legacy-shop").get("old").await.unwrap();
    assert_eq!(old.metadata.finalizers, None);
    let record = |service: &k8s_openapi::api::core::v1::Service| {
        let text = &service.metadata.annotations.as_ref().unwrap()["metal.equinix.com/load-balancer"];
        let record: Value = serde_json::from_str(text).unwrap();
        (record["rule"].clone(), record["loadBalancer"].clone(), record["pool"].clone())
    };
    let classed = world.services("default").get("classed").await.unwrap();
    assert_eq!(record(&classed), (json!("internal"), json!("address-only"), json!("office")));
}

#[tokio::test]
async fn a_pool_that_is_used_up_says_so_and_serves_as_soon_as_it_can() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    world.add_namespace("desk", &[("tier", "office")]).await;
    let _controller = world.run(POLICY);
    for name in ["a", "b", "c"] {
        world.add_service("desk", name, Value::Null).await;
        world.address_of("desk", name).await;
    }
    world.add_service("desk", "d", Value::Null).await;
    world
        .eventually("the reason is told", || async {
            let messages = world.messages("d", "SyncLoadBalancerFailed").await;
            messages.iter().any(|m| m.contains("every address of pool office is in use"))
        })
        .await;
    world.delete_service("desk", "b").await;
    world.address_of("desk", "d").await;
    let given = world.given().await;
    let mut all: Vec<_> = given.values().flatten().cloned().collect();
    all.sort();
    assert_eq!(all, ["203.0.113.16", "203.0.113.18", "203.0.113.19"]);
}

#[tokio::test]
async fn an_address_is_given_to_one_service_only() {
    let world = World::new().await;
    world.add_node("worker-1").await;
    let _controller = world.run_with(Some(&world.policy(POLICY)), &["--concurrent-service-syncs=8"], &[]);
    world.add_service("default", "first", json!({"spec": {"loadBalancerIP": "198.51.100.7"}})).await;
    world.address_of("default", "first").await;
    world.add_service("default", "second", json!({"spec": {"loadBalancerIP": "198.51.100.7"}})).await;
    world
        .eventually("the second is refused", || async {
            let messages = world.messages("second", "SyncLoadBalancerFailed").await;
            messages.iter().any(|m| m.contains("held by service default/first"))
        })
        .await;
    assert_eq!(world.given().await.len(), 1);
}

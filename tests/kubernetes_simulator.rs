//! The small Kubernetes API as clients see it.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_provider_equinix_metal::sandbox::kubernetes::{
    ApiConfig, Fault, FaultEffect, KubernetesApi, StartError, Verb,
};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Client, Config};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

async fn start() -> (KubernetesApi, Client) {
    let api = KubernetesApi::start(ApiConfig::default()).await.unwrap();
    let client = Client::try_from(Config::new(api.url().parse().unwrap())).unwrap();
    (api, client)
}

fn service(name: &str) -> Service {
    let spec = json!({"type": "LoadBalancer", "ports": [{"port": 80}]});
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

fn node(name: &str) -> Node {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

async fn eventually(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the condition holds in time");
}

#[tokio::test]
async fn a_kubeconfig_leads_kube_clients_to_the_api() {
    let api = KubernetesApi::start(ApiConfig::default()).await.unwrap();
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&api.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    let version = Client::try_from(config).unwrap().apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "36"));
    api.shutdown().await;
}

#[tokio::test]
async fn a_busy_port_is_named() {
    let api = KubernetesApi::start(ApiConfig::default()).await.unwrap();
    let port = api.address().port();
    let second = KubernetesApi::start(ApiConfig { port, ..ApiConfig::default() }).await;
    assert!(matches!(second, Err(StartError::PortInUse { port: named, .. }) if named == port));
}

#[tokio::test]
async fn a_reflector_follows_the_objects_through_a_cut_and_a_compaction() {
    let (api, client) = start().await;
    let nodes: Api<Node> = Api::all(client);
    let (reader, writer) = reflector::store();
    let config = watcher::Config::default();
    let stream = watcher(nodes.clone(), config).default_backoff().reflect(writer).applied_objects();
    let following = tokio::spawn(stream.for_each(|_| async {}));
    let names = || reader.state().iter().map(|node| node.metadata.name.clone().unwrap()).collect::<Vec<_>>();
    nodes.create(&PostParams::default(), &node("a")).await.unwrap();
    eventually(|| names() == ["a"]).await;
    api.store().drop_watches();
    nodes.create(&PostParams::default(), &node("b")).await.unwrap();
    eventually(|| names().len() == 2).await;
    api.store().compact();
    api.store().drop_watches();
    nodes.delete("a", &DeleteParams::default()).await.unwrap();
    eventually(|| names() == ["b"]).await;
    following.abort();
}

#[tokio::test]
async fn pages_see_one_version_of_the_world() {
    let (api, client) = start().await;
    let nodes: Api<Node> = Api::all(client);
    for index in 0..5 {
        nodes.create(&PostParams::default(), &node(&format!("n{index}"))).await.unwrap();
    }
    let first = nodes.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    nodes.delete("n3", &DeleteParams::default()).await.unwrap();
    nodes.create(&PostParams::default(), &node("n9")).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = nodes.list(&ListParams::default().limit(9).continue_token(&token)).await.unwrap();
    let names: Vec<String> =
        first.items.iter().chain(&second.items).map(|node| node.metadata.name.clone().unwrap()).collect();
    assert_eq!(names, ["n0", "n1", "n2", "n3", "n4"]);
    api.store().compact();
    let late = nodes.list(&ListParams::default().continue_token(&token)).await.unwrap_err();
    assert!(matches!(late, kube::Error::Api(status) if status.code == 410 && status.reason == "Expired"));
}

#[tokio::test]
async fn a_service_stays_until_its_finalizer_is_gone() {
    let (api, client) = start().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    services.create(&PostParams::default(), &service("web")).await.unwrap();
    let finalizer = "service.kubernetes.io/load-balancer-cleanup";
    let add = json!({"metadata": {"finalizers": [finalizer], "$setElementOrder/finalizers": [finalizer]}});
    services.patch_status("web", &PatchParams::default(), &Patch::Strategic(add)).await.unwrap();
    let marked = services.delete("web", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert!(services.get_opt("web").await.unwrap().is_some());
    let remove = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [finalizer]}});
    services.patch_status("web", &PatchParams::default(), &Patch::Strategic(remove)).await.unwrap();
    assert!(services.get_opt("web").await.unwrap().is_none());
    assert_eq!(api.store().writes("services"), 4);
}

#[tokio::test]
async fn faults_strike_on_order() {
    let (api, client) = start().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    let fault = |effect| Fault {
        verb: Some(Verb::Create),
        resource: Some("services".to_owned()),
        name: None,
        times: 1,
        effect,
    };
    api.store().inject(fault(FaultEffect::Refuse(500)));
    let refused = services.create(&PostParams::default(), &service("a")).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 500));
    api.store().inject(fault(FaultEffect::CutBefore));
    services.create(&PostParams::default(), &service("b")).await.unwrap_err();
    api.store().inject(fault(FaultEffect::CutAfter));
    services.create(&PostParams::default(), &service("c")).await.unwrap_err();
    let names: Vec<Value> =
        api.store().list("services", Some("default")).iter().map(|s| s["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["c", "kubernetes"]);
    let counts = BTreeMap::from([((Verb::Create, "services".to_owned()), 3)]);
    assert_eq!(api.store().requests(), counts);
}

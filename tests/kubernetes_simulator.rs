//! The small Kubernetes API as clients see it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use cloud_provider_equinix_metal::sandbox::kubernetes::{
    ApiConfig, Fault, FaultEffect, Grant, InspectError, IpFamily, KubernetesApi, StartError, Token, Verb,
};
use futures::StreamExt;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{Namespace, Node, Service};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Client, Config};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

async fn start() -> (KubernetesApi, Client) {
    start_with(ApiConfig::default()).await
}

async fn start_with(config: ApiConfig) -> (KubernetesApi, Client) {
    let api = KubernetesApi::start(config).await.expect("a free port is there");
    let url = api.url().parse().expect("the URL is one");
    let client = Client::try_from(Config::new(url)).expect("the configuration is complete");
    (api, client)
}

fn service(name: &str) -> Service {
    let spec = json!({"type": "LoadBalancer", "ports": [{"port": 80}]});
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).expect("the Service is one")
}

fn node(name: &str) -> Node {
    serde_json::from_value(json!({"metadata": {"name": name}})).expect("the Node is one")
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
async fn a_namespace_takes_its_content_along_once_nothing_holds_it() {
    let (api, client) = start().await;
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "x"}})).unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let services: Api<Service> = Api::namespaced(client, "x");
    let mut held = service("held");
    held.metadata.finalizers = Some(vec!["example.io/held".to_owned()]);
    services.create(&PostParams::default(), &held).await.unwrap();
    services.create(&PostParams::default(), &service("free")).await.unwrap();
    namespaces.delete("x", &DeleteParams::default()).await.unwrap();
    let names: Vec<Value> =
        api.store().list("services", Some("x")).iter().map(|service| service["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["held"]);
    let refused = services.create(&PostParams::default(), &service("late")).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));
    let release = json!({"metadata": {"finalizers": null}});
    services.patch("held", &PatchParams::default(), &Patch::Merge(release)).await.unwrap();
    assert!(namespaces.get_opt("x").await.unwrap().is_none());
}

#[tokio::test]
async fn configured_tokens_are_the_only_way_in() {
    let token =
        |secret: &str, user: &str| Token { secret: secret.to_owned(), user: user.to_owned(), groups: Vec::new() };
    let grant = Grant { subject: "reader".to_owned(), verb: "get".to_owned(), target: "/metrics".to_owned() };
    let config = ApiConfig { tokens: vec![token("s3cret", "reader")], grants: vec![grant], ..ApiConfig::default() };
    let (api, anonymous) = start_with(config).await;
    let refused = Api::<Node>::all(anonymous).list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 401));
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&api.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    Api::<Node>::all(client.clone()).list(&ListParams::default()).await.unwrap();
    let review = |token: &str| serde_json::from_value(json!({"metadata": {}, "spec": {"token": token}})).unwrap();
    let reviews: Api<TokenReview> = Api::all(client.clone());
    let mut users = Vec::new();
    for token in ["s3cret", "other"] {
        let status = reviews.create(&PostParams::default(), &review(token)).await.unwrap().status.unwrap();
        users.push((status.authenticated, status.user.and_then(|user| user.username)));
    }
    assert_eq!(users, [(Some(true), Some("reader".to_owned())), (None, None)]);
    let access = |path: &str| {
        let attributes = json!({"verb": "get", "path": path});
        json!({"metadata": {}, "spec": {"user": "reader", "nonResourceAttributes": attributes}})
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client);
    let mut allowed = Vec::new();
    for path in ["/metrics", "/configz"] {
        let review = serde_json::from_value(access(path)).unwrap();
        allowed.push(reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed);
    }
    assert_eq!(allowed, [true, false]);
    assert_eq!(format!("{:?}", token("s3cret", "reader")).contains("s3cret"), false);
}

#[tokio::test]
async fn a_dual_stack_cluster_gives_both_families() {
    let families = vec![IpFamily::V6, IpFamily::V4];
    let (_api, client) = start_with(ApiConfig { families, ..ApiConfig::default() }).await;
    let services: Api<Service> = Api::namespaced(client, "default");
    let mut wanted = service("web");
    wanted.spec.as_mut().unwrap().ip_family_policy = Some("RequireDualStack".to_owned());
    let spec = services.create(&PostParams::default(), &wanted).await.unwrap().spec.unwrap();
    assert_eq!(spec.ip_families.unwrap(), ["IPv6", "IPv4"]);
    let addresses: Vec<IpAddr> = spec.cluster_ips.unwrap().iter().map(|address| address.parse().unwrap()).collect();
    assert!(matches!(addresses.as_slice(), [IpAddr::V6(_), IpAddr::V4(_)]), "{addresses:?}");
    let narrow = json!({"spec": {"ipFamilyPolicy": "SingleStack"}});
    let spec = services.patch("web", &PatchParams::default(), &Patch::Merge(narrow)).await.unwrap().spec.unwrap();
    assert_eq!((spec.ip_families.unwrap(), spec.cluster_ips.unwrap().len()), (vec!["IPv6".to_owned()], 1));
}

#[tokio::test]
async fn a_deleted_service_gives_its_ports_back() {
    let (_api, client) = start().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    let mut wanted = service("a");
    wanted.spec.as_mut().unwrap().ports.as_mut().unwrap()[0].node_port = Some(30123);
    services.create(&PostParams::default(), &wanted).await.unwrap();
    wanted.metadata.name = Some("b".to_owned());
    let refused = services.create(&PostParams::default(), &wanted).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 422));
    services.delete("a", &DeleteParams::default()).await.unwrap();
    services.create(&PostParams::default(), &wanted).await.unwrap();
}

#[tokio::test]
async fn seeded_objects_keep_their_status_and_are_followed_like_others() {
    let (api, client) = start().await;
    let nodes: Api<Node> = Api::all(client);
    let version = nodes.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let seeded = json!({
        "metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    api.store().insert("nodes", seeded).unwrap();
    api.store().edit("nodes", None, "n", |node| node["metadata"]["labels"] = json!({"a": "b"})).unwrap();
    api.store().remove("nodes", None, "n").unwrap();
    let followed = nodes.watch(&WatchParams::default(), &version).await.unwrap();
    let events: Vec<_> = followed.take(3).map(|event| event.unwrap()).collect().await;
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| match event {
            WatchEvent::Added(_) => "added",
            WatchEvent::Modified(_) => "modified",
            WatchEvent::Deleted(_) => "deleted",
            WatchEvent::Bookmark(_) => "bookmark",
            WatchEvent::Error(_) => "error",
        })
        .collect();
    assert_eq!(kinds, ["added", "modified", "deleted"]);
    let refused = api.store().insert("nodes", json!({"metadata": {"name": "N"}}));
    assert!(matches!(refused, Err(InspectError::Refused { .. })));
}

#[tokio::test]
async fn the_journal_says_who_asked_for_what() {
    let (api, client) = start().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    services
        .create(&PostParams { field_manager: Some("me".to_owned()), ..PostParams::default() }, &service("a"))
        .await
        .unwrap();
    services.patch_status("a", &PatchParams::default(), &Patch::Merge(json!({"status": {}}))).await.unwrap();
    services.get_opt("b").await.unwrap();
    type Row = (Verb, String, Option<String>, u16, Option<String>);
    let rows: Vec<Row> = api
        .store()
        .journal()
        .into_iter()
        .map(|entry| (entry.verb, entry.resource, entry.name, entry.status, entry.field_manager))
        .collect();
    let row = |verb, resource: &str, name: Option<&str>, status, manager: Option<&str>| {
        (verb, resource.to_owned(), name.map(str::to_owned), status, manager.map(str::to_owned))
    };
    let expected = [
        row(Verb::Create, "services", None, 201, Some("me")),
        row(Verb::Patch, "services/status", Some("a"), 200, None),
        row(Verb::Get, "services", Some("b"), 404, None),
    ];
    assert_eq!(rows, expected);
    api.store().clear_journal();
    assert_eq!(api.store().requests(), BTreeMap::new());
}

#[tokio::test]
async fn a_delayed_request_is_answered_in_the_end() {
    let (api, client) = start().await;
    let delay = Duration::from_millis(200);
    let effect = FaultEffect::Delay(delay);
    api.store().inject(Fault { verb: None, resource: Some("nodes".to_owned()), name: None, times: 1, effect });
    let begun = std::time::Instant::now();
    Api::<Node>::all(client).list(&ListParams::default()).await.unwrap();
    assert!(begun.elapsed() >= delay);
}

#[tokio::test]
async fn a_thousand_nodes_and_two_thousand_services_are_served_and_followed() {
    let (api, client) = start().await;
    let nodes: Api<Node> = Api::all(client.clone());
    let services: Api<Service> = Api::namespaced(client, "default");
    let mut followers = Vec::new();
    for _ in 0..10 {
        let (reader, writer) = reflector::store();
        let stream = watcher(services.clone(), watcher::Config::default()).reflect(writer).applied_objects();
        followers.push((reader, tokio::spawn(stream.for_each(|_| async {}))));
    }
    for index in 0..1000 {
        api.store().insert("nodes", json!({"metadata": {"name": format!("n{index}")}})).unwrap();
    }
    let (nodes, services) = (&nodes, &services);
    let created = futures::stream::iter(0..2000).for_each_concurrent(16, |index| async move {
        services.create(&PostParams::default(), &service(&format!("s{index}"))).await.unwrap();
    });
    created.await;
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    let status = &status;
    let patched = futures::stream::iter(0..2000).for_each_concurrent(16, |index| async move {
        services.patch_status(&format!("s{index}"), &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    });
    patched.await;
    assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items.len(), 1000);
    let has_address = |service: &Service| {
        let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        balancer.is_some_and(|balancer| balancer.ingress.is_some())
    };
    for (reader, task) in followers {
        eventually(|| reader.state().iter().filter(|service| has_address(service)).count() == 2000).await;
        task.abort();
    }
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

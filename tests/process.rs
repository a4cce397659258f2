//! The program as a process: what it serves, how it waits for its turn, and how it ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "each suite uses its part of this")]
#[path = "support/controller.rs"]
mod controller;

use std::net::TcpListener;
use std::time::Duration;

use cloud_provider_equinix_metal::sandbox::kubernetes::{
    ApiConfig, Fault, FaultEffect, Grant, KubernetesApi, Token, Verb,
};
use cloud_provider_equinix_metal::sandbox::metal::{DeviceSeed, MetalSimulator, SimulatorConfig};
use controller::{Controller, Run};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;

const LEASE: &str = "cloud-controller-manager";
const PATIENCE: Duration = Duration::from_secs(30);

/// A small cluster with one Node, and the Metal project with its device.
struct World {
    api: KubernetesApi,
    metal: MetalSimulator,
    key: String,
    directory: TempDir,
    port: u16,
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let account = |secret: &str, groups: &[&str]| Token {
            secret: secret.into(),
            user: secret.into(),
            groups: groups.iter().map(ToString::to_string).collect(),
        };
        let config = ApiConfig {
            tokens: vec![account("controller", &["system:masters"]), account("prometheus", &[])],
            grants: vec![Grant { subject: "prometheus".into(), verb: "get".into(), target: "/metrics".into() }],
            ..ApiConfig::default()
        };
        let api = KubernetesApi::start(config).await.unwrap();
        let simulated = SimulatorConfig::default();
        let key = simulated.auth_token.reveal().to_owned();
        let metal = MetalSimulator::start(simulated).await.unwrap();
        metal.state().seed_device(DeviceSeed::new("worker", "da")).unwrap();
        let taint = json!({
            "key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule",
        });
        let node = json!({ "metadata": { "name": "worker" }, "spec": { "taints": [taint] } });
        api.store().insert("nodes", node).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kubeconfig"), api.kubeconfig()).unwrap();
        Self { api, metal, key, directory, port: free_port() }
    }

    fn start(&self, flags: &[&str]) -> Controller {
        let kubeconfig = self.directory.path().join("kubeconfig");
        let mut all = vec![
            "--leader-elect".to_owned(),
            "--leader-elect-lease-duration=3s".to_owned(),
            "--leader-elect-renew-deadline=2s".to_owned(),
            "--leader-elect-retry-period=300ms".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.port),
            format!("--authentication-kubeconfig={}", kubeconfig.display()),
            format!("--authorization-kubeconfig={}", kubeconfig.display()),
        ];
        all.extend(flags.iter().map(ToString::to_string));
        Controller::start(Run {
            kubeconfig: &kubeconfig,
            metal_url: &self.metal.base_url(),
            project: self.metal.state().id().as_ref(),
            token: &self.key,
            policy: None,
            flags: &all,
            environment: &[],
            log: self.directory.path().join("log"),
        })
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Option<(u16, String)> {
        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().unwrap();
        let mut request = client.get(format!("https://127.0.0.1:{}{path}", self.port));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// The holder of the lease, once there is a lease.
    fn holder(&self) -> Option<String> {
        let lease = self.api.store().get("leases", Some("kube-system"), LEASE)?;
        Some(lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
    }

    fn is_initialised(&self) -> bool {
        let node = self.api.store().get("nodes", None, "worker").unwrap();
        node["spec"]["providerID"].is_string()
    }

    fn messages(&self) -> Vec<String> {
        let events = self.api.store().list("events", Some("kube-system"));
        let own = events.into_iter().filter(|event| event["reason"] == "LeaderElection");
        own.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }

    fn hold(&self, holder: &str) {
        let lease = json!({
            "metadata": { "name": LEASE, "namespace": "kube-system" },
            "spec": { "holderIdentity": holder, "leaseDurationSeconds": 3600, "leaseTransitions": 0 },
        });
        self.api.store().insert("leases", lease).unwrap();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn eventually(what: &str, controller: &Controller, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(std::time::Instant::now() < deadline, "{what} did not happen:\n{}", controller.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn le_10_a_standby_serves_health_and_does_nothing_else() {
    let world = World::new().await;
    world.hold("somebody else");
    world.api.store().clear_journal();
    let controller = world.start(&[]);
    let check = Some((200, "[+]leaderElection ok\nhealthz check passed\n".to_owned()));
    eventually("health", &controller, async || world.get("/healthz?verbose", None).await == check).await;
    let polls = || world.api.store().journal().iter().filter(|entry| entry.resource == "leases").count();
    eventually("polling", &controller, async || polls() > 3).await;
    let others: Vec<_> = world.api.store().journal().into_iter().filter(|entry| entry.resource != "leases").collect();
    assert_eq!(others, []);
    assert!(!world.is_initialised());
    assert_eq!(world.holder().as_deref(), Some("somebody else"));
}

#[tokio::test]
async fn le_04_11_12_app_31_32_told_to_stop_it_gives_up_the_lease_and_ends_with_0() {
    let world = World::new().await;
    let mut controller = world.start(&[]);
    eventually("leadership", &controller, async || world.is_initialised()).await;
    let holder = world.holder().unwrap();
    assert_eq!(controller.stop().await, Some(0));
    assert_eq!(world.holder().as_deref(), Some(""));
    assert_eq!(world.messages(), [format!("{holder} became leader"), format!("{holder} stopped leading")]);
}

#[tokio::test]
async fn app_32_a_standby_ends_with_0() {
    let world = World::new().await;
    world.hold("somebody else");
    let mut controller = world.start(&[]);
    eventually("health", &controller, async || world.get("/healthz", None).await.is_some()).await;
    assert_eq!(controller.stop().await, Some(0));
    assert_eq!(world.holder().as_deref(), Some("somebody else"));
}

#[tokio::test]
async fn le_09_app_31_a_lost_lease_ends_the_process_with_1() {
    let world = World::new().await;
    let mut controller = world.start(&[]);
    eventually("leadership", &controller, async || world.is_initialised()).await;
    world
        .api
        .store()
        .edit("leases", Some("kube-system"), LEASE, |lease: &mut Value| {
            lease["spec"]["holderIdentity"] = json!("thief")
        })
        .unwrap();
    assert_eq!(controller.wait(Duration::from_secs(10)).await, Some(1));
    assert_eq!(world.holder().as_deref(), Some("thief"));
    assert!(controller.log().contains("lost the leader election lease"), "{}", controller.log());
}

#[tokio::test]
async fn app_17_31_a_busy_port_ends_the_start_with_1() {
    let world = World::new().await;
    let _busy = TcpListener::bind(("127.0.0.1", world.port)).unwrap();
    let mut controller = world.start(&[]);
    assert_eq!(controller.wait(PATIENCE).await, Some(1));
    let expected = format!("--secure-port: port {} is in use on 127.0.0.1", world.port);
    assert!(controller.log().contains(&expected), "{}", controller.log());
    assert_eq!(world.holder(), None);
}

#[tokio::test]
async fn app_27_31_authorities_that_may_not_be_read_end_the_start_with_1() {
    let world = World::new().await;
    world.api.store().inject(Fault {
        verb: Some(Verb::Get),
        resource: Some("configmaps".into()),
        name: None,
        times: 10,
        effect: FaultEffect::Refuse(403),
    });
    let mut controller = world.start(&["--authentication-skip-lookup=false"]);
    assert_eq!(controller.wait(PATIENCE).await, Some(1));
    let log = controller.log();
    assert!(log.contains("extension-apiserver-authentication-reader"), "{log}");
    let tolerant = ["--authentication-skip-lookup=false", "--authentication-tolerate-lookup-failure"];
    let controller = world.start(&tolerant);
    eventually("health", &controller, async || world.get("/healthz", None).await.is_some()).await;
}

#[tokio::test]
async fn app_20_23_24_28_29_obs_03_05_06_07_09_a_leader_shows_what_it_does() {
    let world = World::new().await;
    let controller = world.start(&["--v=1"]);
    eventually("leadership", &controller, async || world.is_initialised()).await;
    let metrics = world.get("/metrics", Some("prometheus")).await.unwrap();
    assert_eq!(metrics.0, 200);
    for line in [
        "leader_election_master_status{name=\"cloud-controller-manager\"} 1",
        "running_managed_controllers{manager=\"cloud-controller-manager\",name=\"cloud-node\"} 1",
        "running_managed_controllers{manager=\"cloud-controller-manager\",name=\"cloud-node-lifecycle\"} 1",
        "cloud_provider_equinix_metal_policy_faults 0",
        "workqueue_depth{name=\"node\"} 0",
    ] {
        assert!(metrics.1.lines().any(|found| found == line), "{line} is missing:\n{}", metrics.1);
    }
    for beginning in [
        "rest_client_requests_total{code=\"200\",host=\"",
        "cloud_provider_equinix_metal_api_requests_total{code=\"200\",method=\"GET\",route=\"",
        "kubernetes_build_info{",
        "workqueue_adds_total{name=\"node\"} ",
    ] {
        assert!(metrics.1.lines().any(|found| found.starts_with(beginning)), "{beginning}:\n{}", metrics.1);
    }
    let verbose = world.get("/healthz?verbose", None).await.unwrap().1;
    for check in ["leaderElection", "cloud-node-controller", "cloud-node-lifecycle-controller"] {
        assert!(verbose.contains(&format!("[+]{check} ok\n")), "{verbose}");
    }
    assert!(!verbose.contains("node-route-controller"), "{verbose}");
    assert_eq!(world.get("/configz", Some("prometheus")).await.unwrap().0, 403);
    assert_eq!(world.get("/metrics", Some("nobody")).await.unwrap().0, 401);
    let settings: Value = serde_json::from_str(&world.get("/configz", Some("controller")).await.unwrap().1).unwrap();
    assert_eq!(settings["cloudcontrollermanager.config.k8s.io"]["Flags"]["leader-elect-lease-duration"], "3s");
    let policy: Value = serde_json::from_str(&world.get("/policyz", Some("controller")).await.unwrap().1).unwrap();
    assert_eq!(policy["faults"], json!([]));
    assert!(policy["active"]["hash"].as_str().is_some_and(|hash| !hash.is_empty()), "{policy}");
    for text in [&metrics.1, &settings.to_string(), &policy.to_string(), &controller.log()] {
        assert!(!text.contains(&world.key), "the key is nowhere");
    }
}

//! A cluster, a Metal project and a controller between them. The cluster is the sandbox's, or, with `E2E_CLUSTER=real`,
//! a real etcd and kube-apiserver; nothing else differs.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cloud_provider_equinix_metal::sandbox::kubernetes::{ApiConfig, KubernetesApi};
use cloud_provider_equinix_metal::sandbox::metal::{DeviceSeed, MetalSimulator, Project, SimulatorConfig};
use k8s_openapi::api::core::v1::{Event, Namespace, Node, Service};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::control_plane::ControlPlane;
use crate::controller::{Controller, Run};
use crate::gate::{Gate, Proxy};

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// One real control plane serves all tests of a binary, one after the other.
static REAL: OnceCell<ControlPlane> = OnceCell::const_new();
static TURN: Mutex<()> = Mutex::const_new(());

/// The world of one test.
pub(crate) struct World {
    /// A client with all rights, past the gate.
    pub(crate) client: Client,
    /// The Metal project, for a look behind the API.
    pub(crate) project: Project,
    /// Counts what the controller writes.
    pub(crate) gate: Gate,
    metal_token: String,
    kube_proxy: Proxy,
    metal_proxy: Proxy,
    dir: tempfile::TempDir,
    _simulator: MetalSimulator,
    _sandbox: Option<KubernetesApi>,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// Whether the suites run against a real kube-apiserver.
pub(crate) fn is_real() -> bool {
    std::env::var_os("E2E_CLUSTER").is_some_and(|value| value == "real")
}

impl World {
    /// An empty cluster and an empty project.
    pub(crate) async fn new() -> Self {
        Self::with(SimulatorConfig::default()).await
    }

    /// An empty cluster and a project of this kind.
    pub(crate) async fn with(metal: SimulatorConfig) -> Self {
        let (client, sandbox, turn) = if is_real() {
            let turn = TURN.lock().await;
            let real = REAL.get_or_init(ControlPlane::start).await;
            let client = real.client().await;
            wipe(&client).await;
            (client, None, Some(turn))
        } else {
            let sandbox = KubernetesApi::start(ApiConfig::default()).await.expect("the sandbox's API starts");
            (client_of(&sandbox.url()), Some(sandbox), None)
        };
        let metal_token = metal.auth_token.reveal().to_owned();
        let simulator = MetalSimulator::start(metal).await.expect("the simulator starts");
        let gate = Gate::default();
        let kube_proxy = gate.before(client.clone()).await;
        let origin = simulator.base_url().trim_end_matches("/metal/v1").to_owned();
        let metal_proxy = gate.before(client_of(&origin)).await;
        Self {
            client,
            project: simulator.state(),
            gate,
            metal_token,
            kube_proxy,
            metal_proxy,
            dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made"),
            _simulator: simulator,
            _sandbox: sandbox,
            _turn: turn,
        }
    }

    /// Puts a device into the project and a Node, as its kubelet would register it, into the cluster. Returns the
    /// device's id.
    pub(crate) async fn add_node(&self, name: &str) -> String {
        self.add_node_of(DeviceSeed::new(name, "da")).await
    }

    /// The same with a device of this kind.
    pub(crate) async fn add_node_of(&self, seed: DeviceSeed) -> String {
        let name = seed.hostname.clone();
        let id = self.project.seed_device(seed).expect("the metro is on offer");
        self.register(&name).await;
        id
    }

    /// Registers a Node as its kubelet would.
    pub(crate) async fn register(&self, name: &str) {
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {"taints": [
                {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}
            ]},
        });
        let nodes: Api<Node> = Api::all(self.client.clone());
        let node = serde_json::from_value(node).expect("a valid Node");
        nodes.create(&PostParams::default(), &node).await.expect("the Node is created");
        self.set_ready(name, "True").await;
    }

    /// Sets the condition `Ready` of a Node, as its kubelet or the node lifecycle controller would.
    pub(crate) async fn set_ready(&self, name: &str, status: &str) {
        let now = k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let patch = json!({"status": {"conditions": [
            {"type": "Ready", "status": status, "reason": "Test", "message": "", "lastHeartbeatTime": now, "lastTransitionTime": now}
        ]}});
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes
            .patch_status(name, &PatchParams::default(), &Patch::Strategic(patch))
            .await
            .expect("the Node's status is written");
    }

    /// Creates a Service of type LoadBalancer with one port; `more` is merged into it.
    pub(crate) async fn add_service(&self, namespace: &str, name: &str, more: Value) -> Service {
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
        });
        if !more.is_null() {
            json_patch::merge(&mut service, &more);
        }
        let service = serde_json::from_value(service).expect("a valid Service");
        self.services(namespace).create(&PostParams::default(), &service).await.expect("the Service is created")
    }

    /// Creates a Namespace.
    pub(crate) async fn add_namespace(&self, name: &str, labels: &[(&str, &str)]) {
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        match namespaces.create(&PostParams::default(), &namespace).await {
            Ok(_) => {}
            // A real API server keeps Namespaces for ever: nothing runs that would finish their deletion.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let labels = json!({"metadata": {"labels": namespace.metadata.labels}});
                namespaces
                    .patch(name, &PatchParams::default(), &Patch::Merge(labels))
                    .await
                    .expect("the Namespace is labelled");
            }
            Err(error) => panic!("the Namespace is created: {error}"),
        }
    }

    /// Services of a Namespace.
    pub(crate) fn services(&self, namespace: &str) -> Api<Service> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// All Nodes.
    pub(crate) fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// The Node as it is now.
    pub(crate) async fn node(&self, name: &str) -> Node {
        self.nodes().get(name).await.expect("the Node is there")
    }

    /// Changes a Service by a merge patch.
    pub(crate) async fn change_service(&self, namespace: &str, name: &str, patch: Value) {
        self.services(namespace)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the Service is changed");
    }

    /// Changes a Node by a merge patch.
    pub(crate) async fn change_node(&self, name: &str, patch: Value) {
        self.nodes().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("the Node is changed");
    }

    /// Deletes a Service and returns once it is gone, finalizers and all.
    pub(crate) async fn delete_service(&self, namespace: &str, name: &str) {
        self.services(namespace).delete(name, &DeleteParams::default()).await.expect("the Service is deleted");
        self.eventually(&format!("service {namespace}/{name} is gone"), || async {
            self.services(namespace).get_opt(name).await.expect("the Service is read").is_none()
        })
        .await;
    }

    /// Waits for the address in a Service's status.
    pub(crate) async fn address_of(&self, namespace: &str, name: &str) -> String {
        self.until(&format!("service {namespace}/{name} has an address"), || async {
            addresses(&self.services(namespace).get(name).await.expect("the Service is there")).into_iter().next()
        })
        .await
    }

    /// Waits until every Node is initialised.
    pub(crate) async fn all_initialised(&self) {
        self.eventually("every node is initialised", || async {
            let nodes = self.nodes().list(&ListParams::default()).await.expect("Nodes are listed");
            nodes.iter().all(|node| {
                let spec = node.spec.clone().unwrap_or_default();
                spec.provider_id.is_some()
                    && !spec.taints.unwrap_or_default().iter().any(|t| t.key.contains("uninitialized"))
            })
        })
        .await;
    }

    /// Reasons of the events of an object, sorted, each once.
    pub(crate) async fn events_of(&self, name: &str) -> Vec<String> {
        let events: Api<Event> = Api::all(self.client.clone());
        let list = events.list(&ListParams::default()).await.expect("events are listed");
        let mut reasons: Vec<String> = list
            .into_iter()
            .filter(|event| event.involved_object.name.as_deref() == Some(name))
            .filter_map(|event| event.reason)
            .collect();
        reasons.sort();
        reasons.dedup();
        reasons
    }

    /// Messages of the events with this reason.
    pub(crate) async fn messages(&self, name: &str, reason: &str) -> Vec<String> {
        let events: Api<Event> = Api::all(self.client.clone());
        let list = events.list(&ListParams::default()).await.expect("events are listed");
        list.into_iter()
            .filter(|e| e.involved_object.name.as_deref() == Some(name) && e.reason.as_deref() == Some(reason))
            .filter_map(|event| event.message)
            .collect()
    }

    /// Addresses by Service, of every Service that has one.
    pub(crate) async fn given(&self) -> BTreeMap<String, Vec<String>> {
        let services: Api<Service> = Api::all(self.client.clone());
        let list = services.list(&ListParams::default()).await.expect("Services are listed");
        list.iter()
            .map(|s| (format!("{}/{}", s.namespace().unwrap_or_default(), s.name_any()), addresses(s)))
            .filter(|(_, addresses)| !addresses.is_empty())
            .collect()
    }

    /// The addresses that Metal holds for load balancers, sorted.
    pub(crate) fn reserved(&self) -> Vec<String> {
        let mut addresses: Vec<String> = self
            .project
            .reservations()
            .into_iter()
            .filter(|r| r.tags.iter().any(|tag| tag == "usage=cloud-provider-equinix-metal-auto"))
            .map(|r| r.block.map_or_else(|| "none yet".to_owned(), |block| block.addr().to_string()))
            .collect();
        addresses.sort();
        addresses
    }

    /// Writes a policy and returns its path.
    pub(crate) fn policy(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("policy.yaml");
        std::fs::write(&path, text).expect("the policy is written");
        path
    }

    /// Runs the controller with a policy.
    pub(crate) fn run(&self, policy: &str) -> Controller {
        let path = self.policy(policy);
        self.run_with(Some(&path), &[], &[])
    }

    /// Runs the controller with more flags and environment.
    pub(crate) fn run_with(
        &self,
        policy: Option<&std::path::Path>,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Controller {
        let kubeconfig = self.dir.path().join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_for(&self.kube_proxy.url())).expect("the kubeconfig is written");
        Controller::start(Run {
            kubeconfig: &kubeconfig,
            metal_url: &format!("{}/metal/v1", self.metal_proxy.url()),
            project: &self.project.id(),
            token: &self.metal_token,
            policy,
            flags: &flags.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>(),
            environment: &environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>(),
            log: self.dir.path().join("controller.log"),
        })
    }

    /// Waits until a question is answered with yes.
    pub(crate) async fn eventually<F: Future<Output = bool>>(&self, what: &str, question: impl Fn() -> F) {
        self.until(what, || async { question().await.then_some(()) }).await;
    }

    /// Waits until there is an answer.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(&self, what: &str, question: impl Fn() -> F) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until no write was made for a while.
    pub(crate) async fn quiet(&self) {
        let (mut writes, mut since) = (self.gate.writes(), Instant::now());
        while since.elapsed() < Duration::from_millis(400) {
            tokio::time::sleep(Duration::from_millis(25)).await;
            if self.gate.writes() != writes {
                (writes, since) = (self.gate.writes(), Instant::now());
            }
        }
    }
}

/// The addresses in a Service's status.
pub(crate) fn addresses(service: &Service) -> Vec<String> {
    let ingress = service.status.as_ref().and_then(|s| s.load_balancer.as_ref()).and_then(|l| l.ingress.clone());
    ingress.unwrap_or_default().into_iter().filter_map(|i| i.ip).collect()
}

fn client_of(url: &str) -> Client {
    let mut config = Config::new(url.parse().expect("a valid URL"));
    // What the server says is what the controller is to see.
    config.default_retry = false;
    Client::try_from(config).expect("a client without TLS")
}

fn kubeconfig_for(url: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    })
    .to_string()
}

/// Takes everything away that an earlier test left on the real cluster.
async fn wipe(client: &Client) {
    let services: Api<Service> = Api::all(client.clone());
    for service in services.list(&ListParams::default()).await.expect("Services are listed") {
        let (namespace, name) = (service.namespace().unwrap_or_default(), service.name_any());
        if (namespace.as_str(), name.as_str()) == ("default", "kubernetes") {
            continue;
        }
        let api: Api<Service> = Api::namespaced(client.clone(), &namespace);
        let no_finalizers = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        // Either may find it gone already.
        drop(api.delete(&name, &DeleteParams::default()).await);
        drop(api.patch(&name, &PatchParams::default(), &no_finalizers).await);
    }
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.delete_collection(&DeleteParams::default(), &ListParams::default()).await.expect("Nodes are deleted");
    for namespace in ["default", "kube-system"] {
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        events.delete_collection(&DeleteParams::default(), &ListParams::default()).await.expect("events are deleted");
    }
}

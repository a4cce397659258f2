//! A simulated Metal project, a small Kubernetes API, and the two node controllers between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud_provider_equinix_metal::domain::{Node, Secret};
use cloud_provider_equinix_metal::kubernetes::cluster::KubeCluster;
use cloud_provider_equinix_metal::kubernetes::controllers::{
    CloudNode, CloudNodeConfig, CloudNodeLifecycle, CloudNodeLifecycleParts, CloudNodeParts, NoNodeMetrics,
};
use cloud_provider_equinix_metal::kubernetes::own_writes::OwnWrites;
use cloud_provider_equinix_metal::kubernetes::queue::NoQueueMetrics;
use cloud_provider_equinix_metal::kubernetes::{KubeNodes, NodeApi, cache, events};
use cloud_provider_equinix_metal::metal::{Backoff, Client, ClientConfig, Project, ProjectConfig, Unobserved};
use cloud_provider_equinix_metal::policy::{Policy, PolicyHash, PolicyStore};
use cloud_provider_equinix_metal::ports::{InstancesV2, Metal, SystemClock};
use cloud_provider_equinix_metal::provider::Instances;
use cloud_provider_equinix_metal::sandbox::kubernetes::{ApiConfig, KubernetesApi, StoreHandle, Verb};
use cloud_provider_equinix_metal::sandbox::metal::{DeviceSeed, MetalSimulator, Project as Simulated, SimulatorConfig};
use cloud_provider_equinix_metal::strategy::NodeStrategy;
use cloud_provider_equinix_metal::strategy::node_labels::TopologySource;
use kube::{Api, Config};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The key that the controllers use.
pub(crate) const KEY: &str = "a-key";
/// The taint of a Node that no cloud controller has seen yet.
pub(crate) const UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";

/// The whole of it; nothing runs before [`World::run`].
pub(crate) struct World {
    simulator: MetalSimulator,
    api: KubernetesApi,
    pub(crate) policy: Arc<PolicyStore>,
    /// Pause after each round over all addresses.
    pub(crate) address_period: Duration,
    tasks: JoinSet<()>,
    cancel: CancellationToken,
}

impl World {
    pub(crate) async fn new() -> Self {
        // Another test of this process may have been first, with the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = SimulatorConfig { auth_token: KEY.into(), per_page_cap: 10, ..SimulatorConfig::default() };
        Self {
            simulator: MetalSimulator::start(config).await.unwrap(),
            api: KubernetesApi::start(ApiConfig::default()).await.unwrap(),
            policy: Arc::new(PolicyStore::new(policy(strategy()))),
            address_period: Duration::from_millis(100),
            tasks: JoinSet::new(),
            cancel: CancellationToken::new(),
        }
    }

    /// The Metal project.
    pub(crate) fn metal(&self) -> Simulated {
        self.simulator.state()
    }

    /// The cluster's objects.
    pub(crate) fn cluster(&self) -> StoreHandle {
        self.api.store()
    }

    /// A device; its id.
    pub(crate) fn device(&self, hostname: &str) -> String {
        self.metal().seed_device(DeviceSeed::new(hostname, "da")).unwrap()
    }

    /// A Node, complete but for what the controllers write, with changes.
    pub(crate) fn node(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut node = json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/os": "linux" } },
            "spec": { "taints": [{ "key": UNINITIALIZED, "value": "true", "effect": "NoSchedule" }] },
            "status": {
                "addresses": [{ "type": "Hostname", "address": name }],
                "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" }],
            },
        });
        change(&mut node);
        self.cluster().insert("nodes", node).unwrap();
        // Put there on creation, and taken away by a controller that does not run here.
        self.edit(name, |node| {
            let taints = node["spec"]["taints"].as_array_mut().expect("it has taints");
            taints.retain(|taint| taint["key"] != "node.kubernetes.io/not-ready");
            if taints.is_empty() {
                node["spec"].as_object_mut().expect("an object").remove("taints");
            }
        });
    }

    /// Starts a device and its Node, initialised under the device's id.
    pub(crate) fn initialised(&self, name: &str) -> String {
        let id = self.device(name);
        self.node(name, |node| node["spec"] = json!({ "providerID": format!("equinixmetal://{id}") }));
        id
    }

    /// Makes a Node ill, by a clock ahead of ours: what was listed before is older than that in any case.
    pub(crate) fn fall_ill(&self, name: &str) {
        let now = jiff::Timestamp::now().as_second() + 2;
        let now = jiff::Timestamp::from_second(now).unwrap().to_string();
        self.edit(name, |node| {
            node["status"]["conditions"][0] =
                json!({ "type": "Ready", "status": "Unknown", "lastTransitionTime": now });
        });
    }

    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.cluster().edit("nodes", None, name, change).unwrap();
    }

    /// A Node as stored.
    pub(crate) fn stored(&self, name: &str) -> Value {
        self.cluster().get("nodes", None, name).expect("the Node is there")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let nodes = self.cluster().list("nodes", None);
        nodes.iter().map(|node| node["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Starts both controllers, with a Metal client of their own.
    pub(crate) fn run(&mut self) {
        let client = kube::Client::try_from(Config::new(self.api.url().parse().unwrap())).unwrap();
        let (nodes, writer) = cache::<Node>();
        let (recorder, event_writer) = events(client.clone(), "cloud-node-controller");
        let instances: Arc<dyn InstancesV2> =
            Arc::new(Instances::new(self.project(), Arc::clone(&self.policy), Arc::new(SystemClock)));
        let cluster = Arc::new(KubeCluster::new(client.clone(), Arc::new(OwnWrites::default())));
        let api: Arc<dyn NodeApi> = Arc::new(KubeNodes::new(client.clone(), cluster));
        let cloud_node = CloudNode::new(CloudNodeParts {
            config: CloudNodeConfig {
                workers: 4,
                address_period: self.address_period,
                upkeep_period: Duration::from_millis(50),
                ..CloudNodeConfig::default()
            },
            instances: Arc::clone(&instances),
            cache: nodes.clone(),
            nodes: Arc::clone(&api),
            events: Arc::new(recorder.clone()),
            policy: self.policy.subscribe(),
            clock: Arc::new(SystemClock),
            metrics: Arc::new(NoNodeMetrics),
            queue_metrics: Arc::new(NoQueueMetrics),
        });
        let lifecycle = CloudNodeLifecycle::new(CloudNodeLifecycleParts {
            period: Duration::from_millis(50),
            instances,
            cache: nodes,
            nodes: api,
            events: Arc::new(recorder.for_component("cloud-node-lifecycle-controller")),
        });
        let cancel = || self.cancel.clone();
        let watch = writer.watch(Api::all(client), cancel());
        self.tasks.spawn(async move { watch.await.unwrap() });
        self.tasks.spawn(event_writer.run(cancel()));
        let run = cloud_node.run(cancel());
        self.tasks.spawn(async move { run.await.unwrap() });
        let run = lifecycle.run(cancel());
        self.tasks.spawn(async move { run.await.unwrap() });
    }

    fn project(&self) -> Arc<dyn Metal> {
        let config = ClientConfig {
            backoff: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(5) },
            request_timeout: Duration::from_millis(500),
            ..ClientConfig::new(self.simulator.base_url(), Secret::new(KEY))
        };
        let client = Client::new(config, Arc::new(Unobserved)).unwrap();
        let config = ProjectConfig {
            failure_hold: Backoff { first: Duration::ZERO, longest: Duration::from_millis(20) },
            ..ProjectConfig::default()
        };
        Arc::new(Project::new(client, self.metal().id(), config))
    }

    /// Stops the controllers as the loss of the process would, but for what is under way.
    pub(crate) async fn stop(&mut self) {
        self.cancel.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.cancel = CancellationToken::new();
    }

    /// Ends everything.
    pub(crate) async fn end(mut self) {
        self.stop().await;
        self.api.shutdown().await;
        self.simulator.shutdown().await;
    }

    /// Waits until every Node is initialised and has the addresses of its device.
    pub(crate) async fn settled(&self) {
        self.until("every Node is initialised", || {
            let nodes = self.cluster().list("nodes", None);
            nodes
                .iter()
                .all(|node| !is_uninitialized(node) && node["status"]["addresses"].as_array().unwrap().len() > 1)
        })
        .await;
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), waiting).await.is_err() {
            let nodes = serde_json::to_string_pretty(&self.cluster().list("nodes", None)).unwrap();
            panic!("in 20 s it did not come to pass that {what}: {nodes}");
        }
    }

    /// Waits until this many more rounds of the controllers have certainly begun and ended.
    pub(crate) async fn rounds(&self, rounds: u32) {
        tokio::time::sleep(Duration::from_millis(120) * rounds).await;
    }

    /// Writing requests for Nodes since the journal was cleared, by verb and resource.
    pub(crate) fn node_writes(&self) -> BTreeMap<(Verb, String), u64> {
        let mut requests = self.cluster().requests();
        requests.retain(|(verb, resource), _| verb.writes() && resource.starts_with("nodes"));
        requests
    }

    /// Type, reason, source, namespace and object of each event, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let mut shown: Vec<String> = self
            .cluster()
            .list("events", None)
            .iter()
            .map(|event| {
                let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                format!(
                    "{} {} of {} in {}: {} {}",
                    text("/type"),
                    text("/reason"),
                    text("/source/component"),
                    text("/metadata/namespace"),
                    text("/involvedObject/kind"),
                    text("/involvedObject/name"),
                )
            })
            .collect();
        shown.sort();
        shown
    }
}

pub(crate) fn is_uninitialized(node: &Value) -> bool {
    let taints = node["spec"]["taints"].as_array();
    taints.is_some_and(|taints| taints.iter().any(|taint| taint["key"] == UNINITIALIZED))
}

/// A policy that decides this of Nodes.
pub(crate) fn policy(nodes: NodeStrategy) -> Policy {
    let mut policy = Policy::nothing("test", PolicyHash::new("0"));
    policy.nodes = nodes;
    policy
}

/// Region from the metro, zone from the facility, no rules.
pub(crate) fn strategy() -> NodeStrategy {
    NodeStrategy {
        provider_names: vec!["equinixmetal".into(), "packet".into()],
        region: TopologySource::Metro,
        zone: TopologySource::Facility,
        rules: Vec::new(),
    }
}

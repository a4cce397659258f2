//! A simulated Metal project, a Kubernetes API (the small one, or with `E2E_CLUSTER=real` a real kube-apiserver under the
//! shipped ClusterRole), and the service controller with the real provider between them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cloud_provider_equinix_metal::domain::{ClusterId, Node, Secret, Service};
use cloud_provider_equinix_metal::kubernetes::cluster::KubeCluster;
use cloud_provider_equinix_metal::kubernetes::controllers::service_lb::{EVENT_SOURCE, changes_of};
use cloud_provider_equinix_metal::kubernetes::controllers::{
    NoServiceMetrics, ServiceLb, ServiceLbConfig, ServiceLbParts,
};
use cloud_provider_equinix_metal::kubernetes::namespaces::namespaces;
use cloud_provider_equinix_metal::kubernetes::own_writes::OwnWrites;
use cloud_provider_equinix_metal::kubernetes::queue::NoQueueMetrics;
use cloud_provider_equinix_metal::kubernetes::services::KubeServices;
use cloud_provider_equinix_metal::kubernetes::{cache, events};
use cloud_provider_equinix_metal::metal::{
    Backoff, Client as MetalClient, ClientConfig, Project, ProjectConfig, Unobserved,
};
use cloud_provider_equinix_metal::policy::{self, Defaults, PolicyStore};
use cloud_provider_equinix_metal::provider::LoadBalancers;
use cloud_provider_equinix_metal::sandbox::kubernetes::{ApiConfig, KubernetesApi};
use cloud_provider_equinix_metal::sandbox::metal::{
    DeviceSeed, MetalSimulator, Project as Simulated, ReservationSnapshot, SimulatorConfig,
};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::control_plane::{ControlPlane, User};

/// The key that the controller uses at Metal.
const KEY: &str = "a-key";
/// The ClusterRole of the manifests.
const ROLE: &str = "system:cloud-controller-manager";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the Services are.
pub(crate) enum Cluster {
    /// The small API.
    Small(KubernetesApi),
    /// kube-apiserver and etcd.
    Real(Box<ControlPlane>),
}

/// The whole of it; nothing runs before [`World::run`].
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    simulator: MetalSimulator,
    /// What a user is.
    pub(crate) user: Client,
    /// What the controller is.
    pub(crate) controller: Client,
    cluster_id: ClusterId,
    policy: Arc<PolicyStore>,
    pub(crate) workers: usize,
    tasks: JoinSet<()>,
    cancel: CancellationToken,
}

impl World {
    pub(crate) async fn new() -> Self {
        // Another test of this process may have been first, with the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (cluster, user, controller) = start_cluster().await;
        let config = SimulatorConfig { auth_token: KEY.into(), per_page_cap: 10, ..SimulatorConfig::default() };
        let namespace = Api::<api::Namespace>::all(user.clone()).get("kube-system").await.unwrap();
        Self {
            cluster,
            simulator: MetalSimulator::start(config).await.unwrap(),
            user,
            controller,
            cluster_id: ClusterId::new(namespace.metadata.uid.unwrap()),
            policy: Arc::new(PolicyStore::new(policy_of("kubeVip: {}"))),
            workers: 4,
            tasks: JoinSet::new(),
            cancel: CancellationToken::new(),
        }
    }

    /// The same, with two Nodes and a controller that runs.
    pub(crate) async fn running() -> Self {
        let mut world = Self::new().await;
        world.node("n1").await;
        world.node("n2").await;
        world.run().await;
        world
    }

    /// The Metal project.
    pub(crate) fn metal(&self) -> Simulated {
        self.simulator.state()
    }

    /// The reservations that belong to Services.
    pub(crate) fn reservations(&self) -> Vec<ReservationSnapshot> {
        let ours = |held: &ReservationSnapshot| held.tags.iter().any(|tag| tag.starts_with("service="));
        self.metal().reservations().into_iter().filter(ours).collect()
    }

    pub(crate) fn services(&self) -> Api<api::Service> {
        Api::namespaced(self.user.clone(), "default")
    }

    /// Adds a device and its Node.
    pub(crate) async fn node(&self, name: &str) {
        let device = self.device(name);
        self.node_of(&device, name).await;
    }

    /// Adds a device; its id.
    pub(crate) fn device(&self, name: &str) -> String {
        self.metal().seed_device(DeviceSeed::new(name, "da")).unwrap()
    }

    /// Adds the Node of a device.
    pub(crate) async fn node_of(&self, device: &str, name: &str) {
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": name },
            "spec": { "providerID": format!("equinixmetal://{device}") },
        });
        let nodes = Api::<api::Node>::all(self.user.clone());
        nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
    }

    /// Makes a Service of type LoadBalancer, with changes.
    pub(crate) async fn create(&self, name: &str, changes: Value) {
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
            "spec": { "type": "LoadBalancer", "selector": { "app": name }, "ports": [{ "port": 80 }] },
        });
        json_patch::merge(&mut service, &changes);
        self.services().create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    }

    pub(crate) async fn edit(&self, name: &str, changes: Value) {
        self.services().patch(name, &PatchParams::default(), &Patch::Merge(changes)).await.unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.services().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A Service as stored.
    pub(crate) async fn stored(&self, name: &str) -> Value {
        serde_json::to_value(self.services().get(name).await.unwrap()).unwrap()
    }

    /// The addresses in a Service's status.
    pub(crate) async fn addresses(&self, name: &str) -> Vec<String> {
        let Some(service) = self.services().get_opt(name).await.unwrap() else {
            return Vec::new();
        };
        let ingress = service.status.and_then(|status| status.load_balancer).and_then(|lb| lb.ingress);
        ingress.unwrap_or_default().into_iter().filter_map(|entry| entry.ip).collect()
    }

    pub(crate) async fn has_address(&self, name: &str) {
        self.until(&format!("{name} has an address"), || async { !self.addresses(name).await.is_empty() }).await;
    }

    pub(crate) async fn is_gone(&self, name: &str) {
        let gone = || async { self.services().get_opt(name).await.unwrap().is_none() };
        self.until(&format!("{name} is gone"), gone).await;
    }

    /// Type, reason, source and how often, of the Events about a Service, sorted by reason.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let list = Api::<api::Event>::namespaced(self.user.clone(), "default").list(&about).await.unwrap();
        let mut counts: BTreeMap<String, i32> = BTreeMap::new();
        for event in list {
            let source = event.source.and_then(|source| source.component).unwrap_or_default();
            let what = format!("{} {} by {source}", event.type_.unwrap_or_default(), event.reason.unwrap_or_default());
            *counts.entry(what).or_default() += event.count.unwrap_or_default();
        }
        counts.into_iter().map(|(what, count)| format!("{what} x{count}")).collect()
    }

    /// Waits until something holds.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, mut holds: impl FnMut() -> F) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            let services = self.services().list(&ListParams::default()).await.unwrap().items;
            let services = serde_json::to_string_pretty(&services).unwrap();
            let events = Api::<api::Event>::all(self.user.clone()).list(&ListParams::default()).await.unwrap().items;
            let events = serde_json::to_string_pretty(&events).unwrap();
            panic!("in {PATIENCE:?} it did not come to pass that {what}: {services}\n{events}");
        }
    }

    /// Waits long enough for anything that is still to come to have come.
    pub(crate) async fn quiet(&self) {
        tokio::time::sleep(Duration::from_millis(700)).await;
    }

    /// Puts another backend in force.
    pub(crate) fn use_backend(&self, kind: &str) {
        self.policy.swap(policy_of(kind));
    }

    /// Has the controller's ClusterRole say nothing of a resource any more, and waits until that is so.
    pub(crate) async fn take_rights_to(&self, resource: &str) {
        let roles = Api::<ClusterRole>::all(self.user.clone());
        let mut role = roles.get(ROLE).await.unwrap();
        role.rules.as_mut().unwrap().retain(|rule| !rule.resources.iter().flatten().any(|named| named == resource));
        roles.replace(ROLE, &PostParams::default(), &role).await.unwrap();
        let reviews = Api::<SelfSubjectAccessReview>::all(self.controller.clone());
        let review = json!({ "spec": { "resourceAttributes": {
            "namespace": "default", "verb": "create", "resource": resource,
        } } });
        let review: SelfSubjectAccessReview = serde_json::from_value(review).unwrap();
        self.until("the right is gone", || async {
            let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
            answer.status.is_some_and(|status| !status.allowed)
        })
        .await;
    }

    /// Starts the controller, with clients of its own.
    pub(crate) async fn run(&mut self) {
        let client = self.controller.clone();
        let (services, service_writer) = cache::<Service>();
        let (nodes, node_writer) = cache::<Node>();
        let (recorder, event_writer) = events(client.clone(), EVENT_SOURCE);
        let (labels, namespace_watch) = namespaces();
        let own_writes = Arc::new(OwnWrites::default());
        let provider = LoadBalancers::new(
            self.project(),
            Arc::new(KubeCluster::new(client.clone(), Arc::clone(&own_writes))),
            Arc::clone(&labels) as _,
            Arc::clone(&self.policy),
            self.cluster_id.clone(),
        );
        provider.initialise().await.unwrap();
        let controller = ServiceLb::new(
            ServiceLbConfig { workers: self.workers },
            ServiceLbParts {
                load_balancer: Arc::new(provider),
                services,
                nodes,
                api: Arc::new(KubeServices::new(client.clone())),
                events: Arc::new(recorder),
                own_writes,
                decisions_changed: changes_of(self.policy.subscribe()),
                metrics: Arc::new(NoServiceMetrics),
                queue_metrics: Arc::new(NoQueueMetrics),
                node_queue_metrics: Arc::new(NoQueueMetrics),
            },
        );
        let cancel = || self.cancel.clone();
        let watch = service_writer.watch(Api::all(client.clone()), cancel());
        self.tasks.spawn(async move { watch.await.unwrap() });
        let watch = node_writer.watch(Api::all(client.clone()), cancel());
        self.tasks.spawn(async move { watch.await.unwrap() });
        let watch = namespace_watch.run(client, cancel());
        self.tasks.spawn(async move { watch.await.unwrap() });
        self.tasks.spawn(event_writer.run(cancel()));
        let run = controller.run(cancel());
        self.tasks.spawn(async move { run.await.unwrap() });
    }

    fn project(&self) -> Arc<Project> {
        let config = ClientConfig {
            backoff: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(5) },
            request_timeout: Duration::from_secs(5),
            ..ClientConfig::new(self.simulator.base_url(), Secret::new(KEY))
        };
        let client = MetalClient::new(config, Arc::new(Unobserved)).unwrap();
        Arc::new(Project::new(client, self.metal().id(), ProjectConfig::default()))
    }

    /// Stops the controller, and lets it finish what is under way.
    pub(crate) async fn stop(&mut self) {
        self.cancel.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.cancel = CancellationToken::new();
    }

    /// Ends the controller where it is.
    pub(crate) async fn kill(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Ends everything.
    pub(crate) async fn end(mut self) {
        self.stop().await;
        self.simulator.shutdown().await;
        match self.cluster {
            Cluster::Small(api) => api.shutdown().await,
            Cluster::Real(control_plane) => drop(control_plane),
        }
    }
}

async fn start_cluster() -> (Cluster, Client, Client) {
    if std::env::var_os("E2E_CLUSTER").is_none_or(|kind| kind != "real") {
        let api = KubernetesApi::start(ApiConfig::default()).await.unwrap();
        let client = Client::try_from(Config::new(api.url().parse().unwrap())).unwrap();
        return (Cluster::Small(api), client.clone(), client);
    }
    let account = User::service_account("kube-system", "cloud-provider-equinix-metal");
    let control_plane = ControlPlane::start_with(std::slice::from_ref(&account)).await;
    let manifest = format!("{}/deploy/template/deployment.yaml", env!("CARGO_MANIFEST_DIR"));
    let applied = control_plane.kubectl(["apply", "--filename", &manifest]).output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let (user, controller) = (control_plane.client().await, control_plane.client_of(&account).await);
    (Cluster::Real(Box::new(control_plane)), user, controller)
}

fn policy_of(backend: &str) -> policy::Policy {
    let text = format!(
        "apiVersion: policy.metal.equinix.com/v1alpha1
kind: CloudPolicy
metadata: {{ name: test }}
spec:
  addressPools: [{{ name: public, elasticIP: {{ type: public_ipv4, metro: da }} }}]
  loadBalancers: [{{ name: lb, {backend} }}]
  services:
    rules:
      - name: classed
        match: {{ loadBalancerClasses: [metal.equinix.com/internal] }}
        use: {{ loadBalancer: lb, addressPool: public }}
    default: {{ loadBalancer: lb, addressPool: public }}
"
    );
    policy::load(text.as_bytes(), "policy.yaml", &Defaults::default()).unwrap()
}

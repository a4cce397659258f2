//! A simulated project and a small cluster in this process, seen by the controller as the real ones.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use cloud_provider_equinix_metal::sandbox::kubernetes::{ApiConfig, KubernetesApi, StoreHandle};
use cloud_provider_equinix_metal::sandbox::metal::{DeviceSeed, MetalSimulator, Project, SimulatorConfig};
use serde_json::{Value, json};

use super::controller::{Controller, Run};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(240);
/// Without a write for so long, the controller has nothing left to do.
const QUIET: Duration = Duration::from_millis(1500);
const UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";

const POLICY: &str = "\
apiVersion: policy.metal.equinix.com/v1alpha1
kind: CloudPolicy
metadata: { name: performance }
spec:
  addressPools: [{ name: public, elasticIP: { type: public_ipv4, metro: da } }]
  loadBalancers: [{ name: vip, kubeVip: {} }]
  services: { default: { loadBalancer: vip, addressPool: public } }
";

/// How large a world is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) nodes: usize,
    pub(crate) services: usize,
    /// Most entries of a page of the Metal API.
    pub(crate) page: usize,
}

/// The surroundings of a controller.
pub(crate) struct World {
    pub(crate) project: Project,
    pub(crate) store: StoreHandle,
    scale: Scale,
    metal: MetalSimulator,
    dir: tempfile::TempDir,
    _kubernetes: KubernetesApi,
}

impl Scale {
    pub(crate) fn new(nodes: usize, services: usize) -> Self {
        Self { nodes, services, page: 1000 }
    }

    /// Pages of the list of devices.
    pub(crate) fn device_pages(self) -> u64 {
        to_u64(self.nodes.div_ceil(self.page).max(1))
    }
}

/// A count as it is compared with a journal's.
pub(crate) fn to_u64(count: usize) -> u64 {
    u64::try_from(count).expect("no count here is larger than 2^64")
}

impl World {
    /// Devices with a fresh Node each, and Services without an address.
    pub(crate) async fn start(scale: Scale) -> anyhow::Result<Self> {
        let config = SimulatorConfig { quota: u32::MAX, per_page_cap: scale.page, ..SimulatorConfig::default() };
        let metal = MetalSimulator::start(config).await.context("cannot start the Metal simulator")?;
        let kubernetes = KubernetesApi::start(ApiConfig::default()).await.context("cannot start the Kubernetes API")?;
        let (project, store) = (metal.state(), kubernetes.store());
        for number in 0..scale.nodes {
            let name = format!("node-{number}");
            project.seed_device(DeviceSeed::new(&name, "da")).context("cannot make a device")?;
            store.insert("nodes", node(&name)).context("cannot register a node")?;
        }
        for number in 0..scale.services {
            store.insert("services", service(number)).context("cannot create a service")?;
        }
        let dir = tempfile::tempdir().context("cannot make a folder")?;
        std::fs::write(dir.path().join("policy.yaml"), POLICY).context("cannot write the policy")?;
        std::fs::write(dir.path().join("kubeconfig"), kubernetes.kubeconfig()).context("cannot write a kubeconfig")?;
        store.clear_journal();
        Ok(Self { project, store, scale, metal, dir, _kubernetes: kubernetes })
    }

    /// Starts a controller with more flags.
    pub(crate) fn run(&self, flags: &[&str]) -> anyhow::Result<Controller> {
        let at = |name: &str| self.dir.path().join(name);
        Controller::start(Run {
            kubeconfig: &at("kubeconfig"),
            policy: &at("policy.yaml"),
            metal_url: &self.metal.base_url(),
            project: &self.project.id(),
            key: SimulatorConfig::default().auth_token.reveal(),
            flags,
            log: at("controller.log"),
        })
    }

    /// Waits until every Node is initialised and every Service has an address. Returns how long that took.
    pub(crate) async fn settled(&self, controller: &mut Controller) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        loop {
            let looked = Instant::now();
            controller.check()?;
            let nodes = self.store.list("nodes", None).iter().filter(|node| is_initialised(node)).count();
            let services = self.store.list("services", None).iter().filter(|service| has_address(service)).count();
            if (nodes, services) == (self.scale.nodes, self.scale.services) {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() > PATIENCE {
                let end = controller.end_of_log();
                bail!("{nodes} nodes and {services} services of {:?} after {PATIENCE:?}; the log:\n{end}", self.scale);
            }
            // Looking costs time on a processor, too: at most a tenth of it.
            tokio::time::sleep((looked.elapsed() * 10).max(Duration::from_millis(5))).await;
        }
    }

    /// Waits until nothing has been written for a while.
    pub(crate) async fn quiet(&self, controller: &mut Controller) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut last = (self.writes(), begun);
        while last.1.elapsed() < QUIET {
            controller.check()?;
            if begun.elapsed() > PATIENCE {
                bail!("still writing after {PATIENCE:?}; the log:\n{}", controller.end_of_log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            if self.writes() != last.0 {
                last = (self.writes(), Instant::now());
            }
        }
        Ok(())
    }

    /// Writes to objects of the cluster, events left out.
    pub(crate) fn kubernetes_writes(&self) -> u64 {
        self.kubernetes_writes_of(|resource| resource != "events")
    }

    /// Events written.
    pub(crate) fn events(&self) -> u64 {
        self.kubernetes_writes_of(|resource| resource == "events")
    }

    /// Forgets what was counted.
    pub(crate) fn reset(&self) {
        self.project.journal().reset();
        self.store.clear_journal();
    }

    fn writes(&self) -> u64 {
        self.project.journal().writes() + self.kubernetes_writes() + self.events()
    }

    fn kubernetes_writes_of(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let requests = self.store.requests();
        requests.iter().filter(|((verb, resource), _)| verb.writes() && wanted(resource)).map(|(_, count)| count).sum()
    }
}

/// A Node as its kubelet registers it.
fn node(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {"taints": [{"key": UNINITIALIZED, "value": "true", "effect": "NoSchedule"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}]},
    })
}

fn service(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": format!("service-{number}"), "namespace": "default"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    })
}

fn is_initialised(node: &Value) -> bool {
    let taints = node["spec"]["taints"].as_array();
    node["spec"]["providerID"].is_string()
        && !taints.is_some_and(|taints| taints.iter().any(|taint| taint["key"] == UNINITIALIZED))
}

/// Those that are no load balancers need none.
fn has_address(service: &Value) -> bool {
    service["status"]["loadBalancer"]["ingress"][0]["ip"].is_string()
}

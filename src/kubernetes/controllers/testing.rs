//! A cluster's Nodes, a cloud and a pair of ears, for tests of the node controllers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1 as api;
use kube::runtime::watcher::Event;
use serde_json::json;

use crate::domain::{InstanceMetadata, ManagedFields, Node, NodeAddress, Readiness, TopologyLabel};
use crate::kubernetes::events::{EventSink, NewEvent};
use crate::kubernetes::nodes::NodeApi;
use crate::kubernetes::{Cache, CacheWriter, cache, convert};
use crate::plan::{Action, NodePatch};
use crate::ports::{ClusterError, InstancesV2, MetalError, ProviderError};

/// Nodes behind an API server that keeps versions, and the cache that watches them.
pub(crate) struct Nodes {
    state: Mutex<NodesState>,
    changed: tokio::sync::Notify,
    pub(crate) cache: Cache<Node>,
}

struct NodesState {
    stored: BTreeMap<String, Node>,
    version: u64,
    watch: CacheWriter<Node>,
    watching: bool,
    /// One line for each write that took place.
    writes: Vec<String>,
    reads: usize,
    /// What becomes of the next writes, and what happens to the Node just before.
    failures: VecDeque<Option<ClusterError>>,
    meddling: VecDeque<fn(&mut Node)>,
}

impl Nodes {
    /// These Nodes, listed by the cache.
    pub(crate) fn new(nodes: impl IntoIterator<Item = Node>) -> Arc<Self> {
        let nodes = Self::unlisted(nodes);
        nodes.list();
        nodes
    }

    /// These Nodes, and a cache that has not listed them yet.
    pub(crate) fn unlisted(nodes: impl IntoIterator<Item = Node>) -> Arc<Self> {
        let (cache, watch) = cache();
        let state = NodesState {
            stored: nodes.into_iter().map(|node| (node.name.clone(), node)).collect(),
            version: 100,
            watch,
            watching: true,
            writes: Vec::new(),
            reads: 0,
            failures: VecDeque::new(),
            meddling: VecDeque::new(),
        };
        Arc::new(Self { state: Mutex::new(state), changed: tokio::sync::Notify::new(), cache })
    }

    pub(crate) fn list(&self) {
        let mut state = self.lock();
        let objects: Vec<_> = state.stored.values().map(to_object).collect();
        state.watch.apply(Event::Init);
        for object in objects {
            state.watch.apply(Event::InitApply(object));
        }
        state.watch.apply(Event::InitDone);
    }

    /// Stops or resumes what the cache hears of writes.
    pub(crate) fn watch(&self, watching: bool) {
        self.lock().watching = watching;
        if watching {
            self.list();
        }
    }

    /// A Node as stored.
    pub(crate) fn get(&self, name: &str) -> Node {
        self.lock().stored.get(name).cloned().expect("the Node is there")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().stored.keys().cloned().collect()
    }

    /// Somebody else changes a Node.
    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(&mut Node)) {
        let mut state = self.lock();
        let mut node = state.stored.get(name).cloned().expect("the Node is there");
        edit(&mut node);
        state.store(node);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Somebody else adds a Node.
    pub(crate) fn add(&self, node: Node) {
        self.lock().store(node);
        self.changed.notify_waiters();
    }

    /// The next write fails so.
    pub(crate) fn fail(&self, failure: ClusterError) {
        self.lock().failures.push_back(Some(failure));
    }

    /// The write after the next one fails so.
    pub(crate) fn fail_second(&self, failure: ClusterError) {
        self.lock().failures.extend([None, Some(failure)]);
    }

    /// Before the next write arrives, somebody else changes the Node.
    pub(crate) fn meddle(&self, edit: fn(&mut Node)) {
        self.lock().meddling.push_back(edit);
    }

    /// The writes so far, and begins to count anew.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().writes)
    }

    pub(crate) fn reads(&self) -> usize {
        self.lock().reads
    }

    /// Waits until something holds of the stored Nodes.
    pub(crate) async fn until(&self, holds: impl Fn(&BTreeMap<String, Node>) -> bool) {
        loop {
            let changed = self.changed.notified();
            if holds(&self.lock().stored) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, NodesState> {
        self.state.lock().unwrap()
    }
}

impl NodesState {
    fn store(&mut self, mut node: Node) -> Node {
        self.version += 1;
        node.resource_version = self.version.to_string();
        self.stored.insert(node.name.clone(), node.clone());
        if self.watching {
            self.watch.apply(Event::Apply(to_object(&node)));
        }
        node
    }

    /// What stands in the way of a write to this Node at this version.
    fn admit(&mut self, name: &str, version: Option<&String>) -> Result<Node, ClusterError> {
        if let Some(edit) = self.meddling.pop_front()
            && let Some(mut node) = self.stored.get(name).cloned()
        {
            edit(&mut node);
            self.store(node);
        }
        if let Some(Some(failure)) = self.failures.pop_front() {
            return Err(failure);
        }
        let object = format!("Node {name}");
        let stored = self.stored.get(name).ok_or_else(|| ClusterError::NotFound { object: object.clone() })?;
        match version {
            Some(version) if *version != stored.resource_version => Err(ClusterError::Conflict { object }),
            _ => Ok(stored.clone()),
        }
    }
}

#[async_trait]
impl NodeApi for Nodes {
    async fn node(&self, name: &str) -> Result<Option<Node>, ClusterError> {
        let mut state = self.lock();
        state.reads += 1;
        Ok(state.stored.get(name).cloned())
    }

    async fn patch(&self, patch: &NodePatch) -> Result<Node, ClusterError> {
        let mut state = self.lock();
        let mut node = state.admit(&patch.node, patch.resource_version.as_ref())?;
        for (fields, changes) in [(&mut node.labels, &patch.labels), (&mut node.annotations, &patch.annotations)] {
            for (key, value) in changes {
                match value {
                    Some(value) => fields.insert(key.clone(), value.clone()),
                    None => fields.remove(key),
                };
            }
        }
        if let Some(id) = &patch.provider_id {
            node.provider_id.clone_from(id);
        }
        if let Some(taints) = &patch.taints {
            assert!(patch.resource_version.is_some(), "a list of taints is never written blindly");
            node.taints.clone_from(taints);
        }
        state.writes.push(Action::PatchNode(patch.clone()).to_string());
        let stored = state.store(node);
        drop(state);
        self.changed.notify_waiters();
        Ok(stored)
    }

    async fn set_addresses(&self, name: &str, addresses: &[NodeAddress]) -> Result<(), ClusterError> {
        let mut state = self.lock();
        let mut node = state.admit(name, None)?;
        node.addresses = addresses.to_vec();
        let shown: Vec<_> = addresses.iter().map(|a| format!("{}={}", a.kind.as_str(), a.address)).collect();
        state.writes.push(format!("addresses of {name}: {}", shown.join(" ")));
        state.store(node);
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn delete(&self, node: &Node) -> Result<(), ClusterError> {
        let mut state = self.lock();
        let stored = state.admit(&node.name, Some(&node.resource_version))?;
        if stored.uid != node.uid {
            return Err(ClusterError::Conflict { object: format!("Node {}", node.name) });
        }
        state.stored.remove(&node.name);
        state.writes.push(format!("delete {}", node.name));
        if state.watching {
            state.watch.apply(Event::Delete(to_object(&stored)));
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }
}

/// A Node as the API server sends it.
fn to_object(node: &Node) -> api::Node {
    let ready = match node.readiness {
        Readiness::Ready => "True",
        Readiness::NotReady => "Unknown",
    };
    let time = |seconds| jiff::Timestamp::from_second(seconds).expect("a time").to_string();
    let object = json!({
        "metadata": {
            "name": node.name, "uid": node.uid, "resourceVersion": node.resource_version,
            "creationTimestamp": time(node.created_at),
            "deletionTimestamp": node.deleting.then(|| time(node.created_at)),
            "labels": node.labels, "annotations": node.annotations,
        },
        "spec": {
            "providerID": Some(&node.provider_id).filter(|id| !id.is_empty()),
            "taints": node.taints,
        },
        "status": {
            "addresses": convert::address_list(&node.addresses),
            "conditions": [{ "type": "Ready", "status": ready, "lastTransitionTime": time(node.readiness_since) }],
        },
    });
    serde_json::from_value(object).expect("a Node")
}

/// What a cloud says of one machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) metadata: InstanceMetadata,
    pub(crate) shut_down: bool,
}

/// A cloud of machines, one for each Node, by the Node's name.
#[derive(Default)]
pub(crate) struct Cloud {
    state: Mutex<CloudState>,
}

#[derive(Default)]
struct CloudState {
    machines: BTreeMap<String, Machine>,
    foreign: Vec<String>,
    failures: BTreeMap<String, MetalError>,
    outage: Option<MetalError>,
    /// One line for each question.
    questions: Vec<String>,
    /// How long an answer takes.
    pace: Duration,
    /// Questions that wait for their answer, now and at most.
    waiting: usize,
    most_waiting: usize,
}

impl Cloud {
    /// A machine for each Node of these names.
    pub(crate) fn of(names: &[&str]) -> Arc<Self> {
        let cloud = Self::default();
        for name in names {
            cloud.put(name, |_| {});
        }
        Arc::new(cloud)
    }

    /// Adds a machine, or changes it.
    pub(crate) fn put(&self, name: &str, edit: impl FnOnce(&mut Machine)) {
        let mut state = self.lock();
        edit(state.machines.entry(name.to_owned()).or_insert_with(|| machine(name)));
    }

    pub(crate) fn remove(&self, name: &str) {
        self.lock().machines.remove(name);
    }

    /// The Node belongs to another cloud.
    pub(crate) fn disown(&self, name: &str) {
        self.lock().foreign.push(name.to_owned());
    }

    /// Questions about every Node fail so, or no more.
    pub(crate) fn outage(&self, error: Option<MetalError>) {
        self.lock().outage = error;
    }

    /// Questions about this Node fail so.
    pub(crate) fn fail(&self, name: &str, error: MetalError) {
        self.lock().failures.insert(name.to_owned(), error);
    }

    pub(crate) fn heal(&self, name: &str) {
        self.lock().failures.remove(name);
    }

    /// Answers take so long from now on.
    pub(crate) fn pace(&self, pace: Duration) {
        self.lock().pace = pace;
    }

    /// The most questions that waited for their answers at once, and begins to count anew.
    pub(crate) fn take_most_waiting(&self) -> usize {
        std::mem::take(&mut self.lock().most_waiting)
    }

    /// The questions so far, and begins to count anew.
    pub(crate) fn take_questions(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().questions)
    }

    fn ask(&self, question: &str, node: &Node) -> Result<Option<Machine>, ProviderError> {
        let mut state = self.lock();
        state.questions.push(format!("{question} {}", node.name));
        if let Some(error) = state.outage.as_ref().or_else(|| state.failures.get(&node.name)) {
            return Err(error.clone().into());
        }
        Ok(state.machines.get(&node.name).cloned())
    }

    fn lock(&self) -> MutexGuard<'_, CloudState> {
        self.state.lock().unwrap()
    }
}

fn machine(name: &str) -> Machine {
    Machine {
        metadata: InstanceMetadata {
            provider_id: format!("equinixmetal://id-{name}").parse().expect("a provider ID"),
            instance_type: "c3.small.x86".into(),
            addresses: addresses(&[&format!("Hostname={name}"), "ExternalIP=147.75.0.1", "InternalIP=10.0.0.1"]),
            zone: TopologyLabel::Unwanted,
            region: TopologyLabel::Is("da".into()),
            managed: ManagedFields::default(),
            problems: Vec::new(),
        },
        shut_down: false,
    }
}

fn not_found() -> ProviderError {
    ProviderError::NotFound { what: "instance".into() }
}

#[async_trait]
impl InstancesV2 for Cloud {
    fn manages(&self, node: &Node) -> bool {
        !self.lock().foreign.contains(&node.name)
    }

    async fn instance_exists(&self, node: &Node) -> Result<bool, ProviderError> {
        if node.provider_id.is_empty() {
            return Err(ProviderError::Refused { message: "providerID cannot be empty".into() });
        }
        Ok(self.ask("exists", node)?.is_some())
    }

    async fn instance_shutdown(&self, node: &Node) -> Result<bool, ProviderError> {
        Ok(self.ask("shutdown", node)?.ok_or_else(not_found)?.shut_down)
    }

    async fn instance_metadata(&self, node: &Node) -> Result<InstanceMetadata, ProviderError> {
        let pace = {
            let mut state = self.lock();
            state.waiting += 1;
            state.most_waiting = state.most_waiting.max(state.waiting);
            state.pace
        };
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        self.lock().waiting -= 1;
        Ok(self.ask("metadata", node)?.ok_or_else(not_found)?.metadata)
    }
}

/// Remembers events.
#[derive(Default)]
pub(crate) struct Ears(Mutex<Vec<NewEvent>>);

impl EventSink for Ears {
    fn record(&self, event: NewEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Ears {
    /// Type, reason and object of each event so far, and begins anew.
    pub(crate) fn take(&self) -> Vec<String> {
        let events = std::mem::take(&mut *self.0.lock().unwrap());
        let shown = events.iter().map(|event| {
            let about = &event.about;
            let name = about.name.as_deref().unwrap_or_default();
            assert_eq!((about.kind.as_deref(), about.api_version.as_deref()), (Some("Node"), Some("v1")));
            assert_eq!(about.uid.as_deref(), Some(format!("uid-{name}").as_str()), "its real UID");
            format!("{} {} {name}", event.severity.as_str(), event.reason)
        });
        shown.collect()
    }
}

/// Addresses from `<type>=<address>`.
pub(crate) fn addresses(listed: &[&str]) -> Vec<NodeAddress> {
    let parse = |entry: &&str| {
        let (kind, address) = entry.split_once('=').expect("type=address");
        NodeAddress::new(crate::domain::NodeAddressType::parse(kind), address)
    };
    listed.iter().map(parse).collect()
}

/// The failures of a cloud or a network, by name.
pub(crate) fn metal_failures() -> Vec<(&'static str, MetalError)> {
    let request = || "GET /projects/p/devices".to_owned();
    vec![
        ("401", MetalError::Unauthorized { request: request() }),
        ("403", MetalError::Forbidden { request: request(), errors: vec![] }),
        ("404 of the project", MetalError::NotFound { request: request() }),
        ("429", MetalError::RateLimited { request: request(), retry_after: Duration::from_secs(1) }),
        ("500", MetalError::Server { request: request(), status: 500, errors: vec![] }),
        ("no answer", MetalError::Unreachable { request: request(), cause: "timed out".into() }),
        ("HTML", MetalError::Malformed { request: request(), cause: "not JSON".into() }),
    ]
}

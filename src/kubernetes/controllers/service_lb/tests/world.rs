//! A cluster, a cloud and a clock for the controller under test. All that it does goes into one log, in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use k8s_openapi::api::core::v1 as api;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::super::*;
use crate::domain::{Ingress, ServiceType};
use crate::kubernetes::cache::{CacheWriter, cache};
use crate::kubernetes::convert;
use crate::kubernetes::events::NewEvent;
use crate::kubernetes::predicates::LOAD_BALANCER_FINALIZER;
use crate::kubernetes::queue::NoQueueMetrics;
use crate::plan::{Change, ServicePatch};
use crate::ports::{ClusterError, NodeSet, ProviderError};

/// Permits that are not used up.
const UNLIMITED: usize = 1000;

pub(super) type Log = Arc<Mutex<Vec<String>>>;

/// Services as the API server has them, and the caches that follow.
pub(super) struct FakeCluster {
    log: Log,
    state: Mutex<ClusterState>,
}

struct ClusterState {
    services: BTreeMap<ServiceKey, Value>,
    version: u64,
    uids: u64,
    writer: CacheWriter<Service>,
    nodes: CacheWriter<Node>,
    held_back: Option<Vec<Event<api::Service>>>,
    refusals: VecDeque<(&'static str, ClusterError)>,
}

impl FakeCluster {
    /// Lets a user write a Service: made when it is not there, merged into what is there otherwise.
    pub(super) fn write(&self, key: &ServiceKey, fields: Value) {
        let mut state = self.state.lock().expect("no panic");
        if !state.services.contains_key(key) {
            state.uids += 1;
            let object = json!({ "metadata": {
                "namespace": key.namespace, "name": key.name, "uid": format!("uid-{}", state.uids),
            } });
            state.services.insert(key.clone(), object);
        }
        state.change(key, |object| json_patch::merge(object, &fields));
    }

    /// Lets a user delete a Service: it stays as long as it has finalizers.
    pub(super) fn delete(&self, key: &ServiceKey) {
        let mut state = self.state.lock().expect("no panic");
        state.change(key, |object| object["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z"));
    }

    /// Removes a Service whatever its finalizers say.
    pub(super) fn force_delete(&self, key: &ServiceKey) {
        let mut state = self.state.lock().expect("no panic");
        if let Some(object) = state.services.remove(key) {
            state.tell(Event::Delete(parse(&object)));
        }
    }

    /// The cache loses a Service that is still there.
    pub(super) fn lose(&self, key: &ServiceKey) {
        let mut state = self.state.lock().expect("no panic");
        let object = parse(&state.services[key]);
        state.tell(Event::Delete(object));
    }

    pub(super) fn service(&self, key: &ServiceKey) -> Option<Service> {
        let state = self.state.lock().expect("no panic");
        state.services.get(key).map(|object| convert::service(&parse(object)))
    }

    /// The cache hears of nothing until [`FakeCluster::catch_up`].
    pub(super) fn fall_behind(&self) {
        self.state.lock().expect("no panic").held_back = Some(Vec::new());
    }

    pub(super) fn catch_up(&self) {
        let mut state = self.state.lock().expect("no panic");
        for event in state.held_back.take().unwrap_or_default() {
            state.writer.apply(event);
        }
    }

    /// The watch breaks, and everything is listed again.
    pub(super) fn relist(&self) {
        let mut state = self.state.lock().expect("no panic");
        state.held_back = None;
        let objects: Vec<api::Service> = state.services.values().map(parse).collect();
        state.writer.apply(Event::Init);
        for object in objects {
            state.writer.apply(Event::InitApply(object));
        }
        state.writer.apply(Event::InitDone);
    }

    pub(super) fn node(&self, name: &str, fields: Value) {
        let mut state = self.state.lock().expect("no panic");
        let object = state.node_object(name, &fields);
        state.nodes.apply(Event::Apply(object));
    }

    pub(super) fn node_gone(&self, name: &str) {
        let mut state = self.state.lock().expect("no panic");
        let object = state.node_object(name, &json!({}));
        state.nodes.apply(Event::Delete(object));
    }

    /// The first complete list of nodes has exactly these.
    pub(super) fn list_nodes(&self, names: &[&str]) {
        let mut state = self.state.lock().expect("no panic");
        state.nodes.apply(Event::Init);
        for name in names {
            let object = state.node_object(name, &json!({}));
            state.nodes.apply(Event::InitApply(object));
        }
        state.nodes.apply(Event::InitDone);
    }

    /// The next call of this name is refused.
    pub(super) fn refuse(&self, call: &'static str, error: ClusterError) {
        self.state.lock().expect("no panic").refusals.push_back((call, error));
    }

    fn begin(&self, call: &'static str, service: &Service) -> Result<(), ClusterError> {
        let mut state = self.state.lock().expect("no panic");
        if state.refusals.front().is_some_and(|(name, _)| *name == call) {
            let (_, error) = state.refusals.pop_front().expect("just seen");
            self.log.lock().expect("no panic").push(format!("api {call} {}: refused", service.key));
            return Err(error);
        }
        let object = format!("Service {}", service.key);
        match state.services.get(&service.key) {
            None => Err(ClusterError::NotFound { object }),
            Some(stored) if stored["metadata"]["uid"] != json!(service.uid) => Err(ClusterError::Conflict { object }),
            Some(_) => Ok(()),
        }
    }

    fn patched(&self, what: String, key: &ServiceKey, change: impl FnOnce(&mut Value)) -> Service {
        self.log.lock().expect("no panic").push(what);
        self.state.lock().expect("no panic").change(key, change)
    }

    /// What the provider writes, by way of the real adapter's bookkeeping.
    pub(super) fn provider_write(&self, own_writes: &OwnWrites, patch: &ServicePatch) {
        own_writes.note(patch);
        let mut fields = json!({ "metadata": { "annotations": patch.annotations } });
        if let Change::Set(ip) = patch.load_balancer_ip {
            fields["spec"] = json!({ "loadBalancerIP": ip });
        }
        self.patched(format!("cloud writes {}", patch.service), &patch.service, |object| {
            json_patch::merge(object, &fields);
        });
    }
}

impl ClusterState {
    fn change(&mut self, key: &ServiceKey, change: impl FnOnce(&mut Value)) -> Service {
        let object = self.services.get_mut(key).expect("the service is there");
        let before = object.clone();
        change(object);
        if *object != before {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            let object = parse(object);
            let meta = &object.metadata;
            if meta.deletion_timestamp.is_some() && meta.finalizers.iter().flatten().next().is_none() {
                self.services.remove(key);
                self.tell(Event::Delete(object.clone()));
            } else {
                self.tell(Event::Apply(object.clone()));
            }
            return convert::service(&object);
        }
        convert::service(&parse(object))
    }

    fn tell(&mut self, event: Event<api::Service>) {
        match &mut self.held_back {
            Some(events) => events.push(event),
            None => self.writer.apply(event),
        }
    }

    fn node_object(&mut self, name: &str, fields: &Value) -> api::Node {
        self.version += 1;
        let mut object = json!({
            "metadata": { "name": name, "uid": name, "resourceVersion": self.version.to_string() },
            "spec": { "providerID": format!("equinixmetal://{name}") },
        });
        json_patch::merge(&mut object, fields);
        serde_json::from_value(object).expect("a Node")
    }
}

fn parse(object: &Value) -> api::Service {
    serde_json::from_value(object.clone()).expect("a Service")
}

#[async_trait]
impl ServiceApi for FakeCluster {
    async fn exists(&self, key: &ServiceKey) -> Result<bool, ClusterError> {
        Ok(self.state.lock().expect("no panic").services.contains_key(key))
    }

    async fn add_finalizer(&self, service: &Service) -> Result<(), ClusterError> {
        self.begin("+finalizer", service)?;
        self.patched(format!("api +finalizer {}", service.key), &service.key, |object| {
            match object["metadata"]["finalizers"].as_array_mut() {
                Some(list) => list.push(json!(LOAD_BALANCER_FINALIZER)),
                None => object["metadata"]["finalizers"] = json!([LOAD_BALANCER_FINALIZER]),
            }
        });
        Ok(())
    }

    async fn remove_finalizer(&self, service: &Service) -> Result<Service, ClusterError> {
        self.begin("-finalizer", service)?;
        Ok(self.patched(format!("api -finalizer {}", service.key), &service.key, |object| {
            if let Some(list) = object["metadata"]["finalizers"].as_array_mut() {
                list.retain(|finalizer| *finalizer != json!(LOAD_BALANCER_FINALIZER));
            }
        }))
    }

    async fn set_ingress(&self, service: &Service, ingress: &[Ingress]) -> Result<(), ClusterError> {
        self.begin("status", service)?;
        let mut list = convert::ingress_list(ingress);
        for entry in list.as_array_mut().expect("a list") {
            // As the API server defaults it.
            entry["ipMode"] = json!("VIP");
        }
        let shown: Vec<String> = ingress.iter().filter_map(|entry| entry.ip).map(|ip| ip.to_string()).collect();
        self.patched(format!("api status {} [{}]", service.key, shown.join(" ")), &service.key, |object| {
            object["status"] = json!({ "loadBalancer": { "ingress": list } });
        });
        Ok(())
    }
}

/// A cloud that gives every Service an address, remembers what it gave and fails on demand.
pub(super) struct FakeProvider {
    log: Log,
    pub(super) balancers: Mutex<BTreeMap<ServiceKey, String>>,
    pub(super) failures: Mutex<VecDeque<(&'static str, ProviderError)>>,
    pub(super) decision: Mutex<String>,
    pub(super) no_address: Mutex<bool>,
    /// Writes the address and a record on the Service while it ensures it.
    pub(super) writes_back: Mutex<Option<Arc<FakeCluster>>>,
    own_writes: Arc<OwnWrites>,
    /// One permit is taken by each call, where there are not unlimited ones.
    pub(super) gate: Semaphore,
    running: Mutex<BTreeMap<ServiceKey, usize>>,
    pub(super) most_at_once: Mutex<usize>,
}

impl FakeProvider {
    pub(super) fn fail(&self, call: &'static str, error: ProviderError) {
        self.failures.lock().expect("no panic").push_back((call, error));
    }

    fn begin(&self, what: String, call: &'static str) -> Result<(), ProviderError> {
        self.log.lock().expect("no panic").push(format!("cloud {what}"));
        let mut failures = self.failures.lock().expect("no panic");
        match failures.iter().position(|(name, _)| *name == call) {
            Some(at) => Err(failures.remove(at).expect("just found").1),
            None => Ok(()),
        }
    }

    async fn one_at_a_time(&self, key: &ServiceKey) {
        {
            let mut running = self.running.lock().expect("no panic");
            let count = running.entry(key.clone()).or_default();
            *count += 1;
            assert_eq!(*count, 1, "two calls for {key} at once");
            let at_once: usize = running.values().sum();
            let mut most = self.most_at_once.lock().expect("no panic");
            *most = at_once.max(*most);
        }
        let permit = self.gate.acquire().await.expect("open");
        if self.gate.available_permits() < UNLIMITED / 2 {
            permit.forget();
        }
        *self.running.lock().expect("no panic").get_mut(key).expect("just counted") -= 1;
    }

    fn write_back(&self, service: &Service) {
        let cluster = self.writes_back.lock().expect("no panic").clone();
        let patch = ServicePatch {
            service: service.key.clone(),
            uid: service.uid.clone(),
            load_balancer_ip: Change::Set("192.0.2.1".parse().expect("an address")),
            annotations: BTreeMap::new(),
        };
        let record = ServicePatch {
            load_balancer_ip: Change::Keep,
            annotations: BTreeMap::from([("record".into(), Some("vip".into()))]),
            ..patch.clone()
        };
        if let Some(cluster) = cluster.filter(|_| service.load_balancer_ip.is_none()) {
            cluster.provider_write(&self.own_writes, &patch);
            cluster.provider_write(&self.own_writes, &record);
        }
    }
}

fn names(nodes: &NodeSet) -> String {
    let names: Vec<&str> = nodes.nodes().iter().map(|node| node.name.as_str()).collect();
    names.join(" ")
}

#[async_trait]
impl LoadBalancer for FakeProvider {
    fn claim(&self, service: &Service) -> Claim {
        let decision = self.decision.lock().expect("no panic").clone();
        match (&service.load_balancer_class, service.kind, decision.as_str()) {
            (Some(_), ..) => Claim::NotOurs("a class".into()),
            (None, ServiceType::LoadBalancer, "ignore") => Claim::NotOurs("a rule ignores it".into()),
            (None, ServiceType::LoadBalancer, _) => Claim::Served(decision),
            (None, _, _) => Claim::NotOurs("another type".into()),
        }
    }

    fn observe(&self, service: &Service) {
        self.log.lock().expect("no panic").push(format!("seen {}", service.key));
    }

    fn forget(&self, service: &ServiceKey) {
        self.log.lock().expect("no panic").push(format!("forgotten {service}"));
    }

    fn load_balancer_name(&self, service: &Service) -> String {
        service.key.to_string()
    }

    async fn get_load_balancer(&self, service: &Service) -> Result<Option<Vec<Ingress>>, ProviderError> {
        self.begin(format!("get {}", service.key), "get")?;
        Ok(self.balancers.lock().expect("no panic").get(&service.key).map(|_| Vec::new()))
    }

    async fn ensure_load_balancer(
        &self,
        service: &Service,
        nodes: &Arc<NodeSet>,
    ) -> Result<Vec<Ingress>, ProviderError> {
        let begun = self.begin(format!("ensure {} [{}]", service.key, names(nodes)), "ensure");
        self.one_at_a_time(&service.key).await;
        self.write_back(service);
        begun?;
        self.balancers.lock().expect("no panic").insert(service.key.clone(), service.uid.clone());
        match *self.no_address.lock().expect("no panic") {
            true => Ok(Vec::new()),
            false => Ok(vec![Ingress::address("192.0.2.1".parse().expect("an address"))]),
        }
    }

    async fn update_load_balancer(&self, service: &Service, nodes: &Arc<NodeSet>) -> Result<(), ProviderError> {
        let begun = self.begin(format!("update {} [{}]", service.key, names(nodes)), "update");
        self.one_at_a_time(&service.key).await;
        begun
    }

    async fn ensure_load_balancer_deleted(&self, service: &Service) -> Result<(), ProviderError> {
        let begun = self.begin(format!("delete {} {}", service.key, service.uid), "delete");
        self.one_at_a_time(&service.key).await;
        begun?;
        self.balancers.lock().expect("no panic").remove(&service.key);
        Ok(())
    }
}

/// Puts events into the log.
struct LoggedEvents(Log);

impl EventSink for LoggedEvents {
    fn record(&self, event: NewEvent) {
        let about = event.about.name.unwrap_or_default();
        let failure = match event.reason.ends_with("Failed") {
            true => format!(": {}", event.message),
            false => String::new(),
        };
        let line = format!("event {} {} {about}{failure}", event.severity.as_str(), event.reason);
        self.0.lock().expect("no panic").push(line);
    }
}

/// Puts figures into a list of their own.
#[derive(Default)]
pub(super) struct Figures(pub(super) Mutex<Vec<String>>);

impl ServiceMetrics for Figures {
    fn load_balancer_updated(&self, took: Duration) {
        self.0.lock().expect("no panic").push(format!("updated in {took:?}"));
    }
    fn node_sync_failed(&self) {
        self.0.lock().expect("no panic").push("failed".into());
    }
    fn nodes_synced(&self, took: Duration) {
        self.0.lock().expect("no panic").push(format!("synced in {took:?}"));
    }
}

/// Everything around the controller.
pub(super) struct World {
    log: Log,
    pub(super) cluster: Arc<FakeCluster>,
    pub(super) provider: Arc<FakeProvider>,
    pub(super) figures: Arc<Figures>,
    decisions: watch::Sender<()>,
    parts: Option<(ServiceLbConfig, ServiceLbParts)>,
    running: Option<JoinHandle<Result<(), ControllerError>>>,
    cancel: CancellationToken,
}

pub(super) fn web() -> ServiceKey {
    ServiceKey::new("shop", "web")
}

/// What makes a Service one of type LoadBalancer.
pub(super) fn load_balancer() -> Value {
    json!({ "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] } })
}

/// The log, without what the provider was shown.
fn without_seen(log: &Log) -> Vec<String> {
    let mut log = log.lock().expect("no panic");
    std::mem::take(&mut *log)
        .into_iter()
        .filter(|line| !line.starts_with("seen ") && !line.starts_with("forgotten "))
        .collect()
}

impl World {
    /// A cluster with no node and no Service, a cloud, and a controller that was not started.
    pub(super) fn new() -> Self {
        let log = Log::default();
        let (services, writer) = cache::<Service>();
        let (nodes, node_writer) = cache::<Node>();
        let cluster = Arc::new(FakeCluster {
            log: Arc::clone(&log),
            state: Mutex::new(ClusterState {
                services: BTreeMap::new(),
                version: 100,
                uids: 0,
                writer,
                nodes: node_writer,
                held_back: None,
                refusals: VecDeque::new(),
            }),
        });
        let own_writes = Arc::new(OwnWrites::default());
        let provider = Arc::new(FakeProvider {
            log: Arc::clone(&log),
            balancers: Mutex::default(),
            failures: Mutex::default(),
            decision: Mutex::new("vip".into()),
            no_address: Mutex::new(false),
            writes_back: Mutex::default(),
            own_writes: Arc::clone(&own_writes),
            gate: Semaphore::new(UNLIMITED),
            running: Mutex::default(),
            most_at_once: Mutex::default(),
        });
        let figures = Arc::new(Figures::default());
        let (decisions, changed) = watch::channel(());
        let parts = ServiceLbParts {
            load_balancer: Arc::clone(&provider) as Arc<dyn LoadBalancer>,
            services,
            nodes,
            api: Arc::clone(&cluster) as Arc<dyn ServiceApi>,
            events: Arc::new(LoggedEvents(Arc::clone(&log))),
            own_writes,
            decisions_changed: changes_of(changed),
            metrics: Arc::clone(&figures) as Arc<dyn ServiceMetrics>,
            queue_metrics: Arc::new(NoQueueMetrics),
            node_queue_metrics: Arc::new(NoQueueMetrics),
        };
        let parts = Some((ServiceLbConfig::default(), parts));
        Self { log, cluster, provider, figures, decisions, parts, running: None, cancel: CancellationToken::new() }
    }

    /// A controller that runs, in a cluster with the nodes n1 and n2, and is idle.
    pub(super) async fn running() -> Self {
        let mut world = Self::new();
        world.cluster.list_nodes(&["n1", "n2"]);
        world.cluster.relist();
        world.start().await;
        world
    }

    /// The same, with a Service that has its load balancer.
    pub(super) async fn with_web() -> Self {
        let world = Self::running().await;
        world.cluster.write(&web(), load_balancer());
        world.idle().await;
        world.log();
        world
    }

    pub(super) fn workers(&mut self, workers: usize) {
        self.parts.as_mut().expect("not started").0.workers = workers;
    }

    pub(super) async fn start(&mut self) {
        let (config, parts) = self.parts.take().expect("not started");
        let controller = ServiceLb::new(config, parts);
        self.running = Some(tokio::spawn(controller.run(self.cancel.clone())));
        self.idle().await;
    }

    /// Waits until nothing is left to do now. The clock, which is paused, moves on by one millisecond only then.
    pub(super) async fn idle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Lets time pass.
    pub(super) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// What was done since the last question, without what the provider was shown.
    pub(super) fn log(&self) -> Vec<String> {
        without_seen(&self.log)
    }

    /// What was done since the last question.
    pub(super) fn whole_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().expect("no panic"))
    }

    /// Puts another policy in force.
    pub(super) async fn decide(&self, decision: &str) {
        *self.provider.decision.lock().expect("no panic") = decision.into();
        self.decisions.send_replace(());
        self.idle().await;
    }

    /// Asks the controller to end, and waits for it.
    pub(super) async fn stop(mut self) -> Result<(), ControllerError> {
        self.cancel.cancel();
        self.running.take().expect("started").await.expect("no panic")
    }

    /// Waits for the controller to end by itself.
    pub(super) async fn end(mut self) -> Result<(), ControllerError> {
        self.running.take().expect("started").await.expect("no panic")
    }
}

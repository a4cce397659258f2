use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use pretty_assertions::assert_eq;

use super::*;
use crate::domain::node::UNINITIALIZED_TAINT;
use crate::domain::testing::{device, node};
use crate::domain::{
    BgpNeighbor, BgpSession, DeviceId, DeviceState, IpFamily, IpReservation, ReservationId, ReservationRequest, Secret,
    Taint, TaintEffect, TopologyLabel,
};
use crate::policy::{Policy, PolicyHash};
use crate::ports::ProjectBgp;
use crate::strategy::NodeStrategy;
use crate::strategy::node_labels::{NodeRule, Template, TemplatePart, TopologySource};

/// A project whose listing is made anew when a caller asks for a younger one. Its time is the test's.
#[derive(Default)]
struct Project {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: i64,
    devices: Vec<Device>,
    listed: Vec<Arc<Device>>,
    listed_at: Option<i64>,
    listings: usize,
    single_reads: usize,
    failure: Option<MetalError>,
}

impl Project {
    fn at(now: i64) -> Arc<Self> {
        let project = Self::default();
        project.state.lock().unwrap().now = now;
        Arc::new(project)
    }

    fn set_time(&self, now: i64) {
        self.state.lock().unwrap().now = now;
    }

    fn add(&self, device: Device) {
        self.state.lock().unwrap().devices.push(device);
    }

    fn fail(&self, failure: Option<MetalError>) {
        self.state.lock().unwrap().failure = failure;
    }

    /// Listings and single reads so far.
    fn calls(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.listings, state.single_reads)
    }

    fn list(&self, max_age: MaxAge) -> Result<Vec<Arc<Device>>, MetalError> {
        let mut state = self.state.lock().unwrap();
        let age = state.listed_at.map(|at| state.now - at);
        let limit = i64::try_from(max_age.0.as_secs()).expect("ages are short");
        if age.is_none_or(|age| age >= limit) {
            state.listings += 1;
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            state.listed = state.devices.iter().cloned().map(Arc::new).collect();
            state.listed_at = Some(state.now);
        }
        Ok(state.listed.clone())
    }
}

impl Clock for Project {
    fn now(&self) -> i64 {
        self.state.lock().unwrap().now
    }
}

fn not_asked<T>() -> Result<T, MetalError> {
    Err(MetalError::NotFound { request: "nothing but devices is here".into() })
}

#[async_trait]
impl Metal for Project {
    async fn devices(&self, max_age: MaxAge) -> Result<Vec<Arc<Device>>, MetalError> {
        self.list(max_age)
    }

    async fn device_by_hostname(&self, name: &str, max_age: MaxAge) -> Result<Option<Arc<Device>>, MetalError> {
        Ok(self.list(max_age)?.into_iter().find(|device| device.hostname == name))
    }

    async fn existence(&self, id: &DeviceId, max_age: MaxAge) -> Result<Existence, MetalError> {
        if let Some(device) = self.list(max_age)?.into_iter().find(|device| device.id == *id) {
            return Ok(Existence::Exists(device));
        }
        let mut state = self.state.lock().unwrap();
        state.single_reads += 1;
        match state.devices.iter().find(|device| device.id == *id) {
            Some(device) => Ok(Existence::Exists(Arc::new(device.clone()))),
            None => Ok(Existence::Gone),
        }
    }

    async fn reservations(&self, _: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError> {
        not_asked()
    }
    async fn reservations_tagged(&self, _: &[&str], _: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError> {
        not_asked()
    }
    async fn reservation(&self, _: &ReservationId) -> Result<Option<Arc<IpReservation>>, MetalError> {
        not_asked()
    }
    async fn reservation_of(&self, _: IpAddr, _: MaxAge) -> Result<Option<Arc<IpReservation>>, MetalError> {
        not_asked()
    }
    async fn bgp(&self, _: MaxAge) -> Result<Arc<ProjectBgp>, MetalError> {
        not_asked()
    }
    async fn neighbors(&self, _: &BgpSession) -> Result<Arc<Vec<BgpNeighbor>>, MetalError> {
        not_asked()
    }
    async fn reserve(&self, _: &ReservationRequest) -> Result<Arc<IpReservation>, MetalError> {
        not_asked()
    }
    async fn release(&self, _: &ReservationId) -> Result<(), MetalError> {
        not_asked()
    }
    async fn enable_bgp(&self, _: u32, _: Option<&Secret>) -> Result<(), MetalError> {
        not_asked()
    }
    async fn create_bgp_session(&self, _: &DeviceId, _: IpFamily) -> Result<(), MetalError> {
        not_asked()
    }
}

fn policy(nodes: NodeStrategy) -> Policy {
    let mut policy = Policy::nothing("test", PolicyHash::new("0123456789abcdef"));
    policy.nodes = nodes;
    policy
}

fn strategy() -> NodeStrategy {
    NodeStrategy {
        provider_names: vec!["equinixmetal".into(), "packet".into()],
        region: TopologySource::Metro,
        zone: TopologySource::Facility,
        rules: vec![],
    }
}

fn instances(project: &Arc<Project>) -> Instances {
    Instances::new(
        Arc::clone(project) as Arc<dyn Metal>,
        Arc::new(PolicyStore::new(policy(strategy()))),
        Arc::clone(project) as Arc<dyn Clock>,
    )
}

fn with_id(provider_id: &str) -> Node {
    Node { provider_id: provider_id.into(), ..node("n1") }
}

fn uninitialized(created_at: i64) -> Node {
    Node {
        created_at,
        taints: vec![Taint { key: UNINITIALIZED_TAINT.into(), value: "true".into(), effect: TaintEffect::NoSchedule }],
        ..node("n1")
    }
}

fn forbidden() -> MetalError {
    MetalError::Unauthorized { request: "GET /projects/p/devices".into() }
}

#[tokio::test]
async fn inst_01_03_06_node_10_a_device_is_found_by_any_form_of_its_provider_id() {
    let project = Project::at(2_000);
    project.add(device("other"));
    project.add(device("n1"));
    let instances = instances(&project);
    for id in ["equinixmetal://id-n1", "packet://id-n1", "id-n1"] {
        let node = with_id(id);
        assert!(instances.instance_exists(&node).await.unwrap(), "{id}");
        let found = instances.instance_metadata(&node).await.unwrap();
        assert_eq!(found.provider_id.to_string(), "equinixmetal://id-n1", "{id}");
    }
    assert_eq!(project.calls(), (1, 0), "all from one listing");
}

#[tokio::test]
async fn inst_01_02_04_a_provider_id_that_names_no_device_of_ours_is_an_error() {
    let project = Project::at(2_000);
    project.add(device("n1"));
    let instances = instances(&project);
    let cases = [
        ("", "providerID cannot be empty"),
        ("aws://id-n1", "provider name from providerID should be equinixmetal: aws://id-n1"),
        (
            "equinixmetal://",
            "unexpected providerID format: equinixmetal://, format should be: 'device-id' or 'equinixmetal://device-id'",
        ),
    ];
    for (id, message) in cases {
        let node = with_id(id);
        let exists = instances.instance_exists(&node).await.unwrap_err();
        assert_eq!(exists.to_string(), message, "exists: {id:?}");
        let shutdown = instances.instance_shutdown(&node).await.unwrap_err();
        assert_eq!(shutdown.to_string(), message, "shutdown: {id:?}");
    }
    assert_eq!(project.calls(), (0, 0), "there is nothing to ask, least of all by name");
}

#[tokio::test]
async fn inst_03_any_state_exists_and_only_a_definite_answer_says_gone() {
    let project = Project::at(2_000);
    let states = ["queued", "deprovisioning", "failed", "inactive", "deleted", "hibernating"];
    for state in states {
        project.add(Device { state: DeviceState::parse(state), ..device(state) });
    }
    let instances = instances(&project);
    for state in states {
        let node = with_id(&format!("equinixmetal://id-{state}"));
        assert!(instances.instance_exists(&node).await.unwrap(), "{state}");
    }
    assert!(!instances.instance_exists(&with_id("equinixmetal://none")).await.unwrap());

    project.set_time(3_000);
    project.fail(Some(forbidden()));
    let error = instances.instance_exists(&with_id("equinixmetal://none")).await.unwrap_err();
    assert!(
        matches!(error, ProviderError::Metal(MetalError::Unauthorized { .. })),
        "a token without rights says nothing about the device: {error}"
    );
}

#[tokio::test]
async fn inst_05_only_an_inactive_device_is_shut_down() {
    let project = Project::at(2_000);
    for (state, shut_down) in
        [("inactive", true), ("active", false), ("powering_off", false), ("failed", false), ("hibernating", false)]
    {
        project.set_time(project.now() + 100);
        project.add(Device { state: DeviceState::parse(state), ..device(state) });
        let node = with_id(&format!("equinixmetal://id-{state}"));
        assert_eq!(instances(&project).instance_shutdown(&node).await.unwrap(), shut_down, "{state}");
    }
    let unknown = instances(&project).instance_shutdown(&with_id("equinixmetal://none")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "instance not found");
}

#[tokio::test]
async fn inst_06_07_without_a_provider_id_the_hostname_finds_the_device_among_all() {
    let project = Project::at(2_000);
    for i in 0..25 {
        project.add(device(&format!("n{i}")));
    }
    let instances = instances(&project);
    for i in 0..25 {
        let found = instances.instance_metadata(&node(&format!("n{i}"))).await.unwrap();
        assert_eq!(found.provider_id.to_string(), format!("equinixmetal://id-n{i}"));
    }
    assert_eq!(project.calls(), (1, 0), "one listing for all Nodes");
    let unknown = instances.instance_metadata(&node("n99")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "instance not found");
    let nameless = instances.instance_metadata(&node("")).await.unwrap_err();
    assert_eq!(nameless.to_string(), "node name cannot be empty");
}

#[tokio::test]
async fn inst_21_of_two_devices_with_a_hostname_the_first_listed_counts() {
    let project = Project::at(2_000);
    let named = |id: &str| Device { id: DeviceId::new(id), ..device("n1") };
    project.add(named("first"));
    project.add(named("second"));
    let found = instances(&project).instance_metadata(&node("n1")).await.unwrap();
    assert_eq!(found.provider_id.to_string(), "equinixmetal://first");
}

#[tokio::test]
async fn a_device_made_after_the_listing_is_found_at_once_by_its_fresh_node() {
    let project = Project::at(1_000);
    let instances = instances(&project);
    instances.instance_metadata(&uninitialized(0)).await.unwrap_err();
    assert_eq!(project.calls(), (1, 0), "an old Node's device would have been listed");

    project.set_time(1_030);
    project.add(device("n1"));
    instances.instance_metadata(&uninitialized(1_029)).await.unwrap();
    assert_eq!(project.calls(), (2, 0), "the listing was older than the Node");
}

#[tokio::test]
async fn a_node_without_a_device_causes_ever_fewer_listings() {
    let project = Project::at(1_000);
    let instances = instances(&project);
    // Asked every second, by retries and by its kubelet's status updates.
    let mut listings = Vec::new();
    for age in 0..600 {
        project.set_time(1_000 + age);
        instances.instance_metadata(&uninitialized(1_000)).await.unwrap_err();
        if [60, 120, 180, 240, 300, 360, 420, 480, 540].contains(&age) {
            listings.push(project.calls().0);
        }
    }
    let each_minute: Vec<_> = listings.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(each_minute, [1; 8]);
    assert!(listings[0] < 16, "{listings:?}");
}

#[tokio::test]
async fn existence_is_asked_of_a_listing_younger_than_the_illness() {
    let project = Project::at(1_000);
    project.add(device("n1"));
    let instances = instances(&project);
    let ill_since = |since| Node { readiness_since: since, ..with_id("equinixmetal://id-n1") };
    instances.instance_metadata(&node("n1")).await.unwrap();
    project.set_time(1_020);
    instances.instance_exists(&ill_since(1_005)).await.unwrap();
    assert_eq!(project.calls().0, 2, "listed before the illness");
    project.set_time(1_025);
    instances.instance_exists(&ill_since(1_005)).await.unwrap();
    instances.instance_shutdown(&ill_since(1_005)).await.unwrap();
    assert_eq!(project.calls().0, 2, "listed since");
    project.set_time(1_081);
    instances.instance_exists(&ill_since(1_005)).await.unwrap();
    assert_eq!(project.calls().0, 3, "a minute old");
    instances.instance_exists(&ill_since(9_999)).await.unwrap();
    assert_eq!(project.calls().0, 3, "a clock ahead of ours counts as now");
}

#[tokio::test]
async fn a_round_is_decided_by_the_policy_in_force() {
    let project = Project::at(2_000);
    project.add(device("n1"));
    let store = Arc::new(PolicyStore::new(policy(strategy())));
    let instances = Instances::new(
        Arc::clone(&project) as Arc<dyn Metal>,
        Arc::clone(&store),
        Arc::clone(&project) as Arc<dyn Clock>,
    );
    let before = instances.instance_metadata(&node("n1")).await.unwrap();
    assert_eq!(before.zone, TopologyLabel::Is("da11".into()));
    assert!(instances.manages(&with_id("packet://id-n1")));

    let template = |text: &str| Template(vec![TemplatePart::Literal(text.into())]);
    store.swap(policy(NodeStrategy {
        provider_names: vec!["equinixmetal".into()],
        zone: TopologySource::None,
        rules: vec![NodeRule {
            name: "all".into(),
            matches: Default::default(),
            labels: BTreeMap::from([("tier".into(), template("gold")), ("bad".into(), template("no label value"))]),
            annotations: BTreeMap::new(),
            taints: vec![],
        }],
        ..strategy()
    }));
    let after = instances.instance_metadata(&node("n1")).await.unwrap();
    assert_eq!(after.zone, TopologyLabel::Unwanted);
    assert_eq!(after.managed.labels, BTreeMap::from([("tier".into(), "gold".into())]));
    assert_eq!(after.problems.len(), 1);
    assert!(!instances.manages(&with_id("packet://id-n1")));
    assert_eq!(project.calls(), (1, 0), "another policy is no reason to ask Metal");
}

//! A Metal project and a cluster with state, whose writes fail when they are told to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::domain::{
    BgpConfig, BgpConfigStatus, BgpNeighbor, BgpSession, Device, DeviceId, Ingress, IpFamily, IpReservation, Node,
    ReservationId, ReservationRequest, Secret, Service, ServiceKey, SessionId,
};
use crate::plan::{Change, NodePatch, PasswordSource, ServicePatch};
use crate::ports::{Cluster, ClusterError, Existence, MaxAge, Metal, MetalError, Namespaces, ProjectBgp};
use crate::strategy::testing::{device, reservation};

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing happens.
    Before,
    /// It happens, and nobody learns of it.
    After,
}

#[derive(Default)]
struct Project {
    reservations: BTreeMap<String, IpReservation>,
    bought: u8,
    enabled: bool,
    sessions: BTreeMap<(DeviceId, IpFamily), BgpSession>,
    nodes: u8,
    trouble: Option<(Trouble, u8)>,
    writes: usize,
}

/// A Metal project.
#[derive(Default)]
pub(super) struct FakeMetal(Mutex<Project>);

impl FakeMetal {
    fn lock(&self) -> MutexGuard<'_, Project> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn seed(&self, reservation: IpReservation) {
        self.lock().reservations.insert(reservation.id.to_string(), reservation);
    }

    pub(super) fn held(&self) -> BTreeMap<String, IpReservation> {
        self.lock().reservations.clone()
    }

    pub(super) fn writes(&self) -> usize {
        self.lock().writes
    }

    pub(super) fn nodes(&self) -> Vec<String> {
        (0..self.lock().nodes).map(|n| format!("d{n}")).collect()
    }

    pub(super) fn set_nodes(&self, count: u8) {
        self.lock().nodes = count;
    }

    /// The next writes fail in this way.
    pub(super) fn trouble(&self, trouble: Trouble, writes: u8) {
        self.lock().trouble = (writes > 0).then_some((trouble, writes));
    }

    fn write<T>(&self, request: &str, change: impl FnOnce(&mut Project) -> T) -> Result<T, MetalError> {
        let mut project = self.lock();
        let lost = || MetalError::Unreachable { request: request.to_owned(), cause: "the test cut it".to_owned() };
        let trouble = project.trouble;
        if let Some((_, left)) = &mut project.trouble {
            *left -= 1;
            if *left == 0 {
                project.trouble = None;
            }
        }
        match trouble {
            Some((Trouble::Before, _)) => Err(lost()),
            Some((Trouble::After, _)) => {
                change(&mut project);
                Err(lost())
            }
            None => {
                project.writes += 1;
                Ok(change(&mut project))
            }
        }
    }
}

#[async_trait]
impl Metal for FakeMetal {
    async fn devices(&self, _: MaxAge) -> Result<Vec<Arc<Device>>, MetalError> {
        Ok(self.nodes().iter().map(|id| device(id)).collect())
    }

    async fn device_by_hostname(&self, _: &str, _: MaxAge) -> Result<Option<Arc<Device>>, MetalError> {
        Ok(None)
    }

    async fn existence(&self, _: &DeviceId, _: MaxAge) -> Result<Existence, MetalError> {
        Ok(Existence::Gone)
    }

    async fn reservations(&self, _: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError> {
        Ok(self.held().into_values().map(Arc::new).collect())
    }

    async fn reservations_tagged(&self, tags: &[&str], _: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError> {
        let tagged = |r: &IpReservation| r.has_tags(tags.iter().copied());
        Ok(self.held().into_values().filter(tagged).map(Arc::new).collect())
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Option<Arc<IpReservation>>, MetalError> {
        Ok(self.held().remove(id.as_str()).map(Arc::new))
    }

    async fn reservation_of(&self, address: IpAddr, _: MaxAge) -> Result<Option<Arc<IpReservation>>, MetalError> {
        Ok(self.held().into_values().find(|r| r.address == Some(address)).map(Arc::new))
    }

    async fn bgp(&self, _: MaxAge) -> Result<Arc<ProjectBgp>, MetalError> {
        let project = self.lock();
        let enabled = BgpConfig { status: BgpConfigStatus::Enabled, asn: 65000, md5: None, max_prefix: None };
        Ok(Arc::new(ProjectBgp { config: project.enabled.then_some(enabled), sessions: project.sessions.clone() }))
    }

    async fn neighbors(&self, _: &BgpSession) -> Result<Arc<Vec<BgpNeighbor>>, MetalError> {
        Ok(Arc::new(vec![BgpNeighbor {
            family: IpFamily::V4,
            customer_as: 65000,
            customer_ip: IpAddr::V4(Ipv4Addr::new(10, 70, 41, 3)),
            peer_as: 65530,
            peer_ips: vec![IpAddr::V4(Ipv4Addr::new(169, 254, 255, 1))],
            md5_password: None,
        }]))
    }

    async fn reserve(&self, request: &ReservationRequest) -> Result<Arc<IpReservation>, MetalError> {
        self.write("POST ips", |project| {
            project.bought += 1;
            let id = format!("r{:03}", project.bought);
            let address = format!("145.40.70.{}", project.bought);
            let tags: Vec<&str> = request.tags.iter().map(String::as_str).collect();
            let mut made = reservation(&id, &address, &tags);
            made.metro = match &request.location {
                Some(crate::domain::reservation::Location::Metro(code)) => Some(code.clone()),
                _ => None,
            };
            project.reservations.insert(id, made.clone());
            Arc::new(made)
        })
    }

    async fn release(&self, reservation: &ReservationId) -> Result<(), MetalError> {
        self.write("DELETE ips", |project| drop(project.reservations.remove(reservation.as_str())))
    }

    async fn enable_bgp(&self, _: u32, _: Option<&Secret>) -> Result<(), MetalError> {
        self.write("POST bgp-configs", |project| project.enabled = true)
    }

    async fn create_bgp_session(&self, device: &DeviceId, family: IpFamily) -> Result<(), MetalError> {
        self.write("POST sessions", |project| {
            let id = SessionId::new(format!("session-{device}"));
            project.sessions.insert((device.clone(), family), BgpSession { id, device: device.clone(), family });
        })
    }
}

#[derive(Default)]
struct Objects {
    services: BTreeMap<ServiceKey, Service>,
    annotations: BTreeMap<String, BTreeMap<String, String>>,
    version: u64,
    writes: usize,
}

impl Objects {
    fn change(&mut self, key: &ServiceKey, change: impl FnOnce(&mut Service)) -> Option<Service> {
        let service = self.services.get_mut(key)?;
        change(service);
        self.version += 1;
        service.resource_version = self.version.to_string();
        Some(service.clone())
    }
}

/// A cluster.
#[derive(Default)]
pub(super) struct FakeCluster(Mutex<Objects>);

const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

impl FakeCluster {
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn services(&self) -> BTreeMap<ServiceKey, Service> {
        self.lock().services.clone()
    }

    pub(super) fn writes(&self) -> usize {
        self.lock().writes
    }

    pub(super) fn create(&self, mut service: Service) {
        let mut objects = self.lock();
        objects.version += 1;
        service.uid = format!("uid-{}", objects.version);
        service.resource_version = objects.version.to_string();
        service.created_at = format!("2026-01-01T00:00:00.{:06}Z", objects.version);
        objects.services.entry(service.key.clone()).or_insert(service);
    }

    pub(super) fn edit(&self, key: &ServiceKey, change: impl FnOnce(&mut Service)) {
        self.lock().change(key, |service| {
            if !service.deleting {
                change(service);
            }
        });
    }

    pub(super) fn delete(&self, key: &ServiceKey) {
        let mut objects = self.lock();
        match objects.services.get(key) {
            Some(service) if service.finalizers.is_empty() => drop(objects.services.remove(key)),
            Some(_) => drop(objects.change(key, |service| service.deleting = true)),
            None => {}
        }
    }

    pub(super) fn add_finalizer(&self, key: &ServiceKey) {
        let mut objects = self.lock();
        let there = objects.services.get(key).is_none_or(|service| !service.finalizers.is_empty());
        if !there {
            objects.change(key, |service| service.finalizers = vec![FINALIZER.to_owned()]);
        }
    }

    /// Removes the finalizer, and with it an object that is being deleted.
    pub(super) fn finish(&self, key: &ServiceKey) {
        let mut objects = self.lock();
        objects.change(key, |service| {
            service.finalizers.clear();
            service.ingress.clear();
        });
        if objects.services.get(key).is_some_and(|service| service.deleting) {
            objects.services.remove(key);
        }
    }

    pub(super) fn set_status(&self, key: &ServiceKey, ingress: Vec<Ingress>) {
        self.lock().change(key, |service| service.ingress = ingress);
    }

    /// The Node with the annotations that were written on it.
    pub(super) fn written_node(&self, mut node: Node) -> Node {
        node.annotations = self.lock().annotations.get(&node.name).cloned().unwrap_or_default();
        node
    }
}

#[async_trait]
impl Cluster for FakeCluster {
    async fn patch_service(&self, patch: &ServicePatch) -> Result<Service, ClusterError> {
        let mut objects = self.lock();
        objects.writes += 1;
        let object = format!("Service {}", patch.service);
        match objects.services.get(&patch.service) {
            None => return Err(ClusterError::NotFound { object }),
            Some(service) if service.uid != patch.uid => return Err(ClusterError::Conflict { object }),
            Some(_) => {}
        }
        let changed = objects.change(&patch.service, |service| {
            match &patch.load_balancer_ip {
                Change::Keep => {}
                Change::Set(ip) => service.load_balancer_ip = Some(ip.to_string()),
                Change::Clear => service.load_balancer_ip = None,
            }
            for (key, value) in &patch.annotations {
                match value {
                    Some(value) => drop(service.annotations.insert(key.clone(), value.clone())),
                    None => drop(service.annotations.remove(key)),
                }
            }
        });
        changed.ok_or(ClusterError::NotFound { object })
    }

    async fn patch_node(&self, patch: &NodePatch) -> Result<Node, ClusterError> {
        let mut objects = self.lock();
        objects.writes += 1;
        objects.version += 1;
        let version = objects.version.to_string();
        let annotations = objects.annotations.entry(patch.node.clone()).or_default();
        for (key, value) in &patch.annotations {
            match value {
                Some(value) => drop(annotations.insert(key.clone(), value.clone())),
                None => drop(annotations.remove(key)),
            }
        }
        let mut node = crate::strategy::testing::node(&patch.node);
        node.provider_id = format!("equinixmetal://{}", patch.node);
        node.annotations = annotations.clone();
        node.resource_version = version;
        Ok(node)
    }

    async fn service(&self, key: &ServiceKey) -> Result<Option<Service>, ClusterError> {
        Ok(self.services().remove(key))
    }

    async fn password(&self, source: &PasswordSource) -> Result<Secret, ClusterError> {
        Err(ClusterError::NotFound { object: source.to_string() })
    }
}

/// No Namespace has labels.
pub(super) struct NoNamespaces;

impl Namespaces for NoNamespaces {
    fn labels(&self, _: &str) -> Option<Arc<BTreeMap<String, String>>> {
        None
    }
}

//! The facts a round may use. Gathered once at its start; nothing else is looked at.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::domain::{
    BgpConfig, BgpNeighbor, ClusterId, Device, IpReservation, Node, Record, Service, ServiceKey, ServiceTags,
    record::RECORD_ANNOTATION,
};

/// Facts about one Service.
#[derive(Debug, Clone)]
pub struct ServiceFacts {
    /// The Service, our own last write included.
    pub service: Service,
    /// What it was given before.
    pub record: Option<Record>,
    /// The ownership tags of what Metal holds for it.
    pub tags: ServiceTags,
    /// Reservations that carry all these tags, oldest first.
    pub reservations: Vec<Arc<IpReservation>>,
    /// The reservation that holds the address the user named, if there is one.
    pub requested_reservation: Option<Arc<IpReservation>>,
}

impl ServiceFacts {
    /// Facts with what the Service itself tells; reservations are added by the observer.
    pub fn new(service: Service, cluster: &ClusterId) -> Self {
        let record = service.annotations.get(RECORD_ANNOTATION).and_then(|text| Record::parse(text));
        let tags = ServiceTags::new(&service.key, cluster);
        Self { service, record, tags, reservations: Vec::new(), requested_reservation: None }
    }
}

/// Who holds which address, over all Services of the cluster.
pub trait Claims {
    /// Another Service than `service` that holds this address.
    fn other_holder(&self, address: IpAddr, service: &ServiceKey) -> Option<ServiceKey>;

    /// The address of this family that was set aside for the Service and is not written on it yet.
    fn set_aside(&self, service: &ServiceKey) -> Option<IpAddr>;

    /// How many addresses of a pool are held by other Services than this one.
    fn held_by_others(&self, pool: &str, service: &ServiceKey) -> usize;
}

/// Facts about BGP of the project and of the selected nodes.
#[derive(Debug, Clone, Default)]
pub struct BgpFacts {
    /// The project's configuration.
    pub config: Option<BgpConfig>,
    /// The project's private IPv4 blocks, for devices whose parent block the API did not tell.
    pub private_blocks: Vec<IpNet>,
    /// The selected nodes.
    pub nodes: Vec<NodeBgp>,
    /// Nodes that failed earlier in this round and are left for the next.
    pub given_up: BTreeSet<String>,
}

/// What is known of one node's BGP.
#[derive(Debug, Clone)]
pub struct NodeBgp {
    /// The Node, our own last write included.
    pub node: Arc<Node>,
    /// Its machine and session, or why they cannot be told.
    pub machine: Result<NodeMachine, String>,
}

/// The machine behind a node.
#[derive(Debug, Clone)]
pub struct NodeMachine {
    /// The device.
    pub device: Arc<Device>,
    /// The neighbours of its IPv4 session; `None` while it has no session.
    pub neighbors: Option<Result<Arc<Vec<BgpNeighbor>>, String>>,
}

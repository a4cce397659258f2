//! The field's words as newtypes and enums: what Metal and Kubernetes call things, and nothing that does anything.

pub mod address;
pub mod bgp;
pub mod device;
pub mod instance;
pub mod labels;
pub mod node;
pub mod provider_id;
pub mod record;
pub mod reservation;
pub mod secret;
pub mod service;
pub mod tag;
#[cfg(test)]
pub(crate) mod testing;

pub use bgp::{BgpConfig, BgpConfigStatus, BgpNeighbor, BgpSession, SessionId};
pub use device::{Device, DeviceAddress, DeviceId, DeviceState};
pub use instance::{InstanceMetadata, ManagedFields, TopologyLabel};
pub use labels::{LabelRequirement, LabelSelector, Operator};
pub use node::{Node, NodeAddress, NodeAddressType, Readiness, Taint, TaintEffect};
pub use provider_id::{ProviderId, ProviderIdError};
pub use record::{AddressSource, Record};
pub use reservation::{IpReservation, ReservationId, ReservationRequest, ReservationState, ReservationType};
pub use secret::Secret;
pub use service::{Ingress, IpFamily, Protocol, Service, ServiceKey, ServicePort, ServiceType, TrafficPolicy};
pub use tag::{ClusterId, ServiceTags};

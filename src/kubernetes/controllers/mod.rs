//! The controllers of the cloud-provider contract.

pub mod cloud_node;
pub mod cloud_node_lifecycle;
pub mod error;
mod node_write;
pub mod service_lb;
#[cfg(test)]
pub(crate) mod testing;

pub use cloud_node::{CloudNode, CloudNodeConfig, CloudNodeParts, NoNodeMetrics, NodeMetrics};
pub use cloud_node_lifecycle::{CloudNodeLifecycle, CloudNodeLifecycleParts};
pub use error::ControllerError;
pub use service_lb::{NoServiceMetrics, ServiceLb, ServiceLbConfig, ServiceLbParts, ServiceMetrics};

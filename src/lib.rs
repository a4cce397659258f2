//! A Kubernetes cloud controller manager for Equinix Metal whose behaviour is decided by one declarative policy.
//!
//! The shape is *facts in, plan out*: [`domain`], [`plan`], [`strategy`] and [`policy`] are plain synchronous code
//! without clock, environment or network; [`ports`] names what the outside must offer; [`provider`] observes, plans and
//! executes until nothing is left to do; the rest are adapters.

pub mod app;
pub mod build_info;
pub mod cli;
pub mod domain;
pub mod kubernetes;
pub mod metal;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod provider;
pub mod sandbox;
pub mod settings;
pub mod shutdown;
pub mod strategy;
pub mod telemetry;

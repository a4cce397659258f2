//! The sandbox: a simulated Metal project and a small Kubernetes API, both ordinary HTTP servers on loopback.

pub mod kubernetes;
pub mod metal;

//! The program as users run it, against a cluster and the simulated Metal API.
//!
//! The same suites run against the sandbox's Kubernetes API (`cargo test`) and against a real etcd and kube-apiserver
//! (`make e2e`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../support/control_plane.rs"]
mod control_plane;
#[path = "../support/controller.rs"]
mod controller;
#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/world.rs"]
mod world;

mod crashes;
mod faults;
mod nodes;
mod pools;
mod services;

/// One kube-vip load balancer, addresses reserved in Dallas.
pub(crate) const KUBE_VIP: &str = "
apiVersion: policy.metal.equinix.com/v1alpha1
kind: CloudPolicy
metadata: {name: test}
spec:
  addressPools:
    - name: public
      elasticIP: {type: public_ipv4, metro: da}
  loadBalancers:
    - name: vip
      kubeVip: {}
  services:
    default: {loadBalancer: vip, addressPool: public}
";

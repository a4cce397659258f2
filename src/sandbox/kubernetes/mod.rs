//! A small Kubernetes API server: in memory, on loopback, faithful to kube-apiserver 1.36 in what it serves.
//!
//! It stores objects as JSON in the form in which the Go types would write them, so that what a client sends, what is
//! stored and what is served differ exactly as they do on a real server: unknown fields are dropped, zero values
//! omitted, defaults filled in, and what a real server refuses is refused with the same status and reason.
//!
//! Nothing runs here: no kubelet, no controller, no garbage collector. The one exception is that deleting a namespace
//! deletes what is in it.

mod access;
mod access_review;
mod allocation;
mod api;
mod crd;
mod decode;
mod discovery;
mod endpoints;
mod events;
mod fault;
mod field_error;
mod inspect;
mod journal;
mod managed_fields;
mod namespace;
mod negotiate;
mod node;
mod object;
mod openapi;
mod patch;
mod pod;
mod query;
mod registry;
mod render;
mod request;
mod rules;
mod schema;
mod seed;
mod selector;
mod server;
mod service;
mod service_allocation;
mod service_families;
mod status;
mod store;
mod structural;
mod table;
mod target;
mod timestamp;
mod token;
mod validation;
mod verbs;

pub use api::{ApiConfig, Grant, IpFamily, KubernetesApi, StartError, Token};
pub use fault::{Fault, FaultEffect};
pub use inspect::{InspectError, StoreHandle};
pub use journal::{Entry, Verb};

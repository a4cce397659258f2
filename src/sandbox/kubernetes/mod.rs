//! A small Kubernetes API server: in memory, on loopback, faithful to kube-apiserver 1.36 in what it serves.
//!
//! It stores objects as JSON in the form in which the Go types would write them, so that what a client sends, what is
//! stored and what is served differ exactly as they do on a real server: unknown fields are dropped, zero values
//! omitted, defaults filled in, and what a real server refuses is refused with the same status and reason.
//!
//! Nothing runs here: no kubelet, no controller, no garbage collector. The one exception is that deleting a namespace
//! deletes what is in it. What differs from a real server on purpose:
//!
//! - Every request is allowed unless tokens are configured; then a token is needed, and still nothing is forbidden to it.
//! - `propagationPolicy` is read and has no effect, as nothing would collect what it marks.
//! - Pods are stored and not admitted: no tolerations, priorities or volumes are added.
//! - Rules in CEL of custom resources are not run, and versions of one are not converted.
//! - There is OpenAPI v3 and no v2, so that kubectl before 1.28 finds no schema to check against.
//! - Answers are JSON; protobuf is read and never written.

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

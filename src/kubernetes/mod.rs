//! The cluster: controllers that watch it and what they need to read and write it.

pub mod cache;
pub mod client;
pub mod cluster;
pub mod controller_name;
pub mod controllers;
pub mod convert;
pub mod events;
pub mod lease;
pub mod metrics;
pub mod namespaces;
pub mod node_set;
pub mod nodes;
pub mod own_writes;
pub mod predicates;
pub mod queue;
pub mod refusal;
pub mod server;
pub mod services;

pub use cache::{Cache, CacheWriter, Cached, Delta, Deltas, cache};
pub use events::{EventRecorder, EventSink, EventWriter, NewEvent, Severity, events};
pub use nodes::{KubeNodes, NodeApi};
pub use queue::{Backoff, Outcome, QueueConfig, QueueMetrics, WorkQueue};

/// Who writes, as `metadata.managedFields` shows it.
pub const FIELD_MANAGER: &str = "cloud-provider-equinix-metal";

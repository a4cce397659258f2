//! The cluster: controllers that watch it and what they need to read and write it.

pub mod queue;

pub use queue::{Backoff, Outcome, QueueConfig, QueueMetrics, WorkQueue};

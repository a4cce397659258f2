//! The cluster: controllers that watch it and what they need to read and write it.

pub mod cache;
pub mod convert;
pub mod queue;

pub use cache::{Cache, CacheWriter, Cached, Delta, Deltas, cache};
pub use queue::{Backoff, Outcome, QueueConfig, QueueMetrics, WorkQueue};

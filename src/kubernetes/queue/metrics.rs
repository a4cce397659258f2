//! What a queue tells of itself.

use std::sync::Weak;
use std::time::Duration;

/// Where a queue's figures go. Calls are made under the queue's lock: they must be quick and must not call the queue.
pub trait QueueMetrics: Send + Sync {
    /// The queue exists: figures that are only of interest when somebody reads them are to be had here.
    fn attach(&self, probe: Weak<dyn QueueProbe>);
    /// A key was added that did not wait already.
    fn added(&self);
    /// A key was put off to be tried again.
    fn retried(&self);
    /// A key was handed out after waiting so long.
    fn waited(&self, queue_duration: Duration);
    /// A pass ended after so long.
    fn worked(&self, work_duration: Duration);
}

/// Figures of a queue as they are now.
pub trait QueueProbe: Send + Sync {
    /// Keys that wait to be handed out.
    fn depth(&self) -> usize;
    /// Time spent so far in passes that have not ended, added up.
    fn unfinished_work(&self) -> Duration;
    /// Time spent so far in the pass that began first of those.
    fn longest_running(&self) -> Duration;
}

/// Metrics of nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoQueueMetrics;

impl QueueMetrics for NoQueueMetrics {
    fn attach(&self, _: Weak<dyn QueueProbe>) {}
    fn added(&self) {}
    fn retried(&self) {}
    fn waited(&self, _: Duration) {}
    fn worked(&self, _: Duration) {}
}

//! A work queue for reconcilers: one pass per key at a time, retries with growing delay.
//!
//! # Guarantees
//! - A key is never processed twice at once. Adding it during its pass causes one more pass, however often it is added.
//! - A key that was added is handed out, unless the queue was shut down meanwhile.
//! - A failed key comes back after its own growing delay. Adding it hands it out at once and leaves the count of
//!   failures alone; only [`Outcome::Done`] resets it.
//! - A key waits for one thing only: a pass that begins takes a delayed retry of the same key with it.

mod metrics;
mod state;

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::state::State;

pub use metrics::{NoQueueMetrics, QueueMetrics, QueueProbe};

/// What a key is: cheap to clone, printable in logs.
pub trait Key: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static {}

impl<T: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static> Key for T {}

/// How a pass over a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well: its failures are forgotten.
    Done,
    /// Badly: it comes back after its growing delay.
    Failed,
    /// Badly, and nothing but somebody's change will mend it: it comes back after the longest delay.
    FailedForGood,
    /// Neither: it comes back after this delay, and its failures are counted as before.
    RetryAfter(Duration),
}

/// Growing delay of failed keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure; doubled by each further one.
    pub base: Duration,
    /// The longest.
    pub max: Duration,
}

impl Backoff {
    /// The delay after this many failures, the latest included.
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }
}

/// A limit of retries that all keys share: a bucket that refills steadily and holds so many at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Retries a second, on average.
    pub per_second: f64,
    /// Retries at once, after a quiet time.
    pub burst: u32,
}

/// How a queue behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueueConfig {
    /// Growing delay of failed keys.
    pub backoff: Backoff,
    /// Limit of retries over all keys.
    pub retry_limit: Option<RateLimit>,
}

/// What becomes of keys that wait when the queue is shut down. Delayed retries are dropped either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// They are handed out first.
    Finish,
    /// They are dropped; passes under way end by themselves.
    Drop,
}

/// The queue. Clones share it.
pub struct WorkQueue<K: Key> {
    shared: Arc<Shared<K>>,
}

/// A key that was handed out; its pass lasts until [`Pass::end`]. Dropped without that, it counts as failed.
#[must_use]
pub struct Pass<K: Key> {
    key: K,
    queue: WorkQueue<K>,
    ended: bool,
}

/// A worker panicked; the process must not go on as if nothing had happened.
#[derive(Debug, thiserror::Error)]
#[error("a worker panicked")]
pub struct WorkerPanicked(#[source] tokio::task::JoinError);

struct Shared<K: Key> {
    state: Mutex<State<K>>,
    changed: Notify,
    config: QueueConfig,
    metrics: Arc<dyn QueueMetrics>,
}

impl<K: Key> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Key> WorkQueue<K> {
    /// An empty queue.
    pub fn new(config: QueueConfig, metrics: Arc<dyn QueueMetrics>) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(config.retry_limit)),
            changed: Notify::new(),
            config,
            metrics,
        });
        let probe: Weak<Shared<K>> = Arc::downgrade(&shared);
        shared.metrics.attach(probe);
        Self { shared }
    }

    /// Has a key handed out as soon as may be.
    pub fn add(&self, key: K) {
        self.shared.lock().add(key, &*self.shared.metrics);
        self.shared.changed.notify_waiters();
    }

    /// Has a key handed out after a delay, unless it is added before that.
    pub fn add_after(&self, key: K, delay: Duration) {
        self.shared.lock().delay(key, delay);
        self.shared.changed.notify_waiters();
    }

    /// Waits for a key and begins its pass; `None` once the queue is shut down and has nothing to hand out.
    pub async fn next(&self) -> Option<Pass<K>> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let due = {
                let mut state = self.shared.lock();
                state.release_due(&*self.shared.metrics);
                if let Some(key) = state.begin(&*self.shared.metrics) {
                    return Some(Pass { key, queue: self.clone(), ended: false });
                }
                if state.is_done() {
                    return None;
                }
                state.next_due()
            };
            match due {
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Takes no more keys. Passes under way end by themselves; [`WorkQueue::next`] answers `None` when the rest is done.
    pub fn shut_down(&self, waiting: Waiting) {
        self.shared.lock().close(waiting);
        self.shared.changed.notify_waiters();
    }

    /// Failures of a key since its last success.
    pub fn failures(&self, key: &K) -> u32 {
        self.shared.lock().failures(key)
    }

    /// Whether no key waits, is delayed or is being processed.
    pub fn is_idle(&self) -> bool {
        self.shared.lock().is_idle()
    }

    /// Runs so many workers until the queue is shut down and done.
    ///
    /// # Errors
    /// A pass panicked. The other workers are stopped where they are.
    pub async fn work<F, Fut>(&self, workers: usize, pass: F) -> Result<(), WorkerPanicked>
    where
        F: Fn(K) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for _ in 0..workers.max(1) {
            let (queue, pass) = (self.clone(), pass.clone());
            tasks.spawn(async move {
                while let Some(item) = queue.next().await {
                    let outcome = pass(item.key().clone()).await;
                    item.end(outcome);
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(WorkerPanicked)?;
        }
        Ok(())
    }
}

impl<K: Key> QueueProbe for WorkQueue<K> {
    fn depth(&self) -> usize {
        self.shared.depth()
    }

    fn unfinished_work(&self) -> Duration {
        self.shared.unfinished_work()
    }

    fn longest_running(&self) -> Duration {
        self.shared.longest_running()
    }
}

impl<K: Key> Pass<K> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Ends the pass.
    pub fn end(mut self, outcome: Outcome) {
        self.ended = true;
        self.queue.end(&self.key, outcome);
    }
}

impl<K: Key> Drop for Pass<K> {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.end(&self.key, Outcome::Failed);
        }
    }
}

impl<K: Key> WorkQueue<K> {
    fn end(&self, key: &K, outcome: Outcome) {
        self.shared.lock().end(key, outcome, self.shared.config.backoff, &*self.shared.metrics);
        self.shared.changed.notify_waiters();
    }
}

impl<K: Key> Shared<K> {
    /// A panic elsewhere leaves the state whole: it is only changed in steps that cannot panic.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key> QueueProbe for Shared<K> {
    fn depth(&self) -> usize {
        self.lock().depth()
    }

    fn unfinished_work(&self) -> Duration {
        self.lock().running_for().sum()
    }

    fn longest_running(&self) -> Duration {
        self.lock().running_for().max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

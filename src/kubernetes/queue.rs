//! A work queue for reconcilers: one pass per key at a time, retries with growing delay.
//!
//! # Guarantees
//! - A key is never processed twice at once. Adding it during its pass causes one more pass, however often it is added.
//! - A key that was added is handed out, unless the queue was shut down meanwhile.
//! - A failed key comes back after its own growing delay. Adding it hands it out at once and leaves the count of
//!   failures alone; only [`Outcome::Done`] resets it.
//! - A key waits for one thing only: a pass that begins takes a delayed retry of the same key with it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// No key is put off for longer, whatever a caller asks: a far-off time would overflow the clock.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

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

struct State<K> {
    ready: VecDeque<K>,
    /// When each key that waits in `ready`, or is to be handed out again after its pass, was added.
    added: HashMap<K, Instant>,
    running: HashMap<K, Instant>,
    delayed: BTreeMap<(Instant, u64), K>,
    delayed_keys: HashMap<K, (Instant, u64)>,
    failures: HashMap<K, u32>,
    sequence: u64,
    bucket: Option<Bucket>,
    closed: bool,
}

struct Bucket {
    limit: RateLimit,
    tokens: f64,
    at: Instant,
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
            state: Mutex::new(State {
                ready: VecDeque::new(),
                added: HashMap::new(),
                running: HashMap::new(),
                delayed: BTreeMap::new(),
                delayed_keys: HashMap::new(),
                failures: HashMap::new(),
                sequence: 0,
                bucket: config.retry_limit.map(|limit| Bucket {
                    limit,
                    tokens: f64::from(limit.burst),
                    at: Instant::now(),
                }),
                closed: false,
            }),
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
                if state.closed && state.added.is_empty() {
                    return None;
                }
                state.delayed.keys().next().map(|(due, _)| *due)
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
        let mut state = self.shared.lock();
        state.closed = true;
        state.delayed.clear();
        state.delayed_keys.clear();
        match waiting {
            Waiting::Finish => {}
            Waiting::Drop => {
                state.ready.clear();
                state.added.clear();
            }
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Failures of a key since its last success.
    pub fn failures(&self, key: &K) -> u32 {
        self.shared.lock().failures.get(key).copied().unwrap_or(0)
    }

    /// Whether no key waits, is delayed or is being processed.
    pub fn is_idle(&self) -> bool {
        let state = self.shared.lock();
        state.added.is_empty() && state.running.is_empty() && state.delayed.is_empty()
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
        self.lock().added.len()
    }

    fn unfinished_work(&self) -> Duration {
        self.lock().running.values().map(Instant::elapsed).sum()
    }

    fn longest_running(&self) -> Duration {
        self.lock().running.values().map(Instant::elapsed).max().unwrap_or_default()
    }
}

impl<K: Key> State<K> {
    fn add(&mut self, key: K, metrics: &dyn QueueMetrics) {
        if self.closed {
            return;
        }
        self.undelay(&key);
        if let Entry::Vacant(entry) = self.added.entry(key.clone()) {
            entry.insert(Instant::now());
            metrics.added();
            if !self.running.contains_key(&key) {
                self.ready.push_back(key);
            }
        }
    }

    fn begin(&mut self, metrics: &dyn QueueMetrics) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.undelay(&key);
        if let Some(since) = self.added.remove(&key) {
            metrics.waited(since.elapsed());
        }
        self.running.insert(key.clone(), Instant::now());
        Some(key)
    }

    fn end(&mut self, key: &K, outcome: Outcome, backoff: Backoff, metrics: &dyn QueueMetrics) {
        if let Some(since) = self.running.remove(key) {
            metrics.worked(since.elapsed());
        }
        let delay = match outcome {
            Outcome::Done => {
                self.failures.remove(key);
                None
            }
            Outcome::Failed => {
                let failures = self.count_failure(key);
                Some(backoff.after(failures).max(self.take_token()))
            }
            Outcome::FailedForGood => {
                self.count_failure(key);
                Some(backoff.max.max(self.take_token()))
            }
            Outcome::RetryAfter(delay) => Some(delay),
        };
        if delay.is_some() {
            metrics.retried();
        }
        if self.added.contains_key(key) {
            self.ready.push_back(key.clone());
        } else if let Some(delay) = delay {
            self.delay(key.clone(), delay);
        }
    }

    fn count_failure(&mut self, key: &K) -> u32 {
        let failures = self.failures.entry(key.clone()).or_insert(0);
        *failures = failures.saturating_add(1);
        *failures
    }

    fn take_token(&mut self) -> Duration {
        self.bucket.as_mut().map_or(Duration::ZERO, Bucket::take)
    }

    /// The earlier of two delays of one key counts; a key that waits to be handed out needs none.
    fn delay(&mut self, key: K, delay: Duration) {
        if self.closed || self.added.contains_key(&key) {
            return;
        }
        let due = Instant::now() + delay.min(LONGEST_DELAY);
        if self.delayed_keys.get(&key).is_some_and(|(earlier, _)| *earlier <= due) {
            return;
        }
        self.undelay(&key);
        self.sequence += 1;
        self.delayed.insert((due, self.sequence), key.clone());
        self.delayed_keys.insert(key, (due, self.sequence));
    }

    fn undelay(&mut self, key: &K) {
        if let Some(slot) = self.delayed_keys.remove(key) {
            self.delayed.remove(&slot);
        }
    }

    fn release_due(&mut self, metrics: &dyn QueueMetrics) {
        let now = Instant::now();
        while let Some(((due, _), key)) = self.delayed.first_key_value() {
            if *due > now {
                return;
            }
            let key = key.clone();
            self.add(key, metrics);
        }
    }
}

impl Bucket {
    /// Takes a token and says how long to wait until it is really there.
    fn take(&mut self) -> Duration {
        let now = Instant::now();
        let refilled = now.duration_since(self.at).as_secs_f64() * self.limit.per_second;
        self.tokens = (self.tokens + refilled).min(f64::from(self.limit.burst)) - 1.0;
        self.at = now;
        if self.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(-self.tokens / self.limit.per_second).unwrap_or(Duration::MAX)
        }
    }
}

#[cfg(test)]
mod tests;

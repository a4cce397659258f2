//! What waits, what is delayed and what is being processed. Nothing here waits.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::{Backoff, Key, Outcome, QueueMetrics, RateLimit, Waiting};

/// No key is put off for longer, whatever a caller asks: a far-off time would overflow the clock.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct State<K> {
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

impl<K: Key> State<K> {
    pub(super) fn new(retry_limit: Option<RateLimit>) -> Self {
        Self {
            ready: VecDeque::new(),
            added: HashMap::new(),
            running: HashMap::new(),
            delayed: BTreeMap::new(),
            delayed_keys: HashMap::new(),
            failures: HashMap::new(),
            sequence: 0,
            bucket: retry_limit.map(|limit| Bucket { limit, tokens: f64::from(limit.burst), at: Instant::now() }),
            closed: false,
        }
    }

    pub(super) fn add(&mut self, key: K, metrics: &dyn QueueMetrics) {
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

    pub(super) fn begin(&mut self, metrics: &dyn QueueMetrics) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.undelay(&key);
        if let Some(since) = self.added.remove(&key) {
            metrics.waited(since.elapsed());
        }
        self.running.insert(key.clone(), Instant::now());
        Some(key)
    }

    pub(super) fn end(&mut self, key: &K, outcome: Outcome, backoff: Backoff, metrics: &dyn QueueMetrics) {
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

    pub(super) fn close(&mut self, waiting: Waiting) {
        self.closed = true;
        self.delayed.clear();
        self.delayed_keys.clear();
        match waiting {
            Waiting::Finish => {}
            Waiting::Drop => {
                self.ready.clear();
                self.added.clear();
            }
        }
    }

    /// Whether nothing will ever be handed out again.
    pub(super) fn is_done(&self) -> bool {
        self.closed && self.added.is_empty()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.added.is_empty() && self.running.is_empty() && self.delayed.is_empty()
    }

    /// When the next delayed key is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delayed.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn failures(&self, key: &K) -> u32 {
        self.failures.get(key).copied().unwrap_or(0)
    }

    pub(super) fn depth(&self) -> usize {
        self.added.len()
    }

    /// How long each pass under way has taken so far.
    pub(super) fn running_for(&self) -> impl Iterator<Item = Duration> {
        self.running.values().map(Instant::elapsed)
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
    pub(super) fn delay(&mut self, key: K, delay: Duration) {
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

    pub(super) fn release_due(&mut self, metrics: &dyn QueueMetrics) {
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

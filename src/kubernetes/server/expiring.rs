//! Answers that are remembered for a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// More entries are never kept; who asks so much is asked for again.
const CAPACITY: usize = 4096;

/// A map whose entries expire. Nothing in it is older than was said when it was put there.
pub(super) struct Expiring<K, V> {
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash, V: Clone> Expiring<K, V> {
    pub(super) fn new() -> Self {
        Self { entries: Mutex::new(HashMap::new()) }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).filter(|(until, _)| Instant::now() < *until).map(|(_, value)| value.clone())
    }

    pub(super) fn put(&self, key: K, value: V, ttl: Duration) {
        if ttl.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.retain(|_, (until, _)| now < *until);
        }
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(key, (now + ttl, value));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;
    use tokio::time::advance;

    use super::{CAPACITY, Expiring};

    #[tokio::test(start_paused = true)]
    async fn entries_live_as_long_as_was_said() {
        let map = Expiring::new();
        map.put("a", 1, Duration::from_secs(10));
        map.put("b", 2, Duration::ZERO);
        assert_eq!([map.get(&"a"), map.get(&"b"), map.get(&"c")], [Some(1), None, None]);
        advance(Duration::from_secs(10)).await;
        assert_eq!(map.get(&"a"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_does_not_grow_it() {
        let map = Expiring::new();
        for key in 0..3 * CAPACITY {
            map.put(key, key, Duration::from_secs(10));
            assert_eq!(map.get(&key), Some(key));
        }
        assert!(map.entries.lock().unwrap().len() <= CAPACITY);
    }
}

//! The objects, each collection with a bounded log of its changes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::registry::Collection;

/// Namespace (empty for cluster scope) and name.
pub(crate) type Key = (String, String);

/// A stored object: immutable, shared by readers, with its JSON kept once written.
#[derive(Debug)]
pub(crate) struct Object {
    /// The object without `kind` and `apiVersion`.
    pub(crate) value: Value,
    /// The version at which it became so.
    pub(crate) revision: u64,
    json: OnceLock<Bytes>,
}

impl Object {
    /// A stored form of `value` at `revision`.
    pub(crate) fn new(value: Value, revision: u64) -> Self {
        Self { value, revision, json: OnceLock::new() }
    }

    /// The JSON, rendered at the first use.
    pub(crate) fn json(&self) -> &Bytes {
        self.json.get_or_init(|| Bytes::from(self.value.to_string()))
    }
}

/// One committed change.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The version of the change.
    pub(crate) revision: u64,
    /// Whose.
    pub(crate) key: Key,
    /// The object before.
    pub(crate) before: Option<Arc<Object>>,
    /// The object after; for a deletion the last state, at the version of the deletion.
    pub(crate) after: Arc<Object>,
    /// Whether the object is gone.
    pub(crate) deleted: bool,
}

/// What a write does with an object.
#[derive(Debug)]
pub(crate) enum Write {
    /// Stores this; its resourceVersion is filled in.
    Put(Value),
    /// Removes the object; this is its last state.
    Remove(Value),
    /// Leaves everything as it is.
    Keep,
}

/// The version asked for has left the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest version from which changes are still known.
    pub(crate) oldest: u64,
}

/// All collections under one version counter.
#[derive(Debug)]
pub(crate) struct Store {
    state: RwLock<State>,
    log_capacity: usize,
    revisions: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    revision: u64,
    collections: HashMap<Collection, Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    objects: BTreeMap<Key, Arc<Object>>,
    log: VecDeque<Change>,
    /// Changes up to this version are no longer in the log.
    forgotten: u64,
}

/// What a list read: the objects and the version they were read at.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The objects in key order.
    pub(crate) objects: Vec<(Key, Arc<Object>)>,
    /// The version.
    pub(crate) revision: u64,
}

impl Store {
    /// An empty store whose logs hold `log_capacity` changes a collection.
    pub(crate) fn new(log_capacity: usize) -> Self {
        let (revisions, _) = watch::channel(1);
        let state = State { revision: 1, collections: HashMap::new() };
        Self { state: RwLock::new(state), log_capacity, revisions }
    }

    /// The version of the last change.
    pub(crate) fn revision(&self) -> u64 {
        self.read(|state| state.revision)
    }

    /// Tells of every new version.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }

    /// One object.
    pub(crate) fn get(&self, collection: &Collection, key: &Key) -> Option<Arc<Object>> {
        self.read(|state| state.collections.get(collection)?.objects.get(key).cloned())
    }

    /// The objects of one namespace, or of all, after `after`, as they were at `revision` (now if not given).
    ///
    /// # Errors
    /// When the log no longer reaches back so far.
    pub(crate) fn list(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        after: Option<&Key>,
        revision: Option<u64>,
    ) -> Result<Snapshot, Compacted> {
        self.read(|state| {
            let at = revision.unwrap_or(state.revision);
            let Some(entries) = state.collections.get(collection) else {
                return Ok(Snapshot { objects: Vec::new(), revision: at });
            };
            if at < entries.forgotten {
                return Err(Compacted { oldest: entries.forgotten });
            }
            let rewound = entries.rewound(at);
            Ok(Snapshot { objects: entries.range(namespace, after, &rewound), revision: at })
        })
    }

    /// The changes of a collection after `revision`, oldest first.
    ///
    /// # Errors
    /// When the log no longer reaches back so far.
    pub(crate) fn changes_after(
        &self,
        collection: &Collection,
        revision: u64,
    ) -> Result<(Vec<Change>, u64), Compacted> {
        self.read(|state| {
            let Some(entries) = state.collections.get(collection) else {
                return Ok((Vec::new(), state.revision));
            };
            if revision < entries.forgotten {
                return Err(Compacted { oldest: entries.forgotten });
            }
            let start = entries.log.partition_point(|change| change.revision <= revision);
            Ok((entries.log.range(start..).cloned().collect(), state.revision))
        })
    }

    /// Reads and replaces one object in one step.
    ///
    /// `decide` sees the object as it is, and says what becomes of it; nobody writes in between. Answers the object as
    /// stored (or as removed, or as kept).
    ///
    /// # Errors
    /// What `decide` refuses.
    pub(crate) fn write<E>(
        &self,
        collection: &Collection,
        key: &Key,
        decide: impl FnOnce(Option<&Arc<Object>>) -> Result<Write, E>,
    ) -> Result<Option<Arc<Object>>, E> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.collections.get(collection).and_then(|entries| entries.objects.get(key)).cloned();
        let (mut value, deleted) = match decide(before.as_ref())? {
            Write::Keep => return Ok(before),
            Write::Put(value) => (value, false),
            Write::Remove(value) => (value, true),
        };
        state.revision += 1;
        let revision = state.revision;
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), Value::from(revision.to_string()));
        }
        let after = Arc::new(Object::new(value, revision));
        let capacity = self.log_capacity;
        let entries = state.collections.entry(collection.clone()).or_default();
        match deleted {
            true => entries.objects.remove(key),
            false => entries.objects.insert(key.clone(), after.clone()),
        };
        entries.record(Change { revision, key: key.clone(), before, after: after.clone(), deleted }, capacity);
        drop(state);
        self.revisions.send_replace(revision);
        Ok(Some(after))
    }

    /// Forgets the log, so that every version before the present answers "too old".
    pub(crate) fn compact(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.revision += 1;
        let revision = state.revision;
        for entries in state.collections.values_mut() {
            entries.log.clear();
            entries.forgotten = revision;
        }
        drop(state);
        self.revisions.send_replace(revision);
    }

    /// Drops a whole collection without a trace, for a kind that is no longer served.
    pub(crate) fn forget(&self, collection: &Collection) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).collections.remove(collection);
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entries {
    fn record(&mut self, change: Change, capacity: usize) {
        self.log.push_back(change);
        while self.log.len() > capacity {
            let dropped = self.log.pop_front().expect("a log longer than its capacity has a first entry");
            self.forgotten = dropped.revision;
        }
    }

    /// For every key that changed after `revision`, what it was at `revision`.
    fn rewound(&self, revision: u64) -> BTreeMap<&Key, Option<&Arc<Object>>> {
        let mut before = BTreeMap::new();
        let start = self.log.partition_point(|change| change.revision <= revision);
        for change in self.log.range(start..) {
            before.entry(&change.key).or_insert(change.before.as_ref());
        }
        before
    }

    fn range(
        &self,
        namespace: Option<&str>,
        after: Option<&Key>,
        rewound: &BTreeMap<&Key, Option<&Arc<Object>>>,
    ) -> Vec<(Key, Arc<Object>)> {
        let wanted =
            |key: &Key| namespace.is_none_or(|namespace| key.0 == namespace) && after.is_none_or(|after| key > after);
        let first = (namespace.unwrap_or_default().to_owned(), String::new());
        let start = after.map_or(first, Clone::clone);
        let present = self.objects.range(start..).take_while(|(key, _)| namespace.is_none_or(|ns| key.0 == ns));
        let present = present.filter(|(key, _)| !rewound.contains_key(key));
        let mut found: Vec<(Key, Arc<Object>)> =
            present.filter(|(key, _)| wanted(key)).map(|(key, object)| (key.clone(), object.clone())).collect();
        if !rewound.is_empty() {
            let past = rewound.iter().filter_map(|(key, object)| Some(((*key).clone(), (*object)?.clone())));
            found.extend(past.filter(|(key, _)| wanted(key)));
            found.sort_by(|(left, _), (right, _)| left.cmp(right));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn things() -> Collection {
        Collection { group: String::new(), plural: "things".to_owned() }
    }

    fn key(name: &str) -> Key {
        ("ns".to_owned(), name.to_owned())
    }

    fn put(store: &Store, name: &str, data: i32) {
        let value = json!({"metadata": {"name": name}, "data": data});
        store.write(&things(), &key(name), |_| Ok::<_, Infallible>(Write::Put(value))).unwrap();
    }

    fn remove(store: &Store, name: &str) {
        let decide = |before: Option<&Arc<Object>>| Ok::<_, Infallible>(Write::Remove(before.unwrap().value.clone()));
        store.write(&things(), &key(name), decide).unwrap();
    }

    fn seen(store: &Store, after: Option<&Key>, revision: Option<u64>) -> Result<Vec<(String, i64)>, Compacted> {
        let snapshot = store.list(&things(), Some("ns"), after, revision)?;
        let row = |(key, object): &(Key, Arc<Object>)| (key.1.clone(), object.value["data"].as_i64().unwrap());
        Ok(snapshot.objects.iter().map(row).collect())
    }

    #[test]
    fn a_list_at_an_older_version_sees_the_world_of_then() {
        let store = Store::new(100);
        for (name, data) in [("a", 1), ("b", 1), ("c", 1)] {
            put(&store, name, data);
        }
        let then = store.revision();
        put(&store, "b", 2);
        put(&store, "b", 3);
        remove(&store, "a");
        put(&store, "d", 1);
        let row = |name: &str, data| (name.to_owned(), data);
        assert_eq!(seen(&store, None, None), Ok(vec![row("b", 3), row("c", 1), row("d", 1)]));
        assert_eq!(seen(&store, None, Some(then)), Ok(vec![row("a", 1), row("b", 1), row("c", 1)]));
        assert_eq!(seen(&store, Some(&key("a")), Some(then)), Ok(vec![row("b", 1), row("c", 1)]));
    }

    #[test]
    fn versions_older_than_the_log_are_refused() {
        let store = Store::new(2);
        for data in 1..=4 {
            put(&store, "a", data);
        }
        let now = store.revision();
        assert_eq!(seen(&store, None, Some(now - 3)), Err(Compacted { oldest: now - 2 }));
        let (changes, at) = store.changes_after(&things(), now - 1).unwrap();
        let kept: Vec<(u64, bool)> = changes.iter().map(|change| (change.revision, change.deleted)).collect();
        assert_eq!((kept, at), (vec![(now, false)], now));
        store.compact();
        assert_eq!(store.changes_after(&things(), now).unwrap_err(), Compacted { oldest: now + 1 });
    }

    #[test]
    fn a_kept_object_keeps_its_version() {
        let store = Store::new(10);
        put(&store, "a", 1);
        let before = store.revision();
        let kept = store.write(&things(), &key("a"), |_| Ok::<_, Infallible>(Write::Keep)).unwrap().unwrap();
        assert_eq!((kept.revision, store.revision()), (before, before));
    }
}

//! Every object of one kind, kept current by one watch and shared by all who ask.
//!
//! # Guarantees
//! - Before the first complete list there is nothing: [`Cache::synced`] says when it is there.
//! - A subscriber hears of every object there is, then of every change, in order, each with what was there before.
//! - A list made again (after an expired or broken watch) replays nothing that did not change, and tells of objects that
//!   went meanwhile.
//! - What a subscriber was told, [`Cache::get`] shows, or something newer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1 as api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::queue::Key;
use super::{convert, refusal};
use crate::domain::{Node, Service, ServiceKey};

/// What a cache holds of the objects of a kind.
pub trait Cached: Send + Sync + 'static {
    /// The object as the API server sends it.
    type Object: Resource<DynamicType = ()> + Clone + DeserializeOwned + fmt::Debug + Send + 'static;
    /// What tells it from the others.
    type Key: Key;

    /// What is kept of an object.
    fn from_object(object: &Self::Object) -> Self;

    /// Its key.
    fn key(&self) -> Self::Key;

    /// Its `metadata.resourceVersion`: equal ones mean that nothing changed.
    fn resource_version(&self) -> &str;
}

impl Cached for Service {
    type Object = api::Service;
    type Key = ServiceKey;

    fn from_object(object: &api::Service) -> Self {
        convert::service(object)
    }

    fn key(&self) -> ServiceKey {
        self.key.clone()
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

impl Cached for Node {
    type Object = api::Node;
    type Key = String;

    fn from_object(object: &api::Node) -> Self {
        convert::node(object)
    }

    fn key(&self) -> String {
        self.name.clone()
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

/// What became of an object.
#[derive(Debug)]
pub enum Delta<T> {
    /// It is new, or changed.
    Applied {
        /// As it was; `None` when it is new to the subscriber.
        old: Option<Arc<T>>,
        /// As it is.
        new: Arc<T>,
    },
    /// It is gone; this is how it was last seen.
    Deleted(Arc<T>),
}

impl<T> Clone for Delta<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied { old, new } => Self::Applied { old: old.clone(), new: Arc::clone(new) },
            Self::Deleted(object) => Self::Deleted(Arc::clone(object)),
        }
    }
}

/// The objects of one kind. Clones share them.
pub struct Cache<T: Cached> {
    shared: Arc<Shared<T>>,
}

/// The one place a cache is fed from.
pub struct CacheWriter<T: Cached> {
    shared: Arc<Shared<T>>,
    relist: Option<Vec<T>>,
}

/// Changes of a cache, in order.
pub struct Deltas<T> {
    receiver: mpsc::UnboundedReceiver<Delta<T>>,
}

/// The watch that feeds a cache has ended, which it never does by itself.
#[derive(Debug, thiserror::Error)]
#[error("the watch of {kind} objects ended")]
pub struct WatchEnded {
    /// The kind.
    pub kind: String,
}

struct Shared<T: Cached> {
    state: Mutex<State<T>>,
    synced: watch::Sender<bool>,
}

struct State<T: Cached> {
    objects: HashMap<T::Key, Arc<T>>,
    subscribers: Vec<mpsc::UnboundedSender<Delta<T>>>,
}

/// An empty cache and what feeds it.
pub fn cache<T: Cached>() -> (Cache<T>, CacheWriter<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State { objects: HashMap::new(), subscribers: Vec::new() }),
        synced: watch::channel(false).0,
    });
    let cache = Cache { shared: Arc::clone(&shared) };
    (cache, CacheWriter { shared, relist: None })
}

impl<T: Cached> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Cached> Cache<T> {
    /// The object of a key.
    pub fn get(&self, key: &T::Key) -> Option<Arc<T>> {
        self.shared.lock().objects.get(key).cloned()
    }

    /// Every object, in no order.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.shared.lock().objects.values().cloned().collect()
    }

    /// Whether there was a complete list.
    pub fn is_synced(&self) -> bool {
        *self.shared.synced.borrow()
    }

    /// Waits for the first complete list.
    pub async fn synced(&self) {
        self.shared
            .synced
            .subscribe()
            .wait_for(|synced| *synced)
            .await
            .expect("the cache, which this borrows, holds the sender");
    }

    /// Subscribes: first every object as [`Delta::Applied`] without an old one, then what changes.
    pub fn subscribe(&self) -> Deltas<T> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.shared.lock();
        for new in state.objects.values() {
            let new = Arc::clone(new);
            // Cannot fail: the receiver is still here.
            drop(sender.send(Delta::Applied { old: None, new }));
        }
        state.subscribers.push(sender);
        Deltas { receiver }
    }
}

impl<T> Deltas<T> {
    /// The next change; waits for it. `None` when the cache is gone.
    pub async fn next(&mut self) -> Option<Delta<T>> {
        self.receiver.recv().await
    }

    /// The next change, if there is one already.
    pub fn try_next(&mut self) -> Option<Delta<T>> {
        self.receiver.try_recv().ok()
    }
}

impl<T: Cached> CacheWriter<T> {
    /// Feeds the cache from a watch of this API until cancelled. Failures of the watch are logged, and it is begun again
    /// after a growing delay.
    ///
    /// # Errors
    /// The watch ended by itself.
    pub async fn watch(self, api: Api<T::Object>, cancel: CancellationToken) -> Result<(), WatchEnded> {
        let events = kube::runtime::watcher(api, watcher::Config::default()).default_backoff();
        self.feed(events, cancel).await
    }

    /// Feeds the cache from these events until cancelled.
    ///
    /// # Errors
    /// The stream ended.
    pub async fn feed<S>(mut self, events: S, cancel: CancellationToken) -> Result<(), WatchEnded>
    where
        S: Stream<Item = watcher::Result<Event<T::Object>>>,
    {
        let kind = T::Object::kind(&()).into_owned();
        let mut events = std::pin::pin!(events);
        loop {
            let event = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                event = events.next() => event,
            };
            match event {
                Some(Ok(event)) => self.apply(event),
                Some(Err(error)) => {
                    tracing::warn!(kind, error = %refusal::with_causes(&error), "the watch failed; it is begun again");
                }
                None => return Err(WatchEnded { kind }),
            }
        }
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: Event<T::Object>) {
        match event {
            Event::Init => self.relist = Some(Vec::new()),
            Event::InitApply(object) => self.relist.get_or_insert_default().push(T::from_object(&object)),
            Event::InitDone => {
                let listed = self.relist.take().unwrap_or_default();
                self.shared.lock().replace(listed);
                self.shared.synced.send_replace(true);
            }
            Event::Apply(object) => self.shared.lock().put(T::from_object(&object)),
            Event::Delete(object) => self.shared.lock().remove(T::from_object(&object)),
        }
    }
}

impl<T: Cached> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Cached> State<T> {
    fn put(&mut self, object: T) {
        let key = object.key();
        let old = self.objects.get(&key).cloned();
        if old.as_ref().is_some_and(|old| {
            old.resource_version() == object.resource_version() && !old.resource_version().is_empty()
        }) {
            return;
        }
        let new = Arc::new(object);
        self.objects.insert(key, Arc::clone(&new));
        self.tell(&Delta::Applied { old, new });
    }

    fn remove(&mut self, object: T) {
        if self.objects.remove(&object.key()).is_some() {
            self.tell(&Delta::Deleted(Arc::new(object)));
        }
    }

    fn replace(&mut self, listed: Vec<T>) {
        let keys: std::collections::HashSet<T::Key> = listed.iter().map(T::key).collect();
        let gone: Vec<T::Key> = self.objects.keys().filter(|key| !keys.contains(*key)).cloned().collect();
        for key in gone {
            if let Some(object) = self.objects.remove(&key) {
                self.tell(&Delta::Deleted(object));
            }
        }
        for object in listed {
            self.put(object);
        }
    }

    fn tell(&mut self, delta: &Delta<T>) {
        self.subscribers.retain(|subscriber| subscriber.send(delta.clone()).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn node(name: &str, version: &str) -> api::Node {
        let mut node = api::Node::default();
        node.metadata.name = Some(name.into());
        node.metadata.resource_version = Some(version.into());
        node
    }

    fn list(writer: &mut CacheWriter<Node>, nodes: &[(&str, &str)]) {
        writer.apply(Event::Init);
        for (name, version) in nodes {
            writer.apply(Event::InitApply(node(name, version)));
        }
        writer.apply(Event::InitDone);
    }

    fn heard(deltas: &mut Deltas<Node>) -> Vec<String> {
        let mut heard: Vec<String> = std::iter::from_fn(|| deltas.try_next())
            .map(|delta| match delta {
                Delta::Applied { old: None, new } => format!("+{}@{}", new.name, new.resource_version),
                Delta::Applied { old: Some(old), new } => {
                    format!("{}@{}->{}", new.name, old.resource_version, new.resource_version)
                }
                Delta::Deleted(gone) => format!("-{}", gone.name),
            })
            .collect();
        heard.sort();
        heard
    }

    #[test]
    fn nothing_is_there_before_the_first_complete_list() {
        let (cache, mut writer) = cache::<Node>();
        let mut deltas = cache.subscribe();
        writer.apply(Event::Init);
        writer.apply(Event::InitApply(node("a", "1")));
        assert!(!cache.is_synced() && cache.all().is_empty());
        assert_eq!(heard(&mut deltas), [""; 0]);
        writer.apply(Event::InitDone);
        assert!(cache.is_synced());
        assert_eq!(heard(&mut deltas), ["+a@1"]);
    }

    #[test]
    fn a_subscriber_hears_what_is_there_and_then_what_changes() {
        let (cache, mut writer) = cache::<Node>();
        list(&mut writer, &[("a", "1"), ("b", "2")]);
        let mut deltas = cache.subscribe();
        assert_eq!(heard(&mut deltas), ["+a@1", "+b@2"]);
        writer.apply(Event::Apply(node("a", "3")));
        writer.apply(Event::Delete(node("b", "4")));
        writer.apply(Event::Delete(node("b", "4")));
        assert_eq!(heard(&mut deltas), ["-b", "a@1->3"]);
        assert_eq!(cache.get(&"a".to_owned()).map(|n| n.resource_version.clone()), Some("3".into()));
    }

    #[test]
    fn a_list_made_again_replays_nothing_and_tells_of_what_went_meanwhile() {
        let (cache, mut writer) = cache::<Node>();
        list(&mut writer, &[("a", "1"), ("b", "2"), ("c", "3")]);
        let mut deltas = cache.subscribe();
        heard(&mut deltas);
        list(&mut writer, &[("a", "1"), ("c", "9"), ("d", "8")]);
        assert_eq!(heard(&mut deltas), ["+d@8", "-b", "c@3->9"]);
    }

    #[tokio::test]
    async fn the_end_of_the_watch_is_an_error() {
        let (cache, writer) = cache::<Node>();
        let events = futures::stream::iter([Ok(Event::Init), Ok(Event::InitDone)]);
        let ended = writer.feed(events, CancellationToken::new()).await;
        assert_eq!(ended.map_err(|error| error.to_string()), Err("the watch of Node objects ended".into()));
        cache.synced().await;
    }
}

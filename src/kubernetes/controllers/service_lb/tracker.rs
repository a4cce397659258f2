//! What is remembered of each Service between passes, and what follows from it. Nothing here waits or writes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sync_timer::SyncTimer;
use crate::domain::{Service, ServiceKey};
use crate::kubernetes::node_set::same_nodes;
use crate::kubernetes::own_writes::{self, OwnWrites};
use crate::kubernetes::predicates::{Fingerprint, is_wanted, needs_cleanup};
use crate::ports::{Claim, NodeSet};

/// The memory of the service controller, by Service.
#[derive(Default)]
pub(super) struct Tracker {
    services: Mutex<HashMap<ServiceKey, Tracked>>,
}

/// What a pass is to do.
#[derive(Debug)]
pub(super) enum Work {
    /// Nothing, which is also what is done when there is nothing left to do.
    Nothing,
    /// Give it a load balancer.
    Ensure(Arc<Service>),
    /// Take down what an earlier Service of the same name had, then give this one a load balancer.
    Replace {
        /// The earlier one.
        old: Arc<Service>,
        /// This one.
        new: Arc<Service>,
    },
    /// Tell its load balancer of other nodes.
    UpdateNodes {
        /// The Service.
        service: Arc<Service>,
        /// The node sync that this is part of.
        sync: Arc<SyncTimer>,
    },
    /// Take down its load balancer.
    CleanUp(Arc<Service>),
    /// Take down what a Service had that is in the cache no more.
    CleanUpGone(Arc<Service>),
}

/// How far a Service had come when its load balancer was taken down. What the cache shows up to then is out of date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cleaned {
    /// It was there without our finalizer.
    At {
        /// Its UID.
        uid: String,
        /// Its version.
        version: String,
    },
    /// It was gone.
    Gone {
        /// The UID it had.
        uid: String,
    },
}

#[derive(Default)]
struct Tracked {
    /// As last given to the provider, until its load balancer is taken down.
    given: Option<Arc<Service>>,
    /// The last pass ended well, and with this.
    settled: Option<Settled>,
    /// As it is after what this process itself wrote since the pass began.
    mirror: Option<Service>,
    /// Fingerprints that are no news: the last one that was acted on, and after it what own writes lead to, in order.
    expected: VecDeque<Fingerprint>,
    /// The nodes its load balancer was last told of, whether that went well or not.
    nodes: Option<Arc<NodeSet>>,
    /// A node sync waits for it.
    node_sync: Option<Arc<SyncTimer>>,
    /// Its load balancer was taken down, and the cache may not show that yet.
    cleaned: Option<Cleaned>,
}

#[derive(Debug, PartialEq, Eq)]
struct Settled {
    fingerprint: Fingerprint,
    claim: Claim,
    /// The version that the pass read: while the cache shows it, own writes have not arrived.
    version: String,
}

impl Tracker {
    /// Takes note of a Service as the cache shows it, and says whether a pass is due.
    pub(super) fn observe(&self, service: &Service, claim: &Claim, own_writes: &OwnWrites) -> bool {
        let mut services = self.lock();
        let wanted = is_wanted(service, claim);
        let Some(tracked) = services.get_mut(&service.key) else {
            if wanted {
                let expected = VecDeque::from([Fingerprint::of(service, claim)]);
                services.insert(service.key.clone(), Tracked { expected, ..Tracked::default() });
            }
            return wanted || needs_cleanup(service);
        };
        tracked.absorb(own_writes, &service.key, claim);
        let news = tracked.is_news(Fingerprint::of(service, claim));
        if needs_cleanup(service) {
            return true;
        }
        if !wanted {
            tracked.settled = None;
            if tracked.given.is_none() {
                services.remove(&service.key);
                return false;
            }
            return news && services[&service.key].given_to_another(service);
        }
        news
    }

    /// Takes note that a Service left the cache. What it was given is remembered: a pass that waits, or a Service made
    /// anew under its name, takes it down. Should the same one come back, it is looked at again.
    pub(super) fn forget(&self, key: &ServiceKey, own_writes: &OwnWrites) {
        own_writes.take(key);
        let mut services = self.lock();
        match services.get_mut(key) {
            Some(tracked) if tracked.given.is_some() => tracked.expected.clear(),
            Some(_) => {
                services.remove(key);
            }
            None => {}
        }
    }

    /// What a pass over a Service is to do, as the cache shows it and with the nodes there are.
    pub(super) fn work(&self, key: &ServiceKey, cached: Option<(Arc<Service>, Claim)>, nodes: &Arc<NodeSet>) -> Work {
        let mut services = self.lock();
        let mut nothing = Tracked::default();
        let tracked = services.get_mut(key).unwrap_or(&mut nothing);
        let node_sync = tracked.node_sync.take();
        let Some((service, claim)) = cached else {
            return tracked.given.clone().map_or(Work::Nothing, Work::CleanUpGone);
        };
        if needs_cleanup(&service) {
            return if tracked.is_cleaned(&service) { Work::Nothing } else { Work::CleanUp(service) };
        }
        let other = tracked.given.clone().filter(|given| given.uid != service.uid);
        match (is_wanted(&service, &claim), other) {
            (true, Some(old)) => Work::Replace { old, new: service },
            (false, Some(old)) => Work::CleanUpGone(old),
            (false, None) => Work::Nothing,
            (true, None) if !tracked.is_settled(&service, &claim) => Work::Ensure(service),
            (true, None) => match (node_sync, &tracked.nodes) {
                (Some(sync), Some(told)) if !same_nodes(told, nodes) => Work::UpdateNodes { service, sync },
                (Some(_), Some(_) | None) | (None, _) => Work::Nothing,
            },
        }
    }

    /// An ensure begins: the nodes count as told from now on, so that a failure is retried by one path only.
    pub(super) fn begin_ensure(&self, service: &Arc<Service>, claim: &Claim, nodes: &Arc<NodeSet>) {
        let mut services = self.lock();
        let tracked = services.entry(service.key.clone()).or_default();
        let fingerprint = Fingerprint::of(service, claim);
        if !tracked.expected.contains(&fingerprint) {
            tracked.expected.push_back(fingerprint);
        }
        tracked.mirror = Some((**service).clone());
        tracked.given = Some(Arc::clone(service));
        tracked.settled = None;
        tracked.nodes = Some(Arc::clone(nodes));
    }

    /// An ensure ended well.
    pub(super) fn settle(&self, service: &Service, claim: &Claim, own_writes: &OwnWrites) {
        let mut services = self.lock();
        if let Some(tracked) = services.get_mut(&service.key) {
            tracked.absorb(own_writes, &service.key, claim);
            tracked.settled = tracked.mirror.as_ref().map(|mirror| Settled {
                fingerprint: Fingerprint::of(mirror, claim),
                claim: claim.clone(),
                version: service.resource_version.clone(),
            });
        }
    }

    /// An update of nodes begins: they count as told from now on.
    pub(super) fn begin_update(&self, key: &ServiceKey, nodes: &Arc<NodeSet>) {
        if let Some(tracked) = self.lock().get_mut(key) {
            tracked.nodes = Some(Arc::clone(nodes));
        }
    }

    /// Has the next pass ensure a Service again.
    pub(super) fn unsettle(&self, key: &ServiceKey) {
        if let Some(tracked) = self.lock().get_mut(key) {
            tracked.settled = None;
        }
    }

    /// A load balancer was taken down; nothing else is remembered of it.
    pub(super) fn clean(&self, key: &ServiceKey, cleaned: Option<Cleaned>, own_writes: &OwnWrites) {
        own_writes.take(key);
        let mut services = self.lock();
        match cleaned {
            Some(_) => {
                services.insert(key.clone(), Tracked { cleaned, ..Tracked::default() });
            }
            None => {
                services.remove(key);
            }
        }
    }

    /// The Services whose load balancers were told of other nodes than these. All that share a set of nodes are compared
    /// at once.
    pub(super) fn with_other_nodes(&self, nodes: &Arc<NodeSet>, sync: &Arc<SyncTimer>) -> Vec<ServiceKey> {
        let mut compared: Vec<(Arc<NodeSet>, bool)> = Vec::new();
        let mut differs = |told: &Arc<NodeSet>| {
            if let Some((_, known)) = compared.iter().find(|(set, _)| Arc::ptr_eq(set, told)) {
                return *known;
            }
            let differs = !same_nodes(told, nodes);
            compared.push((Arc::clone(told), differs));
            differs
        };
        let mut different = Vec::new();
        for (key, tracked) in self.lock().iter_mut() {
            let Some(told) = &mut tracked.nodes else {
                continue;
            };
            if differs(told) {
                tracked.node_sync = Some(Arc::clone(sync));
                different.push(key.clone());
            } else {
                *told = Arc::clone(nodes);
            }
        }
        different
    }

    /// A panic elsewhere leaves the entries sound: they change in steps that cannot panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<ServiceKey, Tracked>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tracked {
    /// Takes in what this process wrote, so that its effect is no news.
    fn absorb(&mut self, own_writes: &OwnWrites, key: &ServiceKey, claim: &Claim) {
        let Some(mirror) = &mut self.mirror else {
            return;
        };
        for patch in own_writes.take(key) {
            own_writes::apply(mirror, &patch);
            let fingerprint = Fingerprint::of(mirror, claim);
            if self.expected.back() != Some(&fingerprint) {
                self.expected.push_back(fingerprint);
            }
        }
    }

    fn is_news(&mut self, fingerprint: Fingerprint) -> bool {
        match self.expected.iter().position(|expected| *expected == fingerprint) {
            Some(at) => {
                // What came before has been overtaken: seen again, it is somebody's change.
                self.expected.drain(..at);
                false
            }
            None => {
                self.expected = VecDeque::from([fingerprint]);
                true
            }
        }
    }

    fn is_settled(&self, service: &Service, claim: &Claim) -> bool {
        self.settled.as_ref().is_some_and(|settled| {
            let unseen = settled.version == service.resource_version && settled.claim == *claim;
            unseen || settled.fingerprint == Fingerprint::of(service, claim)
        })
    }

    fn is_cleaned(&self, service: &Service) -> bool {
        match &self.cleaned {
            Some(Cleaned::At { uid, version }) => *uid == service.uid && !is_newer(&service.resource_version, version),
            Some(Cleaned::Gone { uid }) => *uid == service.uid,
            None => false,
        }
    }

    fn given_to_another(&self, service: &Service) -> bool {
        self.given.as_ref().is_some_and(|given| given.uid != service.uid)
    }
}

/// Whether a version of an object comes after another. Where that cannot be told, it does.
fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version > than,
        (Ok(_) | Err(_), _) => version != than,
    }
}

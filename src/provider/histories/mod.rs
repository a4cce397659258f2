//! Random histories: Services come, change and go, the policy is edited, nodes join and leave, Metal answers badly, the
//! process dies at any write. In the end every Service has one address, none is leaked, none is shared, and nothing
//! that is somebody else's was touched.

mod fakes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::LoadBalancers;
use crate::domain::record::OnRelease;
use crate::domain::{ClusterId, Ingress, Service, ServiceKey, ServiceTags, ServiceType};
use crate::plan::ServiceFacts;
use crate::policy::{Defaults, Policy, PolicyStore, load};
use crate::ports::{Claim, LoadBalancer, NodeSet, ProviderError};
use crate::strategy::testing::{node, reservation, service};
use fakes::{FakeCluster, FakeMetal, NoNamespaces, Trouble};

/// Three policies that differ in all that may differ: backend, kind of pool, ranges, limit, and whom they ignore.
const POLICIES: [&str; 4] = [
    "addressPools: [{name: public, elasticIP: {metro: da}}]
  loadBalancers: [{name: vip, kubeVip: {}}]
  services: {default: {loadBalancer: vip, addressPool: public}}",
    "addressPools: [{name: office, static: {ranges: [203.0.113.0/30]}}]
  loadBalancers: [{name: only, none: {}}]
  services: {default: {loadBalancer: only, addressPool: office}}",
    "addressPools:
    - {name: office, static: {ranges: [203.0.113.2/31, 203.0.113.8/30]}}
    - {name: public, elasticIP: {metro: da, maxAddresses: 2}}
  loadBalancers: [{name: vip, kubeVip: {}}, {name: only, none: {}}]
  services:
    rules:
      - {name: even, match: {names: [s0, s2]}, use: {loadBalancer: only, addressPool: public}}
      - {name: left, match: {names: [s3]}, ignore: true}
    default: {loadBalancer: vip, addressPool: office}",
    "addressPools: [{name: kept, elasticIP: {metro: sv, onRelease: Retain}}]
  loadBalancers: [{name: vip, kubeVip: {}}]
  services: {default: {loadBalancer: vip, addressPool: kept}}",
];

#[derive(Debug, Clone)]
enum Event {
    Create(u8),
    Request(u8, u8),
    Delete(u8),
    Flip(u8),
    Sync(u8),
    SyncStale(u8),
    Policy(usize),
    Nodes(u8),
    Trouble(Trouble, u8),
    Crash,
}

fn event() -> impl Strategy<Value = Event> {
    let service = 0_u8..5;
    prop_oneof![
        4 => service.clone().prop_map(Event::Create),
        1 => (service.clone(), 0_u8..3).prop_map(|(s, a)| Event::Request(s, a)),
        3 => service.clone().prop_map(Event::Delete),
        2 => service.clone().prop_map(Event::Flip),
        8 => service.clone().prop_map(Event::Sync),
        3 => service.prop_map(Event::SyncStale),
        2 => (0..POLICIES.len()).prop_map(Event::Policy),
        1 => (0_u8..4).prop_map(Event::Nodes),
        5 => (prop_oneof![Just(Trouble::Before), Just(Trouble::After)], 0_u8..4).prop_map(|(t, n)| Event::Trouble(t, n)),
        2 => Just(Event::Crash),
    ]
}

fn policy(number: usize) -> Policy {
    let head = "apiVersion: policy.metal.equinix.com/v1alpha1\nkind: CloudPolicy\nmetadata: {name: test}\nspec:\n  ";
    let text = format!("{head}{}\n", POLICIES[number]);
    load(text.as_bytes(), "test", &Defaults::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The world, and a service controller that does what the contract says and nothing more.
struct History {
    metal: Arc<FakeMetal>,
    cluster: Arc<FakeCluster>,
    store: Arc<PolicyStore>,
    balancers: LoadBalancers,
    stale: BTreeMap<ServiceKey, Service>,
    /// Services the policy of the last try left alone, or could not serve.
    unserved: BTreeSet<ServiceKey>,
    /// Services whose record said, when they went, that their reservation stays.
    retained: BTreeSet<ServiceKey>,
}

impl History {
    fn new() -> Self {
        let metal = Arc::new(FakeMetal::default());
        metal.seed(reservation("foreign", "198.51.100.250", &["somebody=else"]));
        let other = ServiceFacts::new(service("s0"), &ClusterId::new("another"));
        metal.seed(reservation("other-cluster", "198.51.100.251", &other.tags.all()));
        let cluster = Arc::new(FakeCluster::default());
        let store = Arc::new(PolicyStore::new(policy(0)));
        let balancers = Self::start(&metal, &cluster, &store);
        let (stale, unserved, retained) = Default::default();
        Self { metal, cluster, store, balancers, stale, unserved, retained }
    }

    /// A new process: all it knows is what is written.
    fn start(metal: &Arc<FakeMetal>, cluster: &Arc<FakeCluster>, store: &Arc<PolicyStore>) -> LoadBalancers {
        let balancers = LoadBalancers::new(
            metal.clone(),
            cluster.clone(),
            Arc::new(NoNamespaces),
            store.clone(),
            ClusterId::new("cluster"),
        );
        cluster.services().values().for_each(|service| balancers.observe(service));
        balancers
    }

    fn key(number: u8) -> ServiceKey {
        ServiceKey::new("default", format!("s{number}"))
    }

    fn nodes(&self) -> Arc<NodeSet> {
        Arc::new(NodeSet::new(
            self.metal
                .nodes()
                .iter()
                .map(|name| {
                    let mut node = node(name);
                    node.provider_id = format!("equinixmetal://{name}");
                    Arc::new(self.cluster.written_node(node))
                })
                .collect(),
        ))
    }

    async fn happen(&mut self, event: &Event) {
        match event {
            Event::Create(n) => self.cluster.create(service(&format!("s{n}"))),
            Event::Request(n, address) => {
                let ip = format!("203.0.113.{address}");
                self.cluster.edit(&Self::key(*n), |service| service.load_balancer_ip = Some(ip));
            }
            Event::Delete(n) => self.cluster.delete(&Self::key(*n)),
            Event::Flip(n) => self.cluster.edit(&Self::key(*n), |service| {
                service.kind = match service.kind {
                    ServiceType::LoadBalancer => ServiceType::ClusterIp,
                    _ => ServiceType::LoadBalancer,
                };
                service.ingress.clear();
            }),
            Event::Sync(n) => self.sync(&Self::key(*n), None).await,
            Event::SyncStale(n) => {
                let old = self.stale.get(&Self::key(*n)).cloned();
                self.sync(&Self::key(*n), old).await;
            }
            Event::Policy(number) => self.store.swap(policy(*number)),
            Event::Nodes(count) => self.metal.set_nodes(*count),
            Event::Trouble(trouble, writes) => self.metal.trouble(*trouble, *writes),
            Event::Crash => {
                self.balancers = Self::start(&self.metal, &self.cluster, &self.store);
                // A new process lists before it acts: its cache is never older than itself.
                self.stale.clear();
            }
        }
        self.nothing_is_shared();
    }

    /// One pass of a service controller. `stale` is what a cache that is behind shows.
    async fn sync(&mut self, key: &ServiceKey, stale: Option<Service>) {
        let Some(current) = self.cluster.services().get(key).cloned() else { return };
        // A cache is behind in what it shows, not in whether the object is the same one and is still wanted.
        let seen = match stale {
            Some(old) if old.uid == current.uid && old.deleting == current.deleting && old.kind == current.kind => old,
            _ => current.clone(),
        };
        // What the cache showed once is the oldest it may show from now on.
        self.stale.insert(key.clone(), seen.clone());
        self.balancers.observe(&current);
        let wanted = !seen.deleting && matches!(self.balancers.claim(&seen), Claim::Served(_));
        let result = if wanted {
            self.cluster.add_finalizer(key);
            self.balancers.ensure_load_balancer(&seen, &self.nodes()).await
        } else if current.finalizers.is_empty() || (!seen.deleting && seen.kind == ServiceType::LoadBalancer) {
            self.unserved.insert(key.clone());
            return;
        } else {
            match self.take_down(&seen).await {
                Ok(()) => {
                    if retains(&current) {
                        self.retained.insert(key.clone());
                    }
                    self.cluster.finish(key);
                    if !self.cluster.services().contains_key(key) {
                        self.balancers.forget(key);
                    }
                    return;
                }
                Err(error) => Err(error),
            }
        };
        match result {
            Ok(ingress) | Err(ProviderError::Partial { ingress, .. }) => {
                self.unserved.remove(key);
                self.cluster.set_status(key, ingress);
                if let Some(now) = self.cluster.services().get(key) {
                    self.balancers.observe(now);
                }
            }
            Err(_) => {
                self.unserved.insert(key.clone());
            }
        }
    }

    async fn take_down(&self, service: &Service) -> Result<(), ProviderError> {
        match self.balancers.get_load_balancer(service).await? {
            Some(_) => self.balancers.ensure_load_balancer_deleted(service).await,
            None => Ok(()),
        }
    }

    /// At no moment do two Services show the same address.
    fn nothing_is_shared(&self) {
        let mut holders: BTreeMap<std::net::IpAddr, ServiceKey> = BTreeMap::new();
        for service in self.cluster.services().values() {
            for address in service.ingress.iter().filter_map(|ingress| ingress.ip) {
                if let Some(other) = holders.insert(address, service.key.clone()) {
                    panic!("{address} is shown by {other} and {}", service.key);
                }
            }
        }
    }

    /// Everything works again, and everything is looked at until nothing changes any more.
    async fn settle(&mut self) {
        self.metal.trouble(Trouble::Before, 0);
        self.balancers = Self::start(&self.metal, &self.cluster, &self.store);
        for _ in 0..4 {
            for key in self.cluster.services().keys().cloned().collect::<Vec<_>>() {
                self.sync(&key, None).await;
            }
        }
        let writes = (self.metal.writes(), self.cluster.writes());
        for key in self.cluster.services().keys().cloned().collect::<Vec<_>>() {
            self.sync(&key, None).await;
        }
        assert_eq!((self.metal.writes(), self.cluster.writes()), writes, "a world that has settled costs no write");
    }

    fn check(&self) {
        self.nothing_is_shared();
        let held = self.metal.held();
        assert!(held.contains_key("foreign") && held.contains_key("other-cluster"), "what is not ours was released");
        let services = self.cluster.services();
        for (key, service) in &services {
            let facts = ServiceFacts::new(service.clone(), &ClusterId::new("cluster"));
            let mine: Vec<_> = held.values().filter(|r| r.has_tags(facts.tags.all())).collect();
            let wanted = !service.deleting && matches!(self.balancers.claim(service), Claim::Served(_));
            if wanted && !self.unserved.contains(key) {
                assert_eq!(service.ingress.len(), 1, "{key} has one address");
                let reserved = facts.record.as_ref().is_some_and(|r| r.reservation.is_some());
                if reserved {
                    let shown: Vec<_> = mine.iter().filter_map(|r| r.usable_address()).map(Ingress::address).collect();
                    assert!(shown.contains(&service.ingress[0]), "{key} holds what it shows: {service:?} {mine:?}");
                    assert!(mine.len() == 1 || retains(service), "{key} holds one reservation: {mine:?}");
                }
            }
            if service.kind != ServiceType::LoadBalancer {
                assert!(service.ingress.is_empty() && service.finalizers.is_empty(), "{key} is clean: {service:?}");
            }
        }
        let excused =
            services.keys().chain(&self.retained).map(|key| ServiceTags::new(key, &ClusterId::new("cluster")));
        let excused: Vec<ServiceTags> = excused.collect();
        let ours = held.values().filter(|r| r.has_tags(["cluster=cluster"]));
        let of_nobody: Vec<_> = ours.filter(|r| !excused.iter().any(|tags| r.has_tags(tags.all()))).collect();
        assert!(of_nobody.is_empty(), "leaked: {of_nobody:?}");
    }
}

fn retains(service: &Service) -> bool {
    let facts = ServiceFacts::new(service.clone(), &ClusterId::new("cluster"));
    facts.record.is_some_and(|record| record.on_release == OnRelease::Retain)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_every_service_has_one_address_and_none_is_leaked_or_shared(
        events in proptest::collection::vec(event(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut history = History::new();
            for event in &events {
                history.happen(event).await;
            }
            history.settle().await;
            history.check();
        });
    }
}

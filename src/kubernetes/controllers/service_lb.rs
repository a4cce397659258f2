//! The service controller: load balancers for Services, by way of [`LoadBalancer`].
//!
//! # Guarantees
//! - Nothing is done before Services and Nodes are known in full; every Service is shown to the provider before the
//!   first one is ensured.
//! - No two calls of the provider for one Service run at the same time.
//! - A Service is ensured when it is first seen and when something changes that matters to its load balancer: not on a
//!   timer, not because a list was made again, not because of what this process wrote itself.
//! - The finalizer is there before the cloud is asked for anything, and goes only after the cloud has given it back.
//! - A Service that the policy no longer serves is left as it is until it is deleted or changes its type.

mod pass;
mod report;
mod sync_timer;
mod tracker;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use self::sync_timer::SyncTimer;
use self::tracker::Tracker;
use super::ControllerError;
use crate::domain::{Node, Service, ServiceKey};
use crate::kubernetes::cache::{Cache, Delta, Deltas};
use crate::kubernetes::events::EventSink;
use crate::kubernetes::node_set::{NodeSets, NodeTrigger};
use crate::kubernetes::own_writes::OwnWrites;
use crate::kubernetes::predicates::needs_cleanup;
use crate::kubernetes::queue::{Backoff, Outcome, QueueConfig, QueueMetrics, Waiting, WorkQueue};
use crate::kubernetes::services::ServiceApi;
use crate::ports::{Claim, LoadBalancer};

/// Its name, as in `--controllers` and health checks.
pub const NAME: &str = "service-lb-controller";
/// The `source.component` of its events.
pub const EVENT_SOURCE: &str = "service-controller";

/// Growing delay of a Service that failed.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(5), max: Duration::from_secs(300) };
/// How often Services that wait to be cleaned up are looked for.
const CLEANUP_PERIOD: Duration = Duration::from_secs(30);

/// How the controller runs.
#[derive(Debug, Clone)]
pub struct ServiceLbConfig {
    /// Services processed at once (`--concurrent-service-syncs`), at least 1.
    pub workers: usize,
}

impl Default for ServiceLbConfig {
    fn default() -> Self {
        Self { workers: 1 }
    }
}

/// What the controller works with.
pub struct ServiceLbParts {
    /// The provider.
    pub load_balancer: Arc<dyn LoadBalancer>,
    /// Every Service.
    pub services: Cache<Service>,
    /// Every Node.
    pub nodes: Cache<Node>,
    /// Finalizers and status.
    pub api: Arc<dyn ServiceApi>,
    /// Events, of the component [`EVENT_SOURCE`].
    pub events: Arc<dyn EventSink>,
    /// What the provider writes to Services.
    pub own_writes: Arc<OwnWrites>,
    /// Whenever decisions of the policy may be others: see [`changes_of`].
    pub decisions_changed: BoxStream<'static, ()>,
    /// Figures of updates of nodes.
    pub metrics: Arc<dyn ServiceMetrics>,
    /// Figures of the queue `service`.
    pub queue_metrics: Arc<dyn QueueMetrics>,
    /// Figures of the queue `Nodes`.
    pub node_queue_metrics: Arc<dyn QueueMetrics>,
}

/// Where figures of node syncs go.
pub trait ServiceMetrics: Send + Sync {
    /// A load balancer was told of other nodes, well or not, in so much time.
    fn load_balancer_updated(&self, took: Duration);
    /// Telling one failed.
    fn node_sync_failed(&self);
    /// All load balancers were compared with the nodes, and those that differed were told, in so much time.
    fn nodes_synced(&self, took: Duration);
}

/// Figures for nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoServiceMetrics;

impl ServiceMetrics for NoServiceMetrics {
    fn load_balancer_updated(&self, _: Duration) {}
    fn node_sync_failed(&self) {}
    fn nodes_synced(&self, _: Duration) {}
}

/// The controller.
pub struct ServiceLb {
    config: ServiceLbConfig,
    shared: Arc<Shared>,
    decisions_changed: BoxStream<'static, ()>,
}

/// What all passes share.
struct Shared {
    load_balancer: Arc<dyn LoadBalancer>,
    services: Cache<Service>,
    nodes: Cache<Node>,
    api: Arc<dyn ServiceApi>,
    events: Arc<dyn EventSink>,
    own_writes: Arc<OwnWrites>,
    metrics: Arc<dyn ServiceMetrics>,
    tracker: Tracker,
    node_sets: NodeSets,
    queue: WorkQueue<ServiceKey>,
    node_queue: WorkQueue<()>,
}

/// Wakes whenever the watched value changes; for [`ServiceLbParts::decisions_changed`].
pub fn changes_of<T: Send + Sync + 'static>(receiver: watch::Receiver<T>) -> BoxStream<'static, ()> {
    stream::unfold(receiver, |mut receiver| async move {
        receiver.changed().await.ok()?;
        Some(((), receiver))
    })
    .boxed()
}

impl ServiceLb {
    /// A controller that has not begun.
    pub fn new(config: ServiceLbConfig, parts: ServiceLbParts) -> Self {
        let queue_config = QueueConfig { backoff: BACKOFF, retry_limit: None };
        let shared = Shared {
            load_balancer: parts.load_balancer,
            services: parts.services,
            node_sets: NodeSets::new(parts.nodes.clone()),
            nodes: parts.nodes,
            api: parts.api,
            events: parts.events,
            own_writes: parts.own_writes,
            metrics: parts.metrics,
            tracker: Tracker::default(),
            queue: WorkQueue::new(queue_config, parts.queue_metrics),
            node_queue: WorkQueue::new(queue_config, parts.node_queue_metrics),
        };
        Self { config, shared: Arc::new(shared), decisions_changed: parts.decisions_changed }
    }

    /// Whether no Service waits for anything, as a function that outlives this value.
    pub fn idle_probe(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.node_queue.is_idle() && shared.queue.is_idle()
    }

    /// Runs until cancelled, and then until the passes under way have ended; dropping the future stops them where they
    /// are, which every pass is made to survive.
    ///
    /// # Errors
    /// A pass panicked, or a cache ended. The process must end then.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), ControllerError> {
        let Self { config, shared, decisions_changed } = self;
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = async { tokio::join!(shared.services.synced(), shared.nodes.synced()); } => {}
        }
        let sources =
            Sources { services: shared.services.subscribe(), nodes: shared.nodes.subscribe(), decisions_changed };
        let services = shared.queue.work(config.workers, {
            let (shared, cancel) = (Arc::clone(&shared), cancel.clone());
            move |key| {
                let (shared, cancel) = (Arc::clone(&shared), cancel.clone());
                async move {
                    match cancel.is_cancelled() {
                        true => Outcome::Failed,
                        false => shared.pass(key).await,
                    }
                }
            }
        });
        let nodes = shared.node_queue.work(1, {
            let shared = Arc::clone(&shared);
            move |()| {
                let shared = Arc::clone(&shared);
                async move { shared.sync_nodes() }
            }
        });
        let workers = async {
            tokio::try_join!(services, nodes)
                .map(drop)
                .map_err(|source| ControllerError::Worker { controller: NAME, source })
        };
        tokio::try_join!(shared.follow(sources, cancel), workers).map(drop)
    }
}

/// What the controller listens to.
struct Sources {
    services: Deltas<Service>,
    nodes: Deltas<Node>,
    decisions_changed: BoxStream<'static, ()>,
}

impl Shared {
    async fn follow(&self, mut sources: Sources, cancel: CancellationToken) -> Result<(), ControllerError> {
        self.take_in_what_is_there(&mut sources);
        let mut cleanup = interval_at(Instant::now() + CLEANUP_PERIOD, CLEANUP_PERIOD);
        cleanup.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut decisions = sources.decisions_changed.fuse();
        loop {
            tokio::select! {
                () = cancel.cancelled() => {
                    self.queue.shut_down(Waiting::Drop);
                    self.node_queue.shut_down(Waiting::Drop);
                    return Ok(());
                }
                delta = sources.services.next() => {
                    self.note_service(delta.ok_or(ControllerError::CacheEnded { controller: NAME })?);
                }
                delta = sources.nodes.next() => {
                    self.note_node(&delta.ok_or(ControllerError::CacheEnded { controller: NAME })?);
                }
                Some(()) = decisions.next() => self.decide_again(),
                _ = cleanup.tick() => self.look_for_cleanups(),
            }
        }
    }

    /// The provider sees every Service before the first is ensured, and the first node sets are made of every Node.
    fn take_in_what_is_there(&self, sources: &mut Sources) {
        let there: Vec<Delta<Service>> = std::iter::from_fn(|| sources.services.try_next()).collect();
        for delta in &there {
            match delta {
                Delta::Applied { new, .. } => self.load_balancer.observe(new),
                Delta::Deleted(old) => self.load_balancer.forget(&old.key),
            }
        }
        while let Some(delta) = sources.nodes.try_next() {
            self.node_sets.note(&delta);
        }
        for delta in there {
            self.note_service(delta);
        }
    }

    fn note_service(&self, delta: Delta<Service>) {
        match delta {
            Delta::Applied { new, .. } => {
                self.load_balancer.observe(&new);
                self.consider(&new);
            }
            Delta::Deleted(old) => {
                self.load_balancer.forget(&old.key);
                self.tracker.forget(&old.key, &self.own_writes);
            }
        }
    }

    fn consider(&self, service: &Service) {
        let claim = self.load_balancer.claim(service);
        if let Claim::NotOurs(reason) = &claim {
            tracing::trace!(service = %service.key, reason, "the policy does not serve a service");
        }
        if self.tracker.observe(service, &claim, &self.own_writes) {
            self.queue.add(service.key.clone());
        }
    }

    fn decide_again(&self) {
        for service in self.services.all() {
            self.consider(&service);
        }
    }

    fn look_for_cleanups(&self) {
        for service in self.services.all().into_iter().filter(|service| needs_cleanup(service)) {
            self.queue.add(service.key.clone());
        }
    }

    fn note_node(&self, delta: &Delta<Node>) {
        match self.node_sets.note(delta) {
            NodeTrigger::Sync => self.node_queue.add(()),
            NodeTrigger::None => {}
        }
    }

    fn sync_nodes(&self) -> Outcome {
        let sync = SyncTimer::begin(Arc::clone(&self.metrics));
        for key in self.tracker.with_other_nodes(&self.node_sets.current(), &sync) {
            self.queue.add(key);
        }
        Outcome::Done
    }
}

#[cfg(test)]
mod tests;

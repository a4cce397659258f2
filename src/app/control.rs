//! The controllers, put together and kept running until they are told to stop.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use k8s_openapi::api::core::v1 as api;
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Passwords, Telemetry};
use crate::cli::flags::{ControllerOptions, Switch};
use crate::domain::{ClusterId, Node, Service};
use crate::kubernetes::cache::{Cache, CacheWriter, WatchEnded, cache};
use crate::kubernetes::client::{ClientError, until_well};
use crate::kubernetes::cluster::KubeCluster;
use crate::kubernetes::controller_name::ControllerName;
use crate::kubernetes::controllers::service_lb::{EVENT_SOURCE, changes_of};
use crate::kubernetes::controllers::{
    CloudNode, CloudNodeConfig, CloudNodeLifecycle, CloudNodeLifecycleParts, CloudNodeParts, ControllerError,
    ServiceLb, ServiceLbConfig, ServiceLbParts,
};
use crate::kubernetes::events::{EventRecorder, events};
use crate::kubernetes::namespaces::{KubeNamespaces, namespaces};
use crate::kubernetes::nodes::KubeNodes;
use crate::kubernetes::own_writes::OwnWrites;
use crate::kubernetes::services::KubeServices;
use crate::policy::PolicyStore;
use crate::ports::clock::SystemClock;
use crate::ports::{Cluster, Metal, ProviderError, RetryClass};
use crate::provider::{Instances, LoadBalancers};

/// Pause between two tries of what must succeed before anything starts.
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// Makes clients: one for each name, each with a rate limit of its own.
pub type Clients = Arc<dyn Fn(&str) -> Client + Send + Sync>;

/// What the controllers are made from.
pub struct Control {
    /// Clients of the cluster.
    pub clients: Clients,
    /// The cloud.
    pub metal: Arc<dyn Metal>,
    /// The policy in force.
    pub policy: Arc<PolicyStore>,
    /// How the controllers run.
    pub controllers: ControllerOptions,
    /// Passwords that the settings told.
    pub passwords: Passwords,
    /// Metrics and health checks.
    pub telemetry: Telemetry,
}

/// Why the controllers ended that were not asked to.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The API server is not well.
    #[error(transparent)]
    ApiServer(#[from] ClientError),
    /// The cluster cannot be told from others.
    #[error("cannot read Namespace kube-system, whose UID is the identity of the cluster")]
    ClusterId(#[source] kube::Error),
    /// The provider cannot start.
    #[error("cannot start with load balancing")]
    Provider(#[source] ProviderError),
    /// A controller ended.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// A task of the program panicked or its watch ended.
    #[error("a part of the program ended by itself: {0}")]
    Part(String),
}

/// Runs the controllers until `stop`. Returns after all of them have ended.
///
/// # Errors
/// When one of them ended by itself, or could not start. The process must end then: a controller that is silently
/// missing is worse than a restart.
pub async fn control(parts: Control, stop: CancellationToken) -> Result<(), ControlError> {
    let inner = stop.child_token();
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        result = start_and_run(&parts, &inner) => result,
    };
    inner.cancel();
    result
}

async fn start_and_run(parts: &Control, stop: &CancellationToken) -> Result<(), ControlError> {
    let client = (parts.clients)("cloud-controller-manager");
    until_well(&client).await?;
    let cluster_id = cluster_id(&client).await?;
    let mut running = JoinSet::new();
    let world = World::start(parts, stop, &mut running);
    let balancers = Arc::new(LoadBalancers::new(
        parts.metal.clone(),
        world.cluster(parts, ControllerName::Service),
        world.namespaces.clone(),
        parts.policy.clone(),
        cluster_id,
    ));
    prepare(&balancers).await.map_err(ControlError::Provider)?;
    if parts.policy.current().needs_namespace_labels() {
        world.namespaces.ready().await;
    }
    for name in ControllerName::ALL {
        let Some(controller) = world.controller(name, parts, &balancers, stop) else { continue };
        parts.telemetry.started(name);
        info!(controller = name.canonical(), "Started");
        running.spawn(async move { controller.await.map_err(ControlError::from) });
        tokio::time::sleep(parts.controllers.start_interval).await;
    }
    first_end(&mut running, stop).await
}

/// Waits until the first part ends; all others are then told to stop and waited for.
async fn first_end(
    running: &mut JoinSet<Result<(), ControlError>>,
    stop: &CancellationToken,
) -> Result<(), ControlError> {
    let mut result = Ok(());
    while let Some(ended) = running.join_next().await {
        let ended = match ended {
            Ok(Ok(())) if stop.is_cancelled() => Ok(()),
            Ok(Ok(())) => Err(ControlError::Part("a task returned before it was told to".to_owned())),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(ControlError::Part(error.to_string())),
        };
        if ended.is_err() && result.is_ok() {
            result = ended;
        }
        stop.cancel();
    }
    result
}

/// The identity of the cluster, from its Namespace `kube-system`.
async fn cluster_id(client: &Client) -> Result<ClusterId, ControlError> {
    let namespaces: Api<api::Namespace> = Api::all(client.clone());
    let found = namespaces.get("kube-system").await.map_err(ControlError::ClusterId)?;
    found
        .metadata
        .uid
        .map(ClusterId::new)
        .ok_or_else(|| ControlError::Part("Namespace kube-system has no UID".to_owned()))
}

/// Enables BGP where the policy needs it. What may pass by itself is waited for; what will not ends the process.
async fn prepare(balancers: &LoadBalancers) -> Result<(), ProviderError> {
    loop {
        match balancers.initialise().await {
            Ok(()) => return Ok(()),
            Err(error) => {
                let after = match error.retry() {
                    RetryClass::Permanent => return Err(error),
                    RetryClass::After(after) => after,
                    RetryClass::Backoff => RETRY_EVERY,
                };
                warn!(error = %error, "Could not look at the project's BGP, trying again");
                tokio::time::sleep(after).await;
            }
        }
    }
}

/// What the controllers share.
struct World {
    nodes: Cache<Node>,
    services: Cache<Service>,
    namespaces: Arc<KubeNamespaces>,
    own_writes: Arc<OwnWrites>,
    events: EventRecorder,
}

impl World {
    fn start(parts: &Control, stop: &CancellationToken, running: &mut JoinSet<Result<(), ControlError>>) -> Self {
        let client = (parts.clients)("shared-informers");
        let (nodes, node_writer): (Cache<Node>, CacheWriter<Node>) = cache();
        let (services, service_writer): (Cache<Service>, CacheWriter<Service>) = cache();
        let (namespaces, namespace_watch) = namespaces();
        let (events, event_writer) = events((parts.clients)("cloud-controller-manager"), "cloud-controller-manager");
        let ended = |error: WatchEnded| ControlError::Part(error.to_string());
        let watch = node_writer.watch(Api::all(client.clone()), stop.clone());
        running.spawn(async move { watch.await.map_err(ended) });
        let watch = service_writer.watch(Api::all(client.clone()), stop.clone());
        running.spawn(async move { watch.await.map_err(ended) });
        let watch = namespace_watch.run(client, stop.clone());
        running.spawn(async move { watch.await.map_err(ended) });
        let writing = event_writer.run(stop.clone());
        running.spawn(async move {
            writing.await;
            Ok(())
        });
        Self { nodes, services, namespaces, own_writes: Arc::default(), events }
    }

    /// The cluster as a controller writes to it.
    fn cluster(&self, parts: &Control, name: ControllerName) -> Arc<dyn Cluster> {
        let cluster = KubeCluster::new((parts.clients)(name.client()), self.own_writes.clone());
        parts.passwords.clone().on(Arc::new(cluster))
    }

    fn controller(
        &self,
        name: ControllerName,
        parts: &Control,
        balancers: &Arc<LoadBalancers>,
        stop: &CancellationToken,
    ) -> Option<BoxFuture<'static, Result<(), ControllerError>>> {
        if !parts.controllers.selection.enables(name) {
            info!(controller = name.canonical(), "Is switched off by --controllers");
            return None;
        }
        let stop = stop.clone();
        match name {
            ControllerName::CloudNode => Some(Box::pin(self.cloud_node(parts).run(stop))),
            ControllerName::CloudNodeLifecycle => Some(Box::pin(self.lifecycle(parts).run(stop))),
            ControllerName::Service if parts.policy.current().backends().is_empty() => {
                error!("The policy names no load balancer: Services of type LoadBalancer are left alone");
                None
            }
            ControllerName::Service => Some(Box::pin(self.service_lb(parts, balancers).run(stop))),
            ControllerName::Route => {
                match parts.controllers.configure_cloud_routes {
                    Switch::On => {
                        warn!("--configure-cloud-routes is set, but Metal has no routes: the controller is skipped")
                    }
                    Switch::Off => info!("Routes are not configured"),
                }
                None
            }
        }
    }

    fn instances(parts: &Control) -> Arc<Instances> {
        Arc::new(Instances::new(parts.metal.clone(), parts.policy.clone(), Arc::new(SystemClock)))
    }

    fn node_api(&self, parts: &Control) -> Arc<KubeNodes> {
        let name = ControllerName::CloudNode;
        Arc::new(KubeNodes::new((parts.clients)(name.client()), self.cluster(parts, name)))
    }

    fn cloud_node(&self, parts: &Control) -> CloudNode {
        let options = &parts.controllers;
        CloudNode::new(CloudNodeParts {
            config: CloudNodeConfig {
                workers: options.node_workers.get(),
                status_workers: options.node_status_workers.get(),
                address_period: options.node_status_update_frequency,
                ..CloudNodeConfig::default()
            },
            instances: Self::instances(parts),
            cache: self.nodes.clone(),
            nodes: self.node_api(parts),
            events: Arc::new(self.events.for_component("cloud-node-controller")),
            policy: parts.policy.subscribe(),
            clock: Arc::new(SystemClock),
            metrics: parts.telemetry.nodes(),
            queue_metrics: parts.telemetry.queue("node"),
        })
    }

    fn lifecycle(&self, parts: &Control) -> CloudNodeLifecycle {
        CloudNodeLifecycle::new(CloudNodeLifecycleParts {
            period: parts.controllers.node_monitor_period,
            instances: Self::instances(parts),
            cache: self.nodes.clone(),
            nodes: self.node_api(parts),
            events: Arc::new(self.events.for_component("cloud-node-lifecycle-controller")),
        })
    }

    fn service_lb(&self, parts: &Control, balancers: &Arc<LoadBalancers>) -> ServiceLb {
        let client = (parts.clients)(ControllerName::Service.client());
        ServiceLb::new(
            ServiceLbConfig { workers: parts.controllers.service_workers.get() },
            ServiceLbParts {
                load_balancer: balancers.clone(),
                services: self.services.clone(),
                nodes: self.nodes.clone(),
                api: Arc::new(KubeServices::new(client)),
                events: Arc::new(self.events.for_component(EVENT_SOURCE)),
                own_writes: self.own_writes.clone(),
                decisions_changed: self.decisions_changed(parts),
                metrics: parts.telemetry.services(),
                queue_metrics: parts.telemetry.queue("service"),
                node_queue_metrics: parts.telemetry.queue("Nodes"),
            },
        )
    }

    /// Decisions change with the policy and with labels of Namespaces.
    fn decisions_changed(&self, parts: &Control) -> BoxStream<'static, ()> {
        stream::select(changes_of(parts.policy.subscribe()), changes_of(self.namespaces.subscribe())).boxed()
    }
}

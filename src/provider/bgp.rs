//! BGP of the nodes: looked at once for all Services, not once for each.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tracing::warn;

use super::execute::{Executor, Outcome};
use crate::domain::{Device, DeviceId, IpFamily, Node, ProviderId, ReservationType};
use crate::plan::{Action, BgpFacts, NodeBgp, NodeMachine, Step};
use crate::policy::Policy;
use crate::ports::{MaxAge, NodeSet, ProjectBgp, ProviderError};
use crate::strategy::BgpStrategy;

/// Rounds after which something keeps undoing what is done.
const MAX_ROUNDS: usize = 8;
/// How long nodes that are in order are taken to stay so while nobody says otherwise.
const VERIFIED_FOR: Duration = Duration::from_secs(60);

/// From where the addresses of Services can be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Announcement {
    /// From every selected node; none may be selected.
    Everywhere,
    /// From all but these, each with the reason.
    NotOn(Vec<String>),
    /// From none of the selected nodes, each with the reason.
    Nowhere(Vec<String>),
}

/// How old a listing may be in which a node's device is missing.
const NEW_NODES: MaxAge = MaxAge(Duration::from_secs(2));

/// Keeps the BGP of the nodes as the policy wants it.
#[derive(Debug, Default)]
pub(super) struct NodeBgpState {
    verified: Mutex<Option<Verified>>,
    /// Nodes as we last wrote them, for as long as the cache is behind.
    written: Mutex<HashMap<String, Arc<Node>>>,
    /// One at a time: two rounds would open the same sessions.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Verified {
    nodes: Arc<NodeSet>,
    policy: Arc<Policy>,
    at: Instant,
}

impl NodeBgpState {
    /// Brings every selected node to where it can announce, and tells which could not be brought there.
    pub(super) async fn converge(
        &self,
        executor: &Executor,
        policy: &Arc<Policy>,
        nodes: &Arc<NodeSet>,
    ) -> Result<Announcement, ProviderError> {
        let _turn = self.turn.lock().await;
        if self.is_verified(policy, nodes) {
            return Ok(Announcement::Everywhere);
        }
        let mut failures = Vec::new();
        let mut given_up = BTreeSet::new();
        for _ in 0..MAX_ROUNDS {
            let mut facts = self.observe(executor, policy, nodes).await?;
            facts.given_up = given_up.clone();
            let plan = policy.bgp.plan(&facts);
            for failure in plan.failures {
                given_up.insert(failure.node.clone());
                failures.push(failure.to_string());
            }
            if plan.steps.is_empty() {
                if failures.is_empty() {
                    self.remember(policy, nodes);
                    return Ok(Announcement::Everywhere);
                }
                let nowhere = given_up.len() == facts.nodes.len();
                return Ok(if nowhere { Announcement::Nowhere(failures) } else { Announcement::NotOn(failures) });
            }
            for step in &plan.steps {
                self.carry_out(executor, step, &mut given_up, &mut failures).await?;
            }
        }
        failures.push(format!(
            "the nodes' BGP did not settle in {MAX_ROUNDS} rounds; somebody else writes the same annotations"
        ));
        Ok(Announcement::NotOn(failures))
    }

    /// Enables the project's BGP, nothing more.
    pub(super) async fn enable(&self, executor: &Executor, bgp: &BgpStrategy) -> Result<(), ProviderError> {
        let project = executor.metal.bgp(MaxAge::RECENT).await?;
        match bgp.enable(&BgpFacts { config: project.config.clone(), ..BgpFacts::default() }) {
            Some(step) => executor.execute(&step).await.map(|_| ()),
            None => Ok(()),
        }
    }

    async fn carry_out(
        &self,
        executor: &Executor,
        step: &Step,
        given_up: &mut BTreeSet<String>,
        failures: &mut Vec<String>,
    ) -> Result<(), ProviderError> {
        let node = match &step.action {
            Action::CreateBgpSession { node, .. } => Some(node),
            Action::PatchNode(patch) => Some(&patch.node),
            Action::EnableBgp { .. } | Action::Reserve(_) | Action::Release { .. } | Action::PatchService(_) => None,
        };
        match (executor.execute(step).await, node) {
            (Ok(Outcome::Node(written)), _) => {
                let mut cache = self.written.lock().unwrap_or_else(PoisonError::into_inner);
                cache.insert(written.name.clone(), Arc::new(*written));
                Ok(())
            }
            (Ok(Outcome::Done | Outcome::Service(_)), _) => Ok(()),
            (Err(error), Some(node)) => {
                warn!(node = %node, action = %step.action, error = %error, "left the node for later");
                given_up.insert(node.clone());
                failures.push(format!("node {node}: {error}"));
                Ok(())
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn observe(&self, executor: &Executor, policy: &Policy, nodes: &NodeSet) -> Result<BgpFacts, ProviderError> {
        let project = executor.metal.bgp(MaxAge::RECENT).await?;
        let nodes: Vec<Arc<Node>> = nodes
            .nodes()
            .iter()
            .map(|node| self.latest(node))
            .filter(|node| policy.bgp.selects(node) && !belongs_elsewhere(node, policy))
            .collect();
        let devices = devices_of(executor, &nodes).await?;
        let mut facts = BgpFacts { config: project.config.clone(), ..BgpFacts::default() };
        let mut blocks_needed = false;
        for node in nodes {
            let machine = match device_of(&node) {
                Err(reason) => Err(reason),
                Ok(id) => match devices.get(&id) {
                    None => Err(format!("Metal lists no device {id}")),
                    Some(device) => {
                        let own = device.private_management_v4();
                        blocks_needed |= own.is_some_and(|own| own.parent_block.is_none());
                        let neighbors = neighbors(executor, &project, &id).await;
                        Ok(NodeMachine { device: device.clone(), neighbors })
                    }
                },
            };
            facts.nodes.push(NodeBgp { node, machine });
        }
        if blocks_needed {
            facts.private_blocks = private_blocks(executor).await?;
        }
        Ok(facts)
    }

    /// The Node with our own last write, for as long as the cache does not show it.
    fn latest(&self, cached: &Arc<Node>) -> Arc<Node> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(&cached.name) {
            Some(ours) if ours.uid == cached.uid && is_newer(&ours.resource_version, &cached.resource_version) => {
                ours.clone()
            }
            Some(_) => {
                written.remove(&cached.name);
                cached.clone()
            }
            None => cached.clone(),
        }
    }

    fn is_verified(&self, policy: &Arc<Policy>, nodes: &Arc<NodeSet>) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.as_ref().is_some_and(|v| {
            Arc::ptr_eq(&v.nodes, nodes) && Arc::ptr_eq(&v.policy, policy) && v.at.elapsed() < VERIFIED_FOR
        })
    }

    fn remember(&self, policy: &Arc<Policy>, nodes: &Arc<NodeSet>) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        *verified = Some(Verified { nodes: nodes.clone(), policy: policy.clone(), at: Instant::now() });
    }
}

/// Whether `ours` was stored after `theirs`. Versions of one resource grow as numbers; where they are no numbers, the
/// cache is believed.
pub(super) fn is_newer(ours: &str, theirs: &str) -> bool {
    match (ours.parse::<u128>(), theirs.parse::<u128>()) {
        (Ok(ours), Ok(theirs)) => ours > theirs,
        _ => false,
    }
}

/// A Node of another cloud, in a hybrid cluster.
fn belongs_elsewhere(node: &Node, policy: &Policy) -> bool {
    node.provider_id
        .split_once("://")
        .is_some_and(|(name, _)| !policy.nodes.provider_names.iter().any(|managed| managed == name))
}

fn device_of(node: &Node) -> Result<DeviceId, String> {
    match node.provider_id.as_str() {
        "" => Err("it has no provider ID yet".to_owned()),
        id => id.parse::<ProviderId>().map(|id| id.device().clone()).map_err(|error| error.to_string()),
    }
}

/// The devices of the project, listed anew when one of the nodes is younger than the last listing.
async fn devices_of(executor: &Executor, nodes: &[Arc<Node>]) -> Result<HashMap<DeviceId, Arc<Device>>, ProviderError> {
    let listed = async |max_age| -> Result<HashMap<_, _>, ProviderError> {
        let devices = executor.metal.devices(max_age).await?;
        Ok(devices.into_iter().map(|device| (device.id.clone(), device)).collect())
    };
    let known = listed(MaxAge::RECENT).await?;
    let all_known = nodes.iter().filter_map(|node| device_of(node).ok()).all(|id| known.contains_key(&id));
    if all_known { Ok(known) } else { listed(NEW_NODES).await }
}

async fn neighbors(
    executor: &Executor,
    project: &ProjectBgp,
    device: &DeviceId,
) -> Option<Result<Arc<Vec<crate::domain::BgpNeighbor>>, String>> {
    let session = project.sessions.get(&(device.clone(), IpFamily::V4))?;
    Some(executor.metal.neighbors(session).await.map_err(|error| error.to_string()))
}

async fn private_blocks(executor: &Executor) -> Result<Vec<IpNet>, ProviderError> {
    let reservations = executor.metal.reservations(MaxAge::RECENT).await?;
    Ok(reservations
        .iter()
        .filter(|r| r.kind == ReservationType::PrivateIpv4)
        .filter_map(|r| IpNet::new(r.network?, r.cidr).ok())
        .collect())
}

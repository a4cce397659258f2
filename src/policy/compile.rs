//! Puts a policy together from parts that were checked. Nothing can fail here.

use std::collections::HashMap;
use std::sync::Arc;

use super::compiled::{Defaults, ServiceRules};
use super::document::{ElasticIp, ElasticIpType, LoadBalancer, LoadBalancerKind, OnRelease, Rollout};
use super::meaning::{Checked, CheckedPool, CheckedRule, CheckedVerdict};
use super::rule::{Outcome, ServiceRule};
use super::{Faults, Policy, PolicyHash};
use crate::domain::record;
use crate::domain::reservation::{Location, ReservationType};
use crate::policy::compiled::DEFAULT_RULE;
use crate::strategy::announce::{KubeVip, NoAnnouncer};
use crate::strategy::{Announcer, Assignment, Backend, ElasticPool, Pool};

/// What names a policy.
pub(super) struct Identity {
    pub name: String,
    pub hash: PolicyHash,
    pub rollout: Rollout,
    pub warnings: Faults,
}

/// Puts a policy together.
pub(super) fn compile(checked: Checked, identity: Identity, defaults: &Defaults) -> Policy {
    let pools: Vec<Arc<Pool>> = checked.pools.into_iter().map(|pool| Arc::new(compile_pool(pool, defaults))).collect();
    let backends: Vec<Arc<Backend>> = checked.balancers.iter().filter_map(backend).map(Arc::new).collect();
    let parts = Parts {
        pools: pools.iter().map(|pool| (pool.name(), pool)).collect(),
        backends: backends.iter().map(|backend| (backend.name.as_str(), backend)).collect(),
    };
    let rules = checked.rules.into_iter().map(|rule| parts.rule(rule)).collect();
    let default = parts.outcome(DEFAULT_RULE, checked.default);
    Policy {
        name: identity.name,
        hash: identity.hash,
        bgp: checked.bgp,
        nodes: checked.nodes,
        rollout: identity.rollout,
        warnings: identity.warnings,
        services: ServiceRules::new(rules, default),
        pools,
        backends,
    }
}

struct Parts<'a> {
    pools: HashMap<&'a str, &'a Arc<Pool>>,
    backends: HashMap<&'a str, &'a Arc<Backend>>,
}

impl Parts<'_> {
    fn rule(&self, rule: CheckedRule) -> ServiceRule {
        ServiceRule { outcome: self.outcome(&rule.name, rule.verdict), name: rule.name, matches: rule.matches }
    }

    fn outcome(&self, rule: &str, verdict: CheckedVerdict) -> Outcome {
        match verdict {
            CheckedVerdict::Ignore => Outcome::Ignore,
            CheckedVerdict::Use { balancer, pool, overrides } => {
                let backend = self.backends.get(balancer.as_str()).copied();
                Outcome::Serve(Arc::new(Assignment {
                    rule: rule.to_owned(),
                    backend: Arc::clone(backend.expect("a checked rule names a load balancer of a supported kind")),
                    pool: pool.as_deref().and_then(|name| self.pools.get(name).copied()).cloned(),
                    overrides,
                }))
            }
        }
    }
}

/// The kinds that `supported` refuses have no backend.
fn backend(balancer: &LoadBalancer) -> Option<Backend> {
    let announcer: Arc<dyn Announcer> = match &balancer.kind {
        LoadBalancerKind::KubeVip(_) => Arc::new(KubeVip),
        LoadBalancerKind::None(_) => Arc::new(NoAnnouncer),
        LoadBalancerKind::MetalLb(_) | LoadBalancerKind::EquinixLoadBalancer(_) => return None,
    };
    Some(Backend { name: balancer.name.clone(), announcer })
}

fn compile_pool(pool: CheckedPool, defaults: &Defaults) -> Pool {
    match pool {
        CheckedPool::Static(pool) => Pool::Static(pool),
        CheckedPool::Elastic { name, settings } => Pool::Elastic(ElasticPool {
            kind: kind(settings.kind),
            location: location(&settings, defaults),
            name,
            tags: settings.tags,
            max_addresses: settings.max_addresses,
            on_release: match settings.on_release {
                OnRelease::Delete => record::OnRelease::Delete,
                OnRelease::Retain => record::OnRelease::Retain,
            },
        }),
    }
}

fn kind(kind: ElasticIpType) -> ReservationType {
    match kind {
        ElasticIpType::PublicIpv4 => ReservationType::PublicIpv4,
        ElasticIpType::PublicIpv6 => ReservationType::PublicIpv6,
        ElasticIpType::GlobalIpv4 => ReservationType::GlobalIpv4,
    }
}

fn location(settings: &ElasticIp, defaults: &Defaults) -> Option<Location> {
    match (settings.kind, &settings.metro, &settings.facility) {
        (ElasticIpType::GlobalIpv4, _, _) => None,
        (_, Some(metro), _) => Some(Location::Metro(metro.clone())),
        (_, None, Some(facility)) => Some(Location::Facility(facility.clone())),
        (_, None, None) => defaults.location(),
    }
}

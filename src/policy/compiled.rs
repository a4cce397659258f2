//! A policy that decides: nothing in it can fail any more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Faults;
use super::document::Rollout;
use super::rule::{Candidate, Miss, Outcome, ServiceRule};
use super::rule_index::RuleIndex;
use crate::domain::Service;
use crate::domain::reservation::Location;
use crate::strategy::{Assignment, Backend, BgpStrategy, NodeStrategy, Pool};

/// A hash of the policy's meaning: texts that differ only in comments, order of keys or layout have the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicyHash(String);

impl PolicyHash {
    /// Wraps the first 16 hexadecimal digits of a SHA-256.
    pub fn new(hex: impl Into<String>) -> Self {
        Self(hex.into())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the controller was told outside the policy, and a policy may leave open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults {
    /// The controller's own metro.
    pub metro: Option<String>,
    /// The controller's own facility; the metro goes before it.
    pub facility: Option<String>,
}

impl Defaults {
    /// Where an address is reserved when its pool does not say.
    pub fn location(&self) -> Option<Location> {
        let metro = self.metro.clone().filter(|code| !code.is_empty());
        let facility = self.facility.clone().filter(|code| !code.is_empty());
        metro.map(Location::Metro).or(facility.map(Location::Facility))
    }
}

/// What a decision about a Service may look at.
#[derive(Debug, Clone, Copy)]
pub struct ServiceSubject<'a> {
    /// The Service.
    pub service: &'a Service,
    /// Labels of its Namespace; empty when unknown.
    pub namespace_labels: &'a BTreeMap<String, String>,
}

/// What the policy says of a Service.
#[derive(Debug, Clone)]
pub enum Decision {
    /// A rule, or the default, serves it.
    Served(Arc<Assignment>),
    /// A rule, or the default, says to leave it alone.
    Ignored {
        /// The rule's name; `default` when none matched.
        rule: String,
    },
    /// It sets a class that no matching rule names.
    UnclaimedClass {
        /// The class.
        class: String,
    },
}

/// The name that stands for the default where a rule's name is expected.
pub const DEFAULT_RULE: &str = "default";

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    /// `metadata.name`.
    pub name: String,
    /// Hash of its meaning.
    pub hash: PolicyHash,
    /// BGP.
    pub bgp: BgpStrategy,
    /// Nodes.
    pub nodes: NodeStrategy,
    /// How a change to another policy takes effect.
    pub rollout: Rollout,
    /// What its author should look at, though it works.
    pub warnings: Faults,
    pub(super) services: ServiceRules,
    pub(super) pools: Vec<Arc<Pool>>,
    pub(super) backends: Vec<Arc<Backend>>,
}

/// The section on Services.
#[derive(Debug)]
pub(super) struct ServiceRules {
    rules: Vec<ServiceRule>,
    default: Outcome,
    index: RuleIndex,
}

impl ServiceRules {
    pub(super) fn new(rules: Vec<ServiceRule>, default: Outcome) -> Self {
        let index = RuleIndex::new(&rules);
        Self { rules, default, index }
    }
}

impl Policy {
    /// A policy that serves no Service and sets nothing on any Node.
    pub fn nothing(name: impl Into<String>, hash: PolicyHash) -> Self {
        Self {
            name: name.into(),
            hash,
            bgp: BgpStrategy::default(),
            nodes: NodeStrategy::default(),
            rollout: Rollout::default(),
            warnings: Faults::default(),
            services: ServiceRules::new(Vec::new(), Outcome::Ignore),
            pools: Vec::new(),
            backends: Vec::new(),
        }
    }

    /// What the policy says of a Service. The first rule that matches decides; a Service that sets
    /// `spec.loadBalancerClass` is served only by a rule that names its class.
    pub fn decide(&self, subject: &ServiceSubject<'_>) -> Decision {
        let candidate = Candidate::new(*subject);
        let rules = &self.services.rules;
        let winner = self
            .services
            .index
            .candidates(&candidate)
            .into_iter()
            .filter_map(|number| rules.get(number))
            .find(|rule| rule.miss(&candidate).is_none());
        match (winner, candidate.class()) {
            (Some(rule), _) => decision(&rule.outcome, &rule.name),
            (None, Some(class)) => Decision::UnclaimedClass { class: class.to_owned() },
            (None, None) => decision(&self.services.default, DEFAULT_RULE),
        }
    }

    /// For each rule in order, the first part of it that the Service does not meet, up to the rule that applies.
    pub fn misses(&self, subject: &ServiceSubject<'_>) -> Vec<(&ServiceRule, Option<Miss>)> {
        let candidate = Candidate::new(*subject);
        let mut tried = Vec::new();
        for rule in &self.services.rules {
            let miss = rule.miss(&candidate);
            let applies = miss.is_none();
            tried.push((rule, miss));
            if applies {
                break;
            }
        }
        tried
    }

    /// Whether any rule looks at the labels of Namespaces.
    pub fn needs_namespace_labels(&self) -> bool {
        self.services.rules.iter().any(|rule| rule.matches.namespace_selector.is_some())
    }

    /// What a rule assigns, by the rule's name; `default` stands for the default. `None` where it ignores or is unknown.
    pub fn assignment(&self, rule: &str) -> Option<&Arc<Assignment>> {
        let outcome = match rule {
            DEFAULT_RULE => &self.services.default,
            name => &self.services.rules.iter().find(|rule| rule.name == name)?.outcome,
        };
        match outcome {
            Outcome::Serve(assignment) => Some(assignment),
            Outcome::Ignore => None,
        }
    }

    /// The rules for Services, in order.
    pub fn rules(&self) -> &[ServiceRule] {
        &self.services.rules
    }

    /// What a Service without class gets when no rule matches.
    pub fn default_outcome(&self) -> &Outcome {
        &self.services.default
    }

    /// The address pools, in the order of the document.
    pub fn pools(&self) -> &[Arc<Pool>] {
        &self.pools
    }

    /// An address pool, by its name.
    pub fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.iter().find(|pool| pool.name() == name)
    }

    /// The load balancers, in the order of the document.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// A load balancer, by its name.
    pub fn backend(&self, name: &str) -> Option<&Arc<Backend>> {
        self.backends.iter().find(|backend| backend.name == name)
    }
}

fn decision(outcome: &Outcome, rule: &str) -> Decision {
    match outcome {
        Outcome::Serve(assignment) => Decision::Served(Arc::clone(assignment)),
        Outcome::Ignore => Decision::Ignored { rule: rule.to_owned() },
    }
}

//! Compiled decisions. A strategy is what the policy says for one case, ready to turn facts into a plan.

pub mod address;
pub mod announce;
pub mod bgp;
pub mod instance;
pub mod load_balancer;
pub mod node_addresses;
pub mod node_decision;
pub mod node_labels;
#[cfg(test)]
pub(crate) mod testing;

pub use address::{ElasticPool, Pool, StaticPool};
pub use announce::Announcer;
pub use bgp::{BgpAnnotations, BgpStrategy};
pub use load_balancer::{Assignment, Backend, Overrides};
pub use node_decision::{NodeDecision, NodeProblem, RuleVerdict};
pub use node_labels::NodeStrategy;

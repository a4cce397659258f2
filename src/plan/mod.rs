//! Facts in, plan out: the external writes that are wanted, in order, each with its reason.
//!
//! A plan is computed, never carried out, here. Steps that need the result of an earlier one are not in it: the
//! executor absorbs outcomes into the facts and plans again, until the plan is empty.

pub mod action;
pub mod node_fields;
pub mod observed;
pub mod shutdown_taint;

pub use action::{Action, Change, NodePatch, PasswordSource, ServicePatch};
pub use node_fields::{FieldPlan, ForeignField};
pub use observed::{BgpFacts, Claims, NodeBgp, NodeMachine, ServiceFacts};

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The write.
    pub action: Action,
    /// Why it is wanted, in words an operator understands.
    pub reason: String,
}

impl Step {
    /// A step.
    pub fn new(action: Action, reason: impl Into<String>) -> Self {
        Self { action, reason: reason.into() }
    }

    /// Whether it gives an address back.
    pub fn is_release(&self) -> bool {
        matches!(self.action, Action::Release { .. })
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}  # {}", self.action, self.reason)
    }
}

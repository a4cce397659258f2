//! What rules of the policy wanted on a Node and did not get, told once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{InstanceMetadata, Node};
use crate::kubernetes::convert::node_reference;
use crate::kubernetes::events::{EventSink, NewEvent, Severity};
use crate::plan::FieldPlan;

/// Tells of a Node's problems when they change, not each time they are met again.
pub(super) struct Reports {
    events: Arc<dyn EventSink>,
    told: Mutex<HashMap<String, Vec<String>>>,
}

impl Reports {
    pub(super) fn new(events: Arc<dyn EventSink>) -> Self {
        Self { events, told: Mutex::default() }
    }

    /// Logs and records as an event what rules could not set, if that is news.
    pub(super) fn rules(&self, node: &Node, metadata: &InstanceMetadata, plan: &FieldPlan) {
        let foreign = plan.foreign.iter().map(ToString::to_string);
        let problems: Vec<String> = metadata.problems.iter().cloned().chain(foreign).collect();
        if !self.is_news(&node.name, &problems) {
            return;
        }
        let message = problems.join("; ");
        tracing::warn!(node = node.name, problems = message, "rules of the policy could not be applied in full");
        self.events.record(NewEvent {
            about: node_reference(node),
            severity: Severity::Warning,
            reason: "NodeRuleNotApplied",
            message,
        });
    }

    /// Forgets a Node that is gone.
    pub(super) fn forget(&self, node: &str) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }

    fn is_news(&self, node: &str, problems: &[String]) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.is_empty() {
            told.remove(node);
            return false;
        }
        let before = told.insert(node.to_owned(), problems.to_vec());
        before.as_deref() != Some(problems)
    }
}

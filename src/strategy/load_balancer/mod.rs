//! What the policy decided for one Service.

mod ensure;
mod teardown;
#[cfg(test)]
mod tests;

pub use ensure::{EnsurePlan, ensure};
pub use teardown::{remnant, teardown};

use std::sync::Arc;

use super::{Announcer, Pool};

/// An entry of the policy's `loadBalancers`.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Its name in the policy.
    pub name: String,
    /// How it announces.
    pub announcer: Arc<dyn Announcer>,
}

/// What a rule, or the default, assigns to a Service.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The rule's name; `default` when none matched.
    pub rule: String,
    /// The backend.
    pub backend: Arc<Backend>,
    /// Where its address comes from; `None` where the backend chooses addresses itself.
    pub pool: Option<Arc<Pool>>,
    /// What the Service may say itself.
    pub overrides: Overrides,
}

/// Annotations of a Service that are honoured. `None`: not under this rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// The annotation that names the metro of a reserved address.
    pub metro: Option<String>,
    /// The annotation that names the facility of a reserved address.
    pub facility: Option<String>,
}

impl Assignment {
    /// A text that changes exactly when the assignment would give a Service something else, or in another way.
    pub fn fingerprint(&self) -> String {
        format!("{:?} {:?} {:?}", self.backend, self.pool, self.overrides)
    }
}

//! What the policy decided for one Service.

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

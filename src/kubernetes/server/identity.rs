//! Who asks.

use std::collections::BTreeMap;

/// The name of those who show no credential.
pub const ANONYMOUS: &str = "system:anonymous";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const AUTHENTICATED: &str = "system:authenticated";

/// A user, as Kubernetes describes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User {
    /// The name.
    pub name: String,
    /// The UID; empty when unknown.
    pub uid: String,
    /// Groups, in the order of whoever named them.
    pub groups: Vec<String>,
    /// Anything else.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Somebody without credential.
    pub fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.to_string(),
            uid: String::new(),
            groups: vec![UNAUTHENTICATED.to_string()],
            extra: BTreeMap::new(),
        }
    }

    /// The same user as a member of those who showed a credential.
    pub(super) fn authenticated(mut self) -> Self {
        if !self.groups.iter().any(|group| group == AUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_string());
        }
        self
    }
}

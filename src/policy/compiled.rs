//! A policy that decides: nothing in it can fail any more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::domain::Service;
use crate::strategy::{Assignment, BgpStrategy, NodeStrategy};

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
}

impl Policy {
    /// What the policy says of a Service.
    pub fn decide(&self, _subject: &ServiceSubject<'_>) -> Decision {
        Decision::Ignored { rule: "default".into() }
    }

    /// The load balancers of the policy.
    pub fn backends(&self) -> &[Arc<crate::strategy::Backend>] {
        &[]
    }
}

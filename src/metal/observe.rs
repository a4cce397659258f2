//! What the operator's metrics learn about requests.

use std::time::Duration;

use super::route::Method;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A whole answer with this status.
    Status(u16),
    /// No answer, or one that broke off.
    NoAnswer,
}

/// One request that was sent; each retry counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestReport {
    /// Its method.
    pub method: Method,
    /// Its path below the base URL with the id left open, as in `/devices/{id}`.
    pub route: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// From sending to the last byte.
    pub duration: Duration,
}

/// Told of every request when it has ended. Must not block.
pub trait RequestObserver: Send + Sync {
    /// A request has ended.
    fn observe(&self, report: &RequestReport);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl RequestObserver for Unobserved {
    fn observe(&self, _: &RequestReport) {}
}

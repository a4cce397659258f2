//! What a failed call means for the caller's next step.

use std::time::Duration;

use super::{ClusterError, MetalError};
use crate::domain::Ingress;

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// With the usual growing delay.
    Backoff,
    /// Not before this much time has passed.
    After(Duration),
    /// Not until somebody changes something; tried again at the longest delay all the same.
    Permanent,
}

/// The provider could not do what its contract asked.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Metal has no such machine or load balancer.
    #[error("{what} not found")]
    NotFound {
        /// What was looked for, as in "instance" or "device 1234".
        what: String,
    },
    /// Somebody else implements this; success as far as the controller is concerned.
    #[error("implemented elsewhere")]
    ImplementedElsewhere,
    /// Not possible as things are: the message says what and what to do.
    #[error("{message}")]
    Refused {
        /// What is wrong and how to mend it.
        message: String,
    },
    /// Not ready yet: try again after a while, without counting it as a failure.
    #[error("{message}")]
    NotYet {
        /// What is being waited for.
        message: String,
        /// How long to wait.
        after: Duration,
    },
    /// The address works, but not every node announces it: the status is written, and the rest is tried again.
    #[error("{}", failures.join("; "))]
    Partial {
        /// What belongs in the Service's status all the same.
        ingress: Vec<Ingress>,
        /// One sentence for each part that failed.
        failures: Vec<String>,
    },
    /// A call to Metal failed.
    #[error(transparent)]
    Metal(#[from] MetalError),
    /// A call to the cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl ProviderError {
    /// When to try again.
    pub fn retry(&self) -> RetryClass {
        match self {
            Self::NotYet { after, .. } => RetryClass::After(*after),
            Self::Metal(error) => error.retry(),
            Self::NotFound { .. }
            | Self::ImplementedElsewhere
            | Self::Refused { .. }
            | Self::Partial { .. }
            | Self::Cluster(_) => RetryClass::Backoff,
        }
    }
}

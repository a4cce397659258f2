//! The cluster, as the provider writes to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{Node, Secret, Service, ServiceKey};
use crate::plan::{NodePatch, PasswordSource, ServicePatch};

/// Writes of the provider to the cluster. Patches touch the named fields only.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Changes a Service and returns it as stored. Fails with [`ClusterError::Conflict`] when its UID is another.
    async fn patch_service(&self, patch: &ServicePatch) -> Result<Service, ClusterError>;

    /// Changes a Node and returns it as stored.
    async fn patch_node(&self, patch: &NodePatch) -> Result<Node, ClusterError>;

    /// The Service as the API server has it now, caches left aside.
    async fn service(&self, key: &ServiceKey) -> Result<Option<Service>, ClusterError>;

    /// Reads a password where the policy says it is.
    async fn password(&self, source: &PasswordSource) -> Result<Secret, ClusterError>;
}

/// Labels of Namespaces, from a cache that is synced before the first question.
pub trait Namespaces: Send + Sync {
    /// The labels; `None` when there is no such Namespace.
    fn labels(&self, namespace: &str) -> Option<Arc<BTreeMap<String, String>>>;
}

/// A call to the cluster that failed. Messages name the object, never its content.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// 404.
    #[error("{object} not found")]
    NotFound {
        /// Kind and name.
        object: String,
    },
    /// 409: somebody else wrote first, or the object is another one under the same name.
    #[error("{object} has changed meanwhile")]
    Conflict {
        /// Kind and name.
        object: String,
    },
    /// 403: RBAC does not allow it.
    #[error("{object}: forbidden: {message}; the controller's ClusterRole lacks this right")]
    Forbidden {
        /// Kind and name.
        object: String,
        /// The API server's words.
        message: String,
    },
    /// 422: the API server refuses the content.
    #[error("{object}: refused by the API server: {message}")]
    Invalid {
        /// Kind and name.
        object: String,
        /// The API server's words.
        message: String,
    },
    /// Anything else: no answer, 5xx, 429.
    #[error("{object}: {message}")]
    Failed {
        /// Kind and name.
        object: String,
        /// What happened.
        message: String,
    },
}

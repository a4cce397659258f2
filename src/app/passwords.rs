//! Passwords that are known under the name of an environment variable without being in the environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{Node, Secret, Service, ServiceKey};
use crate::plan::{NodePatch, PasswordSource, ServicePatch};
use crate::ports::{Cluster, ClusterError};
use crate::settings::{BGP_PASSWORD_VARIABLE, BgpPassword, Settings};

/// Passwords by environment variable. What is not among them is read where the policy says it is.
#[derive(Debug, Clone, Default)]
pub struct Passwords {
    known: BTreeMap<String, Secret>,
    otherwise: Option<Secret>,
}

impl Passwords {
    /// The BGP password of the cloud-config file, under the name it has in the environment.
    pub fn of(settings: &Settings) -> Self {
        match &settings.bgp_pass {
            Some(BgpPassword::CloudConfig { password, .. }) => {
                let known = BTreeMap::from([(BGP_PASSWORD_VARIABLE.to_owned(), password.clone())]);
                Self { known, otherwise: None }
            }
            Some(BgpPassword::Environment(_)) | None => Self::default(),
        }
    }

    /// One password for all that cannot be read: good enough where Metal is simulated.
    pub fn made_up() -> Self {
        Self { known: BTreeMap::new(), otherwise: Some(Secret::new("Sandb0xSandb0x")) }
    }

    /// A cluster that knows these passwords.
    pub(super) fn on(self, cluster: Arc<dyn Cluster>) -> Arc<dyn Cluster> {
        Arc::new(Knowing { passwords: self, cluster })
    }
}

struct Knowing {
    passwords: Passwords,
    cluster: Arc<dyn Cluster>,
}

#[async_trait]
impl Cluster for Knowing {
    async fn patch_service(&self, patch: &ServicePatch) -> Result<Service, ClusterError> {
        self.cluster.patch_service(patch).await
    }

    async fn patch_node(&self, patch: &NodePatch) -> Result<Node, ClusterError> {
        self.cluster.patch_node(patch).await
    }

    async fn service(&self, key: &ServiceKey) -> Result<Option<Service>, ClusterError> {
        self.cluster.service(key).await
    }

    async fn password(&self, source: &PasswordSource) -> Result<Secret, ClusterError> {
        let known = match source {
            PasswordSource::Env(name) => self.passwords.known.get(name),
            PasswordSource::File(_) | PasswordSource::SecretKey { .. } => None,
        };
        match known {
            Some(password) => Ok(password.clone()),
            None => match (self.cluster.password(source).await, &self.passwords.otherwise) {
                (Err(_), Some(made_up)) => Ok(made_up.clone()),
                (answer, _) => answer,
            },
        }
    }
}

//! The lease, as the API server keeps it.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};

use super::ElectionConfig;
use crate::kubernetes::FIELD_MANAGER;

/// Reads and writes one lease.
#[async_trait]
pub trait LeaseApi: Send + Sync {
    /// The lease; `None` when there is none.
    async fn get(&self) -> Result<Option<Lease>, LeaseError>;

    /// Makes the lease and returns it as stored.
    async fn create(&self, lease: &Lease) -> Result<Lease, LeaseError>;

    /// Replaces the lease if it still has the given resource version, and returns it as stored.
    async fn update(&self, lease: &Lease) -> Result<Lease, LeaseError>;
}

/// A request about the lease that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else wrote first.
    #[error("somebody else wrote first")]
    Conflict,
    /// No answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Any other answer, or none.
    #[error("{0}")]
    Failed(Box<kube::Error>),
}

impl From<kube::Error> for LeaseError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 409 => Self::Conflict,
            other => Self::Failed(Box::new(other)),
        }
    }
}

/// A lease of a real API server.
pub struct KubeLeases {
    leases: Api<Lease>,
    name: String,
}

impl KubeLeases {
    /// The lease of this configuration. Nothing else should use the client, lest renewal wait for others.
    pub fn new(client: Client, config: &ElectionConfig) -> Self {
        Self { leases: Api::namespaced(client, &config.namespace), name: config.name.clone() }
    }
}

#[async_trait]
impl LeaseApi for KubeLeases {
    async fn get(&self) -> Result<Option<Lease>, LeaseError> {
        Ok(self.leases.get_opt(&self.name).await?)
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        Ok(self.leases.create(&params(), lease).await?)
    }

    async fn update(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        Ok(self.leases.replace(&self.name, &params(), lease).await?)
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_string()), ..PostParams::default() }
}

//! The machines behind Nodes, as Metal and the policy know them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{Device, InstanceMetadata, Node, ProviderId, ProviderIdError};
use crate::policy::PolicyStore;
use crate::ports::{Clock, Existence, InstancesV2, MaxAge, Metal, MetalError, ProviderError};
use crate::strategy::instance;

/// No listing is asked to be younger: Kubernetes' own times have whole seconds, and Nodes that ask together share one.
const YOUNGEST: Duration = Duration::from_secs(1);

/// Answers the node controllers from the shared listing of devices.
///
/// # Guarantees
/// - No call to Metal is made for a Node that the listing answers; while nothing changes, there is one listing a minute.
/// - A Node that registers just after its device was made is found as soon as a newer listing shows the device; how
///   often one is asked for on its account falls off with the Node's age.
/// - "Does not exist" is answered only where [`Metal::existence`] says [`Existence::Gone`].
pub struct Instances {
    metal: Arc<dyn Metal>,
    policy: Arc<PolicyStore>,
    clock: Arc<dyn Clock>,
}

impl Instances {
    /// Answers from a Metal project, by the policy in force.
    pub fn new(metal: Arc<dyn Metal>, policy: Arc<PolicyStore>, clock: Arc<dyn Clock>) -> Self {
        Self { metal, policy, clock }
    }

    async fn existence(&self, node: &Node) -> Result<Existence, ProviderError> {
        let id: ProviderId = node.provider_id.parse().map_err(refused)?;
        // What was listed before the Node fell ill says nothing about why it did.
        let max_age = within_bounds(self.time_since(node.readiness_since));
        Ok(self.metal.existence(id.device(), max_age).await?)
    }

    async fn device(&self, node: &Node) -> Result<Arc<Device>, ProviderError> {
        let wanted = Wanted::of(node)?;
        if let Some(device) = self.listed(&wanted, MaxAge::RECENT).await? {
            return Ok(device);
        }
        // The listing may be older than the device. Half the Node's age, and not all of it, because Metal's own lists
        // lag behind: the next retries look again, ever more seldom.
        let max_age = within_bounds(self.time_since(node.created_at) / 2);
        if node.is_uninitialized()
            && max_age < MaxAge::RECENT
            && let Some(device) = self.listed(&wanted, max_age).await?
        {
            return Ok(device);
        }
        Err(ProviderError::NotFound { what: "instance".to_owned() })
    }

    async fn listed(&self, wanted: &Wanted<'_>, max_age: MaxAge) -> Result<Option<Arc<Device>>, MetalError> {
        match wanted {
            Wanted::Id(id) => self.metal.device(id.device(), max_age).await,
            Wanted::Hostname(name) => self.metal.device_by_hostname(name, max_age).await,
        }
    }

    /// A time in the future, by a clock that differs from ours, counts as now.
    fn time_since(&self, then: i64) -> Duration {
        Duration::from_secs(u64::try_from(self.clock.now().saturating_sub(then)).unwrap_or(0))
    }
}

/// The age that a listing may have, given what is hoped for.
fn within_bounds(age: Duration) -> MaxAge {
    MaxAge(age.max(YOUNGEST)).min(MaxAge::RECENT)
}

#[async_trait]
impl InstancesV2 for Instances {
    fn manages(&self, node: &Node) -> bool {
        self.policy.current().nodes.manages(node)
    }

    async fn instance_exists(&self, node: &Node) -> Result<bool, ProviderError> {
        match self.existence(node).await? {
            Existence::Exists(_) => Ok(true),
            Existence::Gone => Ok(false),
        }
    }

    async fn instance_shutdown(&self, node: &Node) -> Result<bool, ProviderError> {
        match self.existence(node).await? {
            Existence::Exists(device) => Ok(device.state.is_shutdown()),
            Existence::Gone => Err(ProviderError::NotFound { what: "instance".to_owned() }),
        }
    }

    async fn instance_metadata(&self, node: &Node) -> Result<InstanceMetadata, ProviderError> {
        let device = self.device(node).await?;
        Ok(instance::metadata(&self.policy.current().nodes, &device, node))
    }
}

/// How the device of a Node is found.
enum Wanted<'a> {
    Id(ProviderId),
    Hostname(&'a str),
}

impl<'a> Wanted<'a> {
    fn of(node: &'a Node) -> Result<Self, ProviderError> {
        if !node.provider_id.is_empty() {
            return Ok(Self::Id(node.provider_id.parse().map_err(refused)?));
        }
        if node.name.is_empty() {
            return Err(ProviderError::Refused { message: "node name cannot be empty".to_owned() });
        }
        Ok(Self::Hostname(&node.name))
    }
}

fn refused(error: ProviderIdError) -> ProviderError {
    ProviderError::Refused { message: error.to_string() }
}

#[cfg(test)]
mod tests;

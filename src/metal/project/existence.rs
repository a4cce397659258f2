//! Whether a device exists. The answer "gone" deletes a Node, so that it takes more than one witness.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::super::requests::ProjectFacts;
use super::Project;
use crate::domain::{Device, DeviceId};
use crate::ports::{Existence, MaxAge, MetalError};

/// A device outside the listing is forgotten after this time without a question for it.
const STRAY_AGE: Duration = Duration::from_secs(3600);

impl Project {
    pub(super) async fn device_existence(&self, id: &DeviceId, max_age: MaxAge) -> Result<Existence, MetalError> {
        let called = Instant::now();
        let listed = self.devices_since(called.checked_sub(max_age.0)).await?;
        if let Some(device) = listed.by_id(id) {
            return Ok(Existence::Exists(device.clone()));
        }
        if let Some(device) = self.stray(id, max_age) {
            return Ok(Existence::Exists(device));
        }
        let fresh = self.devices_since(called.checked_sub(max_age.0.min(self.config.absence_age))).await?;
        if let Some(device) = fresh.by_id(id) {
            return Ok(Existence::Exists(device.clone()));
        }
        let refusal = match self.client.device(id).await {
            Ok(device) => return Ok(Existence::Exists(self.remember_stray(id, device))),
            Err(refusal) => refusal,
        };
        match refusal {
            // A key that lost its rights sees an empty list and is refused everywhere.
            MetalError::Forbidden { .. } if fresh.all().is_empty() => return Err(refusal),
            MetalError::NotFound { .. } | MetalError::Forbidden { .. } => {}
            MetalError::Unauthorized { .. }
            | MetalError::Rejected { .. }
            | MetalError::RateLimited { .. }
            | MetalError::Server { .. }
            | MetalError::Unreachable { .. }
            | MetalError::Malformed { .. }
            | MetalError::Unsettled { .. } => return Err(refusal),
        }
        let project = self.project_since(Instant::now()).await?;
        if project.devices.contains(id) {
            tracing::warn!(device = %id, "the project names a device that cannot be read");
            return Err(refusal);
        }
        tracing::debug!(device = %id, %refusal, "a device is gone");
        Ok(Existence::Gone)
    }

    /// The project as read by a call that began at `not_before` or later: proof that the key still reaches it.
    pub(super) async fn project_since(&self, not_before: Instant) -> Result<Arc<ProjectFacts>, MetalError> {
        let read = |_| async {
            let facts = self.client.project(&self.id).await?;
            self.probe.store(Arc::new(facts));
            Ok(())
        };
        self.probe_flight.since(Some(not_before), read).await?;
        Ok(self.probe.load_full())
    }

    fn stray(&self, id: &DeviceId, max_age: MaxAge) -> Option<Arc<Device>> {
        let strays = self.strays();
        let (at, device) = strays.get(id)?;
        (at.elapsed() <= max_age.0).then(|| device.clone())
    }

    fn remember_stray(&self, id: &DeviceId, device: Device) -> Arc<Device> {
        let device = Arc::new(device);
        let mut strays = self.strays();
        strays.retain(|_, (at, _)| at.elapsed() < STRAY_AGE);
        strays.insert(id.clone(), (Instant::now(), device.clone()));
        device
    }

    fn strays(&self) -> MutexGuard<'_, HashMap<DeviceId, (Instant, Arc<Device>)>> {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

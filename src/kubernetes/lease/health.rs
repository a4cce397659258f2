//! Whether leadership is kept up.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::ElectionConfig;
use crate::kubernetes::server::HealthCheck;

/// A leader should have ended long before it is this much late.
const TOLERANCE: Duration = Duration::from_secs(20);

/// Fails when this process leads and has not renewed for the lease duration and 20 seconds more. A candidate is well.
#[derive(Debug)]
pub struct LeaseHealth {
    lease: String,
    limit: Duration,
    renewed: Mutex<Option<Instant>>,
}

impl LeaseHealth {
    pub(super) fn new(config: &ElectionConfig) -> Self {
        Self {
            lease: config.name.clone(),
            limit: config.timing.lease_duration() + TOLERANCE,
            renewed: Mutex::new(None),
        }
    }

    pub(super) fn renewed(&self) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn stopped(&self) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl HealthCheck for LeaseHealth {
    fn name(&self) -> &str {
        "leaderElection"
    }

    fn check(&self) -> Result<(), String> {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        match renewed.map(|at| at.elapsed()) {
            Some(age) if age > self.limit => Err(format!("the lease {} was last renewed {age:?} ago", self.lease)),
            Some(_) | None => Ok(()),
        }
    }
}

//! What this process itself writes to Services, so that its own changes are not taken for somebody's.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{Service, ServiceKey};
use crate::plan::{Change, ServicePatch};

/// Writes that were made, or are about to be, and whose effect has not been looked for yet.
#[derive(Debug, Default)]
pub struct OwnWrites {
    log: Mutex<HashMap<ServiceKey, Vec<ServicePatch>>>,
}

impl OwnWrites {
    /// Takes note of a write before it is made: the watch may be quicker than the answer.
    pub fn note(&self, patch: &ServicePatch) {
        self.lock().entry(patch.service.clone()).or_default().push(patch.clone());
    }

    /// The writes to a Service since the last question.
    pub fn take(&self, service: &ServiceKey) -> Vec<ServicePatch> {
        self.lock().remove(service).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServiceKey, Vec<ServicePatch>>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a Service what it is after a patch.
pub fn apply(service: &mut Service, patch: &ServicePatch) {
    match &patch.load_balancer_ip {
        Change::Keep => {}
        Change::Set(ip) => service.load_balancer_ip = Some(ip.to_string()),
        Change::Clear => service.load_balancer_ip = None,
    }
    for (key, value) in &patch.annotations {
        match value {
            Some(value) => {
                service.annotations.insert(key.clone(), value.clone());
            }
            None => {
                service.annotations.remove(key);
            }
        }
    }
}

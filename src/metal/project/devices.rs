//! The devices of the last listing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::{Device, DeviceId};

/// Devices by id and by hostname, in the API's order.
#[derive(Debug, Default)]
pub(super) struct Devices {
    all: Vec<Arc<Device>>,
    by_id: HashMap<DeviceId, usize>,
    by_hostname: HashMap<String, usize>,
    /// Hostnames of more than one device.
    shared_hostnames: BTreeSet<String>,
}

impl Devices {
    /// The devices of a complete listing. Warns of hostnames that have come to be shared since `before`.
    pub(super) fn new(listed: Vec<Device>, before: &Self) -> Self {
        let mut devices = Self::default();
        for device in listed {
            devices.add(Arc::new(device));
        }
        for hostname in devices.shared_hostnames.difference(&before.shared_hostnames) {
            let used = devices.by_hostname(hostname).map(|device| device.id.as_str()).unwrap_or_default();
            tracing::warn!(hostname, device = used, "several devices share a hostname, and the first listed is used");
        }
        devices
    }

    pub(super) fn all(&self) -> &[Arc<Device>] {
        &self.all
    }

    pub(super) fn by_id(&self, id: &DeviceId) -> Option<&Arc<Device>> {
        self.all.get(*self.by_id.get(id)?)
    }

    pub(super) fn by_hostname(&self, hostname: &str) -> Option<&Arc<Device>> {
        self.all.get(*self.by_hostname.get(hostname)?)
    }

    fn add(&mut self, device: Arc<Device>) {
        let place = self.all.len();
        self.by_id.insert(device.id.clone(), place);
        if !device.hostname.is_empty() {
            let first = *self.by_hostname.entry(device.hostname.clone()).or_insert(place);
            if first != place {
                self.shared_hostnames.insert(device.hostname.clone());
            }
        }
        self.all.push(device);
    }
}

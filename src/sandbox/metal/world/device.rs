//! Devices: how they are made, change state and go.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Due, Refusal, World, clock::later};
use crate::sandbox::metal::catalog::{self, Metro};
use crate::sandbox::metal::config::GoneDevice;

/// A server of the project.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) hostname: String,
    pub(crate) description: Option<String>,
    pub(crate) state: DeviceState,
    pub(crate) tags: Vec<String>,
    pub(crate) locked: bool,
    pub(crate) instance_type: String,
    pub(crate) operating_system: String,
    pub(crate) metro: Metro,
    pub(crate) facility: String,
    pub(crate) purchase: Purchase,
    pub(crate) userdata: String,
    pub(crate) customdata: Value,
    pub(crate) network: Networking,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) termination_time: Option<Timestamp>,
    pub(crate) assignments: Vec<String>,
    pub(crate) sessions: Vec<String>,
    /// Tells a pending change of state from one that was overtaken.
    pub(crate) epoch: u64,
}

/// A device's state, in the API's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceState {
    /// Ordered.
    Queued,
    /// Being installed for the first time.
    Provisioning,
    /// On its way out.
    Deprovisioning,
    /// Being installed again.
    Reinstalling,
    /// In use.
    Active,
    /// Switched off.
    Inactive,
    /// Could not be provisioned or deprovisioned.
    Failed,
    /// Being switched on.
    PoweringOn,
    /// Being switched off.
    PoweringOff,
    /// Gone, where the API still shows it.
    Deleted,
    /// A word the documentation does not know.
    Other(String),
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Provisioning => "provisioning",
            Self::Deprovisioning => "deprovisioning",
            Self::Reinstalling => "reinstalling",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::PoweringOn => "powering_on",
            Self::PoweringOff => "powering_off",
            Self::Deleted => "deleted",
            Self::Other(word) => word,
        })
    }
}

/// Which management addresses a device is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Networking {
    /// Public IPv4, public IPv6 and private IPv4.
    #[default]
    Layer3,
    /// Private IPv4 only.
    PrivateOnly,
    /// None at all.
    Layer2,
}

/// How a device is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purchase {
    /// By the hour.
    #[default]
    OnDemand,
    /// By the hour, and it can be taken away.
    Spot,
    /// From a hardware reservation.
    Reserved,
}

/// What can be asked of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceAction {
    /// Switch on.
    PowerOn,
    /// Switch off.
    PowerOff,
    /// Restart.
    Reboot,
    /// Install again.
    Reinstall,
    /// Start a rescue system.
    Rescue,
}

impl DeviceAction {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "power_on" => Self::PowerOn,
            "power_off" => Self::PowerOff,
            "reboot" => Self::Reboot,
            "reinstall" => Self::Reinstall,
            "rescue" => Self::Rescue,
            _ => return None,
        })
    }
}

/// What a new device shall be.
#[derive(Debug, Clone)]
pub(crate) struct DeviceOrder {
    pub(crate) hostname: String,
    pub(crate) description: Option<String>,
    pub(crate) state: DeviceState,
    pub(crate) tags: Vec<String>,
    pub(crate) instance_type: String,
    pub(crate) operating_system: String,
    pub(crate) metro: Metro,
    pub(crate) facility: Option<String>,
    pub(crate) purchase: Purchase,
    pub(crate) userdata: String,
    pub(crate) customdata: Option<Value>,
    pub(crate) network: Networking,
    pub(crate) termination_time: Option<Timestamp>,
}

impl World {
    /// Makes a device with its management addresses.
    ///
    /// # Errors
    /// The project has no public address left in the metro; nothing was made.
    pub(crate) fn create_device(&mut self, order: DeviceOrder) -> Result<String, Refusal> {
        let id = self.identities.next("device");
        let device = Device {
            id: id.clone(),
            hostname: order.hostname,
            description: order.description,
            state: order.state,
            tags: order.tags,
            locked: false,
            instance_type: order.instance_type,
            operating_system: order.operating_system,
            metro: order.metro,
            facility: order.facility.unwrap_or_else(|| order.metro.facility.to_owned()),
            purchase: order.purchase,
            userdata: order.userdata,
            customdata: order.customdata.unwrap_or_else(|| json!({})),
            network: order.network,
            created_at: self.now,
            updated_at: self.now,
            termination_time: order.termination_time,
            assignments: Vec::new(),
            sessions: Vec::new(),
            epoch: 0,
        };
        self.devices.insert(&id, device, self.listed_from());
        if let Err(refusal) = self.give_management_addresses(&id) {
            self.retire_device(&id);
            return Err(refusal);
        }
        self.schedule_device_step(&id);
        Ok(id)
    }

    /// Starts the end of a device: it is deprovisioning, then gone.
    pub(crate) fn delete_device(&mut self, id: &str) -> Result<(), Refusal> {
        let device = self.device(id)?;
        match device.state {
            DeviceState::Queued | DeviceState::Provisioning => {
                return Err(Refusal::unprocessable("Cannot delete a device while it is provisioning"));
            }
            DeviceState::Deprovisioning => return Ok(()),
            _ => {}
        }
        if device.locked {
            return Err(Refusal::unprocessable("Cannot delete a locked item"));
        }
        self.set_device_state(id, DeviceState::Deprovisioning)
    }

    pub(crate) fn run_action(&mut self, id: &str, action: DeviceAction) -> Result<(), Refusal> {
        use DeviceAction as A;
        use DeviceState as S;
        let next = match (action, &self.device(id)?.state) {
            (A::PowerOn, S::Inactive) => S::PoweringOn,
            (A::PowerOff, S::Active) => S::PoweringOff,
            (A::Reboot | A::Rescue, S::Active) => S::Active,
            (A::Reinstall, S::Active | S::Inactive) => S::Reinstalling,
            (_, state) => {
                return Err(Refusal::unprocessable(&format!("Device is {state} and cannot perform this action")));
            }
        };
        self.set_device_state(id, next)
    }

    /// Puts a device into a state; one that does not last leads on by itself.
    pub(crate) fn set_device_state(&mut self, id: &str, state: DeviceState) -> Result<(), Refusal> {
        let now = self.now;
        let device = self.device_mut(id)?;
        device.state = state;
        device.updated_at = now;
        device.epoch += 1;
        self.schedule_device_step(id);
        Ok(())
    }

    /// Takes a device out of the project at once, with all it held.
    pub(crate) fn retire_device(&mut self, id: &str) {
        let (until, sessions_until) = (self.listed_until(), self.sessions_listed_until());
        let Some(device) = self.devices.remove(id, until) else {
            return;
        };
        let (assignments, sessions) = (device.assignments.clone(), device.sessions.clone());
        for session in sessions {
            self.sessions.remove(&session, sessions_until);
        }
        for assignment in assignments {
            self.unassign_from_gone_device(&assignment);
        }
        if self.config.gone_device == GoneDevice::Forbidden {
            self.forbidden_devices.insert(id.to_owned());
        }
    }

    pub(super) fn device_step(&mut self, id: &str, epoch: u64) {
        let Some(device) = self.devices.get(id).filter(|device| device.epoch == epoch) else {
            return;
        };
        match following(&device.state) {
            Some(DeviceState::Deleted) => self.retire_device(id),
            Some(next) => {
                let stepped = self.set_device_state(id, next);
                debug_assert!(stepped.is_ok(), "the device was just read");
            }
            None => {}
        }
    }

    pub(crate) fn device(&self, id: &str) -> Result<&Device, Refusal> {
        self.devices.get(id).ok_or_else(|| self.no_device(id))
    }

    pub(crate) fn device_mut(&mut self, id: &str) -> Result<&mut Device, Refusal> {
        if self.devices.get(id).is_none() {
            return Err(self.no_device(id));
        }
        self.devices.get_mut(id).ok_or(Refusal::NotFound)
    }

    fn no_device(&self, id: &str) -> Refusal {
        if self.forbidden_devices.contains(id) {
            Refusal::forbidden("You are not authorized to view this device")
        } else {
            Refusal::NotFound
        }
    }

    fn schedule_device_step(&mut self, id: &str) {
        let Some(device) = self.devices.get(id).filter(|device| following(&device.state).is_some()) else {
            return;
        };
        let due = Due::DeviceStep { id: id.to_owned(), epoch: device.epoch };
        self.schedule(later(self.now, self.config.transition_delay), due);
    }
}

/// Where a state that does not last leads to.
fn following(state: &DeviceState) -> Option<DeviceState> {
    match state {
        DeviceState::Queued => Some(DeviceState::Provisioning),
        DeviceState::Provisioning | DeviceState::Reinstalling | DeviceState::PoweringOn => Some(DeviceState::Active),
        DeviceState::PoweringOff => Some(DeviceState::Inactive),
        DeviceState::Deprovisioning => Some(DeviceState::Deleted),
        DeviceState::Active
        | DeviceState::Inactive
        | DeviceState::Failed
        | DeviceState::Deleted
        | DeviceState::Other(_) => None,
    }
}

/// The metro named by a code, or by one of its facilities, if this simulator offers it.
pub(crate) fn offered_metro(offered: &[String], metro: Option<&str>, facility: Option<&str>) -> Option<Metro> {
    metro
        .and_then(catalog::metro)
        .or_else(|| facility.and_then(catalog::metro_of_facility))
        .filter(|metro| offered.iter().any(|code| code.eq_ignore_ascii_case(metro.code)))
}

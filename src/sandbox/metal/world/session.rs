//! BGP sessions: a device's licence to talk to its routers.

use std::fmt;

use jiff::Timestamp;

use super::bgp::BgpStatus;
use super::device::DeviceState;
use super::{Refusal, World, clock::later};

/// One session of one device and address family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) device: String,
    pub(crate) family: AddressFamily,
    pub(crate) status: String,
    pub(crate) default_route: Option<bool>,
    pub(crate) learned_routes: Vec<String>,
    /// What the device announces; the API learns of it only at the next refresh.
    pub(crate) announced: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// An address family, as sessions name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFamily {
    /// `ipv4`.
    Ipv4,
    /// `ipv6`.
    Ipv6,
}

impl AddressFamily {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "ipv4" => Some(Self::Ipv4),
            "ipv6" => Some(Self::Ipv6),
            _ => None,
        }
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

impl World {
    /// Opens a session.
    pub(crate) fn open_session(
        &mut self,
        device: &str,
        family: AddressFamily,
        default_route: Option<bool>,
    ) -> Result<String, Refusal> {
        let taken = self.sessions_of(device)?.any(|session| session.family == family);
        if self.bgp.as_ref().is_none_or(|bgp| bgp.status != BgpStatus::Enabled) {
            return Err(Refusal::unprocessable("BGP is not enabled"));
        }
        if taken {
            return Err(Refusal::unprocessable(&format!("Address family already has session with {family}")));
        }
        let id = self.identities.next("session");
        let session = Session {
            id: id.clone(),
            device: device.to_owned(),
            family,
            status: "unknown".to_owned(),
            default_route,
            learned_routes: Vec::new(),
            announced: Vec::new(),
            created_at: self.now,
            updated_at: self.now,
        };
        self.sessions.insert(&id, session, later(self.now, self.config.session_visibility_lag));
        self.device_mut(device)?.sessions.push(id.clone());
        Ok(id)
    }

    pub(crate) fn close_session(&mut self, id: &str) -> Result<(), Refusal> {
        let until = self.sessions_listed_until();
        self.sessions.remove(id, until).map(|_| ()).ok_or(Refusal::NotFound)
    }

    /// The sessions a device truly has.
    pub(crate) fn sessions_of(&self, device: &str) -> Result<impl Iterator<Item = &Session>, Refusal> {
        Ok(self.device(device)?.sessions.iter().filter_map(|id| self.sessions.get(id)))
    }

    /// Asks the routers: a session is up while its device runs and announces no more than it may.
    pub(crate) fn refresh_sessions(&mut self) {
        let max_prefix = self.bgp.as_ref().map_or(0, |bgp| bgp.max_prefix);
        let now = self.now;
        for session in self.sessions.live_mut() {
            let running = self.devices.get(&session.device).is_some_and(|device| device.state == DeviceState::Active);
            let within = u32::try_from(session.announced.len()).is_ok_and(|routes| routes <= max_prefix);
            session.status = if running && within { "up" } else { "down" }.to_owned();
            session.learned_routes = if within { session.announced.clone() } else { Vec::new() };
            session.updated_at = now;
        }
    }
}

//! BGP as Metal offers it: one configuration a project, one session a device and address family.

use std::fmt;
use std::net::IpAddr;

use super::{DeviceId, IpFamily, Secret};

/// The id of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(String);

impl SessionId {
    /// Wraps an id as the API gave it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a project may use BGP.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Metal's own")]
pub enum BgpConfigStatus {
    Requested,
    Enabled,
    Disabled,
    Other(String),
}

impl BgpConfigStatus {
    /// Reads the wire's word; never fails.
    pub fn parse(word: &str) -> Self {
        match word {
            "requested" => Self::Requested,
            "enabled" => Self::Enabled,
            "disabled" => Self::Disabled,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// The project's BGP configuration; a project that never enabled BGP has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpConfig {
    /// Whether it may be used.
    pub status: BgpConfigStatus,
    /// The project's own AS number.
    pub asn: u32,
    /// The session password, if one is set.
    pub md5: Option<Secret>,
    /// How many prefixes a session may announce.
    pub max_prefix: Option<u32>,
}

impl BgpConfig {
    /// Whether sessions can be made; `requested` counts, as it did in the original.
    pub fn is_enabled(&self) -> bool {
        !matches!(self.status, BgpConfigStatus::Disabled)
    }
}

/// A BGP session of a device. Its status is hours old at Metal and decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpSession {
    /// Its id.
    pub id: SessionId,
    /// The device it runs on.
    pub device: DeviceId,
    /// The address family it carries.
    pub family: IpFamily,
}

/// What a device needs to know to speak BGP with Metal's routers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpNeighbor {
    /// Address family of the session.
    pub family: IpFamily,
    /// The project's AS number.
    pub customer_as: u32,
    /// The device's address to speak from.
    pub customer_ip: IpAddr,
    /// Metal's AS number.
    pub peer_as: u32,
    /// Metal's routers.
    pub peer_ips: Vec<IpAddr>,
    /// The session password, if one is set.
    pub md5_password: Option<Secret>,
}

//! A Metal device: the machine behind a Node.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// The id of a device, a lower-case UUID on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(String);

impl DeviceId {
    /// Wraps an id as the API gave it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The states the API documents, and room for those it may add.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Metal's own")]
pub enum DeviceState {
    Queued,
    Provisioning,
    Deprovisioning,
    Reinstalling,
    Active,
    Inactive,
    Failed,
    PoweringOn,
    PoweringOff,
    Deleted,
    /// A state this program does not know; treated as a running machine.
    Other(String),
}

impl DeviceState {
    /// Reads the wire's word; never fails.
    pub fn parse(word: &str) -> Self {
        match word {
            "queued" => Self::Queued,
            "provisioning" => Self::Provisioning,
            "deprovisioning" => Self::Deprovisioning,
            "reinstalling" => Self::Reinstalling,
            "active" => Self::Active,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "powering_on" => Self::PoweringOn,
            "powering_off" => Self::PoweringOff,
            "deleted" => Self::Deleted,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The wire's word.
    pub fn as_str(&self) -> &str {
        match self {
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
        }
    }

    /// Whether the machine is switched off for good, as Kubernetes understands "shutdown".
    pub fn is_shutdown(&self) -> bool {
        matches!(self, Self::Inactive)
    }
}

/// One address of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length on the device's own interface.
    pub cidr: u8,
    /// Reachable from the Internet.
    pub public: bool,
    /// Came with the device, as opposed to an elastic address put on it later.
    pub management: bool,
    /// The block it was cut from, where the API was asked for it and knew.
    pub parent_block: Option<IpNet>,
}

/// A machine of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its hostname; equals the Node's name.
    pub hostname: String,
    /// Where it is in its life.
    pub state: DeviceState,
    /// The user's tags.
    pub tags: Vec<String>,
    /// The server type (`c3.small.x86`); Metal's word for it is "plan".
    pub instance_type: Option<String>,
    /// Metro code (`da`), lower case.
    pub metro: Option<String>,
    /// Facility code (`da11`), lower case.
    pub facility: Option<String>,
    /// Its addresses in the API's order.
    pub addresses: Vec<DeviceAddress>,
}

impl Device {
    /// The first private management IPv4 address: the one BGP speaks from.
    pub fn private_management_v4(&self) -> Option<&DeviceAddress> {
        self.addresses.iter().find(|a| a.management && !a.public && a.address.is_ipv4())
    }
}

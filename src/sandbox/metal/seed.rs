//! What a test or the sandbox puts into the project beforehand.

use ipnet::IpNet;
use jiff::Timestamp;

use super::world::device::{DeviceState, Networking, Purchase};
use super::world::reservation::ReservationKind;

/// A device to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSeed {
    /// Its name.
    pub hostname: String,
    /// Its size (the API's plan).
    pub instance_type: String,
    /// The code of its metro.
    pub metro: String,
    /// The code of its facility; the metro's own if there is none.
    pub facility: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its state; one that does not last leads on by itself.
    pub state: DeviceState,
    /// Its management addresses.
    pub network: Networking,
    /// How it is paid for.
    pub purchase: Purchase,
    /// The slug of its operating system.
    pub operating_system: String,
    /// When it will be taken away.
    pub termination_time: Option<Timestamp>,
}

impl DeviceSeed {
    /// An active c3.small.x86 with all three management addresses.
    #[must_use]
    pub fn new(hostname: &str, metro: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            instance_type: "c3.small.x86".to_owned(),
            metro: metro.to_owned(),
            facility: None,
            tags: Vec::new(),
            state: DeviceState::Active,
            network: Networking::Layer3,
            purchase: Purchase::OnDemand,
            operating_system: "ubuntu_22_04".to_owned(),
            termination_time: None,
        }
    }
}

/// A reservation to start from. It is created whatever the quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationSeed {
    /// Its type.
    pub kind: ReservationKind,
    /// Its block; of the simulator's choice if there is none.
    pub block: Option<IpNet>,
    /// How many addresses, where the simulator chooses the block; a power of two.
    pub quantity: u32,
    /// The code of its metro; none for a global one.
    pub metro: Option<String>,
    /// The code of its facility, as old reservations have it.
    pub facility: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its description.
    pub details: Option<String>,
}

impl ReservationSeed {
    /// One public IPv4 address of a metro.
    #[must_use]
    pub fn public(metro: &str, tags: &[&str]) -> Self {
        Self {
            kind: ReservationKind::PublicIpv4,
            block: None,
            quantity: 1,
            metro: Some(metro.to_owned()),
            facility: None,
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            details: None,
        }
    }

    /// One global IPv4 address.
    #[must_use]
    pub fn global(tags: &[&str]) -> Self {
        Self { kind: ReservationKind::GlobalIpv4, metro: None, ..Self::public("", tags) }
    }

    /// A range of a VRF in a metro.
    #[must_use]
    pub fn vrf(metro: &str, block: IpNet) -> Self {
        Self { kind: ReservationKind::Vrf, block: Some(block), ..Self::public(metro, &[]) }
    }
}

//! Projects and devices.

use serde::Deserialize;

use super::lenient::{lenient, lenient_list};
use super::{Coded, Listed, Meta, Ref};

/// `GET /projects/{id}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct Project {
    pub(in crate::metal) id: Option<String>,
    /// References to its devices, where the answer names them.
    #[serde(deserialize_with = "lenient_list")]
    pub(in crate::metal) devices: Vec<Ref>,
}

/// A page of `GET /projects/{id}/devices`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct DevicePage {
    devices: Option<Vec<Device>>,
    meta: Option<Meta>,
}

impl Listed for Device {
    type Page = DevicePage;
    const KEY: &'static str = "devices";

    fn unwrap_page(page: DevicePage) -> (Option<Vec<Self>>, Meta) {
        (page.devices, page.meta.unwrap_or_default())
    }

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

/// A machine.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct Device {
    pub(in crate::metal) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) hostname: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) state: Option<String>,
    #[serde(deserialize_with = "lenient_list")]
    pub(in crate::metal) tags: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) plan: Option<Plan>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) metro: Option<Coded>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) facility: Option<Facility>,
    #[serde(deserialize_with = "lenient_list")]
    pub(in crate::metal) ip_addresses: Vec<Address>,
}

/// A server type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct Plan {
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) slug: Option<String>,
}

/// A data centre.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct Facility {
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) code: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) metro: Option<Coded>,
}

/// An address of a device, or one handed out of a reservation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct Address {
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) address: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) cidr: Option<u8>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) public: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) management: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) parent_block: Option<Block>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) assigned_to: Option<Ref>,
}

/// A block of addresses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct Block {
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) network: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) cidr: Option<u8>,
}

//! IP reservations.

use serde::{Deserialize, Serialize};

use super::lenient::{lenient, lenient_list};
use super::{Address, Coded, Facility, Listed, Meta};

/// A page of `GET /projects/{id}/ips`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct ReservationPage {
    ip_addresses: Option<Vec<Reservation>>,
    meta: Option<Meta>,
}

impl Listed for Reservation {
    type Page = ReservationPage;
    const KEY: &'static str = "ip_addresses";

    fn unwrap_page(page: ReservationPage) -> (Option<Vec<Self>>, Meta) {
        (page.ip_addresses, page.meta.unwrap_or_default())
    }

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

/// A block of addresses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct Reservation {
    pub(in crate::metal) id: Option<String>,
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub(in crate::metal) kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) state: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) address: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) network: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) cidr: Option<u8>,
    /// A reservation whose tags cannot be read would look like one that nobody owns, and be bought again.
    pub(in crate::metal) tags: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) metro: Option<Coded>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) facility: Option<Facility>,
    #[serde(deserialize_with = "lenient_list")]
    pub(in crate::metal) assignments: Vec<Address>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) created_at: Option<String>,
}

/// `POST /projects/{id}/ips`.
#[derive(Debug, Serialize)]
pub(in crate::metal) struct ReserveRequest<'a> {
    #[serde(rename = "type")]
    pub(in crate::metal) kind: &'a str,
    pub(in crate::metal) quantity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::metal) metro: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::metal) facility: Option<&'a str>,
    pub(in crate::metal) details: &'a str,
    pub(in crate::metal) tags: &'a [String],
    pub(in crate::metal) fail_on_approval_required: bool,
}

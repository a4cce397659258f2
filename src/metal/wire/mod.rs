//! The JSON of the API.
//!
//! Every field is optional: the API leaves things out, says `null`, or says `{}`. Unknown fields are passed over, and a
//! known field of an unknown form counts as absent ([`lenient`]), except where absence would cost something: ids and
//! tags are what they should be, or the answer is malformed.

mod bgp;
mod device;
mod lenient;
mod reservation;

use serde::Deserialize;

pub(super) use bgp::{
    BgpConfig, BgpConfigRequest, BgpNeighbor, BgpNeighbors, BgpSession, BgpSessionRequest, BgpSessions, Password,
};
pub(super) use device::{Address, Device, Facility, Project};
pub(super) use reservation::{Reservation, ReserveRequest};

use lenient::lenient;

/// A list that comes in pages.
pub(super) trait Listed: Sized {
    /// The JSON object around the entries.
    type Page: serde::de::DeserializeOwned;
    /// The key of the entries in it.
    const KEY: &'static str;

    /// Entries (`None` when the key is missing) and the pages' own data.
    fn unwrap_page(page: Self::Page) -> (Option<Vec<Self>>, Meta);

    /// The entry's id.
    fn id(&self) -> Option<&str>;
}

/// How much of a list a page is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    pub(super) total: Option<u64>,
    last_page: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    next: Option<Ref>,
}

impl Meta {
    /// Whether there is another page; a list without this data is not paged.
    pub(super) fn announces_more_after(&self, page: u32) -> bool {
        match self.last_page {
            Some(last) => page < last,
            None => self.next.as_ref().is_some_and(|next| next.href.is_some()),
        }
    }
}

/// A reference to another object; `{}` refers to nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ref {
    #[serde(deserialize_with = "lenient")]
    href: Option<String>,
    #[serde(deserialize_with = "lenient")]
    id: Option<String>,
}

impl Ref {
    /// The id of what it refers to: said, or else the last segment of the address.
    pub(super) fn id(&self) -> Option<&str> {
        let of_address = || self.href.as_deref()?.trim_end_matches('/').rsplit('/').next();
        self.id.as_deref().or_else(of_address).filter(|id| !id.is_empty())
    }
}

/// Something known by its code, such as a metro.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Coded {
    #[serde(deserialize_with = "lenient")]
    pub(super) code: Option<String>,
}

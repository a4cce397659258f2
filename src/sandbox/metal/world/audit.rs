//! What must never have happened, looked up after the fact.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::World;
use super::reservation::Origin;

/// Facts that a correct caller, and a correct simulator, never leave behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// Reservations that carry the same tags, of those that carry any.
    pub duplicate_tags: Vec<DuplicateTags>,
    /// Blocks that were handed out while any of their addresses was in use. Always empty: it would be the simulator's
    /// own fault.
    pub granted_twice: Vec<IpNet>,
    /// Reservations that were deleted while an address of theirs still pointed at a device.
    pub released_while_assigned: Vec<String>,
}

/// Reservations that carry the same tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateTags {
    /// The tags, sorted.
    pub tags: Vec<String>,
    /// The reservations, in order of creation.
    pub reservations: Vec<String>,
}

impl Audit {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl World {
    pub(crate) fn audit(&self) -> Audit {
        let mut by_tags: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
        for reservation in self.reservations.live() {
            if reservation.origin == Origin::Requested && !reservation.tags.is_empty() {
                let mut tags = reservation.tags.clone();
                tags.sort_unstable();
                by_tags.entry(tags).or_default().push(reservation.id.clone());
            }
        }
        Audit {
            duplicate_tags: by_tags
                .into_iter()
                .filter(|(_, reservations)| reservations.len() > 1)
                .map(|(tags, reservations)| DuplicateTags { tags, reservations })
                .collect(),
            granted_twice: self.holders.granted_twice().to_vec(),
            released_while_assigned: self.released_while_assigned.clone(),
        }
    }
}

//! The reservations of the last listing, with what this process wrote since.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

use crate::domain::address::host_prefix;
use crate::domain::{IpReservation, ReservationId, ReservationType};

/// Reservations by id, tag and block. Lists are eventually consistent, so what this process wrote counts for more than
/// what they say: for `settle` at least, and until a listing agrees.
#[derive(Debug)]
pub(super) struct Reservations {
    settle: Duration,
    index: Index,
    /// Reserved by this process and not yet beyond doubt in listings, with the time of the last proof.
    written: HashMap<ReservationId, Instant>,
    /// Released by this process and not yet beyond doubt gone from listings.
    released: HashMap<ReservationId, Instant>,
}

/// A released reservation that listings still show after so many times `settle` was not released after all.
const PATIENCE: u32 = 10;

impl Reservations {
    pub(super) fn new(settle: Duration) -> Self {
        Self { settle, index: Index::default(), written: HashMap::new(), released: HashMap::new() }
    }

    /// In the API's order, those reserved since at the end.
    pub(super) fn all(&self) -> Vec<Arc<IpReservation>> {
        self.index.entries.values().cloned().collect()
    }

    pub(super) fn get(&self, id: &ReservationId) -> Option<&Arc<IpReservation>> {
        self.index.get(id)
    }

    /// Whether this process gave it back.
    pub(super) fn is_released(&self, id: &ReservationId) -> bool {
        self.released.contains_key(id)
    }

    /// Those that carry all the tags, oldest first.
    pub(super) fn tagged<'t>(&self, tags: impl Iterator<Item = &'t str> + Clone) -> Vec<Arc<IpReservation>> {
        let mut found = self.index.tagged(tags);
        found.sort_by(|a, b| age(a).cmp(&age(b)));
        found
    }

    /// The one whose block holds the address; the smallest block, and of equal ones the first.
    pub(super) fn holding(&self, address: IpAddr) -> Option<&Arc<IpReservation>> {
        self.index.holding(address)
    }

    /// This process reserved it.
    pub(super) fn reserved(&mut self, reservation: Arc<IpReservation>, now: Instant) {
        self.written.insert(reservation.id.clone(), now);
        self.index.insert(reservation);
    }

    /// This process released it.
    pub(super) fn released(&mut self, id: &ReservationId, now: Instant) {
        self.written.remove(id);
        self.index.remove(id);
        self.released.insert(id.clone(), now);
    }

    /// Reserved by this process longer than `settle` ago and missing from a listing: to be asked for by id.
    pub(super) fn suspects(&self, listed: &[IpReservation], started: Instant) -> Vec<ReservationId> {
        let listed: HashSet<&ReservationId> = listed.iter().map(|reservation| &reservation.id).collect();
        let overdue = |(id, at): (&ReservationId, &Instant)| {
            (started >= *at + self.settle && !listed.contains(id)).then(|| id.clone())
        };
        self.written.iter().filter_map(overdue).collect()
    }

    /// It exists and is ours, although listings may lack it for a while.
    pub(super) fn proved(&mut self, id: &ReservationId, now: Instant) {
        self.written.insert(id.clone(), now);
    }

    /// It does not exist, although this process reserved it: somebody else released it.
    pub(super) fn disproved(&mut self, id: &ReservationId) {
        self.written.remove(id);
        self.index.remove(id);
    }

    /// Takes in a complete listing that began at `started`.
    pub(super) fn absorb(&mut self, listed: Vec<IpReservation>, started: Instant) {
        let before = std::mem::take(&mut self.index);
        let mut shown = HashSet::new();
        for reservation in listed {
            shown.insert(reservation.id.clone());
            if reservation.kind != ReservationType::Vrf && !self.hides(&reservation.id, started) {
                self.index.insert(Arc::new(reservation));
            }
        }
        for id in self.written.keys().filter(|id| !shown.contains(id)) {
            if let Some(reservation) = before.get(id) {
                self.index.insert(reservation.clone());
            }
        }
        let settle = self.settle;
        self.written.retain(|id, at| !shown.contains(id) || started < *at + settle);
        self.released.retain(|id, at| {
            if shown.contains(id) { started < *at + settle * PATIENCE } else { started < *at + settle }
        });
    }

    /// Whether a listed reservation was released by this process, recently enough for the listing to be behind.
    fn hides(&self, id: &ReservationId, started: Instant) -> bool {
        let Some(at) = self.released.get(id) else { return false };
        let hidden = started < *at + self.settle * PATIENCE;
        if !hidden {
            tracing::warn!(reservation = %id, "a released reservation is still there and counts again");
        }
        hidden
    }
}

/// Oldest first; one without a time is the youngest.
fn age(reservation: &IpReservation) -> (bool, Option<&str>, &str) {
    let created = reservation.created_at.as_deref();
    (created.is_none(), created, reservation.id.as_str())
}

/// The lookups. Numbers stand for places in the API's order.
#[derive(Debug, Default)]
struct Index {
    next: u64,
    entries: BTreeMap<u64, Arc<IpReservation>>,
    by_id: HashMap<ReservationId, u64>,
    by_tag: HashMap<String, BTreeSet<u64>>,
    by_block: HashMap<IpNet, BTreeSet<u64>>,
    /// How many blocks there are of each prefix length, by whether they are IPv4.
    lengths: BTreeMap<(bool, u8), usize>,
}

impl Index {
    fn get(&self, id: &ReservationId) -> Option<&Arc<IpReservation>> {
        self.entries.get(self.by_id.get(id)?)
    }

    fn tagged<'t>(&self, tags: impl Iterator<Item = &'t str> + Clone) -> Vec<Arc<IpReservation>> {
        let sets: Option<Vec<&BTreeSet<u64>>> = tags.clone().map(|tag| self.by_tag.get(tag)).collect();
        let Some(sets) = sets else { return Vec::new() };
        let Some(rarest) = sets.into_iter().min_by_key(|set| set.len()) else {
            return self.entries.values().cloned().collect();
        };
        let candidates = rarest.iter().filter_map(|place| self.entries.get(place));
        candidates.filter(|reservation| reservation.has_tags(tags.clone())).cloned().collect()
    }

    fn holding(&self, address: IpAddr) -> Option<&Arc<IpReservation>> {
        let lengths = self.lengths.keys().rev().filter(|(v4, _)| *v4 == address.is_ipv4());
        let mut blocks =
            lengths.filter_map(|(_, length)| self.by_block.get(&IpNet::new(address, *length).ok()?.trunc()));
        self.entries.get(blocks.next()?.first()?)
    }

    /// Adds a reservation, in place of an earlier one with its id.
    fn insert(&mut self, reservation: Arc<IpReservation>) {
        self.remove(&reservation.id);
        let place = self.next;
        self.next += 1;
        self.by_id.insert(reservation.id.clone(), place);
        for tag in &reservation.tags {
            self.by_tag.entry(tag.clone()).or_default().insert(place);
        }
        if let Some(block) = block(&reservation) {
            self.by_block.entry(block).or_default().insert(place);
            *self.lengths.entry(length(block)).or_default() += 1;
        }
        self.entries.insert(place, reservation);
    }

    fn remove(&mut self, id: &ReservationId) {
        let Some(place) = self.by_id.remove(id) else { return };
        let Some(reservation) = self.entries.remove(&place) else {
            return;
        };
        for tag in &reservation.tags {
            if let Some(set) = self.by_tag.get_mut(tag) {
                set.remove(&place);
                if set.is_empty() {
                    self.by_tag.remove(tag);
                }
            }
        }
        let Some(block) = block(&reservation) else { return };
        if let Some(set) = self.by_block.get_mut(&block) {
            set.remove(&place);
            if set.is_empty() {
                self.by_block.remove(&block);
            }
        }
        if let Some(count) = self.lengths.get_mut(&length(block)) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length(block));
            }
        }
    }
}

fn block(reservation: &IpReservation) -> Option<IpNet> {
    let first = reservation.network.or(reservation.address).filter(|address| !address.is_unspecified())?;
    let length = match reservation.cidr {
        0 => host_prefix(first),
        cidr => cidr,
    };
    Some(IpNet::new(first, length).ok()?.trunc())
}

fn length(block: IpNet) -> (bool, u8) {
    (block.addr().is_ipv4(), block.prefix_len())
}

#[cfg(test)]
pub(super) mod tests;

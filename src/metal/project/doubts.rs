//! Purchases whose outcome is not known.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{IpReservation, ReservationId};

/// Every reservation that is being made, or may have been made although its answer was lost, by the tags it was to carry.
///
/// A doubt ends when a listing shows a new reservation with those tags, or when a complete listing that began `window`
/// after the failure does not.
#[derive(Debug)]
pub(super) struct Doubts {
    window: Duration,
    next: u64,
    open: HashMap<Ticket, Doubt>,
}

/// Names a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ticket(u64);

#[derive(Debug)]
struct Doubt {
    tags: BTreeSet<String>,
    /// Reservations with these tags from before: they explain nothing.
    known: HashSet<ReservationId>,
    /// When the answer was lost; `None` while it is awaited.
    lost: Option<Instant>,
}

/// What is to be done about a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The answer is awaited.
    Awaited,
    /// The answer was lost; listings that begin at this time or later are trusted.
    Lost { trusted_from: Instant },
}

impl Doubts {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, next: 0, open: HashMap::new() }
    }

    /// A reservation with these tags is about to be asked for.
    pub(super) fn begin<'t>(
        &mut self,
        tags: impl Iterator<Item = &'t str>,
        known: impl Iterator<Item = ReservationId>,
    ) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        let doubt = Doubt { tags: tags.map(str::to_owned).collect(), known: known.collect(), lost: None };
        self.open.insert(ticket, doubt);
        ticket
    }

    /// The answer came and was clear.
    pub(super) fn end(&mut self, ticket: Ticket) {
        self.open.remove(&ticket);
    }

    /// The answer was lost or unclear.
    pub(super) fn lose(&mut self, ticket: Ticket, now: Instant) {
        if let Some(doubt) = self.open.get_mut(&ticket) {
            doubt.lost = Some(now);
        }
    }

    /// The doubt about exactly these tags.
    pub(super) fn about<'t>(&self, tags: impl Iterator<Item = &'t str>) -> Option<Standing> {
        let tags: BTreeSet<&str> = tags.collect();
        let same = |doubt: &&Doubt| doubt.tags.iter().map(String::as_str).eq(tags.iter().copied());
        self.open.values().find(same).map(|doubt| self.standing(doubt))
    }

    /// The lost answer, if any, that may have been a reservation with at least these tags; the latest of several.
    pub(super) fn lost_with<'t>(&self, tags: impl Iterator<Item = &'t str> + Clone) -> Option<Instant> {
        let covers = |doubt: &&Doubt| tags.clone().all(|tag| doubt.tags.contains(tag));
        let lost = self.open.values().filter(covers).filter_map(|doubt| doubt.lost).max();
        lost.map(|lost| lost + self.window)
    }

    /// Takes in a complete listing that began at `started`.
    pub(super) fn absorb(&mut self, listed: &[IpReservation], started: Instant) {
        let window = self.window;
        self.open.retain(|_, doubt| {
            let Some(lost) = doubt.lost else { return true };
            let explained = listed.iter().find(|reservation| doubt.is_explained_by(reservation));
            if let Some(found) = explained {
                tracing::info!(reservation = %found.id, "found the reservation whose answer had been lost");
            }
            explained.is_none() && started < lost + window
        });
    }

    fn standing(&self, doubt: &Doubt) -> Standing {
        match doubt.lost {
            None => Standing::Awaited,
            Some(lost) => Standing::Lost { trusted_from: lost + self.window },
        }
    }
}

impl Doubt {
    fn is_explained_by(&self, reservation: &IpReservation) -> bool {
        !self.known.contains(&reservation.id) && reservation.has_tags(self.tags.iter().map(String::as_str))
    }
}

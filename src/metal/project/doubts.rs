//! Purchases whose outcome is not known.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{IpReservation, ReservationId};

/// Every reservation that is being made, or may have been made although its answer was lost, by the tags it was to carry.
///
/// A doubt ends when a listing shows a new reservation with those tags and somebody has been told of it, or when a complete
/// listing that began `window` after the failure does not show one.
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
    state: State,
}

#[derive(Debug)]
enum State {
    Awaited,
    Lost(Instant),
    Found(ReservationId),
}

/// What is to be done about a doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// The answer is awaited.
    Awaited,
    /// The answer was lost; listings that begin at this time or later are trusted.
    Lost { trusted_from: Instant },
    /// The answer was lost, but this is what was bought.
    Found(ReservationId),
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
        let doubt = Doubt { tags: tags.map(str::to_owned).collect(), known: known.collect(), state: State::Awaited };
        self.open.insert(ticket, doubt);
        ticket
    }

    /// The answer came and was clear.
    pub(super) fn end(&mut self, ticket: Ticket) {
        self.open.remove(&ticket);
    }

    /// What was bought is gone again.
    pub(super) fn gone(&mut self, id: &ReservationId) {
        self.open.retain(|_, doubt| !matches!(&doubt.state, State::Found(found) if found == id));
    }

    /// The answer was lost or unclear.
    pub(super) fn lose(&mut self, ticket: Ticket, now: Instant) {
        if let Some(doubt) = self.open.get_mut(&ticket) {
            doubt.state = State::Lost(now);
        }
    }

    /// The doubt about exactly these tags.
    pub(super) fn about<'t>(&self, tags: impl Iterator<Item = &'t str>) -> Option<Standing> {
        let tags: BTreeSet<&str> = tags.collect();
        let same = |doubt: &&Doubt| doubt.tags.iter().map(String::as_str).eq(tags.iter().copied());
        self.open.values().find(same).map(|doubt| self.standing(doubt))
    }

    /// From when on listings are trusted to show a reservation with at least these tags whose answer was lost; the latest
    /// such time, and `None` when there is no such doubt.
    pub(super) fn trusted_from<'t>(&self, tags: impl Iterator<Item = &'t str> + Clone) -> Option<Instant> {
        let covers = |doubt: &&Doubt| tags.clone().all(|tag| doubt.tags.contains(tag));
        let lost = self.open.values().filter(covers).filter_map(|doubt| match doubt.state {
            State::Lost(at) => Some(at + self.window),
            State::Awaited | State::Found(_) => None,
        });
        lost.max()
    }

    /// Somebody was told of these reservations: what was bought is no longer in doubt.
    pub(super) fn told(&mut self, reservations: &[Arc<IpReservation>]) {
        if self.open.is_empty() {
            return;
        }
        let told = |id: &ReservationId| reservations.iter().any(|reservation| reservation.id == *id);
        self.open.retain(|_, doubt| !matches!(&doubt.state, State::Found(id) if told(id)));
    }

    /// Takes in a complete listing that began at `started`. Returns what it found to have been bought.
    pub(super) fn absorb(&mut self, listed: &[IpReservation], started: Instant) -> Vec<ReservationId> {
        let window = self.window;
        let mut bought = Vec::new();
        self.open.retain(|_, doubt| {
            let State::Lost(lost) = doubt.state else { return true };
            if let Some(found) = listed.iter().find(|reservation| doubt.is_explained_by(reservation)) {
                tracing::info!(reservation = %found.id, "found the reservation whose answer had been lost");
                doubt.state = State::Found(found.id.clone());
                bought.push(found.id.clone());
                return true;
            }
            started < lost + window
        });
        bought
    }

    fn standing(&self, doubt: &Doubt) -> Standing {
        match &doubt.state {
            State::Awaited => Standing::Awaited,
            State::Lost(at) => Standing::Lost { trusted_from: *at + self.window },
            State::Found(id) => Standing::Found(id.clone()),
        }
    }
}

impl Doubt {
    fn is_explained_by(&self, reservation: &IpReservation) -> bool {
        !self.known.contains(&reservation.id) && reservation.has_tags(self.tags.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::super::reservations::tests::reservation;
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn with_open_doubt(now: Instant) -> Doubts {
        let mut doubts = Doubts::new(WINDOW);
        let ticket = doubts.begin(["usage", "web"].into_iter(), [ReservationId::new("old")].into_iter());
        doubts.lose(ticket, now);
        doubts
    }

    fn about_web(doubts: &Doubts) -> Option<Standing> {
        doubts.about(["web", "usage"].into_iter())
    }

    #[test]
    fn a_doubt_is_about_its_own_tags_in_any_order() {
        let now = Instant::now();
        let doubts = with_open_doubt(now);
        let lost = Some(Standing::Lost { trusted_from: now + WINDOW });
        let cases: [(&[&str], Option<Standing>, bool); 5] = [
            (&["usage", "web"], lost.clone(), true),
            (&["web", "usage"], lost, true),
            (&["web"], None, true),
            (&["usage", "web", "more"], None, false),
            (&["db"], None, false),
        ];
        for (tags, standing, concerns_reads) in cases {
            assert_eq!(doubts.about(tags.iter().copied()), standing, "{tags:?}");
            let trusted_from = doubts.trusted_from(tags.iter().copied());
            assert_eq!(trusted_from, concerns_reads.then_some(now + WINDOW), "{tags:?}");
        }
    }

    #[test]
    fn a_clear_answer_leaves_no_doubt() {
        let mut doubts = Doubts::new(WINDOW);
        let ticket = doubts.begin(["web"].into_iter(), [].into_iter());
        assert_eq!(doubts.about(["web"].into_iter()), Some(Standing::Awaited));
        assert_eq!(doubts.trusted_from(["web"].into_iter()), None);
        doubts.end(ticket);
        assert_eq!(doubts.about(["web"].into_iter()), None);
    }

    #[test]
    fn only_a_listing_from_after_the_window_proves_that_nothing_was_bought() {
        let lost_at = Instant::now();
        let lost = Some(Standing::Lost { trusted_from: lost_at + WINDOW });
        let others = [reservation("old", &["usage", "web"]), reservation("new", &["usage", "db"])];
        let cases = [
            ("begun before the loss", Duration::ZERO, lost.clone()),
            ("begun just before the end", WINDOW - Duration::from_millis(1), lost),
            ("begun at the end", WINDOW, None),
        ];
        for (name, after, expected) in cases {
            let mut doubts = with_open_doubt(lost_at);
            assert_eq!(doubts.absorb(&others, lost_at + after), [], "{name}");
            assert_eq!(about_web(&doubts), expected, "{name}");
        }
    }

    #[test]
    fn what_was_bought_stays_known_until_somebody_was_told() {
        let now = Instant::now();
        let mut doubts = with_open_doubt(now);
        let bought = reservation("new", &["web", "more", "usage"]);
        assert_eq!(doubts.absorb(std::slice::from_ref(&bought), now), [ReservationId::new("new")]);
        assert_eq!(doubts.absorb(&[], now + WINDOW * 2), [], "a later listing takes nothing back");
        assert_eq!(about_web(&doubts), Some(Standing::Found(ReservationId::new("new"))));
        assert_eq!(doubts.trusted_from(["web"].into_iter()), None);
        doubts.told(&[Arc::new(reservation("old", &["usage", "web"]))]);
        assert_eq!(about_web(&doubts), Some(Standing::Found(ReservationId::new("new"))));
        doubts.told(&[Arc::new(bought)]);
        assert_eq!(about_web(&doubts), None);
    }
}

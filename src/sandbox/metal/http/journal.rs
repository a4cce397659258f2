//! A record of the requests that arrived: exact counts for all, full entries for the latest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use jiff::Timestamp;

/// What the simulator was asked. Cloning it gives another handle to the same record.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Mutex<Book>>);

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its place in the order of arrival, from 1; a reset does not start again.
    pub number: u64,
    /// When it arrived, by the simulator's clock.
    pub at: Timestamp,
    /// Method and normalised route, such as `GET /projects/{p}/devices`.
    pub route: String,
    /// Path and query as they were sent.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is still open, or the client gave up first.
    Open,
    /// It was answered with this status.
    Answered(u16),
    /// The connection was cut instead of an answer.
    Cut,
}

#[derive(Debug)]
struct Book {
    capacity: usize,
    arrived: u64,
    counts: BTreeMap<String, u64>,
    total: u64,
    writes: u64,
    latest: VecDeque<JournalEntry>,
}

impl Journal {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Book {
            capacity,
            arrived: 0,
            counts: BTreeMap::new(),
            total: 0,
            writes: 0,
            latest: VecDeque::new(),
        })))
    }

    /// How often each route was called, by method and normalised route such as `GET /projects/{p}/devices`.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.book().counts.clone()
    }

    /// How often one route was called.
    #[must_use]
    pub fn count(&self, route: &str) -> u64 {
        self.book().counts.get(route).copied().unwrap_or(0)
    }

    /// How many requests arrived.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.book().total
    }

    /// How many of them were writes (any method but GET), whether or not they succeeded.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.book().writes
    }

    /// The latest requests in order of arrival, as many as the configured capacity.
    #[must_use]
    pub fn latest(&self) -> Vec<JournalEntry> {
        self.book().latest.iter().cloned().collect()
    }

    /// Sets all counts to zero and forgets the entries.
    pub fn reset(&self) {
        let mut book = self.book();
        book.counts.clear();
        book.total = 0;
        book.writes = 0;
        book.latest.clear();
    }

    /// Records an arrival; the number ends it later.
    pub(crate) fn arrive(&self, at: Timestamp, method: &Method, route: &str, target: String) -> u64 {
        let mut book = self.book();
        let route = format!("{method} {route}");
        book.arrived += 1;
        book.total += 1;
        book.writes += u64::from(*method != Method::GET);
        *book.counts.entry(route.clone()).or_default() += 1;
        let number = book.arrived;
        book.latest.push_back(JournalEntry { number, at, route, target, outcome: Outcome::Open });
        if book.latest.len() > book.capacity {
            book.latest.pop_front();
        }
        number
    }

    pub(crate) fn end(&self, number: u64, outcome: Outcome) {
        let mut book = self.book();
        let first = book.latest.front().map_or(u64::MAX, |entry| entry.number);
        let position = number.checked_sub(first).and_then(|position| usize::try_from(position).ok());
        if let Some(entry) = position.and_then(|position| book.latest.get_mut(position)) {
            entry.outcome = outcome;
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn counts_are_exact_and_entries_bounded() {
        let journal = Journal::new(2);
        let arrive = |method: Method| journal.arrive(Timestamp::UNIX_EPOCH, &method, "/ips/{id}", "/ips/1".to_owned());
        let (one, two, three) = (arrive(Method::GET), arrive(Method::PATCH), arrive(Method::GET));
        journal.end(one, Outcome::Answered(200));
        journal.end(two, Outcome::Cut);
        journal.end(three, Outcome::Answered(404));
        assert_eq!(
            journal.counts(),
            BTreeMap::from([("GET /ips/{id}".to_owned(), 2), ("PATCH /ips/{id}".to_owned(), 1)])
        );
        assert_eq!((journal.total(), journal.writes(), journal.count("GET /ips/{id}")), (3, 1, 2));
        let outcomes: Vec<_> = journal.latest().into_iter().map(|entry| (entry.number, entry.outcome)).collect();
        assert_eq!(outcomes, [(2, Outcome::Cut), (3, Outcome::Answered(404))]);

        journal.reset();
        journal.end(three, Outcome::Answered(200));
        assert_eq!((journal.total(), journal.writes(), journal.latest()), (0, 0, vec![]));
    }
}

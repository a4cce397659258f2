//! One listing at a time, shared by all who wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::super::Backoff;
use crate::ports::{MaxAge, MetalError};

/// Decides who makes a listing and who uses one that others made.
///
/// Whoever needs a newer listing than there is takes its turn; those who waited meanwhile use what came of it, an error
/// included, as long as it began late enough for them. A dropped future gives up its turn and nothing else.
#[derive(Debug)]
pub(super) struct Flight {
    /// What is listed, for the log.
    what: &'static str,
    /// How long an error is repeated without asking again, by the number of failures in a row.
    hold: Backoff,
    turn: tokio::sync::Mutex<()>,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    /// When the last good listing began.
    listed: Option<Instant>,
    /// Listings that began before this are too old for everybody.
    stale_before: Option<Instant>,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    error: MetalError,
    started: Instant,
    ended: Instant,
    /// Failures in a row.
    count: u32,
}

impl Flight {
    pub(super) fn new(what: &'static str, hold: Backoff) -> Self {
        Self { what, hold, turn: tokio::sync::Mutex::default(), record: Mutex::default() }
    }

    /// Makes sure of a listing no older than `max_age`, by `list` if need be.
    pub(super) async fn within<F, L>(&self, max_age: MaxAge, list: F) -> Result<(), MetalError>
    where
        F: FnOnce(Instant) -> L + Send,
        L: Future<Output = Result<(), MetalError>> + Send,
    {
        self.since(Instant::now().checked_sub(max_age.0), list).await
    }

    /// Makes sure of a listing that began at `not_before` or later; of any at all where that is `None`. `list` is given
    /// the time at which it begins.
    pub(super) async fn since<F, L>(&self, not_before: Option<Instant>, list: F) -> Result<(), MetalError>
    where
        F: FnOnce(Instant) -> L + Send,
        L: Future<Output = Result<(), MetalError>> + Send,
    {
        let called = Instant::now();
        if self.record().is_fresh(not_before) {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        {
            let record = self.record();
            if record.is_fresh(not_before) {
                return Ok(());
            }
            if let Some(error) = self.remembered(&record, called, not_before) {
                return Err(error);
            }
        }
        let started = Instant::now();
        let result = list(started).await;
        self.note(&result, started);
        result
    }

    /// From now on nobody is content with a listing that began before now.
    pub(super) fn mark_stale(&self) {
        self.record().stale_before = Some(Instant::now());
    }

    /// An error that answers this call as well.
    fn remembered(&self, record: &Record, called: Instant, not_before: Option<Instant>) -> Option<MetalError> {
        let failure = record.failure.as_ref()?;
        let waited_for_it = called <= failure.ended && not_before.is_none_or(|earliest| earliest <= failure.started);
        let held = match failure.error {
            // The client knows by itself when it may call again.
            MetalError::RateLimited { .. } => false,
            _ => failure.count > 1 && failure.ended.elapsed() < self.hold.after(failure.count - 1),
        };
        (waited_for_it || held).then(|| failure.error.clone())
    }

    fn note(&self, result: &Result<(), MetalError>, started: Instant) {
        let mut record = self.record();
        let before = record.failure.take();
        match result {
            Ok(()) => {
                if before.is_some() {
                    tracing::warn!(what = self.what, "Metal could be read again");
                }
                record.listed = Some(started);
            }
            Err(error) => {
                let known = before.as_ref().map(|failure| failure.error.to_string());
                if known.is_none_or(|known| known != error.to_string()) {
                    tracing::warn!(what = self.what, %error, "Metal could not be read");
                }
                record.failure = Some(Failure {
                    error: error.clone(),
                    started,
                    ended: Instant::now(),
                    count: before.map_or(0, |failure| failure.count).saturating_add(1),
                });
            }
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Replaced field by field: no panic can leave it half written.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn is_fresh(&self, not_before: Option<Instant>) -> bool {
        let late_enough = |listed: Instant| {
            let bounds = [not_before, self.stale_before];
            bounds.into_iter().flatten().all(|earliest| earliest <= listed)
        };
        self.listed.is_some_and(late_enough)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use pretty_assertions::assert_eq;
    use tokio::time::{advance, sleep};

    use super::*;

    const MINUTE: MaxAge = MaxAge(Duration::from_secs(60));

    fn flight() -> Flight {
        let hold = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(4) };
        Flight::new("tests", hold)
    }

    fn refused() -> MetalError {
        MetalError::Unauthorized { request: "GET /x".into() }
    }

    /// Counts its listings; each takes a second.
    #[derive(Default)]
    struct Lister(AtomicU32);

    impl Lister {
        async fn good(&self) -> Result<(), MetalError> {
            sleep(Duration::from_secs(1)).await;
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        async fn bad(&self) -> Result<(), MetalError> {
            self.good().await.and(Err(refused()))
        }

        fn count(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_share_one_listing() {
        let (flight, lister) = (flight(), Lister::default());
        let calls = (0..100).map(|_| flight.within(MaxAge::NOW, |_| lister.good()));
        assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
        assert_eq!(lister.count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_during_a_listing_that_needs_the_present_waits_for_the_next() {
        let (flight, lister) = (flight(), Lister::default());
        let late = async {
            sleep(Duration::from_millis(500)).await;
            let patient = flight.within(MINUTE, |_| lister.good());
            let strict = (0..3).map(|_| flight.within(MaxAge::NOW, |_| lister.good()));
            tokio::join!(patient, futures::future::join_all(strict))
        };
        let (first, (patient, strict)) = tokio::join!(flight.within(MINUTE, |_| lister.good()), late);
        assert!(first.is_ok() && patient.is_ok() && strict.iter().all(Result::is_ok));
        assert_eq!(lister.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_is_used_until_it_is_too_old_or_marked_stale() {
        let (flight, lister) = (flight(), Lister::default());
        let mut counts = Vec::new();
        for step in ["first", "young", "old", "stale", "young"] {
            match step {
                "old" => advance(Duration::from_secs(61)).await,
                "stale" => {
                    advance(Duration::from_millis(1)).await;
                    flight.mark_stale();
                }
                _ => {}
            }
            flight.within(MINUTE, |_| lister.good()).await.expect("a good listing");
            counts.push((step, lister.count()));
        }
        assert_eq!(counts, [("first", 1), ("young", 1), ("old", 2), ("stale", 3), ("young", 3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_by_those_who_waited_and_repeated_while_it_lasts() {
        let (flight, lister) = (flight(), Lister::default());
        let calls = (0..50).map(|_| flight.within(MINUTE, |_| lister.bad()));
        assert!(futures::future::join_all(calls).await.iter().all(Result::is_err));
        assert_eq!(lister.count(), 1, "one listing for all");
        // The first failure is asked about again at once, later ones after a growing time.
        let mut counts = Vec::new();
        for wait in [1_u64, 500, 600, 1000, 1000, 1000] {
            advance(Duration::from_millis(wait)).await;
            assert!(flight.within(MINUTE, |_| lister.bad()).await.is_err());
            counts.push(lister.count());
        }
        assert_eq!(counts, [2, 2, 3, 3, 4, 4]);
        advance(Duration::from_secs(4)).await;
        assert!(flight.within(MINUTE, |_| lister.good()).await.is_ok());
        assert_eq!(lister.count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_gives_its_turn_to_the_next() {
        let (flight, lister) = (flight(), Lister::default());
        let dropped = tokio::time::timeout(Duration::from_millis(500), flight.within(MINUTE, |_| lister.good()));
        let (dropped, next) = tokio::join!(dropped, flight.within(MINUTE, |_| lister.good()));
        assert!(dropped.is_err() && next.is_ok());
        assert_eq!(lister.count(), 1);
    }
}

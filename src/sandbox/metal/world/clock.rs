//! The simulator's own time: it runs by itself, and a test can push it forward.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Where the simulator's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockStart {
    /// The wall clock, plus whatever was advanced.
    #[default]
    Real,
    /// Stands still at this time until it is advanced, so that every timestamp is reproducible.
    Manual(Timestamp),
}

/// Lags, drains and state changes are all measured by this clock.
#[derive(Debug)]
pub(crate) struct Clock {
    start: ClockStart,
    began: Instant,
    base: Timestamp,
    advanced: Mutex<Duration>,
}

impl Clock {
    pub(crate) fn new(start: ClockStart) -> Self {
        let base = match start {
            ClockStart::Real => Timestamp::now(),
            ClockStart::Manual(at) => at,
        };
        Self { start, began: Instant::now(), base, advanced: Mutex::new(Duration::ZERO) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let advanced = *self.advanced.lock().unwrap_or_else(PoisonError::into_inner);
        match self.start {
            ClockStart::Real => later(self.base, self.began.elapsed().saturating_add(advanced)),
            ClockStart::Manual(_) => later(self.base, advanced),
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut advanced = self.advanced.lock().unwrap_or_else(PoisonError::into_inner);
        *advanced = advanced.saturating_add(by);
    }
}

/// `by` after `at`, stopping at the end of representable time.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// RFC 3339 in UTC with whole seconds, as the API writes every time.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_advanced() {
        let clock = Clock::new(ClockStart::Manual(Timestamp::from_second(1_700_000_000).unwrap()));
        assert_eq!(rfc3339(clock.now()), "2023-11-14T22:13:20Z");
        clock.advance(Duration::from_millis(61_500));
        assert_eq!(rfc3339(clock.now()), "2023-11-14T22:14:21Z");
    }

    #[test]
    fn a_real_clock_can_be_pushed_forward() {
        let clock = Clock::new(ClockStart::Real);
        let before = clock.now();
        clock.advance(Duration::from_secs(3600));
        assert!(clock.now() >= later(before, Duration::from_secs(3600)));
    }
}

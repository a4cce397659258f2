//! The pace of all calls together: a token bucket, and the pause that Metal asks for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Backoff;

/// How many calls may be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Calls a second in the long run; above zero, and infinite where there is no limit.
    pub per_second: f64,
    /// Calls at once after a quiet time; at least 1.
    pub burst: u32,
}

impl RateLimit {
    /// No limit, other than what Metal asks for with a 429.
    pub const UNLIMITED: Self = Self { per_second: f64::INFINITY, burst: u32::MAX };
}

impl Default for RateLimit {
    /// Fit for production: 10 calls a second after a burst of 50.
    fn default() -> Self {
        Self { per_second: 10.0, burst: 50 }
    }
}

/// Lets calls through at the agreed pace. A 429 to one call holds all of them back.
#[derive(Debug)]
pub(super) struct Throttle {
    limit: RateLimit,
    /// Pauses where a 429 names none.
    backoff: Backoff,
    /// No pause is longer, whatever a 429 asks for.
    longest_pause: Duration,
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    /// Tokens at `at`; below zero when calls that are waiting have taken theirs in advance.
    tokens: f64,
    at: Instant,
    paused_until: Option<Instant>,
    /// 429s since the last other answer.
    refusals: u32,
}

impl Throttle {
    pub(super) fn new(limit: RateLimit, backoff: Backoff, longest_pause: Duration) -> Self {
        let limit = RateLimit {
            per_second: if limit.per_second > 0.0 { limit.per_second } else { 1.0 },
            burst: limit.burst.max(1),
        };
        let pace = Pace { tokens: f64::from(limit.burst), at: Instant::now(), paused_until: None, refusals: 0 };
        Self { limit, backoff, longest_pause, pace: Mutex::new(pace) }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// How long it would take, when that goes past the deadline.
    pub(super) async fn admit(&self, deadline: Instant) -> Result<(), Duration> {
        let turn = self.take_token(deadline)?;
        sleep_until(turn).await;
        // A 429 to another call may have come meanwhile.
        while let Some(until) = self.paused_until() {
            if until > deadline {
                return Err(until - Instant::now());
            }
            sleep_until(until).await;
        }
        Ok(())
    }

    /// Metal said 429: nobody calls for a while. Returns for how long.
    pub(super) fn refused(&self, asked: Option<Duration>) -> Duration {
        let mut pace = self.pace();
        pace.refusals = pace.refusals.saturating_add(1);
        let pause = asked.unwrap_or_else(|| self.backoff.jittered(pace.refusals)).min(self.longest_pause);
        let until = Instant::now() + pause;
        pace.paused_until = Some(pace.paused_until.map_or(until, |earlier| earlier.max(until)));
        pause
    }

    /// Metal answered something else than 429.
    pub(super) fn accepted(&self) {
        self.pace().refusals = 0;
    }

    fn paused_until(&self) -> Option<Instant> {
        let mut pace = self.pace();
        pace.paused_until = pace.paused_until.filter(|until| *until > Instant::now());
        pace.paused_until
    }

    /// When the call may start; its token is taken.
    fn take_token(&self, deadline: Instant) -> Result<Instant, Duration> {
        let mut pace = self.pace();
        let now = Instant::now();
        let full = f64::from(self.limit.burst);
        pace.tokens = match self.limit.per_second.is_infinite() {
            true => full,
            false => (pace.tokens + now.duration_since(pace.at).as_secs_f64() * self.limit.per_second).min(full),
        };
        pace.at = now;
        let missing = (1.0 - pace.tokens).max(0.0);
        let turn = now + Duration::from_secs_f64(missing / self.limit.per_second);
        let turn = pace.paused_until.map_or(turn, |until| until.max(turn));
        if turn > deadline {
            return Err(turn - now);
        }
        pace.tokens -= 1.0;
        Ok(turn)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // Plain numbers: no panic can leave them half written.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn throttle(per_second: f64, burst: u32) -> Throttle {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
        Throttle::new(RateLimit { per_second, burst }, backoff, Duration::from_secs(60))
    }

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_agreed_pace() {
        let throttle = throttle(10.0, 5);
        let start = Instant::now();
        let mut passed = Vec::new();
        for _ in 0..8 {
            throttle.admit(in_a_minute()).await.expect("within a minute");
            passed.push(start.elapsed().as_millis());
        }
        // Timers of tokio have a resolution of a millisecond and round up.
        for (passed, expected) in passed.into_iter().zip([0, 0, 0, 0, 0, 100, 200, 300]) {
            assert!((expected..expected + 5).contains(&passed), "{passed} instead of {expected}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_every_call_passes_at_once_until_metal_refuses() {
        let throttle = throttle(RateLimit::UNLIMITED.per_second, 1);
        let start = Instant::now();
        for _ in 0..1000 {
            throttle.admit(in_a_minute()).await.expect("within a minute");
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        throttle.refused(Some(Duration::from_secs(7)));
        throttle.admit(in_a_minute()).await.expect("within a minute");
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_holds_back_every_call() {
        let throttle = throttle(100.0, 100);
        assert_eq!(throttle.refused(Some(Duration::from_secs(7))), Duration::from_secs(7));
        let start = Instant::now();
        let (a, b) = tokio::join!(throttle.admit(in_a_minute()), throttle.admit(in_a_minute()));
        assert_eq!((a, b, start.elapsed().as_secs()), (Ok(()), Ok(()), 7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_past_the_deadline_is_said_at_once() {
        let throttle = throttle(100.0, 100);
        throttle.refused(Some(Duration::from_secs(30)));
        let start = Instant::now();
        let refusal = throttle.admit(Instant::now() + Duration::from_secs(10)).await;
        assert_eq!((refusal, start.elapsed()), (Err(Duration::from_secs(30)), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_are_capped_and_grow_where_none_is_named() {
        let throttle = throttle(100.0, 100);
        assert_eq!(throttle.refused(Some(Duration::from_secs(3600))), Duration::from_secs(60));
        throttle.accepted();
        let pauses: Vec<Duration> = (0..4).map(|_| throttle.refused(None)).collect();
        for (pause, full) in pauses.into_iter().zip([1, 2, 4, 8]) {
            assert!(pause >= Duration::from_millis(full * 500) && pause <= Duration::from_secs(full));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_and_shorter_refusal_does_not_cut_a_pause() {
        let throttle = throttle(100.0, 100);
        throttle.refused(Some(Duration::from_secs(20)));
        throttle.refused(Some(Duration::from_secs(1)));
        let start = Instant::now();
        throttle.admit(in_a_minute()).await.expect("within a minute");
        assert_eq!(start.elapsed().as_secs(), 20);
    }
}

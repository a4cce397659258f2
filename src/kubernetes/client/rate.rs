//! How many requests a client may make.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The limit of one client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RequestRate {
    /// None.
    Unlimited,
    /// So many on average, so many at once.
    PerSecond {
        /// Requests a second; more than zero.
        qps: f32,
        /// Requests at once, after a quiet time.
        burst: u32,
    },
}

/// A bucket that refills steadily; each request takes a token, on credit if need be, and waits until it is there.
#[derive(Debug)]
pub(super) struct TokenBucket {
    qps: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket; `None` when there is no limit.
    pub(super) fn new(rate: RequestRate) -> Option<Self> {
        match rate {
            RequestRate::Unlimited => None,
            RequestRate::PerSecond { qps, burst } => Some(Self {
                qps: f64::from(qps),
                burst: f64::from(burst.max(1)),
                state: Mutex::new(State { tokens: f64::from(burst.max(1)), at: Instant::now() }),
            }),
        }
    }

    /// Takes a token and says how long to wait for it. First come, first served.
    pub(super) fn take(&self) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let refill = now.saturating_duration_since(state.at).as_secs_f64() * self.qps;
        state.tokens = (state.tokens + refill).min(self.burst) - 1.0;
        state.at = now;
        Duration::try_from_secs_f64(-state.tokens / self.qps).unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;
    use tokio::time::advance;

    use super::{RequestRate, TokenBucket};

    #[tokio::test(start_paused = true)]
    async fn app_04_a_burst_is_free_and_the_rest_is_spread() {
        let bucket = TokenBucket::new(RequestRate::PerSecond { qps: 20.0, burst: 3 }).unwrap();
        let ms = Duration::from_millis;
        let waits: Vec<_> = (0..5).map(|_| bucket.take()).collect();
        assert_eq!(waits, [ms(0), ms(0), ms(0), ms(50), ms(100)]);
        advance(ms(150)).await;
        assert_eq!([bucket.take(), bucket.take()], [ms(0), ms(50)]);
        advance(ms(10_000)).await;
        let waits: Vec<_> = (0..4).map(|_| bucket.take()).collect();
        assert_eq!(waits, [ms(0), ms(0), ms(0), ms(50)]);
    }

    #[test]
    fn app_04_no_limit_below_zero() {
        assert!(TokenBucket::new(RequestRate::Unlimited).is_none());
    }
}

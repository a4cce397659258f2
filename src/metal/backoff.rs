//! How long to wait before a retry.

use std::time::Duration;

/// A delay that doubles with each try up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
}

impl Backoff {
    /// The delay after so many failures (counted from 1), without jitter.
    pub fn after(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }

    /// As [`Self::after`], of random length between half of it and all of it, so that many waiters do not return at once.
    pub fn jittered(&self, failures: u32) -> Duration {
        self.after(failures).mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(8) };
        let delays: Vec<u128> =
            [1, 2, 3, 4, 5, 6, 40, u32::MAX].iter().map(|n| backoff.after(*n).as_millis()).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000]);
        for _ in 0..100 {
            let jittered = backoff.jittered(2);
            assert!(Duration::from_millis(500) <= jittered && jittered <= Duration::from_secs(1));
        }
    }
}

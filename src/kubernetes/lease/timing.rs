//! How long things take in an election.

use std::time::Duration;

/// Durations that fit together: lease duration > renew deadline > 1.2 × retry period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionTiming {
    lease_duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// Durations that do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// A lease holds its duration in whole seconds.
    #[error("{lease:?} is too short: a lease lasts a second at least")]
    LeaseBelowSecond {
        /// The lease duration.
        lease: Duration,
    },
    /// The leader would give up after others took over.
    #[error("{lease:?} is too short: it must be more than the renew deadline, {deadline:?}")]
    LeaseTooShort {
        /// The lease duration.
        lease: Duration,
        /// The renew deadline.
        deadline: Duration,
    },
    /// The leader would give up after one failure.
    #[error("{deadline:?} is too short: it must be more than 1.2 times the retry period, {retry:?}")]
    DeadlineTooShort {
        /// The renew deadline.
        deadline: Duration,
        /// The retry period.
        retry: Duration,
    },
    /// Candidates would ask without a pause.
    #[error("expected a duration above zero")]
    NoRetryPeriod,
}

impl ElectionTiming {
    /// Checks that the durations fit together. The lease duration is cut to whole seconds, which is what others see.
    ///
    /// # Errors
    /// Says which of them is wrong.
    pub fn new(lease: Duration, deadline: Duration, retry: Duration) -> Result<Self, TimingError> {
        let whole = Duration::from_secs(lease.as_secs().min(i32::MAX.unsigned_abs().into()));
        if whole.is_zero() {
            return Err(TimingError::LeaseBelowSecond { lease });
        }
        if whole <= deadline {
            return Err(TimingError::LeaseTooShort { lease, deadline });
        }
        if deadline <= retry.mul_f64(super::JITTER) {
            return Err(TimingError::DeadlineTooShort { deadline, retry });
        }
        if retry.is_zero() {
            return Err(TimingError::NoRetryPeriod);
        }
        Ok(Self { lease_duration: whole, renew_deadline: deadline, retry_period: retry })
    }

    /// How long others wait after they last saw a change; whole seconds.
    pub fn lease_duration(self) -> Duration {
        self.lease_duration
    }

    /// How long the leader tries to renew.
    pub fn renew_deadline(self) -> Duration {
        self.renew_deadline
    }

    /// Pause between two attempts.
    pub fn retry_period(self) -> Duration {
        self.retry_period
    }

    /// How long one request may take.
    pub fn request_timeout(self) -> Duration {
        super::request_timeout(self.renew_deadline)
    }

    pub(super) fn lease_seconds(self) -> i32 {
        i32::try_from(self.lease_duration.as_secs()).unwrap_or(i32::MAX)
    }
}

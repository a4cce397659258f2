//! Checks that say whether the process is well.

/// One thing that may be well or not.
pub trait HealthCheck: Send + Sync {
    /// Its name, as in `/healthz/NAME`.
    fn name(&self) -> &str;

    /// Whether it is well. Answers at once.
    ///
    /// # Errors
    /// Says what is wrong; shown in the log only.
    fn check(&self) -> Result<(), String>;
}

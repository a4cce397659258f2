//! Leader election: of several replicas one runs the controllers.
//!
//! # Guarantees
//! - A lease that somebody holds is taken only after its record has not changed for as long as its holder asked, by this
//!   process's own clock. No time that another process wrote is ever compared with it.
//! - A leader that could not renew for the renew deadline stops leading, and in any case before the lease it wrote last
//!   can have run out for others.
//! - Renewal runs in a task of its own; it does not wait for anything the controllers do.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

mod api;
mod contender;
mod health;
mod timing;

pub use api::{KubeLeases, LeaseApi, LeaseError};
pub use health::LeaseHealth;
pub use timing::{ElectionTiming, TimingError};

use super::events::{EventSink, NewEvent, Severity};
use contender::{Attempt, Contender};

/// Candidates try again after the retry period and up to this much of it more, at random.
const JITTER: f64 = 1.2;

/// Which lease is contended for, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectionConfig {
    /// The name of the Lease.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// How long things take.
    pub timing: ElectionTiming,
}

/// Counts what an election does.
pub trait ElectionObserver: Send + Sync {
    /// This process leads from now on.
    fn started_leading(&self);
    /// This process leads no more.
    fn stopped_leading(&self);
    /// The lease had to be read before it could be renewed.
    fn renewed_slowly(&self);
}

/// Counts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoElectionObserver;

impl ElectionObserver for NoElectionObserver {
    fn started_leading(&self) {}
    fn stopped_leading(&self) {}
    fn renewed_slowly(&self) {}
}

/// A name for this process that no other has: `<hostname>_<random uuid>`.
pub fn identity() -> String {
    let host = hostname::get().map(|name| name.to_string_lossy().into_owned());
    format!("{}_{}", host.unwrap_or_else(|_| "unknown".to_string()), uuid::Uuid::new_v4())
}

/// A candidate for leadership.
pub struct LeaderElector {
    contender: Contender,
    health: Arc<LeaseHealth>,
    events: Arc<dyn EventSink>,
    observer: Arc<dyn ElectionObserver>,
}

impl LeaderElector {
    /// A candidate of this identity. Events on the lease are recorded when it begins and ends to lead.
    pub fn new(
        config: ElectionConfig,
        identity: String,
        api: Arc<dyn LeaseApi>,
        events: Arc<dyn EventSink>,
        observer: Arc<dyn ElectionObserver>,
    ) -> Self {
        Self {
            health: Arc::new(LeaseHealth::new(&config)),
            contender: Contender::new(config, identity, api, observer.clone()),
            events,
            observer,
        }
    }

    /// The health check of this candidate: fails when it leads and has not renewed for long.
    pub fn health(&self) -> Arc<LeaseHealth> {
        self.health.clone()
    }

    /// Waits until this process leads. Failures are logged and tried again; dropping the future gives up.
    pub async fn acquire(mut self) -> Leadership {
        let retry = self.contender.timing().retry_period();
        debug!(lease = self.contender.lease(), identity = self.contender.identity(), "Stands for election");
        let mut leader = None;
        let since = loop {
            let started = Instant::now();
            match self.contender.attempt().await {
                Ok(Attempt::Holds) => break started,
                Ok(Attempt::HeldBy(holder)) => {
                    if leader.as_ref() != Some(&holder) {
                        info!(lease = self.contender.lease(), leader = holder, "Another process leads");
                        leader = Some(holder);
                    }
                }
                Err(error) => warn!(lease = self.contender.lease(), %error, "Could not try to take the lease"),
            }
            sleep(retry.mul_f64(1.0 + JITTER * rand::random::<f64>())).await;
        };
        info!(lease = self.contender.lease(), identity = self.contender.identity(), "Became leader");
        self.health.renewed();
        self.observer.started_leading();
        self.tell("became leader");
        Leadership::start(self, since)
    }
}

/// The right to act, kept up in the background until it is lost or released. Dropping it stops renewing, without release.
pub struct Leadership {
    stop: CancellationToken,
    renewal: AbortOnDropHandle<(LeaderElector, End)>,
}

/// Leadership was lost: another process may act from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("lost the leader election lease")]
pub struct LostLeadership;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Lost,
    Asked,
}

impl Leadership {
    fn start(elector: LeaderElector, since: Instant) -> Self {
        let stop = CancellationToken::new();
        let renewal = AbortOnDropHandle::new(tokio::spawn(elector.renew(since, stop.clone())));
        Self { stop, renewal }
    }

    /// Waits until leadership is lost. The caller must end the process then, at once.
    pub async fn lost(&mut self) -> LostLeadership {
        // A renewal that panicked renews no more: that is a loss, too.
        let _ = (&mut self.renewal).await;
        LostLeadership
    }

    /// Gives the lease up, so that a successor need not wait. To be called after all that acts has ended. A failure is
    /// logged: the successor waits then until the lease has run out.
    pub async fn release(self) {
        self.stop.cancel();
        if let Ok((mut elector, End::Asked)) = self.renewal.await {
            elector.observer.stopped_leading();
            elector.health.stopped();
            match elector.contender.release().await {
                Ok(()) => info!(lease = elector.contender.lease(), "Released the lease"),
                Err(error) => warn!(lease = elector.contender.lease(), %error, "Could not release the lease"),
            }
            elector.tell("stopped leading");
        }
    }
}

impl LeaderElector {
    async fn renew(mut self, mut since: Instant, stop: CancellationToken) -> (Self, End) {
        let timing = self.contender.timing();
        loop {
            tokio::select! {
                () = stop.cancelled() => return (self, End::Asked),
                () = sleep(timing.retry_period()) => {}
            }
            let deadline = (Instant::now() + timing.renew_deadline()).min(since + timing.lease_duration());
            tokio::select! {
                () = stop.cancelled() => return (self, End::Asked),
                renewed = timeout_at(deadline, self.renew_once()) => match renewed {
                    Ok(started) => since = started,
                    Err(_) => break,
                },
            }
            self.health.renewed();
        }
        warn!(lease = self.contender.lease(), identity = self.contender.identity(), "Lost the lease");
        self.observer.stopped_leading();
        self.health.stopped();
        self.tell("stopped leading");
        (self, End::Lost)
    }

    fn tell(&self, what: &str) {
        self.events.record(NewEvent {
            about: self.contender.reference(),
            severity: Severity::Normal,
            reason: "LeaderElection",
            message: format!("{} {what}", self.contender.identity()),
        });
    }

    /// Tries until the lease is renewed, and returns when the attempt that did it began.
    async fn renew_once(&mut self) -> Instant {
        loop {
            let started = Instant::now();
            match self.contender.attempt().await {
                Ok(Attempt::Holds) => return started,
                Ok(Attempt::HeldBy(leader)) => {
                    warn!(lease = self.contender.lease(), leader, "Another process took the lease");
                }
                Err(error) => warn!(lease = self.contender.lease(), %error, "Could not renew the lease"),
            }
            sleep(self.contender.timing().retry_period()).await;
        }
    }
}

/// How long one request may take: half the renew deadline, but a second at least.
pub fn request_timeout(renew_deadline: Duration) -> Duration {
    (renew_deadline / 2).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests;

//! One attempt at a lease after another.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::ObjectMeta;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::{ElectionConfig, ElectionObserver, ElectionTiming, LeaseApi, LeaseError};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attempt {
    /// This process holds the lease.
    Holds,
    /// This one does, and its time has not run out.
    HeldBy(String),
}

/// A process that wants or has a lease, and what it has seen of it.
pub(super) struct Contender {
    config: ElectionConfig,
    identity: String,
    api: Arc<dyn LeaseApi>,
    observer: Arc<dyn ElectionObserver>,
    observed: Option<Observed>,
}

/// The lease as last seen, and when it was first seen so.
struct Observed {
    lease: Lease,
    since: Instant,
}

impl Contender {
    pub(super) fn new(
        config: ElectionConfig,
        identity: String,
        api: Arc<dyn LeaseApi>,
        observer: Arc<dyn ElectionObserver>,
    ) -> Self {
        Self { config, identity, api, observer, observed: None }
    }

    pub(super) fn timing(&self) -> ElectionTiming {
        self.config.timing
    }

    pub(super) fn lease(&self) -> &str {
        &self.config.name
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Takes or renews the lease if that may be done.
    pub(super) async fn attempt(&mut self) -> Result<Attempt, LeaseError> {
        if let Some(observed) = &self.observed
            && self.is_mine(&observed.lease)
            && observed.is_valid()
        {
            match self.write(self.renewed(&observed.lease)).await {
                Ok(()) => return Ok(Attempt::Holds),
                Err(error) => debug!(lease = self.lease(), %error, "Could not renew the lease as last seen"),
            }
        }
        let api = self.api.clone();
        let Some(lease) = self.bounded(api.get()).await? else {
            let created = self.bounded(api.create(&self.fresh())).await?;
            self.see(created);
            return Ok(Attempt::Holds);
        };
        self.see(lease.clone());
        let mine = self.is_mine(&lease);
        let valid = self.observed.as_ref().is_some_and(Observed::is_valid);
        match holder(&lease) {
            Some(other) if !mine && valid => return Ok(Attempt::HeldBy(other.to_string())),
            Some(_) | None => {}
        }
        if mine {
            self.observer.renewed_slowly();
        }
        let wanted = if mine { self.renewed(&lease) } else { self.taken_over(&lease) };
        self.write(wanted).await?;
        Ok(Attempt::Holds)
    }

    /// Empties the holder if that is still this process.
    pub(super) async fn release(&mut self) -> Result<(), LeaseError> {
        let Some(observed) = &self.observed else {
            return Ok(());
        };
        match self.write(self.released(&observed.lease)).await {
            Err(LeaseError::Conflict) => {}
            result => return result,
        }
        // The renewal that was under way may have been stored after all.
        let api = self.api.clone();
        match self.bounded(api.get()).await? {
            Some(lease) if self.is_mine(&lease) => self.write(self.released(&lease)).await,
            Some(_) | None => Ok(()),
        }
    }

    /// The lease as an event names it.
    pub(super) fn reference(&self) -> ObjectReference {
        let metadata = self.observed.as_ref().map(|observed| observed.lease.metadata.clone()).unwrap_or_default();
        ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_string()),
            kind: Some("Lease".to_string()),
            namespace: Some(self.config.namespace.clone()),
            name: Some(self.config.name.clone()),
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            ..ObjectReference::default()
        }
    }

    fn is_mine(&self, lease: &Lease) -> bool {
        holder(lease) == Some(self.identity.as_str())
    }

    async fn write(&mut self, lease: Lease) -> Result<(), LeaseError> {
        let api = self.api.clone();
        let stored = self.bounded(api.update(&lease)).await?;
        self.see(stored);
        Ok(())
    }

    /// A lease that says the same keeps the time at which it was first seen so, whatever became of its metadata.
    fn see(&mut self, lease: Lease) {
        match &mut self.observed {
            Some(observed) if observed.lease.spec == lease.spec => observed.lease = lease,
            Some(_) | None => {
                self.observed = Some(Observed { lease, since: Instant::now() });
            }
        }
    }

    async fn bounded<T>(&self, request: impl Future<Output = Result<T, LeaseError>>) -> Result<T, LeaseError> {
        let limit = self.timing().request_timeout();
        timeout(limit, request).await.unwrap_or(Err(LeaseError::TimedOut(limit)))
    }

    fn fresh(&self) -> Lease {
        let now = now();
        Lease {
            metadata: ObjectMeta {
                name: Some(self.config.name.clone()),
                namespace: Some(self.config.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(self.timing().lease_seconds()),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        }
    }

    fn renewed(&self, lease: &Lease) -> Lease {
        changed(lease, |spec| {
            spec.lease_duration_seconds = Some(self.timing().lease_seconds());
            spec.renew_time = Some(now());
        })
    }

    fn taken_over(&self, lease: &Lease) -> Lease {
        changed(lease, |spec| {
            let now = now();
            spec.holder_identity = Some(self.identity.clone());
            spec.lease_duration_seconds = Some(self.timing().lease_seconds());
            spec.acquire_time = Some(now.clone());
            spec.renew_time = Some(now);
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        })
    }

    fn released(&self, lease: &Lease) -> Lease {
        changed(lease, |spec| {
            let now = now();
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.acquire_time = Some(now.clone());
            spec.renew_time = Some(now);
        })
    }
}

impl Observed {
    /// Whether its holder may still count on it.
    fn is_valid(&self) -> bool {
        let seconds = self.lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        self.since.elapsed() < duration
    }
}

fn changed(lease: &Lease, change: impl FnOnce(&mut LeaseSpec)) -> Lease {
    let mut lease = lease.clone();
    change(lease.spec.get_or_insert_default());
    lease
}

fn holder(lease: &Lease) -> Option<&str> {
    let spec = lease.spec.as_ref()?;
    spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}

//! The cloud: where machines and addresses come from.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::RetryClass;
use crate::domain::{
    BgpConfig, BgpNeighbor, BgpSession, Device, DeviceId, IpFamily, IpReservation, ReservationId, ReservationRequest,
    Secret,
};

/// How old an answer may be. Answers come from one listing of the project that all callers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxAge(pub Duration);

impl MaxAge {
    /// As old as the shared listing may get: one minute.
    pub const RECENT: Self = Self(Duration::from_secs(60));
    /// From a listing that began after the call did.
    pub const NOW: Self = Self(Duration::ZERO);
}

/// The answer to "is this machine there?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existence {
    /// Metal has it, in any state.
    Exists(Arc<Device>),
    /// Metal has it no more. Said only when a complete listing lacks the device, its own address answers so, and the
    /// credentials still reach the project.
    Gone,
}

/// The project's BGP configuration and sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectBgp {
    /// The configuration; `None` when BGP was never enabled.
    pub config: Option<BgpConfig>,
    /// Sessions by device and family.
    pub sessions: BTreeMap<(DeviceId, IpFamily), BgpSession>,
}

/// A Metal project, read through one shared snapshot.
///
/// # Guarantees
/// - Reads are answered from one complete listing a resource, made at most once at a time and no older than asked.
/// - What this process wrote is seen by its own later reads, whatever the API's lists say meanwhile.
/// - A read never mistakes an error, a half answer or an empty page for "there is none".
/// - Calls are bounded in time and stop when the future is dropped.
#[async_trait]
pub trait Metal: Send + Sync {
    /// Every device of the project.
    async fn devices(&self, max_age: MaxAge) -> Result<Vec<Arc<Device>>, MetalError>;

    /// The device with this id, from the listing alone: `None` says that the listing lacks it, not that it is gone.
    async fn device(&self, id: &DeviceId, max_age: MaxAge) -> Result<Option<Arc<Device>>, MetalError> {
        let devices = self.devices(max_age).await?;
        Ok(devices.into_iter().find(|device| device.id == *id))
    }

    /// The device with this hostname; the first listed where several share it, which is logged.
    async fn device_by_hostname(&self, hostname: &str, max_age: MaxAge) -> Result<Option<Arc<Device>>, MetalError>;

    /// Whether a device exists; see [`Existence`].
    async fn existence(&self, device: &DeviceId, max_age: MaxAge) -> Result<Existence, MetalError>;

    /// Every reservation of the project, VRF blocks excepted.
    async fn reservations(&self, max_age: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError>;

    /// Reservations that carry all these tags, oldest first.
    async fn reservations_tagged(&self, tags: &[&str], max_age: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError>;

    /// The reservation with this id: from the listing, or else asked for by its id; `None` only when its own address
    /// answers that it is gone.
    async fn reservation(&self, id: &ReservationId) -> Result<Option<Arc<IpReservation>>, MetalError>;

    /// The reservation whose block holds this address.
    async fn reservation_of(&self, address: IpAddr, max_age: MaxAge) -> Result<Option<Arc<IpReservation>>, MetalError>;

    /// BGP configuration and sessions of the project.
    async fn bgp(&self, max_age: MaxAge) -> Result<Arc<ProjectBgp>, MetalError>;

    /// BGP neighbours of a device, remembered as long as its session is the same.
    async fn neighbors(&self, session: &BgpSession) -> Result<Arc<Vec<BgpNeighbor>>, MetalError>;

    /// Reserves an address. After an answer that leaves open whether it happened, the error says so
    /// ([`MetalError::is_ambiguous`]) and the next read of reservations lists anew. Until a listing has settled it, no
    /// address with the same tags is bought, and neither this nor [`Self::reservations_tagged`] answers "there is none":
    /// both fail with [`MetalError::Unsettled`].
    async fn reserve(&self, request: &ReservationRequest) -> Result<Arc<IpReservation>, MetalError>;

    /// Gives a reservation back; one that is gone already counts as success.
    async fn release(&self, reservation: &ReservationId) -> Result<(), MetalError>;

    /// Enables BGP for the project; succeeds where it is enabled already.
    async fn enable_bgp(&self, asn: u32, password: Option<&Secret>) -> Result<(), MetalError>;

    /// Opens a BGP session; succeeds where there is one already.
    async fn create_bgp_session(&self, device: &DeviceId, family: IpFamily) -> Result<(), MetalError>;
}

/// A call to Metal that failed. Messages name the request, never a credential.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MetalError {
    /// 401: the key is wrong or revoked.
    #[error("{request}: Metal refused the API key (401); check METAL_API_KEY or apiKey")]
    Unauthorized {
        /// Method and path.
        request: String,
    },
    /// 403: the key may not do this.
    #[error("{request}: Metal forbids this to the API key (403){}", listed(errors))]
    Forbidden {
        /// Method and path.
        request: String,
        /// The API's own words.
        errors: Vec<String>,
    },
    /// 404: there is no such thing.
    #[error("{request}: not found (404)")]
    NotFound {
        /// Method and path.
        request: String,
    },
    /// 422 and the other 4xx: Metal will not do this as asked.
    #[error("{request}: Metal refused the request ({status}){}", listed(errors))]
    Rejected {
        /// Method and path.
        request: String,
        /// HTTP status.
        status: u16,
        /// The API's own words.
        errors: Vec<String>,
    },
    /// 429.
    #[error("{request}: Metal asks to slow down (429), trying again in {} s", retry_after.as_secs().max(1))]
    RateLimited {
        /// Method and path.
        request: String,
        /// How long to wait.
        retry_after: Duration,
    },
    /// 5xx.
    #[error("{request}: Metal failed ({status}){}", listed(errors))]
    Server {
        /// Method and path.
        request: String,
        /// HTTP status.
        status: u16,
        /// The API's own words.
        errors: Vec<String>,
    },
    /// No answer: refused, reset, name not resolved, TLS failed, timed out.
    #[error("{request}: no answer from Metal: {cause}")]
    Unreachable {
        /// Method and path.
        request: String,
        /// What happened.
        cause: String,
    },
    /// An answer that is not what the API promises: HTML, half a JSON, a missing field.
    #[error("{request}: Metal's answer could not be read: {cause}")]
    Malformed {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        cause: String,
    },
    /// An earlier write may have happened although its answer was lost; nothing was sent. Asked again later, listings
    /// will tell.
    #[error(
        "{request}: an earlier request may have been carried out although its answer was lost; looking again in {} s",
        retry_after.as_secs().max(1)
    )]
    Unsettled {
        /// Method and path.
        request: String,
        /// When listings will be trusted again.
        retry_after: Duration,
    },
}

impl MetalError {
    /// When to try again.
    pub fn retry(&self) -> RetryClass {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unsettled { retry_after, .. } => {
                RetryClass::After(*retry_after)
            }
            Self::Unauthorized { .. } | Self::Forbidden { .. } | Self::Rejected { .. } => RetryClass::Permanent,
            Self::NotFound { .. } | Self::Server { .. } | Self::Unreachable { .. } | Self::Malformed { .. } => {
                RetryClass::Backoff
            }
        }
    }

    /// Whether a write that failed so may have happened all the same.
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::Server { .. } | Self::Unreachable { .. } | Self::Malformed { .. } => true,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Rejected { .. }
            | Self::RateLimited { .. }
            | Self::Unsettled { .. } => false,
        }
    }
}

fn listed(errors: &[String]) -> String {
    match errors {
        [] => String::new(),
        errors => format!(": {}", errors.join(", ")),
    }
}

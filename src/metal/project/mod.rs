//! The shared view of one project.

mod bgp;
mod devices;
mod doubts;
mod existence;
mod flight;
mod purchase;
mod reservations;
mod sessions;
mod start_up;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::time::Instant;

use self::bgp::Bgp;
use self::devices::Devices;
use self::doubts::Doubts;
use self::flight::Flight;
use self::reservations::Reservations;
use super::requests::ProjectFacts;
use super::route::{Method, Route};
use super::{Backoff, Client, Contact};
use crate::domain::{
    BgpNeighbor, BgpSession, Device, DeviceId, IpFamily, IpReservation, ReservationId, ReservationRequest, Secret,
};
use crate::ports::{Existence, MaxAge, Metal, MetalError, ProjectBgp};

pub use start_up::StartUpError;

/// How the view of a project copes with a slow and eventually consistent API. [`Default`] is fit for production.
#[derive(Debug, Clone)]
pub struct ProjectConfig {
    /// How long the API's lists may be behind: what this process wrote counts for more than they say for so long.
    pub settle: Duration,
    /// After a lost answer to a purchase, a list that began this much later is trusted to show what was bought.
    pub doubt_window: Duration,
    /// How often reservations are listed anew while a purchase is in doubt.
    pub doubt_poll: Duration,
    /// How old a listing may be that confirms that a device is gone.
    pub absence_age: Duration,
    /// How long the BGP neighbours of a session are remembered.
    pub neighbor_age: Duration,
    /// How long the error of a listing is repeated without asking again; begins with the second failure in a row.
    pub failure_hold: Backoff,
}

impl Default for ProjectConfig {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(60),
            doubt_window: Duration::from_secs(30),
            doubt_poll: Duration::from_secs(2),
            absence_age: Duration::from_secs(5),
            neighbor_age: Duration::from_secs(6 * 3600),
            failure_hold: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(15) },
        }
    }
}

/// A Metal project behind one [`Client`], read through one snapshot that all callers share.
///
/// Beyond what [`Metal`] promises:
///
/// - **One listing for all.** Devices, reservations and BGP are listed each by one call at a time (and one a page); who
///   waits uses the result, an error included. Lookups by id, hostname, tag and address do not grow with the project.
/// - **Own writes.** A reservation made here is seen here from then on, whatever lists say, until a list that has shown
///   it shows it no more or its own address answers 404. A released one is not seen again.
/// - **Nothing is bought twice.** While a purchase is awaited, or its answer was lost, another with the same tags is not
///   sent: the error is [`MetalError::Unsettled`]. It ends when a listing shows the reservation, which is then the
///   answer, or when a complete listing that began [`ProjectConfig::doubt_window`] after the loss does not show it. The
///   promise fails only where Metal carries a request out, or hides what it did, for longer than that; and it holds
///   within one process: a successor relies on the API's list showing what its predecessor bought.
/// - **Gone means gone.** See [`Metal::existence`]: a complete listing lacks the device, its own address answers 404 (or
///   403, as for devices that failed to provision), and the project, asked after that with the same key, answers and does
///   not name the device. For a 403 the listing must hold at least one other device. Anything else is an error. A device
///   listed in the state `deleted` exists as long as it is listed.
#[derive(Debug)]
pub struct Project {
    client: Client,
    id: String,
    config: ProjectConfig,
    device_flight: Flight,
    devices: ArcSwap<Devices>,
    /// Devices that no listing shows but their own address does.
    strays: Mutex<HashMap<DeviceId, (Instant, Arc<Device>)>>,
    reservation_flight: Flight,
    holdings: Mutex<Holdings>,
    bgp_flight: Flight,
    bgp: Mutex<Bgp>,
    probe_flight: Flight,
    probe: ArcSwap<ProjectFacts>,
}

/// What the project holds, for sure or perhaps.
#[derive(Debug)]
struct Holdings {
    reservations: Reservations,
    doubts: Doubts,
}

impl Project {
    /// The view of the project with this id. Asks nothing yet.
    pub fn new(client: Client, id: impl Into<String>, config: ProjectConfig) -> Self {
        let flight = |what| Flight::new(what, config.failure_hold);
        Self {
            client,
            id: id.into(),
            device_flight: flight("devices"),
            devices: ArcSwap::default(),
            strays: Mutex::default(),
            reservation_flight: flight("reservations"),
            holdings: Mutex::new(Holdings {
                reservations: Reservations::new(config.settle),
                doubts: Doubts::new(config.doubt_window),
            }),
            bgp_flight: flight("BGP"),
            bgp: Mutex::new(Bgp::new(config.settle)),
            probe_flight: flight("the project"),
            probe: ArcSwap::default(),
            config,
        }
    }

    /// The project's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When Metal was last heard of.
    pub fn contact(&self) -> Contact {
        self.client.contact()
    }

    async fn listed_devices(&self, max_age: MaxAge) -> Result<Arc<Devices>, MetalError> {
        self.devices_since(Instant::now().checked_sub(max_age.0)).await
    }

    /// From a listing that began at `not_before` or later; from any at all where that is `None`.
    async fn devices_since(&self, not_before: Option<Instant>) -> Result<Arc<Devices>, MetalError> {
        self.device_flight.since(not_before, |_| self.list_devices()).await?;
        Ok(self.devices.load_full())
    }

    async fn list_devices(&self) -> Result<(), MetalError> {
        let listed = self.client.devices(&self.id).await?;
        if listed.is_empty() {
            let project = self.project_since(Instant::now()).await?;
            if !project.devices.is_empty() {
                return Err(MetalError::Malformed {
                    request: format!("{} {}", Method::Get, Route::Devices(&self.id)),
                    cause: format!("the list is empty, but the project names {} devices", project.devices.len()),
                });
            }
        }
        let devices = Devices::new(listed, &self.devices.load());
        self.devices.store(Arc::new(devices));
        Ok(())
    }

    async fn list_reservations(&self, started: Instant) -> Result<(), MetalError> {
        let listed = self.client.reservations(&self.id).await?;
        if listed.is_empty() {
            // A key that lost its rights may see empty lists; the project itself it cannot see.
            self.project_since(Instant::now()).await?;
        }
        let suspects = self.holdings().reservations.suspects(&listed, started);
        for id in suspects {
            match self.client.reservation(&id).await {
                Ok(_) => self.holdings().reservations.proved(&id, Instant::now()),
                Err(MetalError::NotFound { .. }) => {
                    tracing::warn!(reservation = %id, "a reservation of ours is gone, and not by us");
                    let mut holdings = self.holdings();
                    holdings.reservations.disproved(&id);
                    holdings.doubts.gone(&id);
                }
                Err(error) => tracing::debug!(reservation = %id, %error, "a reservation could not be confirmed"),
            }
        }
        let mut holdings = self.holdings();
        let bought = holdings.doubts.absorb(&listed, started);
        holdings.reservations.absorb(listed, started);
        for id in bought {
            holdings.reservations.proved(&id, Instant::now());
        }
        Ok(())
    }

    async fn fresh_reservations(&self, max_age: MaxAge) -> Result<MutexGuard<'_, Holdings>, MetalError> {
        self.reservation_flight.within(max_age, |started| self.list_reservations(started)).await?;
        Ok(self.holdings())
    }

    fn holdings(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bgp_state(&self) -> MutexGuard<'_, Bgp> {
        self.bgp.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Metal for Project {
    async fn devices(&self, max_age: MaxAge) -> Result<Vec<Arc<Device>>, MetalError> {
        Ok(self.listed_devices(max_age).await?.all().to_vec())
    }

    async fn device(&self, id: &DeviceId, max_age: MaxAge) -> Result<Option<Arc<Device>>, MetalError> {
        Ok(self.listed_devices(max_age).await?.by_id(id).cloned())
    }

    async fn device_by_hostname(&self, hostname: &str, max_age: MaxAge) -> Result<Option<Arc<Device>>, MetalError> {
        Ok(self.listed_devices(max_age).await?.by_hostname(hostname).cloned())
    }

    async fn existence(&self, device: &DeviceId, max_age: MaxAge) -> Result<Existence, MetalError> {
        self.device_existence(device, max_age).await
    }

    async fn reservations(&self, max_age: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError> {
        Ok(self.fresh_reservations(max_age).await?.reservations.all())
    }

    async fn reservations_tagged(&self, tags: &[&str], max_age: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError> {
        self.tagged(tags, max_age).await
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Option<Arc<IpReservation>>, MetalError> {
        self.one_reservation(id).await
    }

    async fn reservation_of(&self, address: IpAddr, max_age: MaxAge) -> Result<Option<Arc<IpReservation>>, MetalError> {
        Ok(self.fresh_reservations(max_age).await?.reservations.holding(address).cloned())
    }

    async fn bgp(&self, max_age: MaxAge) -> Result<Arc<ProjectBgp>, MetalError> {
        self.listed_bgp(max_age).await
    }

    async fn neighbors(&self, session: &BgpSession) -> Result<Arc<Vec<BgpNeighbor>>, MetalError> {
        self.remembered_neighbors(session).await
    }

    async fn reserve(&self, request: &ReservationRequest) -> Result<Arc<IpReservation>, MetalError> {
        self.purchase(request).await
    }

    async fn release(&self, reservation: &ReservationId) -> Result<(), MetalError> {
        self.give_back(reservation).await
    }

    async fn enable_bgp(&self, asn: u32, password: Option<&Secret>) -> Result<(), MetalError> {
        self.ensure_bgp(asn, password).await
    }

    async fn create_bgp_session(&self, device: &DeviceId, family: IpFamily) -> Result<(), MetalError> {
        self.open_session(device, family).await
    }
}

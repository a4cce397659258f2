//! The hand behind the scenes: seeding, changing and looking at the simulated project without its API.

use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use super::api::Api;
use super::config::{AuthToken, Decision, SimulatorConfig};
use super::http::access::Access;
use super::http::faults::Faults;
use super::http::journal::Journal;
use super::seed::{DeviceSeed, ReservationSeed};
use super::snapshot::{AssignmentSnapshot, DeviceSnapshot, ReservationSnapshot, SessionSnapshot};
use super::world::Refusal;
use super::world::assignment::Role;
use super::world::audit::Audit;
use super::world::bgp::BgpSeed;
use super::world::device::{DeviceAction, DeviceOrder, DeviceState, offered_metro};
use super::world::reservation::{Origin, ReservationOrder};
use super::world::session::AddressFamily;

/// A handle to the simulated project. Clones are handles to the same project; nothing here counts as a request.
#[derive(Debug, Clone)]
pub struct Project(Api);

/// Why something could not be done behind the scenes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectError {
    /// There is nothing with this id.
    #[error("nothing in the project has the id {id}")]
    NoSuchObject {
        /// The id that was given.
        id: String,
    },
    /// The metro does not exist or is not on offer.
    #[error("metro {code:?} is not offered by this simulator")]
    NotOffered {
        /// The code that was given.
        code: String,
    },
    /// The project's own rules forbid it.
    #[error("the project refused: {reason}")]
    Refused {
        /// The texts the API would give.
        reason: String,
    },
}

impl Project {
    pub(crate) fn new(api: Api) -> Self {
        Self(api)
    }

    /// The project's id.
    #[must_use]
    pub fn id(&self) -> String {
        self.0.world().config.project_id.clone()
    }

    /// The record of requests.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.0.journal().clone()
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.0.faults().clone()
    }

    /// The simulator's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Pushes the simulator's clock forward: what falls due happens, at its own time and in order.
    pub fn advance(&self, by: Duration) {
        self.0.clock().advance(by);
        drop(self.0.world());
    }

    /// Changes a setting of the running simulator. Port, seed, project id, keys and clock are read at the start only.
    pub fn reconfigure(&self, change: impl FnOnce(&mut SimulatorConfig)) {
        change(&mut self.0.world().config);
    }

    /// Gives a key other rights from now on.
    pub fn set_access(&self, key: impl Into<AuthToken>, access: Access) {
        self.0.keys().set(key.into(), access);
    }

    /// Puts a device into the project and returns its id.
    ///
    /// # Errors
    /// The metro is not on offer, or has no address left.
    pub fn seed_device(&self, seed: DeviceSeed) -> Result<String, ProjectError> {
        let mut world = self.0.world();
        let not_offered = || ProjectError::NotOffered { code: seed.metro.clone() };
        let metro = offered_metro(&world.config.metros, Some(&seed.metro), None).ok_or_else(not_offered)?;
        let order = DeviceOrder {
            hostname: seed.hostname,
            description: None,
            state: seed.state,
            tags: seed.tags,
            instance_type: seed.instance_type,
            operating_system: seed.operating_system,
            metro,
            facility: seed.facility,
            purchase: seed.purchase,
            userdata: String::new(),
            customdata: None,
            network: seed.network,
            termination_time: seed.termination_time,
        };
        world.create_device(order).map_err(|refusal| refused(refusal, "device"))
    }

    /// Starts the end of a device, as its deletion by the API does.
    ///
    /// # Errors
    /// There is none with this id, or it is being provisioned.
    pub fn delete_device(&self, id: &str) -> Result<(), ProjectError> {
        self.0.world().delete_device(id).map_err(|refusal| refused(refusal, id))
    }

    /// Takes a device out of the project at once; reads of it are answered as for any gone device.
    ///
    /// # Errors
    /// There is none with this id.
    pub fn remove_device(&self, id: &str) -> Result<(), ProjectError> {
        let mut world = self.0.world();
        world.device(id).map_err(|refusal| refused(refusal, id))?;
        world.retire_device(id);
        Ok(())
    }

    /// Puts a device into a state; one that does not last leads on by itself.
    ///
    /// # Errors
    /// There is none with this id.
    pub fn set_device_state(&self, id: &str, state: DeviceState) -> Result<(), ProjectError> {
        self.0.world().set_device_state(id, state).map_err(|refusal| refused(refusal, id))
    }

    /// Runs an action on a device, as the API does.
    ///
    /// # Errors
    /// There is none with this id, or its state does not allow the action.
    pub fn run_action(&self, id: &str, action: DeviceAction) -> Result<(), ProjectError> {
        self.0.world().run_action(id, action).map_err(|refusal| refused(refusal, id))
    }

    /// Renames and retags a device.
    ///
    /// # Errors
    /// There is none with this id.
    pub fn relabel_device(&self, id: &str, hostname: &str, tags: &[&str]) -> Result<(), ProjectError> {
        let mut world = self.0.world();
        let device = world.device_mut(id).map_err(|refusal| refused(refusal, id))?;
        device.hostname = hostname.to_owned();
        device.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        Ok(())
    }

    /// The devices there truly are, in order of creation.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceSnapshot> {
        let world = self.0.world();
        world.devices.live().map(|device| DeviceSnapshot::of(device, &world)).collect()
    }

    /// Puts a reservation into the project, whatever the quota, and returns its id.
    ///
    /// # Errors
    /// The metro is not on offer, or the block is taken or cannot be had.
    pub fn seed_reservation(&self, seed: ReservationSeed) -> Result<String, ProjectError> {
        let mut world = self.0.world();
        let metro = match &seed.metro {
            None => None,
            Some(code) => {
                let not_offered = || ProjectError::NotOffered { code: code.clone() };
                Some(offered_metro(&world.config.metros, Some(code), None).ok_or_else(not_offered)?)
            }
        };
        let vrf = (seed.kind == super::world::reservation::ReservationKind::Vrf).then(|| {
            let code = metro.map(|metro| metro.code).unwrap_or_default();
            world.vrf_in(code)
        });
        let order = ReservationOrder {
            quantity: seed.quantity,
            block: seed.block,
            facility: seed.facility,
            tags: seed.tags,
            details: seed.details,
            vrf,
            ..ReservationOrder::of(seed.kind, metro)
        };
        world.seed_reservation(order).map_err(|refusal| refused(refusal, "reservation"))
    }

    /// Makes a VRF in a metro, or finds the one there is, and returns its id.
    #[must_use]
    pub fn vrf_in(&self, metro: &str) -> String {
        self.0.world().vrf_in(metro)
    }

    /// Says yes or no to a pending reservation; nothing happens to any other.
    pub fn decide(&self, reservation: &str, decision: Decision) {
        self.0.world().decide(reservation, decision);
    }

    /// Takes a reservation out of the project, as its deletion by the API does.
    ///
    /// # Errors
    /// There is none with this id, or it is a management block.
    pub fn release(&self, reservation: &str) -> Result<(), ProjectError> {
        self.0.world().release(reservation).map_err(|refusal| refused(refusal, reservation))
    }

    /// Points an address at a device, as the API does, and returns the assignment's id.
    ///
    /// # Errors
    /// The device or the address is unknown, taken, draining or elsewhere.
    pub fn assign(&self, device: &str, address: IpNet) -> Result<String, ProjectError> {
        self.0.world().assign(device, address, None).map_err(|refusal| refused(refusal, device))
    }

    /// The reservations that were asked for or seeded, in order of creation; the blocks that came with devices are
    /// left out.
    #[must_use]
    pub fn reservations(&self) -> Vec<ReservationSnapshot> {
        let world = self.0.world();
        let requested = world.reservations.live().filter(|reservation| reservation.origin == Origin::Requested);
        requested.map(|reservation| ReservationSnapshot::of(reservation, &world)).collect()
    }

    /// The addresses of the project that truly point at devices, in order of assignment.
    #[must_use]
    pub fn assignments(&self) -> Vec<AssignmentSnapshot> {
        let world = self.0.world();
        let elastic = world.assignments.live().filter(|assignment| assignment.role == Role::Elastic);
        elastic.map(AssignmentSnapshot::of).collect()
    }

    /// Gives the project a BGP configuration, in place of any it has.
    pub fn set_bgp(&self, seed: BgpSeed) {
        self.0.world().set_bgp(seed);
    }

    /// The BGP configuration, if there is one.
    #[must_use]
    pub fn bgp(&self) -> Option<BgpSeed> {
        self.0.world().bgp.as_ref().map(|bgp| BgpSeed {
            status: bgp.status,
            deployment: bgp.deployment,
            asn: bgp.asn,
            md5: bgp.md5.clone(),
            max_prefix: bgp.max_prefix,
        })
    }

    /// Opens a session, as the API does, and returns its id.
    ///
    /// # Errors
    /// The device is unknown or has one, or BGP is not enabled.
    pub fn open_session(&self, device: &str, family: AddressFamily) -> Result<String, ProjectError> {
        self.0.world().open_session(device, family, None).map_err(|refusal| refused(refusal, device))
    }

    /// The sessions there truly are, in order of creation.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionSnapshot> {
        self.0.world().sessions.live().map(SessionSnapshot::of).collect()
    }

    /// Makes the API believe this of a session (`up`, `down`, `up,down`, …) until it looks at the routers again.
    ///
    /// # Errors
    /// There is none with this id.
    pub fn set_session_status(&self, id: &str, status: &str) -> Result<(), ProjectError> {
        let mut world = self.0.world();
        let session = world.sessions.get_mut(id).ok_or_else(|| refused(Refusal::NotFound, id))?;
        session.status = status.to_owned();
        Ok(())
    }

    /// Sets what a device announces on a session; the API learns of it when it looks at the routers. More than the
    /// project's limit takes the session down.
    ///
    /// # Errors
    /// There is none with this id.
    pub fn announce(&self, session: &str, routes: &[IpNet]) -> Result<(), ProjectError> {
        let mut world = self.0.world();
        let session = world.sessions.get_mut(session).ok_or_else(|| refused(Refusal::NotFound, session))?;
        session.announced = routes.iter().map(ToString::to_string).collect();
        Ok(())
    }

    /// Looks at the routers now, as the API does by itself every six hours.
    pub fn refresh_sessions(&self) {
        self.0.world().refresh_sessions();
    }

    /// What must never have happened.
    #[must_use]
    pub fn audit(&self) -> Audit {
        self.0.world().audit()
    }
}

fn refused(refusal: Refusal, id: &str) -> ProjectError {
    match refusal {
        Refusal::NotFound => ProjectError::NoSuchObject { id: id.to_owned() },
        Refusal::Unauthorized | Refusal::Forbidden(_) | Refusal::Unprocessable(_) => {
            ProjectError::Refused { reason: refusal.texts().join(", ") }
        }
    }
}

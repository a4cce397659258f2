//! The endpoints: each reads a request, asks the world, and writes what it says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::config::SimulatorConfig;
use super::http::access::Keys;
use super::http::faults::Faults;
use super::http::journal::Journal;
use super::wire::{View, Wire};
use super::world::clock::Clock;
use super::world::{Refusal, World, identity};

pub(crate) mod bgp;
pub(crate) mod call;
pub(crate) mod catalog;
pub(crate) mod device;
pub(crate) mod device_filter;
pub(crate) mod ip;
pub(crate) mod project;
pub(crate) mod reply;
pub(crate) mod routes;
pub(crate) mod session;

/// What the journal calls a request that no route serves.
pub(crate) const NO_ROUTE: &str = "(no such route)";

/// The project and everything around it, shared by all requests and handles.
#[derive(Debug, Clone)]
pub(crate) struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    clock: Clock,
    keys: Keys,
    faults: Faults,
    journal: Journal,
    requests: AtomicU64,
    stopping: CancellationToken,
}

impl Api {
    pub(crate) fn new(config: SimulatorConfig, stopping: CancellationToken) -> Self {
        let clock = Clock::new(config.clock);
        Self(Arc::new(Shared {
            keys: Keys::new(&config),
            faults: Faults::new(config.seed),
            journal: Journal::new(config.journal_capacity),
            world: Mutex::new(World::new(config, clock.now())),
            clock,
            requests: AtomicU64::new(0),
            stopping,
        }))
    }

    /// The world as it is now.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.0.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle(self.0.clock.now());
        world
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.0.journal
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    pub(crate) fn request_id(&self) -> String {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        identity::named(0, "request", &number.to_string())
    }
}

impl World {
    pub(crate) fn wire(&self, view: View) -> Wire<'_> {
        Wire { world: self, view }
    }

    /// # Errors
    /// There is only one project; any other is not found.
    pub(crate) fn check_project(&self, id: &str) -> Result<(), Refusal> {
        if id == self.config.project_id { Ok(()) } else { Err(Refusal::NotFound) }
    }
}

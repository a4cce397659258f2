//! The truth about the simulated project. Everything here is synchronous; time enters through [`World::settle`].

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use super::config::{Decision, SimulatorConfig};

pub(crate) mod assignment;
pub(crate) mod audit;
pub(crate) mod bgp;
pub(crate) mod clock;
pub(crate) mod device;
pub(crate) mod holders;
pub(crate) mod identity;
pub(crate) mod ledger;
pub(crate) mod refusal;
pub(crate) mod reservation;
pub(crate) mod session;
pub(crate) mod space;
pub(crate) mod table;

use assignment::Assignment;
use bgp::BgpConfig;
use clock::later;
use device::Device;
use holders::Holders;
use identity::Identities;
use ledger::Ledger;
pub(crate) use refusal::Refusal;
use reservation::Reservation;
use session::Session;
use table::Table;

/// How often the API looks at the routers by itself.
const SESSION_REFRESH: Duration = Duration::from_secs(6 * 3600);

/// The project with everything in it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: SimulatorConfig,
    pub(crate) now: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) identities: Identities,
    pub(crate) devices: Table<Device>,
    pub(crate) reservations: Table<Reservation>,
    pub(crate) assignments: Table<Assignment>,
    pub(crate) sessions: Table<Session>,
    pub(crate) bgp: Option<BgpConfig>,
    pub(crate) vrfs: BTreeMap<String, String>,
    ledger: Ledger,
    public_in_use: u32,
    holders: Holders,
    released_while_assigned: Vec<String>,
    project_blocks: BTreeMap<(String, u8), Vec<String>>,
    forbidden_devices: HashSet<String>,
    timers: BTreeMap<(Timestamp, u64), Due>,
    timers_set: u64,
    next_refresh: Timestamp,
}

/// What happens by itself when its time has come.
#[derive(Debug, Clone)]
enum Due {
    DeviceStep { id: String, epoch: u64 },
    AddressDrained { reservation: String, net: IpNet },
    BlockReturned { block: IpNet },
    Decision { reservation: String, decision: Decision },
}

impl World {
    pub(crate) fn new(config: SimulatorConfig, now: Timestamp) -> Self {
        Self {
            identities: Identities::new(config.seed),
            config,
            now,
            created_at: now,
            devices: Table::default(),
            reservations: Table::default(),
            assignments: Table::default(),
            sessions: Table::default(),
            bgp: None,
            vrfs: BTreeMap::new(),
            ledger: Ledger::new(),
            public_in_use: 0,
            holders: Holders::default(),
            released_while_assigned: Vec::new(),
            project_blocks: BTreeMap::new(),
            forbidden_devices: HashSet::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            next_refresh: later(now, SESSION_REFRESH),
        }
    }

    /// Lets everything happen that was due by `now`, each at its own time.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        while let Some(entry) = self.timers.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                break;
            }
            let due = entry.remove();
            self.now = self.now.max(at);
            self.happen(due);
        }
        self.now = self.now.max(now);
        if self.next_refresh <= self.now {
            self.next_refresh = later(self.now, SESSION_REFRESH);
            self.refresh_sessions();
        }
        self.sweep();
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::DeviceStep { id, epoch } => self.device_step(&id, epoch),
            Due::AddressDrained { reservation, net } => self.address_drained(&reservation, net),
            Due::BlockReturned { block } => self.ledger.give_back(block),
            Due::Decision { reservation, decision } => self.decide(&reservation, decision),
        }
    }

    fn sweep(&mut self) {
        for (id, assignment) in self.assignments.sweep(self.now) {
            if let Some(reservation) = self.reservations.get_mut(&assignment.reservation) {
                reservation.assignments.retain(|held| *held != id);
            }
            if let Some(device) = self.devices.get_mut(&assignment.device) {
                device.assignments.retain(|held| *held != id);
            }
        }
        for (id, session) in self.sessions.sweep(self.now) {
            if let Some(device) = self.devices.get_mut(&session.device) {
                device.sessions.retain(|held| *held != id);
            }
        }
        self.devices.sweep(self.now);
        self.reservations.sweep(self.now);
    }

    fn schedule(&mut self, at: Timestamp, due: Due) {
        self.timers_set += 1;
        self.timers.insert((at, self.timers_set), due);
    }

    /// When an object made now starts to appear in lists.
    pub(crate) fn listed_from(&self) -> Timestamp {
        later(self.now, self.config.visibility_lag)
    }

    /// Until when an object removed now still appears in lists.
    pub(crate) fn listed_until(&self) -> Timestamp {
        self.listed_from()
    }

    fn sessions_listed_until(&self) -> Timestamp {
        later(self.now, self.config.session_visibility_lag)
    }
}

//! BGP configuration and sessions of the last listing, with the sessions this process opened since; and neighbours.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{BgpConfig, BgpNeighbor, BgpSession, DeviceId, IpFamily, SessionId};
use crate::ports::ProjectBgp;

/// The project's BGP as this process sees it.
#[derive(Debug)]
pub(super) struct Bgp {
    settle: Duration,
    seen: Arc<ProjectBgp>,
    /// Opened by this process and perhaps not yet in listings.
    written: HashMap<(DeviceId, IpFamily), (BgpSession, Instant)>,
    /// Whether `seen` lacks some of `written`.
    behind: bool,
    /// The configuration was once seen to leave out sessions that there were: ask for them by themselves.
    pub(super) lists_apart: bool,
    neighbors: HashMap<SessionId, Arc<Slot>>,
}

/// The neighbours of a session, fetched by one caller at a time.
pub(super) type Slot = tokio::sync::Mutex<Option<(Instant, Arc<Vec<BgpNeighbor>>)>>;

impl Bgp {
    pub(super) fn new(settle: Duration) -> Self {
        Self {
            settle,
            seen: Arc::default(),
            written: HashMap::new(),
            behind: false,
            lists_apart: false,
            neighbors: HashMap::new(),
        }
    }

    /// Everything. Cheap unless sessions were opened since the last call.
    pub(super) fn seen(&mut self) -> Arc<ProjectBgp> {
        if std::mem::take(&mut self.behind) {
            let seen = Arc::make_mut(&mut self.seen);
            for (key, (session, _)) in &self.written {
                seen.sessions.entry(key.clone()).or_insert_with(|| session.clone());
            }
        }
        self.seen.clone()
    }

    /// This process opened it, or learned of it by itself.
    pub(super) fn opened(&mut self, session: BgpSession, now: Instant) {
        self.written.insert((session.device.clone(), session.family), (session, now));
        self.behind = true;
    }

    /// Takes in a complete listing that began at `started`. A session that this process opened is kept for a while where
    /// the listing lacks it; if it was closed by somebody else meanwhile, opening it again does no harm.
    pub(super) fn absorb(&mut self, config: Option<BgpConfig>, listed: Vec<BgpSession>, started: Instant) {
        let mut sessions = std::collections::BTreeMap::new();
        for session in listed {
            sessions.entry((session.device.clone(), session.family)).or_insert(session);
        }
        let settle = self.settle;
        self.written.retain(|_, (_, at)| started < *at + settle);
        self.behind = !self.written.is_empty();
        self.seen = Arc::new(ProjectBgp { config, sessions });
        let all = self.seen();
        let alive: std::collections::HashSet<&SessionId> = all.sessions.values().map(|session| &session.id).collect();
        self.neighbors.retain(|session, _| alive.contains(session));
    }

    /// Where the neighbours of a session are kept.
    pub(super) fn slot(&mut self, session: &SessionId) -> Arc<Slot> {
        self.neighbors.entry(session.clone()).or_default().clone()
    }
}

//! BGP: the configuration, sessions and neighbours.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::requests::SessionMade;
use super::Project;
use crate::domain::{BgpConfig, BgpNeighbor, BgpSession, DeviceId, IpFamily, Secret};
use crate::ports::{MaxAge, MetalError, ProjectBgp};

impl Project {
    pub(super) async fn listed_bgp(&self, max_age: MaxAge) -> Result<Arc<ProjectBgp>, MetalError> {
        self.bgp_flight.within(max_age, |started| self.list_bgp(started)).await?;
        Ok(self.bgp_state().seen())
    }

    async fn list_bgp(&self, started: Instant) -> Result<(), MetalError> {
        let facts = self.client.bgp_config(&self.id).await?;
        let lists_apart = self.bgp_state().lists_apart;
        let sessions = match (facts.sessions, &facts.config) {
            (Some(sessions), _) if !lists_apart => sessions,
            // Without a configuration there are no sessions.
            (_, None) => Vec::new(),
            _ => self.client.bgp_sessions(&self.id).await?,
        };
        self.bgp_state().absorb(facts.config, sessions, started);
        Ok(())
    }

    /// Enables BGP unless it is enabled; a configuration that cannot be read is an error and changes nothing.
    pub(super) async fn ensure_bgp(&self, asn: u32, password: Option<&Secret>) -> Result<(), MetalError> {
        if is_enabled(self.listed_bgp(MaxAge::RECENT).await?.config.as_ref()) {
            return Ok(());
        }
        let result = self.client.enable_bgp(&self.id, asn, password).await;
        self.bgp_flight.mark_stale();
        match result {
            // Refused because somebody else was faster, or an earlier try had got through.
            Err(MetalError::Rejected { .. }) if is_enabled(self.listed_bgp(MaxAge::NOW).await?.config.as_ref()) => {
                Ok(())
            }
            result => result,
        }
    }

    pub(super) async fn open_session(&self, device: &DeviceId, family: IpFamily) -> Result<(), MetalError> {
        match self.client.create_bgp_session(device, family).await {
            Ok(SessionMade::Created(session)) => {
                self.bgp_state().opened(session, Instant::now());
                Ok(())
            }
            Ok(SessionMade::AlreadyThere) => self.learn_session(device, family).await,
            Err(error) => {
                // "BGP is not enabled", or an answer that was lost: look before the next try.
                self.bgp_flight.mark_stale();
                Err(error)
            }
        }
    }

    /// There is a session that our listing did not show.
    async fn learn_session(&self, device: &DeviceId, family: IpFamily) -> Result<(), MetalError> {
        if !self.bgp_state().seen().sessions.contains_key(&(device.clone(), family)) {
            self.bgp_state().lists_apart = true;
        }
        match self.client.device_bgp_sessions(device).await {
            Ok(sessions) => {
                let session = sessions.into_iter().find(|session| session.family == family);
                match session {
                    Some(session) => self.bgp_state().opened(session, Instant::now()),
                    None => self.bgp_flight.mark_stale(),
                }
            }
            Err(error) => {
                tracing::debug!(%device, %error, "the sessions of a device could not be read");
                self.bgp_flight.mark_stale();
            }
        }
        Ok(())
    }

    /// Asked for once a session. An answer without a router to speak to is not remembered.
    pub(super) async fn remembered_neighbors(&self, session: &BgpSession) -> Result<Arc<Vec<BgpNeighbor>>, MetalError> {
        let slot = self.bgp_state().slot(&session.id);
        let mut slot = slot.lock().await;
        if let Some((at, neighbors)) = slot.as_ref()
            && at.elapsed() < self.config.neighbor_age
        {
            return Ok(neighbors.clone());
        }
        let asked = Instant::now();
        let neighbors = Arc::new(self.client.neighbors(&session.device).await?);
        let usable = |neighbor: &BgpNeighbor| neighbor.family == session.family && !neighbor.peer_ips.is_empty();
        if neighbors.iter().any(usable) {
            *slot = Some((asked, neighbors.clone()));
        }
        Ok(neighbors)
    }
}

fn is_enabled(config: Option<&BgpConfig>) -> bool {
    config.is_some_and(BgpConfig::is_enabled)
}

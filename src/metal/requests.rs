//! The calls, one method each. No caching here.

use serde::Serialize;
use serde_json::Value;

use super::client::{Call, Repeat};
use super::route::{Method, Route};
use super::{Client, convert, wire};
use crate::domain::reservation::Location;
use crate::domain::{
    BgpConfig, BgpNeighbor, BgpSession, Device, DeviceId, IpFamily, IpReservation, ReservationId, ReservationRequest,
    Secret,
};
use crate::ports::MetalError;

const DEVICE_INCLUDE: &str = "facility,ip_addresses.parent_block";
const RESERVATION_INCLUDE: &str = "assignments,facility";

/// A project, as far as reading it proves something.
#[derive(Debug, Default)]
pub(super) struct ProjectFacts {
    /// The devices that the project itself names; empty where it names none.
    pub(super) devices: Vec<DeviceId>,
}

/// The project's BGP configuration.
#[derive(Debug)]
pub(super) struct BgpFacts {
    pub(super) config: Option<BgpConfig>,
    /// `None` when the answer held no sessions or only references to them.
    pub(super) sessions: Option<Vec<BgpSession>>,
}

/// What came of asking for a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SessionMade {
    Created(BgpSession),
    AlreadyThere,
}

impl Client {
    pub(super) async fn project(&self, project: &str) -> Result<ProjectFacts, MetalError> {
        let call = Call::new(Method::Get, Route::Project(project));
        let answer: wire::Project = self.fetch(&call).await?;
        match answer.id {
            Some(id) if id.eq_ignore_ascii_case(project) => Ok(ProjectFacts {
                devices: answer.devices.iter().filter_map(wire::Ref::id).map(DeviceId::new).collect(),
            }),
            _ => Err(malformed(&call, "it is not about the project asked for")),
        }
    }

    pub(super) async fn devices(&self, project: &str) -> Result<Vec<Device>, MetalError> {
        let devices = self.list(Route::Devices(project), DEVICE_INCLUDE).await?;
        Ok(devices.into_iter().filter_map(convert::device).collect())
    }

    pub(super) async fn device(&self, device: &DeviceId) -> Result<Device, MetalError> {
        let mut call = Call::new(Method::Get, Route::Device(device.as_str()));
        call.query.push(("include", DEVICE_INCLUDE.to_owned()));
        let answer = convert::device(self.fetch(&call).await?);
        answer
            .filter(|answer| answer.id.as_str().eq_ignore_ascii_case(device.as_str()))
            .ok_or_else(|| malformed(&call, "it is not about the device asked for"))
    }

    pub(super) async fn reservations(&self, project: &str) -> Result<Vec<IpReservation>, MetalError> {
        let reservations = self.list(Route::Reservations(project), RESERVATION_INCLUDE).await?;
        Ok(reservations.into_iter().filter_map(convert::reservation).collect())
    }

    pub(super) async fn reservation(&self, reservation: &ReservationId) -> Result<IpReservation, MetalError> {
        let mut call = Call::new(Method::Get, Route::Reservation(reservation.as_str()));
        call.query.push(("include", RESERVATION_INCLUDE.to_owned()));
        let answer = convert::reservation(self.fetch(&call).await?);
        answer
            .filter(|answer| answer.id == *reservation)
            .ok_or_else(|| malformed(&call, "it is not about the reservation asked for"))
    }

    /// Sent once, whatever happens.
    pub(super) async fn reserve(
        &self,
        project: &str,
        request: &ReservationRequest,
    ) -> Result<IpReservation, MetalError> {
        let (metro, facility) = match &request.location {
            Some(Location::Metro(code)) => (Some(code.as_str()), None),
            Some(Location::Facility(code)) => (None, Some(code.as_str())),
            None => (None, None),
        };
        let mut call = Call::new(Method::Post, Route::Reservations(project));
        call.repeat = Repeat::Never;
        call.body = Some(json(&wire::ReserveRequest {
            kind: request.kind.as_str(),
            quantity: 1,
            metro,
            facility,
            details: &request.details,
            tags: &request.tags,
            fail_on_approval_required: true,
        }));
        let answer = convert::reservation(self.fetch(&call).await?);
        answer.ok_or_else(|| malformed(&call, "the new reservation has no id"))
    }

    /// Gone already is success.
    pub(super) async fn release(&self, reservation: &ReservationId) -> Result<(), MetalError> {
        let call = Call::new(Method::Delete, Route::Reservation(reservation.as_str()));
        match self.call(&call).await {
            Ok(_) | Err(MetalError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The configuration, with its sessions where the API gives them in one answer.
    pub(super) async fn bgp_config(&self, project: &str) -> Result<BgpFacts, MetalError> {
        let mut call = Call::new(Method::Get, Route::BgpConfig(project));
        call.query.push(("include", "sessions".to_owned()));
        let answer = match self.fetch::<wire::BgpConfig>(&call).await {
            Ok(answer) => answer,
            Err(MetalError::NotFound { .. }) => wire::BgpConfig::default(),
            Err(error) => return Err(error),
        };
        Ok(BgpFacts {
            config: convert::bgp_config(&answer),
            sessions: answer.sessions.as_deref().and_then(sessions_in_full),
        })
    }

    /// The sessions of all devices.
    pub(super) async fn bgp_sessions(&self, project: &str) -> Result<Vec<BgpSession>, MetalError> {
        let call = Call::new(Method::Get, Route::BgpSessions(project));
        let sessions = self.session_list(&call).await?;
        sessions_in_full(&sessions).ok_or_else(|| malformed(&call, "it holds references instead of sessions"))
    }

    /// The sessions of one device.
    pub(super) async fn device_bgp_sessions(&self, device: &DeviceId) -> Result<Vec<BgpSession>, MetalError> {
        let call = Call::new(Method::Get, Route::DeviceBgpSessions(device.as_str()));
        let sessions = self.session_list(&call).await?;
        let read = sessions.iter().filter_map(|wire| convert::bgp_session(wire, Some(device)));
        Ok(read.collect())
    }

    /// Sending it twice is harmless: Metal refuses the second.
    pub(super) async fn enable_bgp(
        &self,
        project: &str,
        asn: u32,
        password: Option<&Secret>,
    ) -> Result<(), MetalError> {
        let password = password.filter(|password| !password.is_empty());
        let mut call = Call::new(Method::Post, Route::BgpConfigs(project));
        call.secret = password;
        call.body = Some(json(&wire::BgpConfigRequest {
            deployment_type: "local",
            asn,
            md5: password.map(Secret::expose),
            use_case: "kubernetes-load-balancer",
        }));
        self.call(&call).await.map(|_| ())
    }

    /// Sending it twice is harmless: Metal knows the session already.
    pub(super) async fn create_bgp_session(
        &self,
        device: &DeviceId,
        family: IpFamily,
    ) -> Result<SessionMade, MetalError> {
        let mut call = Call::new(Method::Post, Route::DeviceBgpSessions(device.as_str()));
        call.body = Some(json(&wire::BgpSessionRequest { address_family: family.as_str() }));
        match self.fetch::<wire::BgpSession>(&call).await {
            Ok(answer) => convert::bgp_session(&answer, Some(device))
                .map(SessionMade::Created)
                .ok_or_else(|| malformed(&call, "the new session has no id or no address family")),
            Err(MetalError::Rejected { status: 422, errors, .. }) if already_there(&errors) => {
                Ok(SessionMade::AlreadyThere)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn neighbors(&self, device: &DeviceId) -> Result<Vec<BgpNeighbor>, MetalError> {
        let call = Call::new(Method::Get, Route::Neighbors(device.as_str()));
        let answer: wire::BgpNeighbors = self.fetch(&call).await?;
        let neighbors = answer.bgp_neighbors.ok_or_else(|| malformed(&call, "it has no list \"bgp_neighbors\""))?;
        Ok(convert::bgp_neighbors(device, neighbors))
    }

    async fn session_list(&self, call: &Call<'_>) -> Result<Vec<wire::BgpSession>, MetalError> {
        let answer: wire::BgpSessions = self.fetch(call).await?;
        answer.bgp_sessions.ok_or_else(|| malformed(call, "it has no list \"bgp_sessions\""))
    }
}

/// `None` when an entry is a mere reference.
fn sessions_in_full(sessions: &[wire::BgpSession]) -> Option<Vec<BgpSession>> {
    let whole = sessions.iter().all(|wire| wire.id.is_some() && wire.address_family.is_some() && wire.device.is_some());
    whole.then(|| sessions.iter().filter_map(|wire| convert::bgp_session(wire, None)).collect())
}

fn already_there(errors: &[String]) -> bool {
    errors.iter().any(|text| text.to_ascii_lowercase().contains("already has session"))
}

fn json(body: &impl Serialize) -> Value {
    serde_json::to_value(body).expect("a body of texts and numbers is JSON")
}

fn malformed(call: &Call<'_>, cause: &str) -> MetalError {
    MetalError::Malformed { request: call.name(), cause: cause.to_owned() }
}

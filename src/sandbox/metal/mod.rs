//! A simulated Metal API.
//!
//! The vendor has switched the API off, so this is the reference that the controller is tried against: an ordinary HTTP
//! server on loopback with one project, its devices, addresses and BGP sessions, that pages, refuses, drains, lags and
//! fails as the real one did. It depends on nothing of the controller, so neither can hide a mistake of the other.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use cloud_provider_equinix_metal::sandbox::metal::{DeviceSeed, Effect, Fault, MetalSimulator, SimulatorConfig};
//!
//! let simulator = MetalSimulator::start(SimulatorConfig::default()).await?;
//! let project = simulator.state();
//! project.seed_device(DeviceSeed::new("node-1", "da"))?;
//! project.faults().push(Fault::on("POST /projects/{p}/ips", Effect::Cut).after_commit().once())?;
//! println!("the API is at {}", simulator.base_url());
//! println!("it was asked {} times", project.journal().total());
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod catalog;
mod config;
mod http;
mod project;
mod seed;
mod snapshot;
mod wire;
mod world;

pub use config::{
    Approval, ApprovalRequired, AuthToken, ClockStart, Decision, GoneDevice, SchemaDrift, SimulatorConfig,
};
pub use http::access::Access;
pub use http::fault::{CannedReply, Effect, Fault, Moment};
pub use http::faults::{FaultId, Faults, UnknownRoute};
pub use http::journal::{Journal, JournalEntry, Outcome};
pub use http::server::{MetalSimulator, StartError};
pub use project::{Project, ProjectError};
pub use seed::{DeviceSeed, ReservationSeed};
pub use snapshot::{AssignmentSnapshot, DeviceSnapshot, ReservationSnapshot, SessionSnapshot};
pub use world::audit::{Audit, DuplicateTags};
pub use world::bgp::{BgpDeployment, BgpSeed, BgpStatus};
pub use world::device::{DeviceAction, DeviceState, Networking, Purchase};
pub use world::reservation::{ReservationKind, ReservationState};
pub use world::session::AddressFamily;

#[cfg(test)]
mod tests;

//! The program, put together. No other file names concrete adapters.

mod control;
mod passwords;
mod policy;
mod run;
mod serve;
mod telemetry;

use std::sync::Arc;

pub use control::{Clients, Control, ControlError, control};
pub use passwords::Passwords;
pub use run::{RunError, run};
pub use serve::ServeError;
pub use telemetry::Telemetry;

use crate::domain::Secret;
use crate::metal::{self, Client, ClientConfig, Project, ProjectConfig, RateLimit, RequestObserver};

/// The view of a Metal project, at this pace and patient as in production.
///
/// # Errors
/// When the URL or the key cannot be used at all.
pub fn metal(
    base_url: &str,
    project: &str,
    key: &Secret,
    rate: RateLimit,
    observer: Arc<dyn RequestObserver>,
) -> Result<Project, metal::ClientError> {
    let client = Client::new(ClientConfig { rate, ..ClientConfig::new(base_url, key.clone()) }, observer)?;
    Ok(Project::new(client, project, ProjectConfig::default()))
}

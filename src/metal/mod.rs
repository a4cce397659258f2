//! Equinix Metal: the HTTP client of its REST API and the shared view of one project.
//!
//! [`Client`] speaks HTTP: one key, bounded time, retries, a rate limit that all calls share, whole listings. [`Project`]
//! keeps one snapshot of a project and implements [`crate::ports::Metal`] on it.

mod answer;
mod backoff;
mod client;
mod connection;
mod convert;
mod dump;
mod observe;
mod pages;
mod pause;
mod project;
mod requests;
mod route;
mod throttle;
mod wire;

pub use backoff::Backoff;
pub use client::{Client, ClientConfig, ClientError, Contact, DEFAULT_BASE_URL};
pub use dump::HttpDump;
pub use observe::{Outcome, RequestObserver, RequestReport, Unobserved};
pub use project::{Project, ProjectConfig, StartUpError};
pub use route::Method;
pub use throttle::RateLimit;

/// A device as the API returns it; `None` when it has no id or is no device.
pub fn device_from_json(device: serde_json::Value) -> Option<crate::domain::Device> {
    convert::device(serde_json::from_value(device).ok()?)
}

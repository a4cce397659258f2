//! The policy: from the user's text to strategies that decide.

pub mod compiled;
pub mod store;

pub use compiled::{Decision, Policy, PolicyHash, ServiceSubject};
pub use store::PolicyStore;

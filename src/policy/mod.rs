//! The policy: from the user's text to strategies that decide.

mod compile;
pub mod compiled;
pub mod document;
pub mod explain;
mod expression;
pub mod fault;
mod glob;
mod hash;
mod load;
mod manifest;
mod meaning;
mod pattern;
mod pointer;
mod remainder;
pub mod rule;
mod rule_index;
pub mod schema;
mod shape;
pub mod store;
mod suggest;
mod supported;
mod tree;
mod words;
mod yaml;

pub use compiled::{DEFAULT_RULE, Decision, Defaults, Policy, PolicyHash, ServiceSubject};
pub use document::Document;
pub use expression::Expression;
pub use fault::{Fault, FaultCode, Faults, Severity, Span};
pub use glob::NameGlob;
pub use load::{Loaded, compile_document, load, load_document};
pub use manifest::{Found, load_manifest};
pub use pointer::Pointer;
pub use rule::{Miss, Outcome, ServiceRule};
pub use store::PolicyStore;

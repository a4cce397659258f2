//! The policy as its author meets it: the checked-in schema, the examples, what each mistake says, and what is decided.

#![allow(clippy::panic, reason = "a test that cannot go on fails")]

#[path = "policy/command.rs"]
mod command;
#[path = "policy/corpus.rs"]
mod corpus;
#[path = "policy/decide.rs"]
mod decide;
#[path = "policy/identity.rs"]
mod identity;
#[path = "policy/one_change.rs"]
mod one_change;
#[path = "policy/robust.rs"]
mod robust;
#[path = "policy/schema.rs"]
mod schema;
#[path = "policy/service.rs"]
mod service;
#[path = "policy/support.rs"]
mod support;

//! The policy as its author meets it: the checked-in schema, the examples, and what each mistake says.

#[path = "policy/schema.rs"]
mod schema;

#[path = "policy/corpus.rs"]
mod corpus;

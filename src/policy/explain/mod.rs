//! Why the policy decides as it does: for a Service, and for a Node.

mod node;
mod service;
mod wanted;

pub use node::{FieldText, NodeExplanation, RuleText};
pub use service::{OverrideText, ServiceDecision, ServiceExplanation, ServingText, Tried};

/// A list for people: one item a line, indented.
fn indented(f: &mut std::fmt::Formatter<'_>, title: &str, items: &[String]) -> std::fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(f, "  {title}:")?;
    for item in items {
        writeln!(f, "    - {item}")?;
    }
    Ok(())
}

//! A document as it stands in its text: values, and where each of them is.

use serde_json::Value;

use super::fault::Span;
use super::{FaultCode, Pointer};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub span: Span,
    pub content: Content,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Scalar { value: Value, inside: Inside },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of an object, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
}

/// How characters of a scalar relate to the characters of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// One for one, on one line, so many columns after the start of the scalar.
    Shifted(u32),
    /// Line for line from this line on, each so many columns in: a literal block.
    Block { line: u32, column: u32 },
    /// In no simple way.
    Unknown,
}

/// What a finding points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A stretch of text.
    Text(Span, Pointer),
    /// A value.
    Value(Pointer),
    /// The key of a value.
    Key(Pointer),
    /// Text inside a value: from this byte, so many characters.
    Inside(Pointer, usize, usize),
}

impl Place {
    /// Where in the document.
    pub(super) fn pointer(&self) -> &Pointer {
        match self {
            Self::Text(_, pointer) | Self::Value(pointer) | Self::Key(pointer) | Self::Inside(pointer, _, _) => pointer,
        }
    }
}

/// What the reader found wrong with the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub place: Place,
    pub code: FaultCode,
    pub severity: super::Severity,
    pub expected: String,
    pub found: String,
    pub suggestion: Option<String>,
}

impl Node {
    /// The value alone. Of a key that appears twice the first counts.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar { value, .. } => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Map(entries) => {
                let mut object = serde_json::Map::new();
                for entry in entries {
                    if !object.contains_key(&entry.key) {
                        object.insert(entry.key.clone(), entry.node.to_value());
                    }
                }
                Value::Object(object)
            }
        }
    }

    /// The value under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            Content::List(_) | Content::Scalar { .. } => None,
        }
    }

    /// The text of a scalar that is a string.
    pub(super) fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { value, .. } => value.as_str(),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Where a place is. A place that is not in the text is shown at the nearest thing that holds it.
    pub(super) fn locate(&self, place: &Place) -> Span {
        match place {
            Place::Text(span, _) => *span,
            Place::Value(pointer) => self.walk(pointer).node.span,
            Place::Key(pointer) => {
                let reached = self.walk(pointer);
                reached.key_span.unwrap_or(reached.node.span)
            }
            Place::Inside(pointer, from, length) => {
                let node = self.walk(pointer).node;
                node.stretch(*from, *length).unwrap_or(node.span)
            }
        }
    }

    fn walk(&self, pointer: &Pointer) -> Reached<'_> {
        let mut reached = Reached { node: self, key_span: None };
        for step in pointer.steps() {
            let next = match &reached.node.content {
                Content::Scalar { .. } => None,
                Content::List(items) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|node| Reached { node, key_span: None }),
                Content::Map(entries) => entries
                    .iter()
                    .find(|entry| entry.key == step)
                    .map(|entry| Reached { node: &entry.node, key_span: Some(entry.key_span) }),
            };
            match next {
                Some(next) => reached = next,
                None => break,
            }
        }
        reached
    }

    fn stretch(&self, from: usize, length: usize) -> Option<Span> {
        let Content::Scalar { value, inside } = &self.content else {
            return None;
        };
        let before = value.as_str()?.get(..from)?;
        let lines = u32::try_from(before.matches('\n').count()).ok()?;
        let columns = u32::try_from(before.rsplit('\n').next()?.chars().count()).ok()?;
        let (line, column) = match inside {
            Inside::Shifted(by) if lines == 0 => (self.span.line, self.span.column + by + columns),
            Inside::Block { line, column } => (line + lines, column + columns),
            Inside::Shifted(_) | Inside::Unknown => return None,
        };
        Some(Span { line, column, end_line: line, end_column: column + u32::try_from(length.max(1)).ok()? })
    }
}

struct Reached<'a> {
    node: &'a Node,
    key_span: Option<Span>,
}

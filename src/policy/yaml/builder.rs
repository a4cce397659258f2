//! Puts the events of the parser together.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, ScalarStyle};
use serde_json::Value;

use super::literal::LiteralLines;
use super::{MAX_DEPTH, MAX_NODES, scalar, text_finding};
use crate::policy::fault::{Severity, Span};
use crate::policy::tree::{Content, Entry, Finding, Inside, Node, Place};
use crate::policy::{FaultCode, Pointer};

/// The document as far as it was read. A list or object that is not finished yet is a frame.
pub(super) struct Builder {
    pub(super) root: Option<Node>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    pub(super) findings: Vec<Finding>,
    literal_lines: LiteralLines,
}

struct Frame {
    start: Span,
    anchor: usize,
    nodes_before: usize,
    shape: Shape,
}

enum Shape {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashSet<String>, pending: Option<(String, Span)> },
}

impl Builder {
    pub(super) fn new(text: &str) -> Self {
        Self {
            root: None,
            frames: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            findings: Vec::new(),
            literal_lines: LiteralLines::of(text),
        }
    }

    pub(super) fn take(&mut self, event: Event<'_>, span: Span, text: &str) -> Result<(), Box<Finding>> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let tag = tag.as_deref();
                let value = scalar::resolve(&value, style, tag).ok_or_else(|| self.unknown_tag(span))?;
                let inside = self.inside(&value, style, span, text);
                self.place(Node { span, content: Content::Scalar { value, inside } }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, _) => self.open(span, anchor, Shape::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.open(span, anchor, Shape::Map { entries: Vec::new(), keys: HashSet::new(), pending: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Ok(()),
        }
    }

    fn open(&mut self, start: Span, anchor: usize, shape: Shape) -> Result<(), Box<Finding>> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.finding(
                start,
                FaultCode::TooLarge,
                format!("at most {MAX_DEPTH} levels of nesting"),
                "one more",
            ));
        }
        self.count(1, start)?;
        self.frames.push(Frame { start, anchor, nodes_before: self.nodes - 1, shape });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Box<Finding>> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let content = match frame.shape {
            Shape::List(items) => Content::List(items),
            Shape::Map { entries, .. } => Content::Map(entries),
        };
        let span = Span { end_line: end.end_line, end_column: end.end_column, ..frame.start };
        self.place(Node { span, content }, frame.anchor, 0)?;
        if frame.anchor != 0
            && let Some((_, size)) = self.anchors.get_mut(&frame.anchor)
        {
            *size = self.nodes - frame.nodes_before;
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Box<Finding>> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(self.finding(
                span,
                FaultCode::Syntax,
                "an alias of something that is complete",
                "an alias of something that contains it",
            ));
        };
        let (node, size) = (node.clone(), *size);
        self.place(node, 0, size)
    }

    /// Counts before anything is copied, so that aliases of aliases cannot grow beyond the bound.
    fn count(&mut self, more: usize, span: Span) -> Result<(), Box<Finding>> {
        self.nodes += more;
        match self.nodes > MAX_NODES {
            false => Ok(()),
            true => Err(self.finding(
                span,
                FaultCode::TooLarge,
                format!("a document of at most {MAX_NODES} values, aliases written out"),
                "more",
            )),
        }
    }

    fn place(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Box<Finding>> {
        self.count(size, node.span)?;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.frames.last_mut() else {
            return self.place_root(node);
        };
        match &mut frame.shape {
            Shape::List(items) => {
                items.push(node);
                Ok(())
            }
            Shape::Map { entries, keys, pending } => match pending.take() {
                Some((key, key_span)) => {
                    entries.push(Entry { key, key_span, node });
                    Ok(())
                }
                None => match scalar::key(&node) {
                    Some(key) => {
                        let repeated = !keys.insert(key.clone());
                        *pending = Some((key, node.span));
                        if repeated {
                            self.repeated_key(node.span);
                        }
                        Ok(())
                    }
                    None => {
                        Err(self.finding(node.span, FaultCode::Syntax, "a key that is text", "another kind of key"))
                    }
                },
            },
        }
    }

    fn place_root(&mut self, node: Node) -> Result<(), Box<Finding>> {
        let is_null = |node: &Node| matches!(&node.content, Content::Scalar { value: Value::Null, .. });
        match &self.root {
            Some(first) if !is_null(first) && !is_null(&node) => {
                Err(Box::new(text_finding(node.span, FaultCode::DocumentCount, "one document", "a second one")))
            }
            Some(first) if !is_null(first) => Ok(()),
            Some(_) | None => {
                self.root = (!is_null(&node)).then_some(node);
                Ok(())
            }
        }
    }

    fn repeated_key(&mut self, span: Span) {
        let pointer = self.pointer();
        let key = pointer.split_last().map(|(_, key)| key).unwrap_or_default();
        self.findings.push(Finding {
            place: Place::Text(span, pointer),
            code: FaultCode::DuplicateKey,
            severity: Severity::Error,
            expected: "every key once".into(),
            found: format!("{key} a second time"),
            suggestion: None,
        });
    }

    /// Where the next value goes.
    fn pointer(&self) -> Pointer {
        self.frames.iter().fold(Pointer::root(), |pointer, frame| match &frame.shape {
            Shape::List(items) => pointer.index(items.len()),
            Shape::Map { pending, .. } => match pending {
                Some((key, _)) => pointer.key(key),
                None => pointer,
            },
        })
    }

    fn finding(
        &self,
        span: Span,
        code: FaultCode,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Box<Finding> {
        Box::new(Finding {
            place: Place::Text(span, self.pointer()),
            code,
            severity: Severity::Error,
            expected: expected.into(),
            found: found.into(),
            suggestion: None,
        })
    }

    fn unknown_tag(&self, span: Span) -> Box<Finding> {
        self.finding(
            span,
            FaultCode::Syntax,
            "a value without tag, or with one of !!str, !!int, !!float, !!bool and !!null that fits",
            "another tag",
        )
    }

    fn inside(&self, value: &Value, style: ScalarStyle, span: Span, text: &str) -> Inside {
        let Some(value) = value.as_str() else {
            return Inside::Unknown;
        };
        let width = span.end_column.saturating_sub(span.column) as usize;
        let one_line = span.line == span.end_line;
        let length = value.chars().count();
        match style {
            ScalarStyle::Plain if one_line && width == length => Inside::Shifted(0),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if one_line && width == length + 2 => {
                Inside::Shifted(1)
            }
            ScalarStyle::Literal => self.literal_lines.block(text, span, value),
            _ => Inside::Unknown,
        }
    }
}

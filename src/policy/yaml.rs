//! Reads YAML 1.2 text: every value with its place, within fixed bounds of size, depth and expansion.

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError};
use serde_json::Value;

use super::fault::{Severity, Span};
use super::scalar;
use super::tree::{Content, Entry, Finding, Inside, Node, Place};
use super::{FaultCode, Pointer};

/// Largest text that is read.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting that is read.
pub(super) const MAX_DEPTH: usize = 32;
/// Most values a document may have, aliases written out.
pub(super) const MAX_NODES: usize = 250_000;

/// What was read: the document as far as it could be made out, and what is wrong with the text.
#[derive(Debug)]
pub(super) struct Reading {
    /// The document; `None` when the text is beyond reading.
    pub root: Option<Node>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Reads a text.
pub(super) fn read(bytes: &[u8]) -> Reading {
    if bytes.len() > MAX_BYTES {
        let finding = text_finding(
            start_of_text(),
            FaultCode::TooLarge,
            format!("a document of at most {MAX_BYTES} bytes"),
            format!("{} bytes", bytes.len()),
        );
        return Reading::failed(finding);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Reading::failed(not_utf8(bytes, error.valid_up_to())),
    };
    read_text(text)
}

fn read_text(text: &str) -> Reading {
    let mut builder = Builder::new(text);
    let options = granit_parser::options! { emit_comments: false };
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(next) = parser.next_event() {
        let step = match next {
            Ok((event, span)) => builder.take(event, span_of(span.start, span.end), text),
            Err(error) => Err(syntax(&error, text)),
        };
        if let Err(finding) = step {
            builder.findings.push(finding);
            return Reading { root: None, findings: builder.findings };
        }
    }
    match builder.root {
        Some(root) => Reading { root: Some(root), findings: builder.findings },
        None => Reading::failed(text_finding(
            start_of_text(),
            FaultCode::DocumentCount,
            "a CloudPolicy document",
            "an empty file",
        )),
    }
}

impl Reading {
    fn failed(finding: Finding) -> Self {
        Self { root: None, findings: vec![finding] }
    }
}

/// Puts the events of the parser together. A list or object that is not finished yet is a frame.
struct Builder {
    root: Option<Node>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    findings: Vec<Finding>,
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
    fn new(text: &str) -> Self {
        Self {
            root: None,
            frames: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            findings: Vec::new(),
            literal_lines: LiteralLines::of(text),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span, text: &str) -> Result<(), Finding> {
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

    fn open(&mut self, start: Span, anchor: usize, shape: Shape) -> Result<(), Finding> {
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

    fn close(&mut self, end: Span) -> Result<(), Finding> {
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

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Finding> {
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
    fn count(&mut self, more: usize, span: Span) -> Result<(), Finding> {
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

    fn place(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Finding> {
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

    fn place_root(&mut self, node: Node) -> Result<(), Finding> {
        let is_null = |node: &Node| matches!(&node.content, Content::Scalar { value: Value::Null, .. });
        match &self.root {
            Some(first) if !is_null(first) && !is_null(&node) => {
                Err(text_finding(node.span, FaultCode::DocumentCount, "one document", "a second one"))
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

    fn finding(&self, span: Span, code: FaultCode, expected: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            place: Place::Text(span, self.pointer()),
            code,
            severity: Severity::Error,
            expected: expected.into(),
            found: found.into(),
            suggestion: None,
        }
    }

    fn unknown_tag(&self, span: Span) -> Finding {
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

/// Finds the lines of literal blocks.
struct LiteralLines {
    starts: Vec<usize>,
}

impl LiteralLines {
    fn of(text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { starts }
    }

    fn line<'a>(&self, text: &'a str, line: u32) -> Option<&'a str> {
        let start = *self.starts.get((line as usize).checked_sub(1)?)?;
        text.get(start..)?.lines().next()
    }

    /// The block's header is where the scalar starts or on the line before its content.
    fn block(&self, text: &str, span: Span, value: &str) -> Inside {
        let Some(first) = value.lines().find(|line| !line.is_empty()) else {
            return Inside::Unknown;
        };
        let blank = value.lines().take_while(|line| line.is_empty()).count();
        let blank = u32::try_from(blank).unwrap_or(0);
        for header in [span.line, span.line.saturating_sub(1)] {
            let Some(content) = self.line(text, header + 1 + blank) else {
                continue;
            };
            if let Some(indent) = content.strip_suffix(first)
                && indent.bytes().all(|byte| byte == b' ')
            {
                return Inside::Block { line: header + 1, column: u32::try_from(indent.len()).unwrap_or(0) + 1 };
            }
        }
        Inside::Unknown
    }
}

fn text_finding(span: Span, code: FaultCode, expected: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding {
        place: Place::Text(span, Pointer::root()),
        code,
        severity: Severity::Error,
        expected: expected.into(),
        found: found.into(),
        suggestion: None,
    }
}

fn start_of_text() -> Span {
    Span { line: 1, column: 1, end_line: 1, end_column: 1 }
}

fn not_utf8(bytes: &[u8], at: usize) -> Finding {
    let before = &bytes[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    let found = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16".to_owned(),
        _ => format!("the byte 0x{:02x}", bytes.get(at).copied().unwrap_or_default()),
    };
    let (line, column) = (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX));
    let span = Span { line, column, end_line: line, end_column: column.saturating_add(1) };
    text_finding(span, FaultCode::Encoding, "UTF-8 text", found)
}

fn syntax(error: &ScanError, text: &str) -> Finding {
    let marker = error.marker();
    let span = span_of(*marker, *marker);
    let line = text.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
    let indent_has_tab =
        line.chars().take_while(|character| character.is_whitespace()).any(|character| character == '\t');
    let (code, expected, found) = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => (FaultCode::Syntax, "spaces for indentation", "a tab".to_owned()),
        _ if indent_has_tab => (FaultCode::Syntax, "spaces for indentation", "a tab".to_owned()),
        ErrorKind::RecursionLimitExceeded => {
            (FaultCode::TooLarge, "a document that is nested less deeply", "too many levels".to_owned())
        }
        ErrorKind::UnknownAnchor => (
            FaultCode::Syntax,
            "an alias of an anchor that stands before it",
            "an alias without anchor; text that begins with '*' needs quotes".to_owned(),
        ),
        ErrorKind::UnclosedFlowCollection { open } => {
            (FaultCode::Syntax, "a bracket that closes this one", format!("{open} without it"))
        }
        ErrorKind::UnclosedQuotedScalar => (FaultCode::Syntax, "a quote that closes this one", "none".to_owned()),
        _ if at_end(marker, text) => {
            (FaultCode::Syntax, "the rest of the document", format!("its end: {}", error.kind()))
        }
        kind => (FaultCode::Syntax, "YAML", kind.to_string()),
    };
    text_finding(span, code, expected, found)
}

fn at_end(marker: &Marker, text: &str) -> bool {
    marker.byte_offset().and_then(|offset| text.get(offset..)).is_some_and(|rest| rest.trim().is_empty())
}

fn span_of(start: Marker, end: Marker) -> Span {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Span {
        line: number(start.line().max(1)),
        column: number(start.col()).saturating_add(1),
        end_line: number(end.line().max(1)),
        end_column: number(end.col()).saturating_add(1),
    }
}

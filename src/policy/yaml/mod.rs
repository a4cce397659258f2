//! Reads YAML 1.2 text: every value with its place, within fixed bounds of size, depth and expansion.

mod builder;
mod literal;
mod scalar;

use builder::Builder;

use granit_parser::{ErrorKind, Marker, Parser, ScanError};

use super::fault::{Severity, Span};
use super::tree::{Finding, Node, Place};
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
            Err(error) => Err(Box::new(syntax(&error, text))),
        };
        if let Err(finding) = step {
            builder.findings.push(*finding);
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

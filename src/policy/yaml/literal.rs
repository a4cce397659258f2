//! Where the lines of literal blocks are.

use crate::policy::fault::Span;
use crate::policy::tree::Inside;

/// Finds the lines of literal blocks.
pub(super) struct LiteralLines {
    starts: Vec<usize>,
}

impl LiteralLines {
    pub(super) fn of(text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { starts }
    }

    fn line<'a>(&self, text: &'a str, line: u32) -> Option<&'a str> {
        let start = *self.starts.get((line as usize).checked_sub(1)?)?;
        text.get(start..)?.lines().next()
    }

    /// The block's header is where the scalar starts or on the line before its content.
    pub(super) fn block(&self, text: &str, span: Span, value: &str) -> Inside {
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

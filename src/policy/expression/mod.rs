//! Expressions in CEL that say whether a rule applies to a Service.

mod check;
mod depth;
mod subject;
mod types;

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Env, Program, Value};

pub(super) use subject::ExpressionSubject;

/// Longest expression that is read. Reading one takes stack in proportion.
const MAX_BYTES: usize = 2048;
/// Deepest expression that is kept. Running one takes much stack for each level.
const MAX_DEPTH: usize = 32;

/// An expression that was read and is well typed.
pub struct Expression {
    text: String,
    program: Program,
}

/// What is wrong with an expression, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExpressionFault {
    /// First byte of what is wrong.
    pub from: usize,
    /// How many characters are wrong.
    pub length: usize,
    /// What would have been right.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

/// The standard functions, made once.
fn standard_environment() -> Arc<Env> {
    static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
    Arc::clone(&STANDARD)
}

impl Expression {
    /// Reads an expression and checks its types.
    pub(super) fn new(text: &str) -> Result<Self, ExpressionFault> {
        if text.len() > MAX_BYTES {
            return Err(ExpressionFault {
                from: 0,
                length: 1,
                expected: format!("an expression of at most {MAX_BYTES} bytes"),
                found: format!("{} bytes", text.len()),
                suggestion: None,
            });
        }
        let program = Program::compile(text).map_err(|errors| syntax_fault(&errors, text))?;
        if !depth::is_within(program.expression(), MAX_DEPTH) {
            return Err(ExpressionFault {
                from: 0,
                length: 1,
                expected: format!("an expression of at most {MAX_DEPTH} levels; several rules may share the work"),
                found: "a deeper one".to_owned(),
                suggestion: None,
            });
        }
        check::check(&program, text)?;
        Ok(Self { text: text.to_owned(), program })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is true of a Service. The error says why it could not be told, as where a label is not there.
    pub(super) fn holds(&self, subject: &ExpressionSubject) -> Result<bool, String> {
        match self.program.execute(subject.context()) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("the result is neither true nor false".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

fn syntax_fault(errors: &cel::ParseErrors, text: &str) -> ExpressionFault {
    let first = errors.errors.first();
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    ExpressionFault {
        from: byte_at(text, line, column),
        length: 1,
        expected: "an expression in CEL".to_owned(),
        found: first.map_or_else(|| "something else".to_owned(), |error| plain_words(&error.msg)),
        suggestion: None,
    }
}

/// The first line of the parser's message, without its list of all tokens that could have stood there.
fn plain_words(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.trim().trim_start_matches("Syntax error: ");
    let line = line.split(" expecting ").next().unwrap_or(line);
    let quoted = ["mismatched input ", "extraneous input ", "no viable alternative at input "]
        .iter()
        .find_map(|words| line.strip_prefix(words));
    match quoted {
        Some("'<EOF>'") => "its end".to_owned(),
        Some(token) => token.to_owned(),
        None => line.to_owned(),
    }
}

/// The byte at a line and column, both counted from 1, in characters.
fn byte_at(text: &str, line: isize, column: isize) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let within = rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at);
    (start + within).min(text.len().saturating_sub(1))
}

#[cfg(test)]
mod tests;

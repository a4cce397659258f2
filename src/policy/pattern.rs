//! Regular expressions.

use regex::{Regex, RegexBuilder};

/// Largest compiled form, so that no pattern takes much memory or time.
const MAX_COMPILED_BYTES: usize = 1024 * 1024;

/// Compiles a pattern; the error says what is wrong, in one line.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED_BYTES).build().map_err(|error| match error {
        regex::Error::Syntax(text) => {
            text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
        }
        regex::Error::CompiledTooBig(_) => "one that is too large when compiled".to_owned(),
        _ => "one that cannot be compiled".to_owned(),
    })
}

/// Compiles a pattern that must match a whole text.
pub(super) fn compile_whole(pattern: &str) -> Result<Regex, String> {
    compile(pattern)?;
    compile(&format!(r"\A(?:{pattern})\z"))
}

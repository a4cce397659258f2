//! Globs on names.

use globset::{GlobBuilder, GlobMatcher};

/// A glob, told apart by what makes it quick to match and to compare.
#[derive(Debug, Clone)]
pub struct NameGlob {
    text: String,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    Any,
    Exact,
    Prefix,
    Suffix,
    Other(GlobMatcher),
}

impl NameGlob {
    /// Reads a glob: `*`, `?`, `[ab]`, `[!ab]`, `{a,b}`, and `\` before a character meant as it is. `*` matches `/` too.
    /// The error says what is wrong.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let shape = match text.strip_suffix('*').or_else(|| text.strip_prefix('*')) {
            _ if is_plain(text) => Shape::Exact,
            Some("") => Shape::Any,
            Some(rest) if is_plain(rest) && text.ends_with('*') => Shape::Prefix,
            Some(rest) if is_plain(rest) => Shape::Suffix,
            Some(_) | None => Shape::Other(matcher(text)?),
        };
        Ok(Self { text: text.to_owned(), shape })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a name.
    pub fn matches(&self, name: &str) -> bool {
        match &self.shape {
            Shape::Any => true,
            Shape::Exact => name == self.text,
            Shape::Prefix => name.starts_with(self.fixed()),
            Shape::Suffix => name.ends_with(self.fixed()),
            Shape::Other(matcher) => matcher.is_match(name),
        }
    }

    /// The one name it matches.
    pub(super) fn exact(&self) -> Option<&str> {
        match self.shape {
            Shape::Exact => Some(&self.text),
            Shape::Any | Shape::Prefix | Shape::Suffix | Shape::Other(_) => None,
        }
    }

    /// What every name it matches begins with, where nothing else is asked.
    pub(super) fn prefix(&self) -> Option<&str> {
        match self.shape {
            Shape::Prefix => Some(self.fixed()),
            Shape::Any | Shape::Exact | Shape::Suffix | Shape::Other(_) => None,
        }
    }

    /// Whether it provably matches every name that the other matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (&self.shape, &other.shape) {
            (Shape::Any, _) => true,
            _ if self.text == other.text => true,
            (_, Shape::Exact) => self.matches(&other.text),
            (Shape::Prefix, Shape::Prefix) => other.fixed().starts_with(self.fixed()),
            (Shape::Suffix, Shape::Suffix) => other.fixed().ends_with(self.fixed()),
            _ => false,
        }
    }

    fn fixed(&self) -> &str {
        self.text.trim_matches('*')
    }
}

/// Compiles a glob.
pub(super) fn matcher(text: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(text)
        .literal_separator(false)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| error.kind().to_string())
}

fn is_plain(text: &str) -> bool {
    !text.contains(['*', '?', '[', ']', '{', '}', '\\', '!', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_and_cover() {
        let cases = [
            ("any", "*", "default", true),
            ("exact", "default", "default", true),
            ("exact, longer", "default", "default2", false),
            ("prefix", "legacy-*", "legacy-a", true),
            ("prefix, other", "legacy-*", "new-a", false),
            ("suffix", "*-prod", "a-prod", true),
            ("middle", "a*z", "abcz", true),
            ("alternatives", "{a,b}-*", "b-1", true),
            ("class", "team-[ab]", "team-c", false),
            ("slash", "metal.equinix.com/*", "metal.equinix.com/internal", true),
            ("question mark", "a?", "ab", true),
        ];
        for (name, glob, text, expected) in cases {
            assert_eq!(NameGlob::new(glob).expect(name).matches(text), expected, "{name}");
        }
        for broken in ["[a", "{a", "a\\"] {
            assert!(NameGlob::new(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_glob_covers_only_what_it_provably_matches() {
        let cases = [
            ("*", "a?", true),
            ("a*", "ab*", true),
            ("ab*", "a*", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("*c", "*bc", true),
            ("a?", "a?", true),
            ("a?", "ab", true),
            ("a*", "*a", false),
            ("a?", "a[bc]", false),
        ];
        for (wide, narrow, expected) in cases {
            let covers = NameGlob::new(wide).expect(wide).covers(&NameGlob::new(narrow).expect(narrow));
            assert_eq!(covers, expected, "{wide} covers {narrow}");
        }
    }
}

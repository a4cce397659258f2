//! What is wrong with a policy, and where.

use std::fmt;

use serde::Serialize;

use super::Pointer;

/// One thing that is wrong: one mistake of the author is one fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What is wrong, as a word for programs.
    pub code: FaultCode,
    /// Whether it keeps the policy from taking effect.
    pub severity: Severity,
    /// File, as it was named to this program.
    pub file: String,
    /// Where in the file; absent for a policy that was not read from text.
    #[serde(flatten)]
    pub span: Option<Span>,
    /// Where in the document, as a JSON pointer.
    pub pointer: String,
    /// What would have been right.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// What was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// Whether a fault keeps the policy from taking effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not, but the author should look at it.
    Warning,
}

/// A stretch of text. Lines and columns count from 1, columns in characters; the end is the first column after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// Line of the first character.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column of the end.
    pub end_column: u32,
}

/// Every fault of a document, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

macro_rules! fault_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+) => {
        /// What is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FaultCode {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl FaultCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word for programs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// One sentence on what the code means.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

fault_codes! {
    /// The text is not UTF-8.
    Encoding = "encoding",
    /// The text is larger, deeper or expands to more than any policy does.
    TooLarge = "too-large",
    /// The text is not YAML.
    Syntax = "syntax",
    /// The text holds no document, or more than one.
    DocumentCount = "document-count",
    /// The document is not a CloudPolicy of a known version.
    NotAPolicy = "not-a-policy",
    /// A key appears twice in one object.
    DuplicateKey = "duplicate-key",
    /// A key is not known here.
    UnknownKey = "unknown-key",
    /// A required key is missing.
    MissingKey = "missing-key",
    /// A value is of the wrong type.
    WrongType = "wrong-type",
    /// A value is not one of those that are allowed.
    InvalidValue = "invalid-value",
    /// A list or object is empty where that has no meaning.
    Empty = "empty",
    /// Not exactly one of several keys is given.
    NotExactlyOne = "not-exactly-one",
    /// A kind that this version does not support yet.
    NotSupported = "not-supported",
    /// Two things have the same name.
    DuplicateName = "duplicate-name",
    /// A name that nothing has.
    UnknownName = "unknown-name",
    /// Text that is no address, range or network.
    InvalidAddress = "invalid-address",
    /// Addresses that are in two places at once.
    Overlap = "overlap",
    /// Addresses that are excluded from where they are not.
    OutsideOfPool = "outside-of-pool",
    /// A load balancer and a pool that do not go together.
    Mismatch = "mismatch",
    /// A rule that can never match.
    Unreachable = "unreachable",
    /// A glob that cannot be read.
    InvalidGlob = "invalid-glob",
    /// A regular expression that cannot be read.
    InvalidPattern = "invalid-pattern",
    /// A CEL expression that cannot be read or is not well typed.
    InvalidExpression = "invalid-expression",
    /// A value with a part that is not known.
    InvalidTemplate = "invalid-template",
    /// A label, annotation or taint that Kubernetes refuses.
    InvalidLabel = "invalid-label",
    /// A label, annotation or taint that belongs to somebody else.
    ReservedLabel = "reserved-label",
    /// Something that has no effect.
    NoEffect = "no-effect",
}

impl Faults {
    /// Faults in any order; kept in the order of the text.
    pub fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| {
            (&a.file, a.span, &a.pointer, a.code)
                .cmp(&(&b.file, b.span, &b.pointer, b.code))
                .then_with(|| a.found.cmp(&b.found))
        });
        faults.dedup();
        Self(faults)
    }

    /// The faults.
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }

    /// The faults, one after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Fault {
    /// What is wrong, in one sentence without the place.
    pub fn message(&self) -> String {
        let Self { expected, found, suggestion, .. } = self;
        match suggestion {
            Some(suggestion) => format!("expected {expected}, found {found}; did you mean {suggestion}?"),
            None => format!("expected {expected}, found {found}"),
        }
    }

    /// The place, as far as it is known: `FILE:LINE:COLUMN` or `FILE`.
    pub fn place(&self) -> String {
        match self.span {
            Some(span) => format!("{}:{}:{}", self.file, span.line, span.column),
            None => self.file.clone(),
        }
    }
}

/// `FILE:LINE:COLUMN: /json/pointer: expected …, found …; did you mean …?`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}: {}: {warning}{}", self.place(), Pointer::new(self.pointer.as_str()), self.message())
    }
}

/// One fault a line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            match index {
                0 => write!(f, "{fault}")?,
                _ => write!(f, "\n{fault}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::FaultCode;

    #[test]
    fn the_word_of_a_code_is_the_one_that_is_serialised() {
        for code in FaultCode::ALL {
            let serialised = serde_json::to_value(code).expect("a unit variant");
            assert_eq!(serialised, code.as_str());
        }
    }
}

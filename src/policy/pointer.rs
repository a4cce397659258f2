//! JSON pointers: where in a document something is.

use std::fmt;

/// A JSON pointer (RFC 6901); empty for the document itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pointer(String);

impl Pointer {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a pointer as written.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value under a key of this object.
    pub fn key(&self, key: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + key.len() + 1);
        text.push_str(&self.0);
        text.push('/');
        for character in key.chars() {
            match character {
                '~' => text.push_str("~0"),
                '/' => text.push_str("~1"),
                other => text.push(other),
            }
        }
        Self(text)
    }

    /// An item of this list.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// The object or list that holds it, and the last step as a plain key; `None` for the document itself.
    pub fn split_last(&self) -> Option<(Self, String)> {
        let (parent, last) = self.0.rsplit_once('/')?;
        Some((Self(parent.to_owned()), unescape(last)))
    }

    /// The steps from the document, as plain keys.
    pub fn steps(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('/').skip(1).map(unescape)
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => f.write_str("/"),
            text => f.write_str(text),
        }
    }
}

fn unescape(step: &str) -> String {
    match step.contains('~') {
        true => step.replace("~1", "/").replace("~0", "~"),
        false => step.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn keys_with_slashes_and_tildes_survive() {
        let pointer = Pointer::root().key("labels").key("a/b~c").index(3);
        assert_eq!(pointer.as_str(), "/labels/a~1b~0c/3");
        assert_eq!(pointer.steps().collect::<Vec<_>>(), ["labels", "a/b~c", "3"]);
        assert_eq!(pointer.split_last(), Some((Pointer::new("/labels/a~1b~0c"), "3".to_owned())));
        assert!(pointer.is_within(&Pointer::new("/labels")) && pointer.is_within(&Pointer::root()));
        assert!(!Pointer::new("/labelsX").is_within(&Pointer::new("/labels")));
        assert_eq!(Pointer::root().to_string(), "/");
    }
}

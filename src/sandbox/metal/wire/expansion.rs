//! `include` and `exclude`: which references of a response are whole objects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::stub;

/// The API follows dotted paths this far.
const LEVELS: usize = 3;

/// What a caller wants expanded or reduced at one level of a response, and below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expansion {
    include: Paths,
    exclude: Paths,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Paths {
    named: bool,
    below: BTreeMap<String, Paths>,
}

impl Expansion {
    pub(crate) fn parse<'a>(include: impl Iterator<Item = &'a str>, exclude: impl Iterator<Item = &'a str>) -> Self {
        Self { include: Paths::parse(include), exclude: Paths::parse(exclude) }
    }

    pub(crate) fn includes(&self, field: &str) -> bool {
        self.include.below.contains_key(field)
    }

    /// A reference that is a stub by default.
    pub(crate) fn stub_unless_included(&self, field: &str, path: &str, whole: impl FnOnce(&Self) -> Value) -> Value {
        if self.includes(field) && !self.excludes(field) { whole(&self.below(field)) } else { stub(path) }
    }

    /// A reference that is expanded by default.
    pub(crate) fn whole_unless_excluded(&self, field: &str, path: &str, whole: impl FnOnce(&Self) -> Value) -> Value {
        if self.excludes(field) { stub(path) } else { whole(&self.below(field)) }
    }

    pub(crate) fn excludes(&self, field: &str) -> bool {
        self.exclude.below.get(field).is_some_and(|paths| paths.named)
    }

    /// What holds inside the object behind a field.
    pub(crate) fn below(&self, field: &str) -> Self {
        let inside = |paths: &Paths| paths.below.get(field).cloned().unwrap_or_default();
        Self { include: inside(&self.include), exclude: inside(&self.exclude) }
    }
}

impl Paths {
    fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut root = Self::default();
        for path in values.flat_map(|value| value.split(',')).map(str::trim).filter(|path| !path.is_empty()) {
            let mut node = &mut root;
            for field in path.split('.').take(LEVELS) {
                node = node.below.entry(field.to_owned()).or_default();
            }
            node.named = true;
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn expansion(include: &str, exclude: &str) -> Expansion {
        Expansion::parse([include].into_iter(), [exclude].into_iter())
    }

    #[test]
    fn a_field_is_whole_or_a_stub() {
        let whole = || json!("whole");
        let stubbed = json!({"href": "/metal/v1/x"});
        for (name, include, exclude, by_default_stub, by_default_whole) in [
            ("nothing said", "", "", stubbed.clone(), whole()),
            ("included", "a", "", whole(), whole()),
            ("something below it included", "a.b", "", whole(), whole()),
            ("excluded", "", "a", stubbed.clone(), stubbed.clone()),
            ("excluded wins", "a", "a", stubbed.clone(), stubbed.clone()),
            ("something below it excluded", "", "a.b", stubbed.clone(), whole()),
            ("one of several", "z, a,y", "", whole(), whole()),
        ] {
            let expansion = expansion(include, exclude);
            let got = (
                expansion.stub_unless_included("a", "x", |_| whole()),
                expansion.whole_unless_excluded("a", "x", |_| whole()),
            );
            assert_eq!(got, (by_default_stub, by_default_whole), "{name}");
        }
    }

    #[test]
    fn paths_are_followed_three_levels() {
        let third = expansion("a.b.c.d", "").below("a").below("b");
        assert!(third.includes("c"));
        assert!(!third.below("c").includes("d"));
    }
}

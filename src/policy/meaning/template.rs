//! Reads values with parts taken from a device or from groups of a pattern.

use crate::policy::suggest::nearest;
use crate::policy::words::{one_of, quote};
use crate::strategy::node_labels::{DeviceProperty, Template, TemplatePart};

const PROPERTIES: [(&str, DeviceProperty); 6] = [
    ("device.id", DeviceProperty::Id),
    ("device.hostname", DeviceProperty::Hostname),
    ("device.plan", DeviceProperty::Plan),
    ("device.metro", DeviceProperty::Metro),
    ("device.facility", DeviceProperty::Facility),
    ("device.state", DeviceProperty::State),
];

/// What is wrong with a value, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateFault {
    pub from: usize,
    pub length: usize,
    pub expected: String,
    pub found: String,
    pub suggestion: Option<String>,
}

/// Reads a value: `{name}` is replaced, `{{` and `}}` stand for one brace.
pub(super) fn read(text: &str, groups: &[String]) -> Result<Template, TemplateFault> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        literal.push_str(before);
        let from = text.len() - brace.len();
        rest = if let Some(rest) = brace.strip_prefix("{{") {
            literal.push('{');
            rest
        } else if let Some(rest) = brace.strip_prefix("}}") {
            literal.push('}');
            rest
        } else if let Some((name, rest)) = brace.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            if !literal.is_empty() {
                parts.push(TemplatePart::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part(name, from, groups)?);
            rest
        } else {
            return Err(lonely_brace(from, brace));
        };
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(TemplatePart::Literal(literal));
    }
    Ok(Template(parts))
}

fn part(name: &str, from: usize, groups: &[String]) -> Result<TemplatePart, TemplateFault> {
    if let Some((_, property)) = PROPERTIES.iter().find(|(known, _)| *known == name) {
        return Ok(TemplatePart::Device(*property));
    }
    if groups.iter().any(|group| group == name) {
        return Ok(TemplatePart::Group(name.to_owned()));
    }
    let known: Vec<&str> =
        PROPERTIES.iter().map(|(known, _)| *known).chain(groups.iter().map(String::as_str)).collect();
    let expected = match groups {
        [] => format!("{}, as there is no tagPattern with a group", one_of(known.iter().copied())),
        _ => one_of(known.iter().copied()),
    };
    Err(TemplateFault {
        from,
        length: name.chars().count() + 2,
        expected,
        found: quote(&format!("{{{name}}}")),
        suggestion: nearest(name, known).map(|name| format!("{{{name}}}")),
    })
}

fn lonely_brace(from: usize, brace: &str) -> TemplateFault {
    let (expected, found) = match brace.starts_with('{') {
        true => ("a closing brace, or {{ for a brace in the text", "{ without }"),
        false => ("an opening brace, or }} for a brace in the text", "} without {"),
    };
    TemplateFault { from, length: 1, expected: expected.to_owned(), found: found.to_owned(), suggestion: None }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn values_are_read_in_parts() {
        let literal = |text: &str| TemplatePart::Literal(text.to_owned());
        let groups = ["rack".to_owned()];
        let cases = [
            ("nvidia", vec![literal("nvidia")]),
            ("", vec![]),
            ("{device.plan}", vec![TemplatePart::Device(DeviceProperty::Plan)]),
            ("r-{rack}.x", vec![literal("r-"), TemplatePart::Group("rack".into()), literal(".x")]),
            ("{{a}}", vec![literal("{a}")]),
        ];
        for (text, parts) in cases {
            assert_eq!(read(text, &groups), Ok(Template(parts)), "{text}");
        }
    }

    #[test]
    fn an_unknown_part_is_named() {
        let cases = [
            ("x{device.plam}", 1, Some("{device.plan}")),
            ("{rak}", 0, Some("{rack}")),
            ("{", 0, None),
            ("a}", 1, None),
            ("{}", 0, None),
        ];
        for (text, from, suggestion) in cases {
            let fault = read(text, &["rack".to_owned()]).expect_err(text);
            assert_eq!((fault.from, fault.suggestion.as_deref()), (from, suggestion), "{text}");
        }
    }
}

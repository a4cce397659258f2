//! The forms of names, label keys and label values.

const DNS1123_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
    end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS1123_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
    start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
    character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";

/// What is wrong with an RFC 1123 label; nothing if it is one.
pub(crate) fn dns1123_label(text: &str) -> Vec<String> {
    let dotted = !is_dns_label(text) && text.split('.').all(is_dns_label);
    let form = if dotted { "must not contain dots" } else { DNS1123_LABEL };
    faults(text, (63, "characters"), is_dns_label(text), form)
}

/// What is wrong with an RFC 1123 subdomain; nothing if it is one.
pub(crate) fn dns1123_subdomain(text: &str) -> Vec<String> {
    faults(text, (253, "characters"), text.split('.').all(is_dns_label), DNS1123_SUBDOMAIN)
}

/// What is wrong with a label value; nothing if it is one.
pub(crate) fn label_value(text: &str) -> Vec<String> {
    faults(text, (63, "bytes"), text.is_empty() || is_name_part(text), LABEL_VALUE)
}

/// What is wrong with a qualified name, such as a label key; nothing if it is one.
pub(crate) fn qualified(text: &str) -> Vec<String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (prefix, name) = match parts.as_slice() {
        [name] => (None, *name),
        [prefix, name] => (Some(*prefix), *name),
        _ => return vec![QUALIFIED.to_owned()],
    };
    let mut found = Vec::new();
    match prefix {
        Some("") => found.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => found.extend(dns1123_subdomain(prefix).into_iter().map(|fault| format!("prefix part {fault}"))),
        None => {}
    }
    if name.is_empty() {
        found.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        found.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_name_part(name) {
        found.push(NAME_PART.to_owned());
    }
    found
}

/// What is wrong with a port number; nothing if it is one.
pub(crate) fn port(number: i64) -> Vec<String> {
    match (1..=65535).contains(&number) {
        true => Vec::new(),
        false => vec!["must be between 1 and 65535, inclusive".to_owned()],
    }
}

/// What is wrong with the name of a port; nothing if it is one.
pub(crate) fn port_name(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 15 {
        found.push("must be no more than 15 characters".to_owned());
    }
    if !text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        found.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.contains(|c: char| c.is_ascii_lowercase()) {
        found.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        found.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        found.push("must not begin or end with a hyphen".to_owned());
    }
    found
}

fn faults(text: &str, (limit, unit): (usize, &str), well_formed: bool, form: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > limit {
        found.push(format!("must be no more than {limit} {unit}"));
    }
    if !well_formed {
        found.push(form.to_owned());
    }
    found
}

fn is_dns_label(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(alphanumeric) && text.ends_with(alphanumeric) && text.chars().all(|c| alphanumeric(c) || c == '-')
}

fn is_name_part(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.starts_with(alphanumeric) && text.ends_with(alphanumeric) && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn names_are_told_from_what_is_none() {
        let long = "a".repeat(64);
        type Check = fn(&str) -> Vec<String>;
        let rows: &[(Check, &str, usize)] = &[
            (dns1123_label, "a-1", 0),
            (dns1123_label, "A", 1),
            (dns1123_label, &long, 1),
            (dns1123_label, "a.b", 1),
            (dns1123_subdomain, "a.b-c.1", 0),
            (dns1123_subdomain, "a..b", 1),
            (label_value, "", 0),
            (label_value, "My_value.1", 0),
            (label_value, "a b", 1),
            (qualified, "example.com/Name", 0),
            (qualified, "a/b/c", 1),
            (qualified, "/b", 1),
            (qualified, "Example.com/b", 1),
            (qualified, "", 2),
            (port_name, "http", 0),
            (port_name, "80", 1),
            (port_name, "-Http--is-much-too-long", 4),
        ];
        for (check, text, expected) in rows {
            assert_eq!(check(text).len(), *expected, "{text:?}: {:?}", check(text));
        }
    }
}

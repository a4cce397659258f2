//! Values and lists in words.

use serde_json::Value;

use super::Pointer;

const LONGEST: usize = 60;

/// A value as it is quoted in a fault. Values near a password are never quoted.
pub(super) fn describe(value: &Value, pointer: &Pointer) -> String {
    match value {
        Value::Null => "nothing (null)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) if is_secret(pointer) => kind_of_number(number).to_owned(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) if is_secret(pointer) => "text (not shown)".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(fields) if fields.is_empty() => "an empty object".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Text in quotes, cut where it is long.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// `a, b and c`
pub(super) fn all_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "and")
}

/// `a, b or c`
pub(super) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "or")
}

/// Whether a value must not be shown: what it is called says that it may be a secret.
pub(super) fn is_secret(pointer: &Pointer) -> bool {
    pointer.steps().any(|step| names_a_secret(&step))
}

/// Whether what a key is called says that it may hold a secret.
pub(super) fn names_a_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["password", "passwd", "secret", "token", "apikey", "authkey", "md5", "bgppass"]
        .iter()
        .any(|word| key.contains(word))
}

fn joined<'a>(names: impl IntoIterator<Item = &'a str>, word: &str) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

fn kind_of_number(number: &serde_json::Number) -> &'static str {
    match number.is_f64() {
        true => "a fraction",
        false => "a number",
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_near_a_password_are_never_quoted() {
        for pointer in ["/spec/bgp/password", "/spec/bgp/passwordFrom/value", "/spec/bgp/md5"] {
            let pointer = Pointer::new(pointer);
            assert_eq!(describe(&json!("s3cret"), &pointer), "text (not shown)");
            assert_eq!(describe(&json!(1234), &pointer), "a number");
        }
        assert_eq!(describe(&json!("da"), &Pointer::new("/spec/metro")), "\"da\"");
    }

    #[test]
    fn lists_read_well() {
        assert_eq!(one_of(["a"]), "a");
        assert_eq!(one_of(["a", "b", "c"]), "a, b or c");
        assert_eq!(all_of([]), "nothing");
    }
}

//! The order of merged lists, and what tells their items apart.

use serde_json::Value;

use super::strategic::DIRECTIVE;
use crate::sandbox::kubernetes::status::Refusal;

/// The items of a patch come in the order that the directive names.
pub(super) fn check_order(patch: &Value, order: &[Value], key: Option<&str>) -> Result<(), Refusal> {
    let items = patch.as_array().map(Vec::as_slice).unwrap_or_default();
    if order.is_empty() {
        return Ok(());
    }
    let mut named = order.iter();
    for item in items.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let same = |other: &Value| match key {
            Some(key) => other.get(key).is_some() && other.get(key) == item.get(key),
            None => other == item,
        };
        if !named.any(same) {
            let (items, order) = (go_list(items), go_list(order));
            let why = format!("The order in patch list:\n{items}\n doesn't match $setElementOrder list:\n{order}\n");
            return Err(Refusal::plain_internal(why));
        }
    }
    Ok(())
}

/// Items that `order` names follow it; the others keep the order of `before`, interleaved as they were.
pub(super) fn enforce_order(
    merged: Vec<Value>,
    order: &[Value],
    before: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, Refusal> {
    let same = |left: &Value, right: &Value| match key {
        Some(key) => left.get(key).is_some() && left.get(key) == right.get(key),
        None => left == right,
    };
    let place = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item));
    if let Some(key) = key {
        merged.iter().try_for_each(|item| key_of(item, key).map(drop))?;
    }
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    others.sort_by_key(|item| place(before, item).unwrap_or(usize::MAX));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    loop {
        let other_first = match (others.peek(), named.peek()) {
            (None, None) => return Ok(out),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(named)) => match (place(before, other), place(before, named)) {
                (Some(other), Some(named)) => other < named,
                (_, _) => false,
            },
        };
        out.extend(if other_first { others.next() } else { named.next() });
    }
}

/// The value of the merge key of an item.
///
/// # Errors
/// When the item has none.
pub(super) fn key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, Refusal> {
    item.get(key).ok_or_else(|| {
        Refusal::plain_internal(format!("map: {} does not contain declared merge key: {key}", go_map(item)))
    })
}

/// A map as Go prints it.
fn go_map(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let parts: Vec<String> = members.iter().map(|(key, value)| format!("{key}:{}", go_map(value))).collect();
            format!("map[{}]", parts.join(" "))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn go_list(items: &[Value]) -> String {
    let shown: Vec<String> = items.iter().map(go_map).collect();
    format!("[{}]", shown.join(" "))
}

//! What is left of a document when the parts that do not fit the schema are taken out, so that the rest can be checked
//! for its meaning at the same time.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Number, Value};

use super::tree::{Finding, Place};
use super::{Document, FaultCode, Pointer};

/// The document without what does not fit.
#[derive(Debug)]
pub(super) struct Remainder {
    /// What is left.
    pub document: Document,
    /// What was taken out, and what a misspelt key was meant to be, as pointers into the document as written.
    missing: BTreeSet<Pointer>,
    /// For each list that lost items, which items are left.
    left: HashMap<Pointer, Vec<usize>>,
}

/// Takes out what the findings point at, and then whatever cannot stand without it.
pub(super) fn of(value: &Value, findings: &[Finding]) -> Option<Remainder> {
    let mut removed: BTreeSet<Pointer> = findings
        .iter()
        .filter(|finding| finding.code != FaultCode::DuplicateKey)
        .map(|finding| finding.place.pointer().clone())
        .collect();
    // Each turn takes out at least one level, and no document is deeper than this.
    let meant = findings.iter().filter_map(|finding| {
        let (object, _) = finding.place.pointer().split_last()?;
        let key = finding.suggestion.as_ref().filter(|_| finding.code == FaultCode::UnknownKey)?;
        Some(object.key(key))
    });
    let meant: Vec<Pointer> = meant.collect();
    for _ in 0..super::yaml::MAX_DEPTH {
        let mut left = HashMap::new();
        let pruned = prune(value, &Pointer::root(), &Pointer::root(), &removed, &mut left)?;
        let mut more: Vec<Pointer> =
            super::shape::check(&pruned).into_iter().map(|finding| original(&left, finding.place.pointer())).collect();
        if more.is_empty() {
            let document = serde_json::from_value(with_whole_numbers(pruned)).ok()?;
            let missing = removed.into_iter().chain(meant).collect();
            return Some(Remainder { document, missing, left });
        }
        removed.extend(more.drain(..));
    }
    None
}

/// The whole of a value that fits the schema.
pub(super) fn whole(value: Value) -> Result<Remainder, serde_json::Error> {
    let document = serde_json::from_value(with_whole_numbers(value))?;
    Ok(Remainder { document, missing: BTreeSet::new(), left: HashMap::new() })
}

/// To JSON Schema 40.0 is a whole number, to serde it is not.
fn with_whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(whole_number(&number).unwrap_or(number)),
        Value::Array(items) => Value::Array(items.into_iter().map(with_whole_numbers).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key, with_whole_numbers(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

fn whole_number(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
    format!("{float:.0}").parse::<i64>().ok().map(Number::from)
}

impl Remainder {
    /// A pointer into the remainder, as a pointer into the document as written.
    pub(super) fn original(&self, pointer: &Pointer) -> Pointer {
        original(&self.left, pointer)
    }

    /// Whether anything at or below this place of the remainder was taken out.
    pub(super) fn is_incomplete(&self, pointer: &Pointer) -> bool {
        if self.missing.is_empty() {
            return false;
        }
        let pointer = self.original(pointer);
        self.missing.iter().any(|missing| missing.is_within(&pointer))
    }

    /// A place in the remainder, as a place in the document as written.
    pub(super) fn place(&self, place: Place) -> Place {
        match place {
            Place::Text(span, pointer) => Place::Text(span, self.original(&pointer)),
            Place::Value(pointer) => Place::Value(self.original(&pointer)),
            Place::Key(pointer) => Place::Key(self.original(&pointer)),
            Place::Inside(pointer, from, length) => Place::Inside(self.original(&pointer), from, length),
        }
    }
}

fn original(left: &HashMap<Pointer, Vec<usize>>, pointer: &Pointer) -> Pointer {
    if left.is_empty() {
        return pointer.clone();
    }
    let mut here = Pointer::root();
    let mut written = Pointer::root();
    for step in pointer.steps() {
        let index = left.get(&here).zip(step.parse::<usize>().ok()).and_then(|(left, index)| left.get(index));
        written = match index {
            Some(index) => written.index(*index),
            None => written.key(&step),
        };
        here = here.key(&step);
    }
    written
}

fn prune(
    value: &Value,
    written: &Pointer,
    here: &Pointer,
    removed: &BTreeSet<Pointer>,
    left: &mut HashMap<Pointer, Vec<usize>>,
) -> Option<Value> {
    if removed.contains(written) {
        return None;
    }
    if !removed.iter().any(|one| one.is_within(written)) {
        return Some(value.clone());
    }
    Some(match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter_map(|(key, inner)| {
                    let inner = prune(inner, &written.key(key), &here.key(key), removed, left)?;
                    Some((key.clone(), inner))
                })
                .collect(),
        ),
        Value::Array(items) => {
            let mut kept = Vec::new();
            let mut indices = Vec::new();
            for (index, item) in items.iter().enumerate() {
                if let Some(item) = prune(item, &written.index(index), &here.index(kept.len()), removed, left) {
                    kept.push(item);
                    indices.push(index);
                }
            }
            if kept.len() < items.len() {
                left.insert(here.clone(), indices);
            }
            Value::Array(kept)
        }
        scalar => scalar.clone(),
    })
}

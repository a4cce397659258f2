//! Checks a document against the JSON schema and says in words what does not fit.

use std::collections::{HashMap, HashSet};

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::fault::Severity;
use super::suggest::nearest;
use super::tree::{Finding, Place};
use super::words::{all_of, describe, names_a_secret, one_of, quote};
use super::{FaultCode, Pointer, schema};

/// What does not fit the schema: one finding for each mistake.
pub(super) fn check(document: &Value) -> Vec<Finding> {
    let mut found: Vec<(Rank, Finding)> = schema::validator()
        .iter_errors(document)
        .flat_map(|error| Mismatch::of(&error).findings(&error, document))
        .collect();
    found.sort_by(|(a, first), (b, second)| (first.place.pointer(), a).cmp(&(second.place.pointer(), b)));
    let mut kept: Vec<Finding> = Vec::new();
    for (rank, finding) in found {
        let same_place = kept.last().is_some_and(|last| last.place == finding.place);
        if rank == Rank::EveryOne || !same_place {
            kept.push(finding);
        }
    }
    without_echoes(kept)
}

/// Which of several mismatches of one value is the mistake: the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Type,
    Value,
    Combination,
    EveryOne,
}

/// A misspelt key is one mistake: that the right one is missing needs no second fault.
fn without_echoes(findings: Vec<Finding>) -> Vec<Finding> {
    let parent = |finding: &Finding| finding.place.pointer().split_last().map(|(object, _)| object);
    let mut strange: HashMap<Pointer, Vec<String>> = HashMap::new();
    let mut undecided: HashSet<Pointer> = HashSet::new();
    for finding in &findings {
        match (finding.code, &finding.place) {
            (FaultCode::UnknownKey, _) => {
                let meant = parent(finding).map(|object| strange.entry(object).or_default());
                meant.into_iter().for_each(|meant| meant.extend(finding.suggestion.clone()));
            }
            (FaultCode::NotExactlyOne, Place::Value(pointer)) => {
                undecided.insert(pointer.clone());
            }
            _ => {}
        }
    }
    let is_echo = |finding: &Finding| {
        let meant = strange.get(finding.place.pointer());
        match (finding.code, &finding.place) {
            (FaultCode::NotExactlyOne, Place::Key(_)) => {
                parent(finding).is_some_and(|object| undecided.contains(&object))
            }
            // The unknown key was meant to be one of those of which exactly one is needed.
            (FaultCode::NotExactlyOne, _) => meant.is_some(),
            (FaultCode::MissingKey, _) => {
                meant.is_some_and(|meant| meant.iter().any(|key| speaks_of(&finding.expected, key)))
            }
            _ => false,
        }
    };
    let echoes: Vec<bool> = findings.iter().map(is_echo).collect();
    findings.into_iter().zip(echoes).filter_map(|(finding, echo)| (!echo).then_some(finding)).collect()
}

fn speaks_of(text: &str, key: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == key)
}

/// One mismatch with its surroundings.
struct Mismatch {
    pointer: Pointer,
    /// The schema of the value that does not fit.
    schema: Option<&'static Value>,
    /// The keyword of the schema that it breaks.
    keyword: String,
}

impl Mismatch {
    fn of(error: &ValidationError<'_>) -> Self {
        let path = error.schema_path().as_str();
        let (holder, keyword) = match path.split_once("/dependentRequired") {
            Some((holder, _)) => (holder, "dependentRequired"),
            None => path.rsplit_once('/').unwrap_or(("", "")),
        };
        Self {
            pointer: Pointer::new(error.instance_path().as_str()),
            schema: schema::at(holder),
            keyword: keyword.to_owned(),
        }
    }

    fn findings(&self, error: &ValidationError<'_>, document: &Value) -> Vec<(Rank, Finding)> {
        let instance: &Value = error.instance();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                unexpected.iter().map(|key| (Rank::EveryOne, self.unknown_key(key, instance))).collect()
            }
            ValidationErrorKind::FalseSchema => {
                self.needless_keys(document).into_iter().map(|finding| (Rank::EveryOne, finding)).collect()
            }
            ValidationErrorKind::Required { property } => {
                vec![(Rank::EveryOne, self.missing_key(property, instance))]
            }
            ValidationErrorKind::Type { kind } => vec![(Rank::Type, self.wrong_type(kind, instance))],
            ValidationErrorKind::Enum { options } => vec![(Rank::Value, self.wrong_word(options, instance))],
            ValidationErrorKind::OneOfNotValid { .. }
            | ValidationErrorKind::OneOfMultipleValid { .. }
            | ValidationErrorKind::AnyOf { .. }
            | ValidationErrorKind::Not { .. } => vec![(Rank::Combination, self.wrong_combination(instance))],
            ValidationErrorKind::MinItems { .. } | ValidationErrorKind::MinProperties { .. } => {
                vec![(Rank::Value, self.empty(instance))]
            }
            kind => vec![(Rank::Value, self.wrong_value(kind, instance))],
        }
    }

    fn unknown_key(&self, key: &str, object: &Value) -> Finding {
        let known: Vec<&'static str> = self.schema.map(|schema| schema::keys(schema).collect()).unwrap_or_default();
        let unused = known.iter().copied().filter(|known| object.get(known).is_none());
        let expected = match (key, names_a_secret(key)) {
            ("<<", _) => "the keys written out; merge keys are not supported".to_owned(),
            (_, true) => match known.iter().find(|known| names_a_secret(known)) {
                Some(source) => format!("{source}, which says where the secret is kept"),
                None => "no secret in a policy".to_owned(),
            },
            _ if known.is_empty() => "no key, as it has no settings".to_owned(),
            _ => one_of(known.iter().copied()),
        };
        Finding {
            place: Place::Key(self.pointer.key(key)),
            code: FaultCode::UnknownKey,
            severity: Severity::Error,
            expected,
            found: format!("the unknown key {}", quote(key)),
            suggestion: nearest(key, unused).map(str::to_owned),
        }
    }

    /// An object that may have no key at all.
    fn needless_keys(&self, document: &Value) -> Vec<Finding> {
        let object = document.pointer(self.pointer.as_str());
        let keys = object.and_then(Value::as_object).into_iter().flat_map(|fields| fields.keys());
        keys.map(|key| self.unknown_key(key, &Value::Null)).collect()
    }

    fn missing_key(&self, property: &Value, instance: &Value) -> Finding {
        let key = property.as_str().unwrap_or_default();
        match self.dependent_on(key, instance) {
            Some(dependent) => self.finding(
                Place::Key(self.pointer.key(dependent)),
                FaultCode::NotExactlyOne,
                format!("{dependent} beside {key} only"),
                format!("it without {key}"),
            ),
            None => {
                let found = match instance.get("name").and_then(Value::as_str) {
                    Some(name) => format!("{} without it", quote(name)),
                    None => "an object without it".to_owned(),
                };
                self.finding(Place::Value(self.pointer.clone()), FaultCode::MissingKey, format!("the key {key}"), found)
            }
        }
    }

    /// The key that is there and must not be without `key`.
    fn dependent_on(&self, key: &str, instance: &Value) -> Option<&'static str> {
        let dependents = self.schema?.get(&self.keyword)?.as_object()?;
        dependents
            .iter()
            .filter(|(dependent, _)| instance.get(dependent.as_str()).is_some())
            .find(|(_, needed)| needed.as_array().is_some_and(|needed| needed.iter().any(|one| one == key)))
            .map(|(dependent, _)| dependent.as_str())
    }

    fn wrong_type(&self, kind: &TypeKind, instance: &Value) -> Finding {
        let types: Vec<String> = match kind {
            TypeKind::Single(only) => vec![only.to_string()],
            TypeKind::Multiple(types) => types.iter().map(|one| one.to_string()).collect(),
        };
        let words: Vec<&str> = types.iter().map(|name| in_words(name)).collect();
        let expected = match self.schema.and_then(|schema| schema.get("enum")).and_then(Value::as_array) {
            Some(options) => one_of(options.iter().filter_map(Value::as_str)),
            None => self.wanted_words().unwrap_or_else(|| one_of(words)),
        };
        let mut finding = self.finding(
            Place::Value(self.pointer.clone()),
            FaultCode::WrongType,
            expected,
            describe(instance, &self.pointer),
        );
        finding.suggestion = match super::words::is_secret(&self.pointer) {
            true => None,
            false => types.iter().find_map(|name| as_type(instance, name, self.schema)),
        };
        finding
    }

    fn wrong_word(&self, options: &Value, instance: &Value) -> Finding {
        let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let suggestion = instance.as_str().and_then(|found| nearest(found, options.iter().copied())).map(str::to_owned);
        let is_head = ["/apiVersion", "/kind"].contains(&self.pointer.as_str());
        let code = if is_head { FaultCode::NotAPolicy } else { FaultCode::InvalidValue };
        Finding {
            suggestion,
            ..self.finding(Place::Value(self.pointer.clone()), code, one_of(options), describe(instance, &self.pointer))
        }
    }

    /// The keys of `oneOf`, `anyOf` and `not`, which speak of keys only.
    fn wrong_combination(&self, instance: &Value) -> Finding {
        let rule = self.schema.and_then(|schema| schema.get(&self.keyword));
        let keys: Vec<&str> = match rule {
            Some(Value::Array(alternatives)) => alternatives.iter().flat_map(required).collect(),
            Some(not) => required(not).collect(),
            None => Vec::new(),
        };
        let given: Vec<&str> = keys.iter().copied().filter(|key| instance.get(key).is_some()).collect();
        let amount = match self.keyword.as_str() {
            "oneOf" => "exactly one",
            "anyOf" => "at least one",
            _ => "at most one",
        };
        let (place, found) = match given.as_slice() {
            [] => (Place::Value(self.pointer.clone()), "none of them".to_owned()),
            [.., last] => (Place::Key(self.pointer.key(last)), all_of(given.iter().copied())),
        };
        let words = if self.keyword == "anyOf" { one_of(keys) } else { all_of(keys) };
        self.finding(place, FaultCode::NotExactlyOne, format!("{amount} of {words}"), found)
    }

    fn empty(&self, instance: &Value) -> Finding {
        let expected = match instance.is_array() {
            true => "at least one item",
            false => "at least one key",
        };
        self.finding(Place::Value(self.pointer.clone()), FaultCode::Empty, expected, describe(instance, &self.pointer))
    }

    fn wrong_value(&self, kind: &ValidationErrorKind, instance: &Value) -> Finding {
        let expected = self.wanted_words().unwrap_or_else(|| match kind {
            ValidationErrorKind::Constant { expected_value } => expected_value.to_string(),
            ValidationErrorKind::MinLength { .. } => "text that is not empty".to_owned(),
            ValidationErrorKind::MaxLength { limit } => format!("at most {limit} characters"),
            ValidationErrorKind::UniqueItems => "every item once".to_owned(),
            _ => "a value that fits the schema".to_owned(),
        });
        let found = match (kind, instance) {
            (ValidationErrorKind::MaxLength { .. }, Value::String(text)) => format!("{}", text.chars().count()),
            (ValidationErrorKind::UniqueItems, _) => "one of them twice".to_owned(),
            _ => describe(instance, &self.pointer),
        };
        let expected = match kind {
            ValidationErrorKind::MaxLength { limit } => format!("at most {limit} characters"),
            _ => expected,
        };
        self.finding(Place::Value(self.pointer.clone()), FaultCode::InvalidValue, expected, found)
    }

    /// What the schema says of the value, in words: its pattern or its range.
    fn wanted_words(&self) -> Option<String> {
        let schema = self.schema?;
        if let Some(words) = schema.get("patternErrorMessage").and_then(Value::as_str) {
            return Some(words.to_owned());
        }
        match (schema.get("minimum"), schema.get("maximum")) {
            (Some(minimum), Some(maximum)) => Some(format!("a whole number from {minimum} to {maximum}")),
            (Some(minimum), None) => Some(format!("a whole number of at least {minimum}")),
            _ => None,
        }
    }

    fn finding(&self, place: Place, code: FaultCode, expected: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            place,
            code,
            severity: Severity::Error,
            expected: expected.into(),
            found: found.into(),
            suggestion: None,
        }
    }
}

fn required(alternative: &Value) -> impl Iterator<Item = &str> {
    alternative.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn in_words(type_name: &str) -> &'static str {
    match type_name {
        "object" => "an object",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "another type",
    }
}

/// The same value as another type, written as it would be in YAML.
fn as_type(instance: &Value, type_name: &str, schema: Option<&Value>) -> Option<String> {
    match (type_name, instance) {
        ("string", Value::Bool(_) | Value::Number(_)) => Some(format!("\"{instance}\"")),
        ("integer", Value::String(text)) => text.parse::<i64>().ok().map(|number| number.to_string()),
        ("boolean", Value::String(text)) => match text.to_lowercase().as_str() {
            "yes" | "on" | "y" | "true" => Some("true".to_owned()),
            "no" | "off" | "n" | "false" => Some("false".to_owned()),
            _ => None,
        },
        ("array", Value::String(text)) => Some(format!("[{text}]")),
        ("object", Value::Null) => {
            let needs_keys =
                schema.is_some_and(|schema| schema.get("required").is_some() || schema.get("oneOf").is_some());
            (!needs_keys).then(|| "{}".to_owned())
        }
        _ => None,
    }
}

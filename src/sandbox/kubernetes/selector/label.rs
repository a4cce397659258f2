//! Label selectors: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.

use serde_json::Value;

/// All requirements must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq)]
enum Operator {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Parses the text; empty text selects everything.
    ///
    /// # Errors
    /// Says what was found and what was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let requirements = split_requirements(text).into_iter().map(|part| parse_requirement(part.trim()));
        Ok(Self { requirements: requirements.collect::<Result<_, _>>()? })
    }

    /// Whether everything matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether an object with these labels is meant.
    pub(crate) fn matches(&self, labels: &Value) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &Value) -> bool {
        let value = labels.get(&self.key).and_then(Value::as_str);
        match &self.operator {
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::In(values) => value.is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Operator::NotIn(values) => value.is_none_or(|value| values.iter().all(|unwanted| unwanted != value)),
            Operator::GreaterThan(bound) => number(value).is_some_and(|value| value > *bound),
            Operator::LessThan(bound) => number(value).is_some_and(|value| value < *bound),
        }
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value?.parse().ok()
}

/// Splits at commas outside parentheses.
fn split_requirements(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut depth = 0_usize;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

fn parse_requirement(text: &str) -> Result<Requirement, String> {
    let (key, operator) = if let Some(key) = text.strip_prefix('!') {
        (key, Operator::Absent)
    } else if let Some((key, value)) = text.split_once("!=") {
        (key, Operator::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Operator::In(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = text.split_once('>') {
        (key, Operator::GreaterThan(bound(value)?))
    } else if let Some((key, value)) = text.split_once('<') {
        (key, Operator::LessThan(bound(value)?))
    } else if let Some(open) = text.find('(') {
        set_requirement(text, open)?
    } else {
        (text, Operator::Exists)
    };
    let key = key.trim();
    let valid = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if let Some((_, "in" | "notin", rest)) = set_words(key) {
        return Err(format!("found '{rest}' expected: '('"));
    }
    match !key.is_empty() && key.chars().all(valid) {
        true => Ok(Requirement { key: key.to_owned(), operator }),
        false => Err(format!("found '{text}', expected: identifier")),
    }
}

/// `a in b`, which lacks its parentheses.
fn set_words(text: &str) -> Option<(&str, &str, &str)> {
    let mut words = text.split_whitespace();
    Some((words.next()?, words.next()?, words.next()?))
}

fn set_requirement(text: &str, open: usize) -> Result<(&str, Operator), String> {
    let (head, values) = text.split_at(open);
    let inner = values.strip_prefix('(').and_then(|rest| rest.trim_end().strip_suffix(')'));
    let inner = inner.ok_or_else(|| format!("found '{values}', expected: ',' or ')'"))?;
    let values: Vec<String> = inner.split(',').map(|value| value.trim().to_owned()).collect();
    let mut words = head.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(key), Some("in"), None) => Ok((key, Operator::In(values))),
        (Some(key), Some("notin"), None) => Ok((key, Operator::NotIn(values))),
        _ => Err(format!("found '{head}', expected: in, notin, =, ==, !=, gt, lt")),
    }
}

fn bound(text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| format!("found '{text}', expected: an integer"))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_choose_by_labels() {
        let labels = json!({"app": "web", "tier": "front", "rank": "7"});
        let rows: &[(&str, Result<bool, &str>)] = &[
            ("", Ok(true)),
            ("app=web", Ok(true)),
            ("app==web,tier=front", Ok(true)),
            ("app=web,tier=back", Ok(false)),
            ("app!=web", Ok(false)),
            ("missing!=web", Ok(true)),
            ("app in (web, api)", Ok(true)),
            ("app notin (web,api)", Ok(false)),
            ("missing notin (web)", Ok(true)),
            ("app", Ok(true)),
            ("!app", Ok(false)),
            ("!missing", Ok(true)),
            ("rank>6", Ok(true)),
            ("rank<7", Ok(false)),
            ("app in (web),tier notin (back,side),rank", Ok(true)),
            ("app in web", Err("found 'web' expected: '('")),
            ("=web", Err("found '=web', expected: identifier")),
        ];
        for (text, expected) in rows {
            let found = LabelSelector::parse(text).map(|selector| selector.matches(&labels));
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }
}

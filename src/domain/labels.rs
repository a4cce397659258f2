//! Label selectors with Kubernetes' meaning.

use std::collections::BTreeMap;

/// Operator of a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LabelRequirement {
    /// Label key.
    pub key: String,
    /// How the value is tested.
    pub operator: Operator,
    /// The values to compare with; empty for `Exists` and `DoesNotExist`.
    pub values: Vec<String>,
}

/// A selector: every requirement must hold; an empty one selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct LabelSelector {
    /// The requirements.
    pub requirements: Vec<LabelRequirement>,
}

impl LabelSelector {
    /// Whether it selects an object with these labels.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.first_failure(labels).is_none()
    }

    /// The first requirement that does not hold.
    pub fn first_failure(&self, labels: &BTreeMap<String, String>) -> Option<&LabelRequirement> {
        self.requirements.iter().find(|requirement| !requirement.holds(labels))
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl LabelRequirement {
    /// Whether it holds. As in Kubernetes, `NotIn` holds where the label is absent.
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn => value.is_none_or(|v| !self.values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl std::fmt::Display for LabelRequirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.operator {
            Operator::In => write!(f, "{} in ({})", self.key, self.values.join(",")),
            Operator::NotIn => write!(f, "{} notin ({})", self.key, self.values.join(",")),
            Operator::Exists => f.write_str(&self.key),
            Operator::DoesNotExist => write!(f, "!{}", self.key),
        }
    }
}

/// Namespaces and keys of Kubernetes that are an administrator's to set.
const ADMINISTRATORS_PREFIXES: [&str; 2] = ["node-role.kubernetes.io", "node-restriction.kubernetes.io"];
const ADMINISTRATORS_KEYS: [&str; 1] = ["node.kubernetes.io/exclude-from-external-load-balancers"];

/// Whether the key of a label, annotation or taint belongs to Kubernetes itself, so that no rule may set it: its prefix
/// is, or ends at a dot in, `kubernetes.io` or `k8s.io`, and it is none of those that are an administrator's to set.
pub fn is_reserved_key(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else {
        return false;
    };
    let within = |domain: &str| prefix.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    (within("kubernetes.io") || within("k8s.io"))
        && !ADMINISTRATORS_KEYS.contains(&key)
        && !ADMINISTRATORS_PREFIXES.iter().any(|prefix| within(prefix))
}

impl std::fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, requirement) in self.requirements.iter().enumerate() {
            write!(f, "{}{requirement}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// A text that is no label selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a label selector: {problem}; write for example tier=web,zone in (a,b),!spare")]
pub struct SelectorError {
    problem: String,
}

impl std::str::FromStr for LabelSelector {
    type Err = SelectorError;

    /// Reads Kubernetes' text form: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, joined by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let requirements = split_requirements(text).into_iter().map(requirement).collect::<Result<_, _>>();
        requirements.map(|requirements| Self { requirements }).map_err(|problem| SelectorError { problem })
    }
}

/// Splits at the commas that are not within parentheses.
fn split_requirements(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    if parts.iter().all(|part| part.trim().is_empty()) && parts.len() == 1 {
        parts.clear();
    }
    parts
}

fn requirement(text: &str) -> Result<LabelRequirement, String> {
    let text = text.trim();
    let (key, operator, values) = if let Some(key) = text.strip_prefix('!') {
        (key, Operator::DoesNotExist, Vec::new())
    } else if let Some((key, value)) = text.split_once("!=") {
        (key, Operator::NotIn, vec![value])
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Operator::In, vec![value])
    } else if let Some((before, values)) = text.split_once('(') {
        let values =
            values.trim_end().strip_suffix(')').ok_or_else(|| format!("{text:?} lacks a closing parenthesis"))?;
        let (key, word) =
            before.trim_end().rsplit_once(char::is_whitespace).ok_or_else(|| format!("{text:?} lacks a key"))?;
        let operator = match word {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            _ => return Err(format!("{word:?} is no operator")),
        };
        (key, operator, values.split(',').collect())
    } else {
        (text, Operator::Exists, Vec::new())
    };
    let key = key.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || !key.chars().all(|c| allowed(c) || c == '/') {
        return Err(format!("{key:?} is no label key"));
    }
    let values: Vec<String> = values.into_iter().map(|value| value.trim().to_owned()).collect();
    match values.iter().find(|value| value.len() > 63 || !value.chars().all(allowed)) {
        Some(value) => Err(format!("{value:?} is no label value")),
        None => Ok(LabelRequirement { key: key.to_owned(), operator, values }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_read_and_what_is_none_is_refused() {
        for (text, expected) in [
            ("", Ok("")),
            ("a=b", Ok("a in (b)")),
            ("a == b , c!=d", Ok("a in (b),c notin (d)")),
            ("a in (b, c),!d,e", Ok("a in (b,c),!d,e")),
            ("a notin (b)", Ok("a notin (b)")),
            ("x.io/a=", Ok("x.io/a in ()")),
            ("a in (b", Err("\"a in (b\" lacks a closing parenthesis")),
            ("a of (b)", Err("\"of\" is no operator")),
            ("a=b,,c", Err("\"\" is no label key")),
            ("a b", Err("\"a b\" is no label key")),
            ("a=ü", Err("\"ü\" is no label value")),
        ] {
            let found = text.parse::<LabelSelector>().map(|s| s.to_string()).map_err(|e| e.problem);
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn selectors_mean_what_they_mean_in_kubernetes() {
        let labels = BTreeMap::from([("tier".to_owned(), "internal".to_owned())]);
        let requirement = |key: &str, operator, values: &[&str]| LabelRequirement {
            key: key.into(),
            operator,
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        let cases = [
            ("in", requirement("tier", Operator::In, &["internal", "x"]), true),
            ("in, other value", requirement("tier", Operator::In, &["x"]), false),
            ("in, absent", requirement("zone", Operator::In, &["x"]), false),
            ("not in", requirement("tier", Operator::NotIn, &["x"]), true),
            ("not in, absent", requirement("zone", Operator::NotIn, &["x"]), true),
            ("not in, listed", requirement("tier", Operator::NotIn, &["internal"]), false),
            ("exists", requirement("tier", Operator::Exists, &[]), true),
            ("exists, absent", requirement("zone", Operator::Exists, &[]), false),
            ("does not exist", requirement("zone", Operator::DoesNotExist, &[]), true),
            ("does not exist, there", requirement("tier", Operator::DoesNotExist, &[]), false),
        ];
        for (name, requirement, expected) in cases {
            let selector = LabelSelector { requirements: vec![requirement] };
            assert_eq!(selector.matches(&labels), expected, "{name}");
        }
        assert!(LabelSelector::default().matches(&labels));
    }
}

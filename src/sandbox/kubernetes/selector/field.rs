//! Field selectors: `metadata.name=a,spec.type!=b`.

use serde_json::Value;

use crate::sandbox::kubernetes::registry::{Resource, Rules};

/// All terms must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    field: String,
    value: String,
    wanted: bool,
}

impl FieldSelector {
    /// Parses the text; empty text selects everything.
    ///
    /// # Errors
    /// When a term has no operator, or its field is none by which the resource can be selected.
    pub(crate) fn parse(text: &str, resource: &Resource) -> Result<Self, String> {
        let parts = text.split(',').filter(|part| !part.is_empty());
        let terms = parts.map(|part| parse_term(part, resource)).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }

    /// Whether everything matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the object is meant.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| (read(object, &term.field) == term.value) == term.wanted)
    }

    /// Narrows to the object of that name.
    pub(crate) fn add_name(&mut self, name: &str) {
        self.terms.push(Term { field: "metadata.name".to_owned(), value: name.to_owned(), wanted: true });
    }
}

fn parse_term(text: &str, resource: &Resource) -> Result<Term, String> {
    let split = |operator: &str, wanted| text.split_once(operator).map(|(field, value)| (field, value, wanted));
    let found = split("!=", false).or_else(|| split("==", true)).or_else(|| split("=", true));
    let (field, value, wanted) =
        found.ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{text}'"))?;
    match selectable(resource).contains(&field) || (field == "metadata.namespace" && resource.namespaced()) {
        true => Ok(Term { field: field.to_owned(), value: value.to_owned(), wanted }),
        false => Err(not_supported(field, resource)),
    }
}

fn not_supported(field: &str, resource: &Resource) -> String {
    match resource.rules {
        Rules::Node
        | Rules::Event
        | Rules::Pod
        | Rules::Namespace
        | Rules::Secret
        | Rules::Service
        | Rules::CustomResource => {
            format!("field label not supported: {field}")
        }
        _ => format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
    }
}

fn selectable(resource: &Resource) -> &'static [&'static str] {
    match resource.rules {
        Rules::Node => &["metadata.name", "spec.unschedulable"],
        Rules::Service => &["metadata.name", "spec.clusterIP", "spec.type"],
        Rules::Namespace => &["metadata.name", "status.phase"],
        Rules::Secret => &["metadata.name", "type"],
        Rules::Pod => &[
            "metadata.name",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        Rules::Event => &[
            "metadata.name",
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "reason",
            "reportingComponent",
            "reportingController",
            "source",
            "type",
        ],
        _ => &["metadata.name"],
    }
}

fn read(object: &Value, field: &str) -> String {
    let field = match field.strip_prefix("regarding.") {
        Some(rest) => format!("involvedObject.{rest}"),
        None if field == "reportingController" => "reportingComponent".to_owned(),
        None if field == "source" => "source.component".to_owned(),
        None => field.to_owned(),
    };
    let found = field.split('.').fold(object, |value, part| &value[part]);
    match found {
        Value::String(text) => text.clone(),
        Value::Null if field == "spec.unschedulable" => "false".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;
    use crate::sandbox::kubernetes::registry::Registry;

    #[test]
    fn selectors_choose_by_the_fields_of_the_resource() {
        let node = json!({"metadata": {"name": "n"}, "spec": {}});
        let service = json!({"metadata": {"name": "s", "namespace": "x"}, "spec": {"type": "LoadBalancer"}});
        let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Node", "name": "n"}});
        let rows: &[(&str, &Value, &str, Option<bool>)] = &[
            ("nodes", &node, "metadata.name=n", Some(true)),
            ("nodes", &node, "spec.unschedulable=false", Some(true)),
            ("nodes", &node, "spec.unschedulable==true", Some(false)),
            ("nodes", &node, "metadata.namespace=x", None),
            ("nodes", &node, "spec.type=x", None),
            ("services", &service, "spec.type=LoadBalancer,metadata.namespace=x", Some(true)),
            ("services", &service, "spec.type!=LoadBalancer", Some(false)),
            ("services", &service, "status.phase=x", None),
            ("services", &service, "metadata.name", None),
            ("events", &event, "involvedObject.kind=Node,involvedObject.name=n", Some(true)),
            ("events", &event, "regarding.kind=Service", Some(false)),
        ];
        let registry = Registry::built_in();
        for (plural, object, text, expected) in rows {
            let resource = registry.find("", "v1", plural).unwrap();
            let found = FieldSelector::parse(text, &resource).ok().map(|selector| selector.matches(object));
            assert_eq!(found, *expected, "{plural} {text}");
        }
    }
}

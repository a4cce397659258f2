//! The form of an answer.

use http::{HeaderMap, header};

use super::query::Query;
use super::status::Refusal;

/// The form in which the client wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Representation {
    /// The objects themselves.
    Full,
    /// `metav1.Table`, for kubectl's columns.
    Table(RowObject),
    /// `metav1.PartialObjectMetadata`.
    Metadata,
}

/// How much of the object a table row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowObject {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Full,
}

impl Representation {
    /// Chooses by the Accept header; the first form that can be given wins.
    ///
    /// # Errors
    /// When none can be given.
    pub(crate) fn of(headers: &HeaderMap, query: &Query) -> Result<Self, Refusal> {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.trim().is_empty() {
            return Ok(Self::Full);
        }
        let chosen = accept.split(',').find_map(|clause| form_of(clause, query));
        chosen.ok_or_else(Refusal::not_acceptable)
    }
}

fn form_of(clause: &str, query: &Query) -> Option<Representation> {
    let mut parts = clause.split(';').map(str::trim);
    let media = parts.next()?;
    if !matches!(media, "application/json" | "application/*" | "*/*") {
        return None;
    }
    let parameter = |key: &str| {
        clause.split(';').filter_map(|part| part.trim().split_once('=')).find(|(name, _)| *name == key).map(|(_, v)| v)
    };
    let row_object = match query.get("includeObject") {
        Some("None") => RowObject::None,
        Some("Object") => RowObject::Full,
        _ => RowObject::Metadata,
    };
    match (parameter("as"), parameter("v")) {
        (None, _) => Some(Representation::Full),
        (Some("Table"), Some("v1")) => Some(Representation::Table(row_object)),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("v1")) => Some(Representation::Metadata),
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_first_form_that_can_be_given_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let rows: &[(&str, Option<Representation>)] = &[
            ("", Some(Representation::Full)),
            ("*/*", Some(Representation::Full)),
            ("application/json", Some(Representation::Full)),
            ("application/vnd.kubernetes.protobuf, application/json", Some(Representation::Full)),
            ("application/vnd.kubernetes.protobuf", None),
            (kubectl, Some(Representation::Table(RowObject::Metadata))),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some(Representation::Metadata)),
            ("text/html", None),
        ];
        for (accept, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            let found = Representation::of(&headers, &Query::default()).ok();
            assert_eq!(found, *expected, "{accept}");
        }
    }
}

//! Answers in the form that the client asked for.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::events;
use super::negotiate::{Representation, RowObject};
use super::object;
use super::registry::{Resource, Rules};
use super::request::ResourceRequest;
use super::server;
use super::store::Object;
use super::table;

/// What a list says about itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page {
    /// The version the objects were read at.
    pub(crate) revision: u64,
    /// Token of the next page, and how many objects it leads to if that is known.
    pub(crate) next: Option<(String, Option<usize>)>,
}

/// One object.
pub(crate) fn one(request: &ResourceRequest, value: &Value) -> Response<Body> {
    let resource = request.resource();
    let body = match request.representation {
        Representation::Full => return json_bytes(typed_json(resource, value)),
        Representation::Metadata => partial(value, "PartialObjectMetadata"),
        Representation::Table(rows) => {
            let metadata = json!({"resourceVersion": object::meta(value, "resourceVersion")});
            table(resource, std::slice::from_ref(value), rows, &metadata, table::Columns::Shown)
        }
    };
    server::json(StatusCode::OK, &body)
}

/// A list.
pub(crate) fn many(request: &ResourceRequest, objects: &[Arc<Object>], page: &Page) -> Response<Body> {
    let resource = request.resource();
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if resource.custom.is_some() {
        // Lists of built-in kinds leave it out when there is no next page.
        metadata["continue"] = json!("");
    }
    if let Some((token, remaining)) = &page.next {
        metadata["continue"] = Value::from(token.clone());
        if let Some(remaining) = remaining {
            metadata["remainingItemCount"] = Value::from(*remaining);
        }
    }
    let body = match request.representation {
        Representation::Full => return json_bytes(full_list(resource, objects, &metadata)),
        Representation::Metadata => {
            let items: Vec<Value> =
                objects.iter().map(|object| partial(&object.value, "PartialObjectMetadata")).collect();
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items})
        }
        Representation::Table(rows) => {
            let values: Vec<Value> = objects.iter().map(|object| served(resource, &object.value)).collect();
            table(resource, &values, rows, &metadata, table::Columns::Shown)
        }
    };
    server::json(StatusCode::OK, &body)
}

/// The object of a watch event.
pub(crate) fn watched(
    resource: &Resource,
    representation: Representation,
    object: &Object,
    columns: table::Columns,
) -> Bytes {
    match representation {
        Representation::Full if converted(resource) => typed_json(resource, &object.value),
        Representation::Full => with_head(&type_head(resource), object.json()),
        Representation::Metadata => Bytes::from(partial(&object.value, "PartialObjectMetadata").to_string()),
        Representation::Table(rows) => {
            let metadata = json!({"resourceVersion": object::meta(&object.value, "resourceVersion")});
            let value = served(resource, &object.value);
            Bytes::from(table(resource, &[value], rows, &metadata, columns).to_string())
        }
    }
}

fn full_list(resource: &Resource, objects: &[Arc<Object>], metadata: &Value) -> Bytes {
    let size: usize = objects.iter().map(|object| object.json().len() + 64).sum();
    let mut out = BytesMut::with_capacity(size + 256);
    let (kind, version) = (&resource.list_kind, resource.api_version());
    out.extend_from_slice(
        format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":[").as_bytes(),
    );
    // Items of built-in lists carry no type of their own; items of custom ones do.
    let head = (resource.rules == Rules::CustomResource).then(|| type_head(resource));
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b",");
        }
        match &head {
            Some(head) => out.extend_from_slice(&with_head(head, object.json())),
            None if converted(resource) => {
                out.extend_from_slice(served(resource, &object.value).to_string().as_bytes());
            }
            None => out.extend_from_slice(object.json()),
        }
    }
    out.extend_from_slice(b"]}");
    out.freeze()
}

/// Whether objects are stored in the form of another group.
fn converted(resource: &Resource) -> bool {
    resource.group != resource.collection.group
}

/// The object as its group and version shows it.
pub(crate) fn served(resource: &Resource, value: &Value) -> Value {
    if converted(resource) { events::from_core(value) } else { value.clone() }
}

fn typed_json(resource: &Resource, value: &Value) -> Bytes {
    Bytes::from(object::with_type(&served(resource, value), resource).to_string())
}

fn type_head(resource: &Resource) -> String {
    format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",", resource.kind, resource.api_version())
}

fn with_head(head: &str, json: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(head.len() + json.len());
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(json.get(1..).unwrap_or_default());
    out.freeze()
}

fn partial(value: &Value, kind: &str) -> Value {
    json!({"kind": kind, "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]})
}

fn table(resource: &Resource, values: &[Value], rows: RowObject, metadata: &Value, columns: table::Columns) -> Value {
    let object_of = |value: &Value| match rows {
        RowObject::None => Value::Null,
        RowObject::Metadata => partial(value, "PartialObjectMetadata"),
        RowObject::Full => object::with_type(value, resource),
    };
    let rows: Vec<Value> = values
        .iter()
        .map(|value| {
            let mut row = json!({"cells": table::cells(resource, value)});
            let object = object_of(value);
            if !object.is_null() {
                row["object"] = object;
            }
            row
        })
        .collect();
    let definitions = match columns {
        table::Columns::Shown => Value::Array(table::columns(resource)),
        table::Columns::Hidden => Value::Null,
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn json_bytes(bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

//! Objects of a cluster from manifests, and devices from Metal's JSON.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as api;
use serde_json::Value;

use super::input::Input;
use crate::domain::{Device, DeviceId, DeviceState, Node, ProviderId, Service};
use crate::kubernetes::convert;

/// What manifests tell.
#[derive(Debug, Default)]
pub struct Objects {
    /// Services and Nodes, in the order given.
    pub subjects: Vec<Subject>,
    /// Labels of Namespaces, by name.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Kinds that no policy decides about, each with its name.
    pub strangers: Vec<String>,
}

/// An object that a policy decides about.
#[derive(Debug)]
pub enum Subject {
    /// A Service.
    Service(Box<Service>),
    /// A Node.
    Node(Box<Node>),
}

impl Objects {
    /// Adds the objects of a file: one or several documents, or a List of them.
    ///
    /// # Errors
    /// What is wrong, with the file's name.
    pub fn add(&mut self, input: &Input, namespace: &str) -> Result<(), String> {
        let named = |reason: String| format!("{}: {reason}", input.name);
        let text = std::str::from_utf8(&input.bytes).map_err(|_| named("expected UTF-8 text".to_owned()))?;
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|error| named(first_line(&error.to_string())))?;
        for document in documents {
            self.add_object(document, namespace).map_err(named)?;
        }
        Ok(())
    }

    /// The labels of a Namespace. One that no manifest tells of has the label that Kubernetes gives to each.
    pub fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let mut labels = self.namespaces.get(namespace).cloned().unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.to_owned());
        labels
    }

    fn add_object(&mut self, object: Value, namespace: &str) -> Result<(), String> {
        let field = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (version, kind) = (field("apiVersion"), field("kind"));
        match (version.as_str(), kind.as_str()) {
            ("v1", "List" | "ServiceList" | "NodeList" | "NamespaceList") => self.add_list(object, &kind, namespace),
            ("v1", "Service") => {
                let mut service = convert::service(&typed::<api::Service>(object, &kind)?);
                if service.key.namespace.is_empty() {
                    service.key.namespace = namespace.to_owned();
                }
                self.subjects.push(Subject::Service(Box::new(service)));
                Ok(())
            }
            ("v1", "Node") => {
                let node = convert::node(&typed::<api::Node>(object, &kind)?);
                self.subjects.push(Subject::Node(Box::new(node)));
                Ok(())
            }
            ("v1", "Namespace") => {
                let meta = typed::<api::Namespace>(object, &kind)?.metadata;
                self.namespaces.insert(meta.name.unwrap_or_default(), meta.labels.unwrap_or_default());
                Ok(())
            }
            ("", _) | (_, "") => Err("expected a Kubernetes object with apiVersion and kind".to_owned()),
            _ => {
                let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                self.strangers.push(format!("{kind} {name}").trim().to_owned());
                Ok(())
            }
        }
    }

    /// Items of a typed list carry neither apiVersion nor kind of their own.
    fn add_list(&mut self, object: Value, kind: &str, namespace: &str) -> Result<(), String> {
        let Some(Value::Array(items)) = object.get("items").cloned() else {
            return Ok(());
        };
        for mut item in items {
            if let (Some(of), Some(fields)) =
                (kind.strip_suffix("List").filter(|of| !of.is_empty()), item.as_object_mut())
            {
                fields.entry("apiVersion").or_insert("v1".into());
                fields.entry("kind").or_insert(of.into());
            }
            self.add_object(item, namespace)?;
        }
        Ok(())
    }
}

fn typed<T: serde::de::DeserializeOwned>(object: Value, kind: &str) -> Result<T, String> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    serde_json::from_value(object).map_err(|error| format!("{kind} {name}: {error}"))
}

/// Reads devices: one, a list, or an answer of the API with `devices`.
///
/// # Errors
/// What is wrong, with the file's name.
pub fn devices(input: &Input) -> Result<Vec<Device>, String> {
    let value: Value = serde_json::from_slice(&input.bytes).map_err(|error| format!("{}: {error}", input.name))?;
    let items = match value {
        Value::Array(items) => items,
        Value::Object(mut fields) => match fields.remove("devices") {
            Some(Value::Array(items)) => items,
            Some(_) | None => vec![Value::Object(fields)],
        },
        _ => return Err(format!("{}: expected a device of Metal's API, or a list of them", input.name)),
    };
    items
        .into_iter()
        .map(|item| {
            crate::metal::device_from_json(item)
                .ok_or_else(|| format!("{}: expected a device of Metal's API, which has an id", input.name))
        })
        .collect()
}

/// The device of a Node among those that are known, by provider ID or else by name.
pub fn device_of<'a>(node: &Node, devices: &'a [Device]) -> Option<&'a Device> {
    match node.provider_id.parse::<ProviderId>() {
        Ok(id) => devices.iter().find(|device| device.id == *id.device()),
        Err(_) => devices.iter().find(|device| device.hostname == node.name),
    }
}

/// What a Node itself tells of the device behind it; its tags are not among that.
pub fn device_as_node_tells(node: &Node) -> Device {
    let label = |key: &str| node.labels.get(key).filter(|value| !value.is_empty()).cloned();
    let id = node.provider_id.parse::<ProviderId>().map(|id| id.device().clone());
    Device {
        id: id.unwrap_or_else(|_| DeviceId::new("")),
        hostname: node.name.clone(),
        state: DeviceState::Active,
        tags: Vec::new(),
        instance_type: label("node.kubernetes.io/instance-type"),
        metro: label("topology.kubernetes.io/region"),
        facility: label("topology.kubernetes.io/zone"),
        addresses: Vec::new(),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

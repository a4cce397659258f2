//! Kubernetes' objects as the domain sees them, and the domain's values as Kubernetes wants them. Nothing here fails:
//! what the API server stores is taken as it is, and what it would not store reads as absent.
//!
//! [`Node::taints`] lists the taints whose effect Kubernetes knows today. A list of taints is only ever written whole,
//! so the others are put back from the stored list by [`merged_taints`] when one is written.

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::domain::{
    Ingress, IpFamily, Node, NodeAddress, NodeAddressType, Protocol, Readiness, Service, ServiceKey, ServicePort,
    ServiceType, Taint, TaintEffect, TrafficPolicy,
};

/// A Service as read.
pub fn service(object: &api::Service) -> Service {
    let meta = &object.metadata;
    let empty = api::ServiceSpec::default();
    let spec = object.spec.as_ref().unwrap_or(&empty);
    Service {
        key: ServiceKey::new(text(&meta.namespace), text(&meta.name)),
        uid: text(&meta.uid),
        resource_version: text(&meta.resource_version),
        created_at: meta.creation_timestamp.as_ref().map_or_else(String::new, |time| time.0.to_string()),
        deleting: meta.deletion_timestamp.is_some(),
        labels: meta.labels.clone().unwrap_or_default(),
        annotations: meta.annotations.clone().unwrap_or_default(),
        finalizers: meta.finalizers.clone().unwrap_or_default(),
        kind: service_type(spec.type_.as_deref()),
        load_balancer_class: spec.load_balancer_class.clone(),
        load_balancer_ip: spec.load_balancer_ip.clone().filter(|ip| !ip.is_empty()),
        source_ranges: spec.load_balancer_source_ranges.clone().unwrap_or_default(),
        external_ips: spec.external_ips.clone().unwrap_or_default(),
        ports: spec.ports.iter().flatten().map(service_port).collect(),
        ip_families: spec.ip_families.iter().flatten().filter_map(|f| ip_family(f)).collect(),
        external_traffic_policy: match spec.external_traffic_policy.as_deref() {
            Some("Local") => TrafficPolicy::Local,
            Some(_) | None => TrafficPolicy::Cluster,
        },
        health_check_node_port: port_number(spec.health_check_node_port),
        session_affinity: session_affinity(spec),
        ingress: object
            .status
            .iter()
            .filter_map(|status| status.load_balancer.as_ref())
            .flat_map(|balancer| balancer.ingress.iter().flatten())
            .map(ingress)
            .collect(),
    }
}

/// A Node as read.
pub fn node(object: &api::Node) -> Node {
    let meta = &object.metadata;
    let spec = object.spec.as_ref();
    let status = object.status.as_ref();
    let ready = status
        .and_then(|status| status.conditions.as_ref())
        .and_then(|conditions| conditions.iter().find(|condition| condition.type_ == "Ready"));
    Node {
        name: text(&meta.name),
        uid: text(&meta.uid),
        resource_version: text(&meta.resource_version),
        created_at: seconds(meta.creation_timestamp.as_ref()),
        deleting: meta.deletion_timestamp.is_some(),
        labels: meta.labels.clone().unwrap_or_default(),
        annotations: meta.annotations.clone().unwrap_or_default(),
        provider_id: spec.map_or_else(String::new, |spec| text(&spec.provider_id)),
        unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
        taints: spec.and_then(|spec| spec.taints.as_ref()).into_iter().flatten().filter_map(taint).collect(),
        addresses: status
            .and_then(|status| status.addresses.as_ref())
            .into_iter()
            .flatten()
            .map(|address| NodeAddress::new(NodeAddressType::parse(&address.type_), &address.address))
            .collect(),
        readiness: match ready {
            Some(condition) if condition.status == "True" => Readiness::Ready,
            Some(_) | None => Readiness::NotReady,
        },
        readiness_since: seconds(ready.and_then(|condition| condition.last_transition_time.as_ref())),
    }
}

/// `status.loadBalancer.ingress` to write. Entries without `ipMode` are given the default, `VIP`, by the API server,
/// and compare equal to what was written because [`Ingress`] leaves the mode out.
pub fn ingress_list(entries: &[Ingress]) -> Value {
    let entry = |entry: &Ingress| {
        let mut fields = serde_json::Map::new();
        if let Some(ip) = entry.ip {
            fields.insert("ip".into(), json!(ip));
        }
        if let Some(hostname) = &entry.hostname {
            fields.insert("hostname".into(), json!(hostname));
        }
        Value::Object(fields)
    };
    Value::Array(entries.iter().map(entry).collect())
}

/// `status.addresses` to write, whole.
pub fn address_list(addresses: &[NodeAddress]) -> Value {
    addresses.iter().map(|address| json!({ "type": address.kind.as_str(), "address": address.address })).collect()
}

/// The list of taints to write: `stored` (as the API server has it) made to hold exactly the `wanted` ones among those
/// with a known effect.
///
/// # Guarantees
/// Taints with an effect this program does not know stay. Order stays, new ones come last. A taint that does not change
/// keeps every field it has, `timeAdded` included.
pub fn merged_taints(stored: &[Value], wanted: &[Taint]) -> Vec<Value> {
    let kept = stored.iter().filter_map(|raw| match parse_taint(raw) {
        None => Some(raw.clone()),
        Some(taint) => wanted
            .iter()
            .find(|w| w.same_identity(&taint))
            .map(|w| if w.value == taint.value { raw.clone() } else { taint_value(w) }),
    });
    let held: Vec<Taint> = stored.iter().filter_map(parse_taint).collect();
    let added = wanted.iter().filter(|w| !held.iter().any(|h| h.same_identity(w)));
    kept.chain(added.map(taint_value)).collect()
}

/// What an Event says it is about: the Service.
pub fn service_reference(service: &Service) -> api::ObjectReference {
    api::ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Service".into()),
        namespace: Some(service.key.namespace.clone()),
        name: Some(service.key.name.clone()),
        uid: Some(service.uid.clone()),
        resource_version: Some(service.resource_version.clone()),
        ..api::ObjectReference::default()
    }
}

/// What an Event says it is about: the Node.
pub fn node_reference(node: &Node) -> api::ObjectReference {
    api::ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Node".into()),
        name: Some(node.name.clone()),
        uid: Some(node.uid.clone()),
        ..api::ObjectReference::default()
    }
}

/// Name of an object, with its Namespace where it has one, for messages.
pub fn object_name(kind: &str, meta: &ObjectMeta) -> String {
    match (&meta.namespace, &meta.name) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        (Some(_) | None, None) => kind.to_owned(),
    }
}

fn text(value: &Option<String>) -> String {
    value.clone().unwrap_or_default()
}

fn seconds(time: Option<&Time>) -> i64 {
    time.map_or(0, |time| time.0.as_second())
}

fn service_type(word: Option<&str>) -> ServiceType {
    match word {
        Some("LoadBalancer") => ServiceType::LoadBalancer,
        Some("NodePort") => ServiceType::NodePort,
        Some("ExternalName") => ServiceType::ExternalName,
        Some(_) | None => ServiceType::ClusterIp,
    }
}

fn port_number(number: Option<i32>) -> u16 {
    number.and_then(|number| u16::try_from(number).ok()).unwrap_or(0)
}

fn service_port(port: &api::ServicePort) -> ServicePort {
    ServicePort {
        name: text(&port.name),
        protocol: match port.protocol.as_deref() {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            Some(_) | None => Protocol::Tcp,
        },
        port: port_number(Some(port.port)),
        node_port: port_number(port.node_port),
        target_port: match &port.target_port {
            Some(IntOrString::Int(number)) => number.to_string(),
            Some(IntOrString::String(name)) => name.clone(),
            None => String::new(),
        },
        app_protocol: text(&port.app_protocol),
    }
}

fn ip_family(word: &str) -> Option<IpFamily> {
    match word {
        "IPv4" => Some(IpFamily::V4),
        "IPv6" => Some(IpFamily::V6),
        _ => None,
    }
}

fn session_affinity(spec: &api::ServiceSpec) -> String {
    let timeout = spec
        .session_affinity_config
        .as_ref()
        .and_then(|config| config.client_ip.as_ref())
        .and_then(|client| client.timeout_seconds);
    match (spec.session_affinity.as_deref(), timeout) {
        (affinity, None) => affinity.unwrap_or("None").to_owned(),
        (affinity, Some(timeout)) => format!("{}:{timeout}", affinity.unwrap_or("None")),
    }
}

fn ingress(entry: &api::LoadBalancerIngress) -> Ingress {
    Ingress {
        ip: entry.ip.as_deref().and_then(|ip| ip.parse().ok()),
        hostname: entry.hostname.clone().filter(|name| !name.is_empty()),
    }
}

fn taint_effect(word: &str) -> Option<TaintEffect> {
    match word {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        _ => None,
    }
}

fn taint(taint: &api::Taint) -> Option<Taint> {
    Some(Taint { key: taint.key.clone(), value: text(&taint.value), effect: taint_effect(&taint.effect)? })
}

fn parse_taint(raw: &Value) -> Option<Taint> {
    let word = |field: &str| raw.get(field).and_then(Value::as_str);
    Some(Taint {
        key: word("key")?.to_owned(),
        value: word("value").unwrap_or_default().to_owned(),
        effect: taint_effect(word("effect")?)?,
    })
}

fn taint_value(taint: &Taint) -> Value {
    let mut value = json!({ "key": taint.key, "effect": taint.effect.as_str() });
    if !taint.value.is_empty() {
        value["value"] = json!(taint.value);
    }
    value
}

#[cfg(test)]
mod tests;

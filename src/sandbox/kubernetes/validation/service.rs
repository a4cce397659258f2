//! v1 Service.

use std::collections::BTreeSet;

use serde_json::{Value, json};

pub(crate) use super::service_addresses::cluster_ips;
use super::{ip, metadata, name};
use crate::sandbox::kubernetes::field_error::FieldError;
use crate::sandbox::kubernetes::object;
use crate::sandbox::kubernetes::service::{self, ServiceType};

const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const ONLY_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";

/// What is wrong with a Service; `old` is its state before, if there was one.
pub(crate) fn check(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let spec = &new["spec"];
    let kind = object::text(new, "spec.type");
    let mut errors = Vec::new();
    let ports = object::items(new, "spec.ports");
    if ports.is_empty() && !service::is_headless(new) && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    errors.extend(by_type(new));
    errors.extend(each_port(ports));
    if spec["selector"].is_object() {
        errors.extend(metadata::labels(&spec["selector"], "spec.selector"));
    }
    errors.extend(session_affinity(spec));
    errors.extend(cluster_ips(new, old));
    for (index, address) in object::items(new, "spec.externalIPs").iter().enumerate() {
        let field = format!("spec.externalIPs[{index}]");
        let text = address.as_str().unwrap_or_default();
        errors.extend(ip::address(&field, text).or_else(|| ip::special(&field, text)));
    }
    if ServiceType::of(new).is_none() {
        let known = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
        errors.push(FieldError::not_supported("spec.type", kind, known));
    }
    errors.extend(port_pairs(ports, kind));
    errors.extend(source_ranges(new, old));
    errors.extend(load_balancer_fields(new));
    errors.extend(traffic_policies(new));
    errors
}

/// What is wrong with a change of a Service.
pub(crate) fn check_change(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = super::service_addresses::changes(old, new);
    let both_balanced = service::is_load_balancer(old) && service::is_load_balancer(new);
    if both_balanced && old["spec"]["loadBalancerClass"] != new["spec"]["loadBalancerClass"] {
        let value = new["spec"]["loadBalancerClass"].clone();
        errors.push(FieldError::invalid("spec.loadBalancerClass", value, "may not change once set"));
    }
    errors.extend(class(new));
    let port = "healthCheckNodePort";
    let both_checked = service::needs_health_check(old) && service::needs_health_check(new);
    if both_checked && old["spec"][port] != new["spec"][port] {
        errors.push(FieldError::forbidden("spec.healthCheckNodePort", "field is immutable"));
    }
    errors.extend(check(new, Some(old)));
    errors
}

/// What is wrong with the status of a Service.
pub(crate) fn check_status(new: &Value) -> Vec<FieldError> {
    let field = "status.loadBalancer.ingress";
    let ingress = object::items(new, field);
    if !service::is_load_balancer(new) {
        return match ingress.is_empty() {
            true => Vec::new(),
            false => vec![FieldError::forbidden(field, "may only be used when `spec.type` is 'LoadBalancer'")],
        };
    }
    ingress.iter().enumerate().flat_map(|(index, entry)| check_ingress(&format!("{field}[{index}]"), entry)).collect()
}

fn check_ingress(field: &str, entry: &Value) -> Vec<FieldError> {
    let (address, host, mode) =
        (object::text(entry, "ip"), object::text(entry, "hostname"), object::text(entry, "ipMode"));
    let mode_field = format!("{field}.ipMode");
    let mut errors = Vec::new();
    if !address.is_empty() {
        errors.extend(ip::address(&format!("{field}.ip"), address));
    }
    if entry["ipMode"].is_null() {
        if !address.is_empty() {
            errors.push(FieldError::required(mode_field, "must be specified when `ip` is set"));
        }
    } else if address.is_empty() {
        errors.push(FieldError::forbidden(mode_field, "may not be specified when `ip` is not set"));
    } else if !matches!(mode, "VIP" | "Proxy") {
        errors.push(FieldError::not_supported(mode_field, mode, &["Proxy", "VIP"]));
    }
    if !host.is_empty() {
        let host_field = format!("{field}.hostname");
        let faults = name::dns1123_subdomain(host).into_iter();
        errors.extend(faults.map(|fault| FieldError::invalid(host_field.clone(), host, fault)));
        if ip::parse(host).is_some() {
            errors.push(FieldError::invalid(host_field, host, "must be a DNS name, not an IP address"));
        }
    }
    errors
}

fn by_type(new: &Value) -> Vec<FieldError> {
    let headless_refused = |kind: &str| {
        let why = format!("may not be set to 'None' for {kind} services");
        service::is_headless(new).then(|| FieldError::invalid("spec.clusterIPs[0]", "None", why)).into_iter().collect()
    };
    match ServiceType::of(new) {
        Some(ServiceType::LoadBalancer) => headless_refused("LoadBalancer"),
        Some(ServiceType::NodePort) => headless_refused("NodePort"),
        Some(ServiceType::ExternalName) => external_name(new),
        Some(ServiceType::ClusterIp) | None => Vec::new(),
    }
}

fn external_name(new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let why = "may not be set for ExternalName services";
    for field in ["clusterIPs", "ipFamilies"] {
        if !object::items(&new["spec"], field).is_empty() {
            errors.push(FieldError::forbidden(format!("spec.{field}"), why));
        }
    }
    if !new["spec"]["ipFamilyPolicy"].is_null() {
        errors.push(FieldError::forbidden("spec.ipFamilyPolicy", why));
    }
    let target = object::text(new, "spec.externalName").trim_end_matches('.');
    if target.is_empty() {
        errors.push(FieldError::required("spec.externalName", ""));
    }
    let faults = if target.is_empty() { Vec::new() } else { name::dns1123_subdomain(target) };
    errors.extend(faults.into_iter().map(|fault| FieldError::invalid("spec.externalName", target, fault)));
    errors
}

fn each_port(ports: &[Value]) -> Vec<FieldError> {
    let mut names = BTreeSet::new();
    let mut errors = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let given = object::text(port, "name");
        let name_field = format!("{field}.name");
        if given.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(name_field, ""));
        } else if !given.is_empty() {
            let faults = name::dns1123_label(given).into_iter();
            errors.extend(faults.map(|fault| FieldError::invalid(name_field.clone(), given, fault)));
            if !names.insert(given) {
                errors.push(FieldError::duplicate(name_field, given));
            }
        }
        let number = port["port"].as_i64().unwrap_or(0);
        let faults = name::port(number).into_iter();
        errors.extend(faults.map(|fault| FieldError::invalid(format!("{field}.port"), number, fault)));
        let protocol = object::text(port, "protocol");
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            errors.push(FieldError::not_supported(format!("{field}.protocol"), protocol, &["SCTP", "TCP", "UDP"]));
        }
        errors.extend(target_port(&format!("{field}.targetPort"), &port["targetPort"]));
        if let Some(protocol) = port["appProtocol"].as_str() {
            let faults = name::qualified(protocol).into_iter();
            errors.extend(faults.map(|fault| FieldError::invalid(format!("{field}.appProtocol"), protocol, fault)));
        }
    }
    errors
}

fn target_port(field: &str, target: &Value) -> Vec<FieldError> {
    let faults = match target {
        Value::String(named) => name::port_name(named),
        other => name::port(other.as_i64().unwrap_or(0)),
    };
    faults.into_iter().map(|fault| FieldError::invalid(field, target.clone(), fault)).collect()
}

fn port_pairs(ports: &[Value], kind: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut node_ports = BTreeSet::new();
    let numbered = ports.iter().enumerate().filter(|(_, port)| port["nodePort"].is_i64() || port["nodePort"].is_u64());
    for (index, port) in numbered {
        let field = format!("spec.ports[{index}].nodePort");
        if kind == "ClusterIP" {
            errors.push(FieldError::forbidden(field.clone(), "may not be used when `type` is 'ClusterIP'"));
        }
        if !node_ports.insert((object::text(port, "protocol"), port["nodePort"].as_i64())) {
            errors.push(FieldError::duplicate(field, port["nodePort"].clone()));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let protocol = object::text(port, "protocol");
        if !seen.insert((protocol, port["port"].as_i64())) {
            let members = [
                ("Name", json!("")),
                ("Protocol", json!(protocol)),
                ("AppProtocol", Value::Null),
                ("Port", port["port"].clone()),
                ("TargetPort", json!(0)),
                ("NodePort", json!(0)),
            ];
            errors.push(FieldError::duplicate_struct(format!("spec.ports[{index}]"), &members));
        }
    }
    errors
}

fn session_affinity(spec: &Value) -> Vec<FieldError> {
    let config = &spec["sessionAffinityConfig"];
    match object::text(spec, "sessionAffinity") {
        "ClientIP" => {
            let seconds = config["clientIP"]["timeoutSeconds"].as_i64().unwrap_or(0);
            let fits = seconds > 0 && seconds <= 86_400;
            let error = || {
                let why = "must be greater than 0 and less than 86400";
                FieldError::invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, why)
            };
            (!fits).then(error).into_iter().collect()
        }
        "None" if !config.is_null() => {
            let why = "must not be set when session affinity is None";
            vec![FieldError::forbidden("spec.sessionAffinityConfig", why)]
        }
        "None" => Vec::new(),
        other => vec![FieldError::not_supported("spec.sessionAffinity", other, &["ClientIP", "None"])],
    }
}

fn source_ranges(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let balanced = service::is_load_balancer(new);
    let ranges = object::items(new, "spec.loadBalancerSourceRanges");
    let mut errors = Vec::new();
    if !ranges.is_empty() {
        let field = "spec.LoadBalancerSourceRanges";
        if !balanced {
            errors.push(FieldError::forbidden(field, ONLY_LOAD_BALANCER));
        }
        for (index, range) in ranges.iter().enumerate() {
            errors.extend(ip::cidr(&format!("{field}[{index}]"), range.as_str().unwrap_or_default().trim()));
        }
        return errors;
    }
    let annotated = new["metadata"]["annotations"][SOURCE_RANGES].as_str();
    let Some(text) = annotated else { return errors };
    let field = format!("metadata.annotations[{SOURCE_RANGES}]");
    if !balanced {
        errors.push(FieldError::forbidden(field.clone(), ONLY_LOAD_BALANCER));
    }
    let changed = old.is_none_or(|old| old["metadata"]["annotations"][SOURCE_RANGES].as_str() != Some(text));
    if changed && !text.trim().is_empty() {
        errors.extend(text.split(',').filter_map(|range| ip::cidr(&field, range.trim())));
    }
    errors
}

fn load_balancer_fields(new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let ports = &new["spec"]["allocateLoadBalancerNodePorts"];
    if !ports.is_null() && !service::is_load_balancer(new) {
        errors.push(FieldError::forbidden("spec.allocateLoadBalancerNodePorts", ONLY_LOAD_BALANCER));
    }
    errors.extend(class(new));
    errors
}

fn class(new: &Value) -> Vec<FieldError> {
    let field = "spec.loadBalancerClass";
    match (new["spec"]["loadBalancerClass"].as_str(), service::is_load_balancer(new)) {
        (Some(_), false) => vec![FieldError::forbidden(field, ONLY_LOAD_BALANCER)],
        (Some(class), true) => {
            name::qualified(class).into_iter().map(|fault| FieldError::invalid(field, class, fault)).collect()
        }
        (None, _) => Vec::new(),
    }
}

fn traffic_policies(new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let external = object::text(new, "spec.externalTrafficPolicy");
    if !service::is_external(new) {
        if !external.is_empty() {
            let why = "may only be set for externally-accessible services";
            errors.push(FieldError::invalid("spec.externalTrafficPolicy", external, why));
        }
    } else if !matches!(external, "Cluster" | "Local") {
        errors.push(FieldError::not_supported("spec.externalTrafficPolicy", external, &["Cluster", "Local"]));
    }
    let port = new["spec"]["healthCheckNodePort"].as_i64().unwrap_or(0);
    let port_field = "spec.healthCheckNodePort";
    if service::needs_health_check(new) {
        let faults = name::port(port).into_iter();
        errors.extend(faults.map(|fault| FieldError::invalid(port_field, port, fault)));
    } else if port != 0 {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.push(FieldError::invalid(port_field, port, why));
    }
    let internal = new["spec"]["internalTrafficPolicy"].as_str();
    if let Some(internal) = internal.filter(|policy| !matches!(*policy, "Cluster" | "Local")) {
        errors.push(FieldError::not_supported("spec.internalTrafficPolicy", internal, &["Cluster", "Local"]));
    }
    let distribution = new["spec"]["trafficDistribution"].as_str();
    let known = &["PreferClose", "PreferSameZone", "PreferSameNode"];
    if let Some(distribution) = distribution.filter(|value| !known.contains(value)) {
        errors.push(FieldError::not_supported("spec.trafficDistribution", distribution, known));
    }
    errors
}

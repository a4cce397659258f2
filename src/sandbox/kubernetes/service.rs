//! v1 Service: what its fields mean together, its defaults, and what a change of type takes away.

use serde_json::{Map, Value, json};

use super::object;

/// `spec.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceType {
    ClusterIp,
    NodePort,
    LoadBalancer,
    ExternalName,
}

impl ServiceType {
    /// The type of a Service; nothing when it is none of the four.
    pub(crate) fn of(service: &Value) -> Option<Self> {
        match object::text(service, "spec.type") {
            "ClusterIP" => Some(Self::ClusterIp),
            "NodePort" => Some(Self::NodePort),
            "LoadBalancer" => Some(Self::LoadBalancer),
            "ExternalName" => Some(Self::ExternalName),
            _ => None,
        }
    }
}

/// Whether the type is LoadBalancer.
pub(crate) fn is_load_balancer(service: &Value) -> bool {
    ServiceType::of(service) == Some(ServiceType::LoadBalancer)
}

/// Whether the Service has no address by choice.
pub(crate) fn is_headless(service: &Value) -> bool {
    let first = object::items(service, "spec.clusterIPs").first().and_then(Value::as_str);
    first.unwrap_or_else(|| object::text(service, "spec.clusterIP")) == "None"
}

/// Whether the type needs a cluster address.
pub(crate) fn needs_cluster_ip(service: &Value) -> bool {
    ServiceType::of(service) != Some(ServiceType::ExternalName)
}

/// Whether the type uses node ports.
pub(crate) fn needs_node_ports(service: &Value) -> bool {
    matches!(ServiceType::of(service), Some(ServiceType::NodePort | ServiceType::LoadBalancer))
}

/// Whether node ports are given out unasked.
pub(crate) fn allocates_node_ports(service: &Value) -> bool {
    match ServiceType::of(service) {
        Some(ServiceType::NodePort) => true,
        Some(ServiceType::LoadBalancer) => service["spec"]["allocateLoadBalancerNodePorts"] != json!(false),
        Some(ServiceType::ClusterIp | ServiceType::ExternalName) | None => false,
    }
}

/// Whether clients outside the cluster reach the Service.
pub(crate) fn is_external(service: &Value) -> bool {
    let addressed = ServiceType::of(service) == Some(ServiceType::ClusterIp)
        && !object::items(service, "spec.externalIPs").is_empty();
    needs_node_ports(service) || addressed
}

/// Whether load balancers need a port of their own to check nodes.
pub(crate) fn needs_health_check(service: &Value) -> bool {
    is_load_balancer(service) && object::text(service, "spec.externalTrafficPolicy") == "Local"
}

/// Fills in what the API's decoder fills in.
pub(crate) fn default(service: &mut Value) {
    let spec = object::members_mut(object::members_mut(service).entry("spec").or_insert_with(|| json!({})));
    let empty =
        |spec: &Map<String, Value>, field: &str| spec.get(field).and_then(Value::as_str).is_none_or(str::is_empty);
    if empty(spec, "sessionAffinity") {
        spec.insert("sessionAffinity".to_owned(), json!("None"));
    }
    match spec["sessionAffinity"].as_str() {
        Some("None") => {
            spec.remove("sessionAffinityConfig");
        }
        Some("ClientIP") if spec.get("sessionAffinityConfig").is_none_or(lacks_timeout) => {
            spec.insert("sessionAffinityConfig".to_owned(), json!({"clientIP": {"timeoutSeconds": 10_800}}));
        }
        Some(_) | None => {}
    }
    if empty(spec, "type") {
        spec.insert("type".to_owned(), json!("ClusterIP"));
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    ports.into_iter().flatten().for_each(default_port);
    if is_external(service) && object::text(service, "spec.externalTrafficPolicy").is_empty() {
        service["spec"]["externalTrafficPolicy"] = json!("Cluster");
    }
    if kind != "ExternalName" && service["spec"]["internalTrafficPolicy"].is_null() {
        service["spec"]["internalTrafficPolicy"] = json!("Cluster");
    }
    if kind == "LoadBalancer" {
        if service["spec"]["allocateLoadBalancerNodePorts"].is_null() {
            service["spec"]["allocateLoadBalancerNodePorts"] = json!(true);
        }
        default_ingress(service);
    }
}

fn lacks_timeout(config: &Value) -> bool {
    config["clientIP"]["timeoutSeconds"].is_null()
}

fn default_port(port: &mut Value) {
    if object::text(port, "protocol").is_empty() {
        port["protocol"] = json!("TCP");
    }
    let unset = match &port["targetPort"] {
        Value::String(name) => name.is_empty(),
        other => other.as_i64().unwrap_or(0) == 0,
    };
    if unset {
        port["targetPort"] = port["port"].clone();
    }
}

fn default_ingress(service: &mut Value) {
    let ingress = service.pointer_mut("/status/loadBalancer/ingress").and_then(Value::as_array_mut);
    for entry in ingress.into_iter().flatten() {
        if entry["ipMode"].is_null() && !object::text(entry, "ip").is_empty() {
            entry["ipMode"] = json!("VIP");
        }
        if entry["ipMode"].is_null() {
            object::members_mut(entry).remove("ipMode");
        }
    }
}

/// Takes away what does not apply to the new type, as far as the client did not set it itself.
pub(crate) fn drop_type_dependent_fields(old: &Value, new: &mut Value) {
    let same = |new: &Value, field: &str| old["spec"][field] == new["spec"][field];
    let mut dropped: Vec<&str> = Vec::new();
    if needs_cluster_ip(old) && !needs_cluster_ip(new) {
        if same(new, "clusterIP") && same(new, "clusterIPs") {
            dropped.extend(["clusterIP", "clusterIPs"]);
        }
        dropped.extend(["ipFamilies", "ipFamilyPolicy"].into_iter().filter(|field| same(new, field)));
    }
    if needs_node_ports(old) && !needs_node_ports(new) && asks_no_new_node_port(old, new) {
        let ports = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            object::members_mut(port).remove("nodePort");
        }
    }
    if needs_health_check(old) && !needs_health_check(new) && same(new, "healthCheckNodePort") {
        dropped.push("healthCheckNodePort");
    }
    if is_load_balancer(old) && !is_load_balancer(new) {
        dropped.extend(
            ["allocateLoadBalancerNodePorts", "loadBalancerClass"].into_iter().filter(|field| same(new, field)),
        );
    }
    if is_external(old) && !is_external(new) && same(new, "externalTrafficPolicy") {
        dropped.push("externalTrafficPolicy");
    }
    let spec = object::members_mut(&mut new["spec"]);
    for field in dropped {
        spec.remove(field);
    }
    if !needs_cluster_ip(new) {
        object::members_mut(&mut new["spec"]).remove("internalTrafficPolicy");
    }
    if !is_load_balancer(new) {
        new["status"]["loadBalancer"] = json!({});
    }
}

/// What is accepted and has no effect, or will have none one day.
pub(crate) fn warnings(service: &Value) -> Vec<String> {
    let headless = is_headless(service);
    let by_name = ServiceType::of(service) == Some(ServiceType::ExternalName);
    let has_ips = !object::items(service, "spec.externalIPs").is_empty();
    let rows = [
        (
            headless && !object::text(service, "spec.loadBalancerIP").is_empty(),
            "spec.loadBalancerIP is ignored for headless services",
        ),
        (headless && has_ips, "spec.externalIPs is ignored for headless services"),
        (
            headless && object::text(service, "spec.sessionAffinity") != "None",
            "spec.SessionAffinity is ignored for headless services",
        ),
        (
            has_ips && !headless && !by_name,
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        ),
        (by_name && has_ips, "spec.externalIPs is ignored when spec.type is \"ExternalName\""),
        (
            !by_name && !object::text(service, "spec.externalName").is_empty(),
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ),
        (
            object::text(service, "spec.trafficDistribution") == "PreferClose",
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
        ),
    ];
    rows.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text.to_owned()).collect()
}

fn asks_no_new_node_port(old: &Value, new: &Value) -> bool {
    let numbers = |service: &Value| -> Vec<i64> {
        object::items(service, "spec.ports").iter().filter_map(|port| port["nodePort"].as_i64()).collect()
    };
    let before = numbers(old);
    numbers(new).iter().all(|number| before.contains(number))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_load_balancer_gets_its_defaults() {
        let mut service = json!({
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "sessionAffinity": "ClientIP"},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "a.example"}]}},
        });
        default(&mut service);
        let expected = json!({
            "spec": {
                "type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
                "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster",
                "allocateLoadBalancerNodePorts": true,
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}, {"hostname": "a.example"}]}},
        });
        assert_eq!(service, expected);
    }

    #[test]
    fn leaving_the_type_load_balancer_takes_its_fields_and_its_status_along() {
        let old = json!({
            "spec": {
                "type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30000}], "externalTrafficPolicy": "Local",
                "healthCheckNodePort": 30001, "allocateLoadBalancerNodePorts": true, "loadBalancerClass": "a/b",
                "clusterIP": "10.96.0.2",
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        });
        let mut new = old.clone();
        new["spec"]["type"] = json!("ClusterIP");
        drop_type_dependent_fields(&old, &mut new);
        let expected = json!({
            "spec": {"type": "ClusterIP", "ports": [{"port": 80}], "clusterIP": "10.96.0.2"},
            "status": {"loadBalancer": {}},
        });
        assert_eq!(new, expected);
    }
}

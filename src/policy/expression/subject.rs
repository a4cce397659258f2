//! A Service as expressions see it: the shape of the Kubernetes object.

use std::collections::BTreeMap;

use cel::Context;
use serde::Serialize;

use super::standard_environment;
use crate::domain::{IpFamily, Service, ServiceType, TrafficPolicy};

/// A Service, ready for expressions.
pub(in crate::policy) struct ExpressionSubject {
    context: Context<'static, 'static>,
}

impl ExpressionSubject {
    pub(in crate::policy) fn new(service: &Service) -> Self {
        let mut context = Context::with_env(standard_environment());
        let value = cel::to_value(View::of(service)).unwrap_or(cel::Value::Null);
        context.add_variable_from_value("service", value);
        Self { context }
    }

    pub(super) fn context(&self) -> &Context<'static, 'static> {
        &self.context
    }
}

#[derive(Serialize)]
struct View<'a> {
    metadata: Metadata<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    labels: &'a BTreeMap<String, String>,
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    ports: Vec<Port<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_balancer_class: Option<&'a str>,
    #[serde(rename = "loadBalancerIP", skip_serializing_if = "Option::is_none")]
    load_balancer_ip: Option<&'a str>,
    load_balancer_source_ranges: &'a [String],
    #[serde(rename = "externalIPs")]
    external_ips: &'a [String],
    ip_families: Vec<&'static str>,
    external_traffic_policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check_node_port: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Port<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    protocol: &'static str,
    port: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_port: Option<i64>,
    target_port: TargetPort<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    app_protocol: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TargetPort<'a> {
    Number(i64),
    Name(&'a str),
}

impl<'a> View<'a> {
    fn of(service: &'a Service) -> Self {
        Self {
            metadata: Metadata {
                name: &service.key.name,
                namespace: &service.key.namespace,
                labels: &service.labels,
                annotations: &service.annotations,
            },
            spec: Spec {
                kind: match service.kind {
                    ServiceType::ClusterIp => "ClusterIP",
                    ServiceType::NodePort => "NodePort",
                    ServiceType::LoadBalancer => "LoadBalancer",
                    ServiceType::ExternalName => "ExternalName",
                },
                ports: service.ports.iter().map(Port::of).collect(),
                load_balancer_class: service.load_balancer_class.as_deref().filter(|class| !class.is_empty()),
                load_balancer_ip: service.load_balancer_ip.as_deref().filter(|ip| !ip.is_empty()),
                load_balancer_source_ranges: &service.source_ranges,
                external_ips: &service.external_ips,
                ip_families: service
                    .ip_families
                    .iter()
                    .map(|family| match family {
                        IpFamily::V4 => "IPv4",
                        IpFamily::V6 => "IPv6",
                    })
                    .collect(),
                external_traffic_policy: match service.external_traffic_policy {
                    TrafficPolicy::Cluster => "Cluster",
                    TrafficPolicy::Local => "Local",
                },
                health_check_node_port: port_number(service.health_check_node_port),
            },
        }
    }
}

impl<'a> Port<'a> {
    fn of(port: &'a crate::domain::ServicePort) -> Self {
        Self {
            name: &port.name,
            protocol: port.protocol.as_str(),
            port: i64::from(port.port),
            node_port: port_number(port.node_port),
            target_port: match port.target_port.parse::<u16>() {
                Ok(number) => TargetPort::Number(i64::from(number)),
                Err(_) => TargetPort::Name(&port.target_port),
            },
            app_protocol: &port.app_protocol,
        }
    }
}

fn port_number(number: u16) -> Option<i64> {
    (number != 0).then(|| i64::from(number))
}

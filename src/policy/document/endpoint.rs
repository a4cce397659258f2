//! An address for the API server of the cluster itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SPAN, SPAN_WORDS};

/// An address for the API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "EndpointFields", into = "EndpointFields")]
pub struct ControlPlaneEndpoint {
    /// Where the address comes from.
    pub kind: EndpointKind,
    /// Port of the endpoint; the API server's own when left out.
    pub api_server_port: Option<u16>,
    /// How the API server's health is told.
    pub health_check: HealthCheck,
}

/// Where the address of the API server comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointKind {
    /// A reserved address with a tag.
    ElasticIp(EndpointElasticIp),
    /// A load balancer of the Equinix Load Balancer service.
    EquinixLoadBalancer(EndpointLoadBalancer),
}

/// The endpoint: exactly one of `elasticIP` and `equinixLoadBalancer`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "ControlPlaneEndpoint",
    title = "Control plane endpoint",
    extend("oneOf" = [{"required": ["elasticIP"]}, {"required": ["equinixLoadBalancer"]}])
)]
struct EndpointFields {
    /// A reserved address is moved to a healthy control plane device.
    #[serde(default, rename = "elasticIP", skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"tag": "cluster-prod-endpoint"}))]
    elastic_ip: Option<EndpointElasticIp>,
    /// A load balancer of the Equinix Load Balancer service forwards to the control plane devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"id": "loadbal-abcdef"}))]
    equinix_load_balancer: Option<EndpointLoadBalancer>,
    /// Port of the endpoint; the API server's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535), example = 6443)]
    api_server_port: Option<u16>,
    /// How the API server's health is told.
    #[serde(default, skip_serializing_if = "HealthCheck::is_default")]
    #[schemars(example = HealthCheck::default())]
    health_check: HealthCheck,
}

/// A reserved address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Elastic IP of the endpoint")]
pub struct EndpointElasticIp {
    /// Tag of the reservation.
    #[schemars(length(min = 1), example = &"cluster-prod-endpoint")]
    pub tag: String,
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Load balancer of the endpoint")]
pub struct EndpointLoadBalancer {
    /// Id of the load balancer.
    #[schemars(length(min = 1), example = &"loadbal-abcdef")]
    pub id: String,
}

/// How the API server's health is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Health check")]
pub struct HealthCheck {
    /// Path that is asked for.
    #[schemars(
        regex(pattern = "^/"),
        extend("patternErrorMessage" = "a path that begins with /"),
        example = &"/healthz"
    )]
    pub path: String,
    /// Ask the device's own address instead of the endpoint.
    #[serde(rename = "useHostIP")]
    #[schemars(example = false)]
    pub use_host_ip: bool,
    /// How many failures in a row count as unhealthy.
    #[schemars(range(min = 1, max = 1_000), example = 3)]
    pub failure_threshold: u32,
    /// Time between two checks.
    #[schemars(regex(pattern = SPAN), extend("patternErrorMessage" = SPAN_WORDS), example = &"5s")]
    pub period: String,
}

impl HealthCheck {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { path: "/healthz".into(), use_host_ip: false, failure_threshold: 3, period: "5s".into() }
    }
}

impl TryFrom<EndpointFields> for ControlPlaneEndpoint {
    type Error = &'static str;

    fn try_from(fields: EndpointFields) -> Result<Self, Self::Error> {
        let kind = match (fields.elastic_ip, fields.equinix_load_balancer) {
            (Some(address), None) => EndpointKind::ElasticIp(address),
            (None, Some(balancer)) => EndpointKind::EquinixLoadBalancer(balancer),
            (None, None) | (Some(_), Some(_)) => {
                return Err("the endpoint has exactly one of elasticIP and equinixLoadBalancer");
            }
        };
        Ok(Self { kind, api_server_port: fields.api_server_port, health_check: fields.health_check })
    }
}

impl From<ControlPlaneEndpoint> for EndpointFields {
    fn from(endpoint: ControlPlaneEndpoint) -> Self {
        let (elastic_ip, equinix_load_balancer) = match endpoint.kind {
            EndpointKind::ElasticIp(address) => (Some(address), None),
            EndpointKind::EquinixLoadBalancer(balancer) => (None, Some(balancer)),
        };
        Self {
            elastic_ip,
            equinix_load_balancer,
            api_server_port: endpoint.api_server_port,
            health_check: endpoint.health_check,
        }
    }
}

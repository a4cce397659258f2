//! How addresses are announced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NAME, NAME_WORDS, PLACE, PLACE_WORDS};

/// A load balancer: exactly one kind an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "LoadBalancerFields", into = "LoadBalancerFields")]
pub struct LoadBalancer {
    /// Name that rules refer to.
    pub name: String,
    /// Its kind.
    pub kind: LoadBalancerKind,
}

/// Kinds of load balancers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadBalancerKind {
    /// kube-vip.
    KubeVip(KubeVip),
    /// MetalLB.
    MetalLb(MetalLb),
    /// Equinix Load Balancer.
    EquinixLoadBalancer(EquinixLoadBalancer),
    /// Nobody of ours.
    None(NoneKind),
}

/// A load balancer: exactly one of `kubeVip`, `metalLB`, `equinixLoadBalancer` and `none`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "LoadBalancer",
    title = "Load balancer",
    extend("oneOf" = [
        {"required": ["kubeVip"]},
        {"required": ["metalLB"]},
        {"required": ["equinixLoadBalancer"]},
        {"required": ["none"]}
    ])
)]
struct LoadBalancerFields {
    /// Name that rules refer to.
    #[schemars(
        length(max = 63),
        regex(pattern = NAME),
        extend("patternErrorMessage" = NAME_WORDS),
        example = &"vip"
    )]
    name: String,
    /// kube-vip announces the address: it reads the Node annotations and the Service, both of which are kept in step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = KubeVip {})]
    kube_vip: Option<KubeVip>,
    /// MetalLB announces the address; its pools and peers are kept in step.
    #[serde(default, rename = "metalLB", skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"namespace": "metallb-system"}))]
    metal_lb: Option<MetalLb>,
    /// A load balancer of the Equinix Load Balancer service, which chooses the address itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"metro": "da"}))]
    equinix_load_balancer: Option<EquinixLoadBalancer>,
    /// The address is reserved and BGP is set up; who announces it is left to you.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = NoneKind {})]
    none: Option<NoneKind>,
}

/// kube-vip; it has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "kube-vip")]
pub struct KubeVip {}

/// Nobody of ours; it has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Address only")]
pub struct NoneKind {}

/// MetalLB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "MetalLB")]
pub struct MetalLb {
    /// Namespace of MetalLB.
    #[schemars(length(min = 1), example = &"metallb-system")]
    pub namespace: String,
    /// How MetalLB is configured.
    #[schemars(example = &"CustomResources")]
    pub config: MetalLbConfig,
    /// Name of MetalLB's ConfigMap, where `config` is `ConfigMap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"config")]
    pub config_map_name: Option<String>,
}

/// How MetalLB is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum MetalLbConfig {
    /// By custom resources: MetalLB 0.13 and later.
    #[default]
    CustomResources,
    /// By a ConfigMap: MetalLB before 0.13.
    ConfigMap,
}

/// Equinix Load Balancer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Equinix Load Balancer")]
pub struct EquinixLoadBalancer {
    /// Metro to make load balancers in; the controller's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = PLACE), extend("patternErrorMessage" = PLACE_WORDS), example = &"da")]
    pub metro: Option<String>,
}

impl LoadBalancer {
    /// An entry.
    pub fn new(name: impl Into<String>, kind: LoadBalancerKind) -> Self {
        Self { name: name.into(), kind }
    }
}

impl LoadBalancerKind {
    /// The policy's word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::KubeVip(_) => "kubeVip",
            Self::MetalLb(_) => "metalLB",
            Self::EquinixLoadBalancer(_) => "equinixLoadBalancer",
            Self::None(_) => "none",
        }
    }

    /// Whether it chooses addresses itself, so that no pool is to be named with it.
    pub fn chooses_addresses(&self) -> bool {
        match self {
            Self::EquinixLoadBalancer(_) => true,
            Self::KubeVip(_) | Self::MetalLb(_) | Self::None(_) => false,
        }
    }
}

impl Default for MetalLb {
    fn default() -> Self {
        Self { namespace: "metallb-system".into(), config: MetalLbConfig::default(), config_map_name: None }
    }
}

impl TryFrom<LoadBalancerFields> for LoadBalancer {
    type Error = &'static str;

    fn try_from(fields: LoadBalancerFields) -> Result<Self, Self::Error> {
        let mut kinds = [
            fields.kube_vip.map(LoadBalancerKind::KubeVip),
            fields.metal_lb.map(LoadBalancerKind::MetalLb),
            fields.equinix_load_balancer.map(LoadBalancerKind::EquinixLoadBalancer),
            fields.none.map(LoadBalancerKind::None),
        ]
        .into_iter()
        .flatten();
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => Ok(Self { name: fields.name, kind }),
            (None, _) | (Some(_), Some(_)) => Err("a load balancer has exactly one kind"),
        }
    }
}

impl From<LoadBalancer> for LoadBalancerFields {
    fn from(balancer: LoadBalancer) -> Self {
        let mut fields =
            Self { name: balancer.name, kube_vip: None, metal_lb: None, equinix_load_balancer: None, none: None };
        match balancer.kind {
            LoadBalancerKind::KubeVip(kind) => fields.kube_vip = Some(kind),
            LoadBalancerKind::MetalLb(kind) => fields.metal_lb = Some(kind),
            LoadBalancerKind::EquinixLoadBalancer(kind) => fields.equinix_load_balancer = Some(kind),
            LoadBalancerKind::None(kind) => fields.none = Some(kind),
        }
        fields
    }
}

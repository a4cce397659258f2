//! Which Service is served, by which load balancer and from which pool.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NAME, NAME_WORDS, Selector};

/// Rules for Services: the first that matches decides, else the default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Services")]
pub struct Services {
    /// Names of the annotations by which a Service may override its assignment where a rule allows it.
    #[serde(default, skip_serializing_if = "OverrideNames::is_default")]
    #[schemars(example = OverrideNames::default())]
    pub overrides: OverrideNames,
    /// Rules in order; the first that matches decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"name": "not-ours", "match": {"namespaces": ["legacy-*"]}, "ignore": true}]))]
    pub rules: Vec<ServiceRule>,
    /// What a Service without `spec.loadBalancerClass` gets when no rule matches; such Services are left alone when
    /// this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"loadBalancer": "vip", "addressPool": "public"}))]
    pub default: Option<ServiceDefault>,
}

/// Names of the annotations by which a Service may override its assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Override annotations")]
pub struct OverrideNames {
    /// Annotation that names the metro of a reserved address.
    #[schemars(length(min = 1), example = &"metal.equinix.com/eip-metro")]
    pub metro: String,
    /// Annotation that names the facility of a reserved address; the metro's annotation goes before it.
    #[schemars(length(min = 1), example = &"metal.equinix.com/eip-facility")]
    pub facility: String,
}

/// A rule for Services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "ServiceRuleFields", into = "ServiceRuleFields")]
pub struct ServiceRule {
    /// Its name.
    pub name: String,
    /// Which Services it applies to.
    pub matches: ServiceMatch,
    /// What it says of them.
    pub verdict: Verdict,
}

/// What a rule, or the default, says of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Leave it alone.
    Ignore,
    /// Serve it.
    Use {
        /// By what and from where.
        assign: Assign,
        /// Annotations of the Service that are honoured.
        allow_overrides: Vec<String>,
    },
}

/// A rule: exactly one of `use` and `ignore`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "ServiceRule",
    title = "Rule for Services",
    extend("oneOf" = [{"required": ["use"]}, {"required": ["ignore"]}]),
    extend("dependentRequired" = {"allowOverrides": ["use"]})
)]
struct ServiceRuleFields {
    /// Name of the rule, shown in events, records and `explain`.
    #[schemars(
        length(max = 63),
        regex(pattern = NAME),
        extend("patternErrorMessage" = NAME_WORDS),
        example = &"internal"
    )]
    name: String,
    /// Which Services the rule applies to: all given fields must match; `{}` matches every Service.
    #[serde(rename = "match")]
    #[schemars(example = serde_json::json!({"namespaces": ["legacy-*"]}))]
    matches: ServiceMatch,
    /// Serve the Service so. A Service that sets `spec.loadBalancerClass` is served only by a rule that names the class.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"loadBalancer": "vip", "addressPool": "public"}))]
    assign: Option<Assign>,
    /// Leave the Service alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true), example = true)]
    ignore: Option<bool>,
    /// Annotations that the Service may set to override the assignment; all others are without effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = ["metal.equinix.com/eip-metro"])]
    allow_overrides: Vec<String>,
}

/// Which Services a rule applies to: all given fields must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Match of Services")]
pub struct ServiceMatch {
    /// Globs on the Namespace; one must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), inner(length(min = 1, max = 253)), example = ["legacy-*"])]
    pub namespaces: Option<Vec<String>>,
    /// Globs on the name of the Service; one must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), inner(length(min = 1, max = 253)), example = ["ingress-*"])]
    pub names: Option<Vec<String>>,
    /// Globs on `spec.loadBalancerClass`; one must match, and a Service without a class does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), inner(length(min = 1, max = 253)), example = ["metal.equinix.com/internal"])]
    pub load_balancer_classes: Option<Vec<String>>,
    /// Selector on the labels of the Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"matchLabels": {"tier": "internal"}}))]
    pub namespace_selector: Option<Selector>,
    /// Selector on the labels of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"matchExpressions": [{"key": "exposure", "operator": "Exists"}]}))]
    pub service_selector: Option<Selector>,
    /// An expression in CEL that must be true. `service` has the shape of the Kubernetes object: `service.metadata`
    /// and `service.spec`. An expression that fails, as on a label that is not there, does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), example = &"service.spec.ports.all(p, p.port == 443)")]
    pub expression: Option<String>,
}

/// By what a Service is served, and from where its address comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Assignment")]
pub struct Assign {
    /// Name of an entry of `loadBalancers`.
    #[schemars(length(min = 1), example = &"vip")]
    pub load_balancer: String,
    /// Name of an entry of `addressPools`; left out where the load balancer chooses addresses itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"public")]
    pub address_pool: Option<String>,
}

/// What a Service gets when no rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "DefaultFields", into = "DefaultFields")]
pub struct ServiceDefault {
    /// What is said of it.
    pub verdict: Verdict,
}

/// The default: exactly one of `loadBalancer` and `ignore`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "ServiceDefault",
    title = "Default for Services",
    extend("oneOf" = [{"required": ["loadBalancer"]}, {"required": ["ignore"]}]),
    extend("dependentRequired" = {"addressPool": ["loadBalancer"], "allowOverrides": ["loadBalancer"]})
)]
struct DefaultFields {
    /// Name of an entry of `loadBalancers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"vip")]
    load_balancer: Option<String>,
    /// Name of an entry of `addressPools`; left out where the load balancer chooses addresses itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"public")]
    address_pool: Option<String>,
    /// Leave such Services alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true), example = true)]
    ignore: Option<bool>,
    /// Annotations that the Service may set to override the assignment; all others are without effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = ["metal.equinix.com/eip-metro"])]
    allow_overrides: Vec<String>,
}

impl Services {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl OverrideNames {
    /// Whether the annotations have their usual names.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for OverrideNames {
    fn default() -> Self {
        Self { metro: "metal.equinix.com/eip-metro".into(), facility: "metal.equinix.com/eip-facility".into() }
    }
}

impl TryFrom<ServiceRuleFields> for ServiceRule {
    type Error = &'static str;

    fn try_from(fields: ServiceRuleFields) -> Result<Self, Self::Error> {
        let verdict = match (fields.assign, fields.ignore) {
            (Some(assign), None) => Verdict::Use { assign, allow_overrides: fields.allow_overrides },
            (None, Some(true)) => Verdict::Ignore,
            (None, None | Some(false)) | (Some(_), Some(_)) => return Err("a rule has exactly one of use and ignore"),
        };
        Ok(Self { name: fields.name, matches: fields.matches, verdict })
    }
}

impl From<ServiceRule> for ServiceRuleFields {
    fn from(rule: ServiceRule) -> Self {
        let (assign, ignore, allow_overrides) = match rule.verdict {
            Verdict::Ignore => (None, Some(true), Vec::new()),
            Verdict::Use { assign, allow_overrides } => (Some(assign), None, allow_overrides),
        };
        Self { name: rule.name, matches: rule.matches, assign, ignore, allow_overrides }
    }
}

impl TryFrom<DefaultFields> for ServiceDefault {
    type Error = &'static str;

    fn try_from(fields: DefaultFields) -> Result<Self, Self::Error> {
        let verdict = match (fields.load_balancer, fields.ignore) {
            (Some(load_balancer), None) => Verdict::Use {
                assign: Assign { load_balancer, address_pool: fields.address_pool },
                allow_overrides: fields.allow_overrides,
            },
            (None, Some(true)) => Verdict::Ignore,
            (None, None | Some(false)) | (Some(_), Some(_)) => {
                return Err("the default has exactly one of loadBalancer and ignore");
            }
        };
        Ok(Self { verdict })
    }
}

impl From<ServiceDefault> for DefaultFields {
    fn from(default: ServiceDefault) -> Self {
        match default.verdict {
            Verdict::Ignore => {
                Self { load_balancer: None, address_pool: None, ignore: Some(true), allow_overrides: Vec::new() }
            }
            Verdict::Use { assign, allow_overrides } => Self {
                load_balancer: Some(assign.load_balancer),
                address_pool: assign.address_pool,
                ignore: None,
                allow_overrides,
            },
        }
    }
}

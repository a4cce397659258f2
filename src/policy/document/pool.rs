//! Where addresses come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NAME, NAME_WORDS, PLACE, PLACE_WORDS};

/// A pool of addresses: exactly one kind an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "AddressPoolFields", into = "AddressPoolFields")]
pub struct AddressPool {
    /// Name that rules refer to.
    pub name: String,
    /// Its kind.
    pub kind: PoolKind,
}

/// Kinds of pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolKind {
    /// Reserved on demand in the Metal project.
    ElasticIp(ElasticIp),
    /// Routed to the cluster already.
    Static(StaticRanges),
}

/// A pool of addresses: exactly one of `elasticIP` and `static`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "AddressPool",
    title = "Address pool",
    extend("oneOf" = [{"required": ["elasticIP"]}, {"required": ["static"]}])
)]
struct AddressPoolFields {
    /// Name that rules refer to.
    #[schemars(
        length(max = 63),
        regex(pattern = NAME),
        extend("patternErrorMessage" = NAME_WORDS),
        example = &"public"
    )]
    name: String,
    /// Addresses are reserved in the Metal project, one for each Service, and given back when the Service goes.
    #[serde(default, rename = "elasticIP", skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"type": "public_ipv4", "metro": "da"}))]
    elastic_ip: Option<ElasticIp>,
    /// Addresses are taken from ranges that are routed to the cluster already; nothing is bought.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"ranges": ["203.0.113.16/28"]}))]
    fixed: Option<StaticRanges>,
}

/// Addresses that are reserved on demand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    title = "Elastic IP pool",
    extend("not" = {"required": ["metro", "facility"]})
)]
pub struct ElasticIp {
    /// What kind of address is reserved.
    #[serde(default, rename = "type")]
    #[schemars(example = &"public_ipv4")]
    pub kind: ElasticIpType,
    /// Metro to reserve in; the controller's own metro or facility when neither this nor `facility` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = PLACE), extend("patternErrorMessage" = PLACE_WORDS), example = &"da")]
    pub metro: Option<String>,
    /// Facility to reserve in, instead of a metro.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = PLACE), extend("patternErrorMessage" = PLACE_WORDS), example = &"da11")]
    pub facility: Option<String>,
    /// Tags put on each reservation, besides those that mark ownership.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)), example = ["team-network"])]
    pub tags: Vec<String>,
    /// How many addresses the pool may hold; the next Service is refused with an event. Unlimited when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000), example = 40)]
    pub max_addresses: Option<u32>,
    /// What becomes of an address when its Service goes.
    #[serde(default)]
    #[schemars(example = &"Delete")]
    pub on_release: OnRelease,
}

/// Kinds of reserved addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ElasticIpType {
    /// A public IPv4 address of one metro.
    #[default]
    #[serde(rename = "public_ipv4")]
    PublicIpv4,
    /// A public IPv6 block of one metro.
    #[serde(rename = "public_ipv6")]
    PublicIpv6,
    /// A public IPv4 address announced from every metro.
    #[serde(rename = "global_ipv4")]
    GlobalIpv4,
}

/// What becomes of an address when its Service goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OnRelease {
    /// It is given back to Metal.
    #[default]
    Delete,
    /// It stays in the project, tags and all.
    Retain,
}

/// Addresses that are routed to the cluster already.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Static pool")]
pub struct StaticRanges {
    /// Networks, ranges and single addresses, used up in this order.
    #[schemars(length(min = 1), example = ["203.0.113.16/28", "203.0.113.40-203.0.113.50", "203.0.113.60"])]
    pub ranges: Vec<String>,
    /// Networks, ranges and single addresses of `ranges` that are never given out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = ["203.0.113.17"])]
    pub exclude: Vec<String>,
}

impl AddressPool {
    /// A pool that reserves on demand.
    pub fn elastic(name: impl Into<String>, elastic: ElasticIp) -> Self {
        Self { name: name.into(), kind: PoolKind::ElasticIp(elastic) }
    }

    /// A pool of ranges.
    pub fn of_ranges(name: impl Into<String>, ranges: StaticRanges) -> Self {
        Self { name: name.into(), kind: PoolKind::Static(ranges) }
    }
}

impl TryFrom<AddressPoolFields> for AddressPool {
    type Error = &'static str;

    fn try_from(fields: AddressPoolFields) -> Result<Self, Self::Error> {
        let kind = match (fields.elastic_ip, fields.fixed) {
            (Some(elastic), None) => PoolKind::ElasticIp(elastic),
            (None, Some(ranges)) => PoolKind::Static(ranges),
            (None, None) | (Some(_), Some(_)) => return Err("an address pool has exactly one of elasticIP and static"),
        };
        Ok(Self { name: fields.name, kind })
    }
}

impl From<AddressPool> for AddressPoolFields {
    fn from(pool: AddressPool) -> Self {
        let (elastic_ip, fixed) = match pool.kind {
            PoolKind::ElasticIp(elastic) => (Some(elastic), None),
            PoolKind::Static(ranges) => (None, Some(ranges)),
        };
        Self { name: pool.name, elastic_ip, fixed }
    }
}

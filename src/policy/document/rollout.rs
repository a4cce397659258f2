//! How a change of the policy takes effect.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a change of the policy takes effect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Rollout")]
pub struct Rollout {
    /// A change that moves more Services than this waits for approval; no limit when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"10%")]
    pub max_affected_services: Option<AffectedLimit>,
    /// What becomes of the address of a Service whose pool changes.
    #[serde(default)]
    #[schemars(example = &"Keep")]
    pub on_pool_change: OnPoolChange,
}

/// A number of Services, or a part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AffectedLimit {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u8),
}

/// What becomes of the address of a Service whose pool changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OnPoolChange {
    /// The Service keeps the address it has.
    #[default]
    Keep,
    /// The Service gets an address of the new pool before it loses the old one.
    Migrate,
}

impl Rollout {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Serialize for AffectedLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(percent) => serializer.serialize_str(&format!("{percent}%")),
        }
    }
}

impl<'de> Deserialize<'de> for AffectedLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(u32),
            Percent(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Count(count) => Ok(Self::Count(count)),
            Written::Percent(text) => text
                .strip_suffix('%')
                .and_then(|digits| digits.parse().ok())
                .filter(|percent| *percent <= 100)
                .map(Self::Percent)
                .ok_or_else(|| serde::de::Error::custom("a percentage is a whole number from 0% to 100%")),
        }
    }
}

impl JsonSchema for AffectedLimit {
    fn schema_name() -> Cow<'static, str> {
        "AffectedLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "Number or percentage of Services",
            "type": ["integer", "string"],
            "minimum": 0,
            "maximum": u32::MAX,
            "pattern": "^(100|[1-9]?[0-9])%$",
            "patternErrorMessage": "a whole number, or a percentage from 0% to 100%"
        })
    }
}

//! BGP configuration, sessions and neighbours.

use serde::{Deserialize, Deserializer, Serialize};

use super::Ref;
use super::lenient::{lenient, lenient_list};
use crate::domain::Secret;

/// `GET /projects/{id}/bgp-config`; without an id BGP was never enabled.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct BgpConfig {
    pub(in crate::metal) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) asn: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) md5: Option<Password>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) max_prefix: Option<u32>,
    /// References only, unless they were asked for.
    pub(in crate::metal) sessions: Option<Vec<BgpSession>>,
}

/// A session password as it came.
#[derive(Debug)]
pub(in crate::metal) struct Password(pub(in crate::metal) Secret);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Secret::new(String::deserialize(deserializer)?)))
    }
}

/// `POST /projects/{id}/bgp-configs`. No `Debug`: it holds the password in the clear.
#[derive(Serialize)]
pub(in crate::metal) struct BgpConfigRequest<'a> {
    pub(in crate::metal) deployment_type: &'static str,
    pub(in crate::metal) asn: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::metal) md5: Option<&'a str>,
    pub(in crate::metal) use_case: &'static str,
}

/// `GET /projects/{id}/bgp/sessions` and `GET /devices/{id}/bgp/sessions`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct BgpSessions {
    pub(in crate::metal) bgp_sessions: Option<Vec<BgpSession>>,
}

/// A session.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct BgpSession {
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) address_family: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) device: Option<Ref>,
}

/// `POST /devices/{id}/bgp/sessions`.
#[derive(Debug, Serialize)]
pub(in crate::metal) struct BgpSessionRequest {
    pub(in crate::metal) address_family: &'static str,
}

/// `GET /devices/{id}/bgp/neighbors`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct BgpNeighbors {
    pub(in crate::metal) bgp_neighbors: Option<Vec<BgpNeighbor>>,
}

/// The routers that a device speaks BGP with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::metal) struct BgpNeighbor {
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) address_family: Option<u8>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) customer_as: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) customer_ip: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) peer_as: Option<u32>,
    #[serde(deserialize_with = "lenient_list")]
    pub(in crate::metal) peer_ips: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub(in crate::metal) md5_password: Option<Password>,
}

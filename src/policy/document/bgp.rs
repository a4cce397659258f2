//! How BGP is set up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Selector;
use crate::plan::PasswordSource;
use crate::strategy::BgpAnnotations;

/// How BGP is set up in the project and on the Nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "BGP")]
pub struct Bgp {
    /// AS number to enable BGP with; a project that has BGP enabled keeps its own.
    #[serde(rename = "localASN")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32), example = 65000)]
    pub local_asn: u32,
    /// AS number of Metal's routers; what Metal says of a device's neighbours goes before it.
    #[serde(rename = "peerASN")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32), example = 65530)]
    pub peer_asn: u32,
    /// Where the session password is read from; the password itself never stands in a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"env": "METAL_BGP_PASS"}))]
    pub password_from: Option<PasswordFrom>,
    /// Which Nodes speak BGP; all when empty.
    #[serde(skip_serializing_if = "Selector::is_empty")]
    #[schemars(example = serde_json::json!({"matchLabels": {"bgp": "yes"}}))]
    pub node_selector: Selector,
    /// Names of the Node annotations that tell a speaker about its peers.
    #[serde(skip_serializing_if = "BgpAnnotationNames::is_default")]
    #[schemars(example = serde_json::json!({"peerASN": "metal.equinix.com/bgp-peers-{{n}}-peer-asn"}))]
    pub annotations: BgpAnnotationNames,
}

/// Names of Node annotations; `{{n}}` stands for the number of the peer, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Names of Node annotations")]
pub struct BgpAnnotationNames {
    /// Annotation of the Node's own AS number.
    #[serde(rename = "localASN")]
    #[schemars(length(min = 1), example = &"metal.equinix.com/bgp-peers-{{n}}-node-asn")]
    pub local_asn: String,
    /// Annotation of the peer's AS number.
    #[serde(rename = "peerASN")]
    #[schemars(length(min = 1), example = &"metal.equinix.com/bgp-peers-{{n}}-peer-asn")]
    pub peer_asn: String,
    /// Annotation of the peer's address.
    #[serde(rename = "peerIP")]
    #[schemars(length(min = 1), example = &"metal.equinix.com/bgp-peers-{{n}}-peer-ip")]
    pub peer_ip: String,
    /// Annotation of the address that the Node speaks from.
    #[serde(rename = "srcIP")]
    #[schemars(length(min = 1), example = &"metal.equinix.com/bgp-peers-{{n}}-src-ip")]
    pub src_ip: String,
    /// Annotation of the session password, base64.
    #[serde(rename = "bgpPass")]
    #[schemars(length(min = 1), example = &"metal.equinix.com/bgp-peers-{{n}}-bgp-pass")]
    pub bgp_pass: String,
    /// Annotation of the Node's private IPv4 network.
    #[serde(rename = "networkIPv4Private")]
    #[schemars(length(min = 1), example = &"metal.equinix.com/network-4-private")]
    pub network_ipv4_private: String,
}

/// Where a password is read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "PasswordFromFields", into = "PasswordFromFields")]
pub enum PasswordFrom {
    /// An environment variable of the controller.
    Env(String),
    /// A file.
    File(String),
    /// A key of a Secret.
    SecretKeyRef(SecretKeyRef),
}

/// Where a password is read from: exactly one of `env`, `file` and `secretKeyRef`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "PasswordFrom",
    title = "Source of a password",
    extend("oneOf" = [{"required": ["env"]}, {"required": ["file"]}, {"required": ["secretKeyRef"]}])
)]
struct PasswordFromFields {
    /// Name of an environment variable of the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"),
        extend("patternErrorMessage" = "the name of an environment variable, such as METAL_BGP_PASS"),
        example = &"METAL_BGP_PASS"
    )]
    env: Option<String>,
    /// Absolute path of a file; a line break at its end is not part of the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = "^/"),
        extend("patternErrorMessage" = "an absolute path, such as /etc/bgp/password"),
        example = &"/etc/bgp/password"
    )]
    file: Option<String>,
    /// Key of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"namespace": "kube-system", "name": "bgp", "key": "password"}))]
    secret_key_ref: Option<SecretKeyRef>,
}

/// A key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Key of a Secret")]
pub struct SecretKeyRef {
    /// Namespace of the Secret.
    #[serde(default = "kube_system")]
    #[schemars(length(min = 1), example = &"kube-system")]
    pub namespace: String,
    /// Name of the Secret.
    #[schemars(length(min = 1), example = &"bgp")]
    pub name: String,
    /// Key in it.
    #[schemars(length(min = 1), example = &"password")]
    pub key: String,
}

fn kube_system() -> String {
    "kube-system".into()
}

impl Bgp {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Bgp {
    fn default() -> Self {
        Self {
            local_asn: 65000,
            peer_asn: 65530,
            password_from: None,
            node_selector: Selector::default(),
            annotations: BgpAnnotationNames::default(),
        }
    }
}

impl BgpAnnotationNames {
    /// Whether the annotations have their usual names.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for BgpAnnotationNames {
    fn default() -> Self {
        let names = BgpAnnotations::default();
        Self {
            local_asn: names.node_asn,
            peer_asn: names.peer_asn,
            peer_ip: names.peer_ip,
            src_ip: names.src_ip,
            bgp_pass: names.bgp_pass,
            network_ipv4_private: names.network_ipv4_private,
        }
    }
}

impl From<&BgpAnnotationNames> for BgpAnnotations {
    fn from(names: &BgpAnnotationNames) -> Self {
        let names = names.clone();
        Self {
            node_asn: names.local_asn,
            peer_asn: names.peer_asn,
            peer_ip: names.peer_ip,
            src_ip: names.src_ip,
            bgp_pass: names.bgp_pass,
            network_ipv4_private: names.network_ipv4_private,
        }
    }
}

impl From<&PasswordFrom> for PasswordSource {
    fn from(from: &PasswordFrom) -> Self {
        match from {
            PasswordFrom::Env(name) => Self::Env(name.clone()),
            PasswordFrom::File(path) => Self::File(path.into()),
            PasswordFrom::SecretKeyRef(secret) => Self::SecretKey {
                namespace: secret.namespace.clone(),
                name: secret.name.clone(),
                key: secret.key.clone(),
            },
        }
    }
}

impl TryFrom<PasswordFromFields> for PasswordFrom {
    type Error = &'static str;

    fn try_from(fields: PasswordFromFields) -> Result<Self, Self::Error> {
        match (fields.env, fields.file, fields.secret_key_ref) {
            (Some(name), None, None) => Ok(Self::Env(name)),
            (None, Some(path), None) => Ok(Self::File(path)),
            (None, None, Some(secret)) => Ok(Self::SecretKeyRef(secret)),
            _ => Err("a password comes from exactly one of env, file and secretKeyRef"),
        }
    }
}

impl From<PasswordFrom> for PasswordFromFields {
    fn from(from: PasswordFrom) -> Self {
        let (env, file, secret_key_ref) = match from {
            PasswordFrom::Env(name) => (Some(name), None, None),
            PasswordFrom::File(path) => (None, Some(path), None),
            PasswordFrom::SecretKeyRef(secret) => (None, None, Some(secret)),
        };
        Self { env, file, secret_key_ref }
    }
}

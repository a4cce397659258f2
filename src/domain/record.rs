//! What a Service was given, written on the Service itself.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The annotation that holds the record.
pub const RECORD_ANNOTATION: &str = "metal.equinix.com/load-balancer";

/// Where the address of a Service came from; decides what deleting the Service gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AddressSource {
    /// Reserved in Metal for this Service: given back when the Service goes, unless its pool retains.
    Reservation,
    /// Taken from ranges that are routed here anyway.
    Static,
    /// Named by the user: never given back, never changed.
    Requested,
    /// Chosen by the backend itself.
    Backend,
}

/// What becomes of a reserved address when its Service goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnRelease {
    /// Give it back to Metal.
    #[default]
    Delete,
    /// Keep it in the project, tags and all.
    Retain,
}

/// What a Service was given. Teardown and moves work from this, not from the policy of the day, so that nothing is
/// stranded when the policy changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Name of the policy's load balancer entry.
    pub load_balancer: String,
    /// Its kind and what is needed to take it down again.
    pub backend: BackendRecord,
    /// Name of the pool the address came from; absent when the user named the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The address, as announced.
    pub address: IpAddr,
    /// Prefix length announced with it.
    pub cidr: u8,
    /// Where the address came from.
    pub source: AddressSource,
    /// The reservation that holds it, where it was reserved. A hint for a lookup: what may be given back is told by the
    /// tags on the reservation alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<String>,
    /// What becomes of it when the Service goes.
    #[serde(default)]
    pub on_release: OnRelease,
    /// The rule that decided; `default` when none matched.
    pub rule: String,
    /// Hash of the policy that decided.
    pub policy: String,
}

/// What a backend needs to remember to be able to withdraw what it announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum BackendRecord {
    /// kube-vip reads Node annotations and the Service itself.
    KubeVip,
    /// Nothing of ours announces the address.
    None,
}

impl BackendRecord {
    /// The policy's word for the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KubeVip => "kubeVip",
            Self::None => "none",
        }
    }
}

impl Record {
    /// Reads the annotation's value. A value this program cannot read counts as no record: ownership tags on Metal
    /// objects still tell what belongs to the Service.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).expect("a record has string keys only")
    }

    /// Whether both give the Service the same thing; which policy and rule said so makes no difference.
    pub fn gives_the_same_as(&self, other: &Self) -> bool {
        Self { rule: String::new(), policy: String::new(), ..self.clone() }
            == Self { rule: String::new(), policy: String::new(), ..other.clone() }
    }
}

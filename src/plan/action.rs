//! One variant for every kind of external write.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::domain::{DeviceId, IpFamily, ReservationId, ReservationRequest, ServiceKey, Taint};

/// An external write. The executor has nothing left to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Enable BGP for the project.
    EnableBgp {
        /// The project's AS number.
        asn: u32,
        /// Where the session password is read from when the call is made.
        password: Option<PasswordSource>,
    },
    /// Reserve an address.
    Reserve(ReservationRequest),
    /// Give a reservation back.
    Release {
        /// The reservation.
        reservation: ReservationId,
    },
    /// Open a BGP session on a device.
    CreateBgpSession {
        /// The Node whose machine it is.
        node: String,
        /// The device.
        device: DeviceId,
        /// The address family.
        family: IpFamily,
    },
    /// Change a Service.
    PatchService(ServicePatch),
    /// Change a Node.
    PatchNode(NodePatch),
}

/// What to do with a field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Leave it.
    #[default]
    Keep,
    /// Write this.
    Set(T),
    /// Remove it.
    Clear,
}

impl<T> Change<T> {
    /// Whether nothing is to be done.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

/// Where a password is read from; never the password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PasswordSource {
    /// An environment variable of the controller.
    Env(String),
    /// A file.
    File(PathBuf),
    /// A key of a Secret.
    SecretKey {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// Key in it.
        key: String,
    },
}

impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::SecretKey { namespace, name, key } => write!(f, "key {key} of Secret {namespace}/{name}"),
        }
    }
}

/// A change of a Service's own fields (not its status). Fields not named stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePatch {
    /// Which Service.
    pub service: ServiceKey,
    /// Its UID: a Service made anew under the same name must not get what was meant for the old one.
    pub uid: String,
    /// `spec.loadBalancerIP`.
    pub load_balancer_ip: Change<IpAddr>,
    /// Annotations: `None` removes the key.
    pub annotations: BTreeMap<String, Option<String>>,
}

impl ServicePatch {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.load_balancer_ip.is_keep() && self.annotations.is_empty()
    }
}

/// A change of a Node. Fields not named stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodePatch {
    /// Which Node.
    pub node: String,
    /// Refuse with a conflict unless the Node is still at this version. Needed whenever `taints` is set.
    pub resource_version: Option<String>,
    /// `spec.providerID`, where it is to be set.
    pub provider_id: Option<String>,
    /// Labels: `None` removes the key.
    pub labels: BTreeMap<String, Option<String>>,
    /// Annotations: `None` removes the key.
    pub annotations: BTreeMap<String, Option<String>>,
    /// The whole list of taints, where it changes.
    pub taints: Option<Vec<Taint>>,
}

impl NodePatch {
    /// A patch of a Node that changes nothing yet.
    pub fn new(node: impl Into<String>) -> Self {
        Self { node: node.into(), ..Self::default() }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.provider_id.is_none() && self.labels.is_empty() && self.annotations.is_empty() && self.taints.is_none()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnableBgp { asn, password: None } => write!(f, "enable BGP, AS {asn}, no password"),
            Self::EnableBgp { asn, password: Some(source) } => {
                write!(f, "enable BGP, AS {asn}, password from {source}")
            }
            Self::Reserve(request) => {
                write!(f, "reserve one {} address", request.kind.as_str())?;
                match &request.location {
                    Some(location) => write!(f, " in {location}"),
                    None => Ok(()),
                }
            }
            Self::Release { reservation } => write!(f, "release reservation {reservation}"),
            Self::CreateBgpSession { node, device, family } => {
                write!(f, "open {} BGP session on device {device} of node {node}", family.as_str())
            }
            Self::PatchService(patch) => write!(f, "{patch}"),
            Self::PatchNode(patch) => write!(f, "{patch}"),
        }
    }
}

impl fmt::Display for ServicePatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "patch service {}:", self.service)?;
        match &self.load_balancer_ip {
            Change::Keep => {}
            Change::Set(ip) => write!(f, " spec.loadBalancerIP={ip}")?,
            Change::Clear => write!(f, " -spec.loadBalancerIP")?,
        }
        write_changes(f, "annotation", &self.annotations)
    }
}

impl fmt::Display for NodePatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "patch node {}:", self.node)?;
        if let Some(id) = &self.provider_id {
            write!(f, " providerID={id}")?;
        }
        write_changes(f, "label", &self.labels)?;
        write_changes(f, "annotation", &self.annotations)?;
        match &self.taints {
            Some(taints) => {
                let shown: Vec<_> = taints.iter().map(ToString::to_string).collect();
                write!(f, " taints=[{}]", shown.join(","))
            }
            None => Ok(()),
        }
    }
}

/// Shows keys and, for what is set, values; values of annotations that carry passwords are not shown.
fn write_changes(f: &mut fmt::Formatter<'_>, what: &str, changes: &BTreeMap<String, Option<String>>) -> fmt::Result {
    for (key, value) in changes {
        match value {
            Some(_) if key.ends_with("bgp-pass") => write!(f, " {what} {key}=[redacted]")?,
            Some(value) => write!(f, " {what} {key}={value}")?,
            None => write!(f, " -{what} {key}")?,
        }
    }
    Ok(())
}

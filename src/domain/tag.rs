//! Ownership tags on Metal objects.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::ServiceKey;

/// The tag on everything this controller makes.
pub const USAGE_TAG: &str = "usage=cloud-provider-equinix-metal-auto";

/// The identity of a cluster: the UID of its Namespace `kube-system`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClusterId(String);

impl ClusterId {
    /// Wraps the UID.
    pub fn new(uid: impl Into<String>) -> Self {
        Self(uid.into())
    }

    /// The UID's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag that names this cluster.
    pub fn tag(&self) -> String {
        format!("cluster={}", self.0)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The three tags that say "made by this controller, for this Service, of this cluster".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceTags {
    service: String,
    cluster: String,
}

impl ServiceTags {
    /// The tags of a Service of a cluster.
    pub fn new(service: &ServiceKey, cluster: &ClusterId) -> Self {
        let digest = Sha256::digest(service.to_string().as_bytes());
        Self { service: format!("service={}", STANDARD.encode(digest)), cluster: cluster.tag() }
    }

    /// In the order in which they are written: usage, service, cluster.
    pub fn all(&self) -> [&str; 3] {
        [USAGE_TAG, &self.service, &self.cluster]
    }

    /// The tag that names the Service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The load balancer's name: the tags joined by colons.
    pub fn load_balancer_name(&self) -> String {
        self.all().join(":")
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn lb_03_26_tags_and_name_are_those_of_the_original() {
        let tags = ServiceTags::new(&ServiceKey::new("default", "web"), &ClusterId::new("8c1f"));
        assert_eq!(
            tags.all(),
            [
                "usage=cloud-provider-equinix-metal-auto",
                "service=grOt6dAM0WQqTUIOZw1s2Y60hJou4P9m1mieZFyOsz8=",
                "cluster=8c1f"
            ]
        );
        assert_eq!(
            tags.load_balancer_name(),
            "usage=cloud-provider-equinix-metal-auto:service=grOt6dAM0WQqTUIOZw1s2Y60hJou4P9m1mieZFyOsz8=:cluster=8c1f"
        );
    }

    #[test]
    fn lb_14_the_same_service_in_two_clusters_has_two_sets_of_tags() {
        let key = ServiceKey::new("default", "web");
        assert_ne!(ServiceTags::new(&key, &ClusterId::new("a")), ServiceTags::new(&key, &ClusterId::new("b")));
    }
}

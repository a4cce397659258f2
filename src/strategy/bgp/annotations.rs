//! The Node annotations that tell a BGP speaker about its session.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use super::BgpAnnotations;
use crate::domain::{BgpNeighbor, Secret};

/// What stands for the number of the peer in the name of an annotation.
const NUMBER: &str = "{{n}}";

impl BgpAnnotations {
    /// The annotations a node must have, and nothing else that matches the templates.
    pub(super) fn wanted(&self, network: IpNet, neighbor: &BgpNeighbor) -> BTreeMap<String, String> {
        // Sorted as text, as the original did: the numbers of the peers must not move when a cluster changes over.
        let mut peers: Vec<String> = neighbor.peer_ips.iter().map(ToString::to_string).collect();
        peers.sort();
        let password = neighbor.md5_password.as_ref().map(Secret::expose).unwrap_or_default();
        let mut wanted = BTreeMap::from([(self.network_ipv4_private.clone(), network.to_string())]);
        for (n, peer) in peers.into_iter().enumerate() {
            let mut put =
                |template: &str, value: String| wanted.insert(template.replacen(NUMBER, &n.to_string(), 1), value);
            put(&self.node_asn, neighbor.customer_as.to_string());
            put(&self.peer_asn, neighbor.peer_as.to_string());
            put(&self.peer_ip, peer);
            put(&self.src_ip, neighbor.customer_ip.to_string());
            put(&self.bgp_pass, STANDARD.encode(password));
        }
        wanted
    }

    /// What to change on a node so that it has exactly the wanted annotations: new and changed values, and the removal
    /// of those of peers that are gone.
    pub(super) fn changes(
        &self,
        current: &BTreeMap<String, String>,
        wanted: BTreeMap<String, String>,
    ) -> BTreeMap<String, Option<String>> {
        let stale = current.keys().filter(|key| !wanted.contains_key(*key) && self.names_a_peer(key));
        let mut changes: BTreeMap<_, _> = stale.map(|key| (key.clone(), None)).collect();
        changes.extend(
            wanted
                .into_iter()
                .filter(|(key, value)| current.get(key) != Some(value))
                .map(|(key, value)| (key, Some(value))),
        );
        changes
    }

    fn names_a_peer(&self, key: &str) -> bool {
        [&self.node_asn, &self.peer_asn, &self.peer_ip, &self.src_ip, &self.bgp_pass].into_iter().any(|template| {
            template.split_once(NUMBER).is_some_and(|(before, after)| {
                key.strip_prefix(before)
                    .and_then(|rest| rest.strip_suffix(after))
                    .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
            })
        })
    }
}

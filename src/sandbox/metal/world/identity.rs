//! Ids that look like the API's and are the same in every run with the same seed.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use uuid::Builder;

/// Hands out lower-case UUIDs, counted per noun so that one kind of object does not shift the ids of another.
#[derive(Debug)]
pub(crate) struct Identities {
    seed: u64,
    counters: HashMap<&'static str, u64>,
}

impl Identities {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counters: HashMap::new() }
    }

    pub(crate) fn next(&mut self, noun: &'static str) -> String {
        let counter = self.counters.entry(noun).or_default();
        *counter += 1;
        named(self.seed, noun, &counter.to_string())
    }

    /// The id of a thing that has a name of its own (a metro, an instance type).
    pub(crate) fn of(&self, noun: &str, name: &str) -> String {
        named(self.seed, noun, name)
    }
}

/// A hexadecimal digest of `name`, for the small opaque values in the API's objects (MAC addresses, ETags).
pub(crate) fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

/// The id that belongs to a name of a noun.
pub(crate) fn named(seed: u64, noun: &str, name: &str) -> String {
    let digest = digest(&format!("{seed}/{noun}/{name}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn ids_do_not_collide() {
        let mut ids = Identities::new(1);
        let distinct: std::collections::HashSet<String> = (0..10_000).map(|_| ids.next("device")).collect();
        assert_eq!(distinct.len(), 10_000);
    }

    #[test]
    fn ids_depend_on_the_seed_the_noun_and_the_count_alone() {
        let (mut one, mut two, mut other) = (Identities::new(1), Identities::new(1), Identities::new(2));
        let first = one.next("device");
        two.next("reservation");
        assert_eq!(two.next("device"), first);
        assert_ne!(other.next("device"), first);
        assert_ne!(one.next("device"), first);
        assert_eq!(uuid::Uuid::parse_str(&first).unwrap().get_version_num(), 4);
    }
}

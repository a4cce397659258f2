//! Who holds which address at this moment.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Blocks in use by their first address, and a memory of every address that was ever in two hands.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    blocks: BTreeMap<IpAddr, (IpNet, String)>,
    granted_twice: Vec<IpNet>,
}

impl Holders {
    pub(crate) fn grant(&mut self, id: &str, block: IpNet) {
        if self.overlaps(block) {
            self.granted_twice.push(block);
        }
        self.blocks.insert(block.network(), (block, id.to_owned()));
    }

    pub(crate) fn withdraw(&mut self, id: &str, block: IpNet) {
        if self.blocks.get(&block.network()).is_some_and(|(_, holder)| holder == id) {
            self.blocks.remove(&block.network());
        }
    }

    /// The id of the reservation that this piece is part of.
    pub(crate) fn holder_of(&self, piece: IpNet) -> Option<&str> {
        let (_, (block, id)) = self.blocks.range(..=piece.network()).next_back()?;
        block.contains(&piece).then_some(id)
    }

    pub(crate) fn overlaps(&self, block: IpNet) -> bool {
        let before = self.blocks.range(..=block.network()).next_back();
        let inside = self.blocks.range(block.network()..=block.broadcast()).next();
        before.is_some_and(|(_, (held, _))| held.contains(&block.network())) || inside.is_some()
    }

    pub(crate) fn granted_twice(&self) -> &[IpNet] {
        &self.granted_twice
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_in_two_hands_is_remembered() {
        let mut holders = Holders::default();
        holders.grant("a", net("10.0.0.0/30"));
        holders.grant("b", net("10.0.0.4/32"));
        assert_eq!(holders.granted_twice(), []);
        assert_eq!(holders.holder_of(net("10.0.0.2/32")), Some("a"));
        assert_eq!(holders.holder_of(net("10.0.0.5/32")), None);
        holders.withdraw("b", net("10.0.0.4/32"));
        holders.grant("c", net("10.0.0.4/32"));
        holders.grant("d", net("10.0.0.0/29"));
        assert_eq!(holders.granted_twice(), [net("10.0.0.0/29")]);
    }
}

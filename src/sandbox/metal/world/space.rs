//! Free space inside one block of addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// A block that is handed out in aligned pieces; a piece is never in two hands at once.
///
/// Free space is kept as maximal aligned pieces by prefix length, so every operation costs at most one step a bit.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    block: IpNet,
    free: BTreeMap<u8, BTreeSet<u128>>,
}

impl Space {
    pub(crate) fn new(block: IpNet) -> Self {
        let block = block.trunc();
        Self { free: BTreeMap::from([(block.prefix_len(), BTreeSet::from([bits(block)]))]), block }
    }

    pub(crate) fn contains(&self, piece: IpNet) -> bool {
        self.block.contains(&piece)
    }

    /// Takes the lowest piece of the best-fitting size.
    pub(crate) fn allocate(&mut self, prefix: u8) -> Option<IpNet> {
        let (&from, pieces) = self.free.range(..=prefix).rev().find(|(_, pieces)| !pieces.is_empty())?;
        let piece = self.net(*pieces.first()?, from)?;
        let wanted = IpNet::new(piece.network(), prefix).ok()?;
        self.take(wanted).then_some(wanted)
    }

    /// Takes exactly this piece; false when any part of it is in use or outside the block.
    pub(crate) fn take(&mut self, wanted: IpNet) -> bool {
        let Some(holder) = self.holder(wanted) else {
            return false;
        };
        self.set(holder.prefix_len()).remove(&bits(holder));
        for prefix in holder.prefix_len() + 1..=wanted.prefix_len() {
            let buddy = truncated(bits(wanted), prefix, self.width()) ^ self.size(prefix);
            self.set(prefix).insert(buddy);
        }
        true
    }

    pub(crate) fn is_free(&self, wanted: IpNet) -> bool {
        self.holder(wanted).is_some()
    }

    /// Gives a piece back; neighbours join again.
    pub(crate) fn give_back(&mut self, piece: IpNet) {
        if !self.block.contains(&piece) || self.is_free(piece) {
            return;
        }
        let (mut start, mut prefix) = (bits(piece), piece.prefix_len());
        while prefix > self.block.prefix_len() {
            let buddy = start ^ self.size(prefix);
            if !self.set(prefix).remove(&buddy) {
                break;
            }
            prefix -= 1;
            start = truncated(start, prefix, self.width());
        }
        self.set(prefix).insert(start);
    }

    /// The first `limit` free pieces of this size, lowest first.
    pub(crate) fn available(&self, prefix: u8, limit: usize) -> Vec<IpNet> {
        let mut starts: Vec<(u128, u8)> = self
            .free
            .range(..=prefix)
            .flat_map(|(&prefix, pieces)| pieces.iter().map(move |&start| (start, prefix)))
            .collect();
        starts.sort_unstable();
        let step = self.size(prefix);
        starts
            .into_iter()
            .flat_map(|(start, from)| {
                let pieces = 1_u128.checked_shl(u32::from(prefix - from)).unwrap_or(u128::MAX);
                (0..pieces).map(move |index| start + index * step).take(limit)
            })
            .filter_map(|start| self.net(start, prefix))
            .take(limit)
            .collect()
    }

    fn holder(&self, wanted: IpNet) -> Option<IpNet> {
        if !self.block.contains(&wanted) {
            return None;
        }
        self.free
            .range(..=wanted.prefix_len())
            .find_map(|(&prefix, pieces)| {
                let start = truncated(bits(wanted), prefix, self.width());
                pieces.contains(&start).then_some((start, prefix))
            })
            .and_then(|(start, prefix)| self.net(start, prefix))
    }

    fn set(&mut self, prefix: u8) -> &mut BTreeSet<u128> {
        self.free.entry(prefix).or_default()
    }

    fn width(&self) -> u8 {
        self.block.max_prefix_len()
    }

    fn size(&self, prefix: u8) -> u128 {
        1_u128.checked_shl(u32::from(self.width() - prefix)).unwrap_or(0)
    }

    fn net(&self, start: u128, prefix: u8) -> Option<IpNet> {
        let address = match self.block {
            IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(start).ok()?)),
            IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(start)),
        };
        IpNet::new(address, prefix).ok()
    }
}

fn bits(net: IpNet) -> u128 {
    match net.network() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn truncated(start: u128, prefix: u8, width: u8) -> u128 {
    let low = u32::from(width - prefix);
    start.checked_shr(low).and_then(|high| high.checked_shl(low)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn pieces_are_disjoint_lowest_first_and_run_out() {
        let mut space = Space::new(net("10.0.0.0/29"));
        let taken: Vec<IpNet> = [31, 32, 31, 32, 31].into_iter().filter_map(|prefix| space.allocate(prefix)).collect();
        assert_eq!(taken, ["10.0.0.0/31", "10.0.0.2/32", "10.0.0.4/31", "10.0.0.3/32", "10.0.0.6/31"].map(net));
        assert_eq!(space.allocate(32), None);
    }

    #[test]
    fn what_is_given_back_joins_its_neighbour() {
        let mut space = Space::new(net("2604:1380::/56"));
        let one = space.allocate(127).unwrap();
        let two = space.allocate(127).unwrap();
        space.give_back(one);
        space.give_back(two);
        space.give_back(two);
        assert_eq!(space.allocate(56), Some(net("2604:1380::/56")));
    }

    #[test]
    fn a_named_piece_is_taken_once() {
        let mut space = Space::new(net("147.75.40.0/30"));
        for (piece, taken) in [
            ("147.75.40.2/32", true),
            ("147.75.40.2/32", false),
            ("147.75.40.2/31", false),
            ("147.75.40.0/31", true),
            ("147.75.41.0/32", false),
            ("147.75.40.3/32", true),
        ] {
            assert_eq!(space.take(net(piece)), taken, "{piece}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_history_puts_an_address_in_two_hands(history in proptest::collection::vec((24_u8..=32, 0_usize..40), 1..80)) {
            let whole = net("147.75.40.0/24");
            let mut space = Space::new(whole);
            let mut held: Vec<IpNet> = Vec::new();
            for (prefix, position) in history {
                if position < held.len() {
                    space.give_back(held.swap_remove(position));
                } else if let Some(piece) = space.allocate(prefix) {
                    assert!(held.iter().all(|other| !other.contains(&piece) && !piece.contains(other)), "{piece} of {held:?}");
                    held.push(piece);
                }
            }
            for piece in held {
                space.give_back(piece);
            }
            assert!(space.take(whole));
        }
    }

    #[test]
    fn free_pieces_are_listed_up_to_a_limit() {
        let mut space = Space::new(net("147.75.40.0/30"));
        assert!(space.take(net("147.75.40.1/32")));
        assert_eq!(space.available(32, 10), ["147.75.40.0/32", "147.75.40.2/32", "147.75.40.3/32"].map(net));
        assert_eq!(space.available(31, 10), [net("147.75.40.2/31")]);
        assert_eq!(Space::new(net("2604:1380::/56")).available(128, 3).len(), 3);
    }
}

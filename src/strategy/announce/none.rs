//! No announcer: addresses and BGP are prepared, the rest is the user's.

use super::Announcer;
use crate::domain::record::BackendRecord;

/// The backend that announces nothing itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnnouncer;

impl Announcer for NoAnnouncer {
    fn record(&self) -> BackendRecord {
        BackendRecord::None
    }

    fn uses_bgp(&self) -> bool {
        true
    }
}

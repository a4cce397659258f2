//! How long a node sync takes, from its trigger to the last load balancer that it concerns.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use super::ServiceMetrics;

/// Held by everything that a node sync still has to do; tells the time when the last of it lets go.
pub(super) struct SyncTimer {
    began: Instant,
    metrics: Arc<dyn ServiceMetrics>,
}

impl SyncTimer {
    /// A sync begins.
    pub(super) fn begin(metrics: Arc<dyn ServiceMetrics>) -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), metrics })
    }
}

impl fmt::Debug for SyncTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncTimer").field("began", &self.began).finish_non_exhaustive()
    }
}

impl Drop for SyncTimer {
    fn drop(&mut self) {
        self.metrics.nodes_synced(self.began.elapsed());
    }
}

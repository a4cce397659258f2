//! Leader election.

use std::sync::Arc;

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::registered;
use crate::kubernetes::lease::ElectionObserver;

#[derive(Clone)]
pub(super) struct Elections {
    status: IntGaugeVec,
    slow_paths: IntCounterVec,
}

struct Election {
    all: Elections,
    lease: String,
}

impl Elections {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            status: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "leader_election_master_status",
                        "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 \
                         indicates master. 'name' is the string used to identify the lease. Please make sure to group \
                         by name.",
                    ),
                    &["name"],
                ),
            ),
            slow_paths: registered(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "leader_election_slowpath_total",
                        "Total number of slow path exercised in renewing leader leases. 'name' is the string used to \
                         identify the lease. Please make sure to group by name.",
                    ),
                    &["name"],
                ),
            ),
        }
    }

    pub(super) fn named(&self, lease: &str) -> Arc<dyn ElectionObserver> {
        let election = Election { all: self.clone(), lease: lease.to_string() };
        election.stopped_leading();
        Arc::new(election)
    }
}

impl ElectionObserver for Election {
    fn started_leading(&self) {
        self.all.status.with_label_values(&[&self.lease]).set(1);
    }

    fn stopped_leading(&self) {
        self.all.status.with_label_values(&[&self.lease]).set(0);
    }

    fn renewed_slowly(&self) {
        self.all.slow_paths.with_label_values(&[&self.lease]).inc();
    }
}

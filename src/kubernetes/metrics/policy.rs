//! The policy.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::registered;

/// Shows which policy is in force, and whether a later one was refused. Clones share the figures.
#[derive(Clone)]
pub struct PolicyMetrics {
    info: IntGaugeVec,
    faults: IntGauge,
    loads: IntCounterVec,
}

/// What became of a policy that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It is in force.
    Applied,
    /// It means what the one in force means.
    Unchanged,
    /// It has faults.
    Rejected {
        /// How many.
        faults: usize,
    },
    /// It waits for approval.
    Held,
}

impl PolicyMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            info: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "cloud_provider_equinix_metal_policy_info",
                        "The policy in force, by name and by the hash of its meaning.",
                    ),
                    &["name", "hash"],
                ),
            ),
            faults: registered(
                registry,
                IntGauge::new(
                    "cloud_provider_equinix_metal_policy_faults",
                    "Faults of the policy that arrived last; while there are any, the last good one stays in force.",
                ),
            ),
            loads: registered(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "cloud_provider_equinix_metal_policy_loads_total",
                        "Policies that arrived, by what became of them: applied, unchanged, rejected or held.",
                    ),
                    &["result"],
                ),
            ),
        }
    }

    /// Shows this policy as the one in force, and no other.
    pub fn in_force(&self, name: &str, hash: &str) {
        self.info.reset();
        self.info.with_label_values(&[name, hash]).set(1);
    }

    /// Counts a policy that arrived.
    pub fn loaded(&self, load: Load) {
        let (result, faults) = match load {
            Load::Applied => ("applied", 0),
            Load::Unchanged => ("unchanged", 0),
            Load::Rejected { faults } => ("rejected", i64::try_from(faults).unwrap_or(i64::MAX)),
            Load::Held => ("held", 0),
        };
        self.loads.with_label_values(&[result]).inc();
        self.faults.set(faults);
    }
}

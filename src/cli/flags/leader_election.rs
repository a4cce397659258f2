//! Flags of leader election.

use std::time::Duration;

use clap::Args;

use super::OptionFault;
use super::syntax::{Switch, duration};
use crate::kubernetes::lease::{ElectionConfig, ElectionTiming, TimingError};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Leader election flags")]
pub(super) struct LeaderElectionFlags {
    /// Gain leadership before running the controllers; needed where there are several replicas
    #[arg(long, default_value = "true")]
    leader_elect: Switch,

    /// How long candidates wait after they last saw the lease renewed before they take it
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15s")]
    leader_elect_lease_duration: Duration,

    /// How long the leader tries to renew before it gives up and the process ends; shorter than the lease duration
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    leader_elect_renew_deadline: Duration,

    /// Pause between two attempts to gain or renew leadership
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2s")]
    leader_elect_retry_period: Duration,

    /// The kind of object that is locked: leases
    #[arg(long, value_name = "KIND", default_value = "leases")]
    leader_elect_resource_lock: String,

    /// The name of the Lease
    #[arg(long, value_name = "NAME", default_value = "cloud-controller-manager")]
    leader_elect_resource_name: String,

    /// The namespace of the Lease
    #[arg(long, value_name = "NAMESPACE", default_value = "kube-system")]
    leader_elect_resource_namespace: String,
}

/// Whether one of several replicas is elected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaderElection {
    /// No: the controllers start at once.
    Off,
    /// Yes, so.
    On(ElectionConfig),
}

impl LeaderElectionFlags {
    pub(super) fn options(self) -> Result<LeaderElection, Vec<OptionFault>> {
        if !self.leader_elect.is_on() {
            return Ok(LeaderElection::Off);
        }
        let mut faults = Vec::new();
        if self.leader_elect_resource_lock != "leases" {
            let found = &self.leader_elect_resource_lock;
            faults
                .push(OptionFault::new("leader-elect-resource-lock", format!("expected \"leases\", found {found:?}")));
        }
        for (flag, text) in [
            ("leader-elect-resource-name", &self.leader_elect_resource_name),
            ("leader-elect-resource-namespace", &self.leader_elect_resource_namespace),
        ] {
            if text.is_empty() {
                faults.push(OptionFault::new(flag, "cannot be empty"));
            }
        }
        let timing = ElectionTiming::new(
            self.leader_elect_lease_duration,
            self.leader_elect_renew_deadline,
            self.leader_elect_retry_period,
        );
        match timing {
            Ok(timing) if faults.is_empty() => Ok(LeaderElection::On(ElectionConfig {
                name: self.leader_elect_resource_name,
                namespace: self.leader_elect_resource_namespace,
                timing,
            })),
            Ok(_) => Err(faults),
            Err(error) => {
                faults.push(timing_fault(error));
                Err(faults)
            }
        }
    }
}

fn timing_fault(error: TimingError) -> OptionFault {
    let flag = match error {
        TimingError::LeaseTooShort { .. } | TimingError::LeaseBelowSecond { .. } => "leader-elect-lease-duration",
        TimingError::DeadlineTooShort { .. } => "leader-elect-renew-deadline",
        TimingError::NoRetryPeriod => "leader-elect-retry-period",
    };
    OptionFault::new(flag, error.to_string())
}

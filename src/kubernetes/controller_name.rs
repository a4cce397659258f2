//! The controllers of a cloud controller manager, and their names.

use std::fmt;

/// A controller. The names are those of every Go cloud controller manager: in flags, health checks and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControllerName {
    /// Initialises Nodes and keeps their addresses and labels.
    CloudNode,
    /// Deletes Nodes whose machine is gone and taints those whose machine is off.
    CloudNodeLifecycle,
    /// Routes of Pod networks; Metal has none.
    Route,
    /// Load balancers of Services.
    Service,
}

impl ControllerName {
    /// Every controller, by name.
    pub const ALL: [Self; 4] = [Self::CloudNode, Self::CloudNodeLifecycle, Self::Route, Self::Service];

    /// The full name: of the health check and in `--controllers`.
    pub fn canonical(self) -> &'static str {
        match self {
            Self::CloudNode => "cloud-node-controller",
            Self::CloudNodeLifecycle => "cloud-node-lifecycle-controller",
            Self::Route => "node-route-controller",
            Self::Service => "service-lb-controller",
        }
    }

    /// The short name: of the metric and, as an alias, in `--controllers`.
    pub fn alias(self) -> &'static str {
        match self {
            Self::CloudNode => "cloud-node",
            Self::CloudNodeLifecycle => "cloud-node-lifecycle",
            Self::Route => "route",
            Self::Service => "service",
        }
    }

    /// The name of the client that this controller writes with, the last part of its User-Agent.
    pub fn client(self) -> &'static str {
        match self {
            Self::CloudNode | Self::CloudNodeLifecycle => "node-controller",
            Self::Route => "route-controller",
            Self::Service => "service-controller",
        }
    }

    /// The controller of a canonical name or alias.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|controller| controller.canonical() == name || controller.alias() == name)
    }
}

impl fmt::Display for ControllerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.canonical())
    }
}

//! What the outside must offer, and the cloud-provider contract this program offers to its controllers.

pub mod clock;
pub mod cluster;
pub mod error;
pub mod instances_v2;
pub mod load_balancer;
pub mod metal;

pub use clock::{Clock, SystemClock};
pub use cluster::{Cluster, ClusterError, Namespaces};
pub use error::{ProviderError, RetryClass};
pub use instances_v2::{InstanceMetadata, InstancesV2, ManagedFields};
pub use load_balancer::{Claim, LoadBalancer, NodeSet};
pub use metal::{Existence, MaxAge, Metal, MetalError, ProjectBgp};

//! One change of a Node, decided anew whenever somebody else was quicker.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;

use crate::domain::Node;
use crate::kubernetes::nodes::NodeApi;
use crate::plan::NodePatch;
use crate::ports::ClusterError;

/// How often a conflict is met with another try, and how many milliseconds lie between two.
#[derive(Debug, Clone)]
pub(super) struct Tries {
    /// Writes at most.
    pub(super) most: u32,
    /// The pause; its length is random so that two writers do not keep meeting.
    pub(super) pause_ms: RangeInclusive<u64>,
}

impl Tries {
    /// For the initialisation of a Node.
    pub(super) const INITIALISE: Self = Self { most: 20, pause_ms: 50..=100 };
    /// For every other change.
    pub(super) const UPDATE: Self = Self { most: 5, pause_ms: 100..=200 };
}

impl Tries {
    fn pause(&self) -> Duration {
        Duration::from_millis(rand::rng().random_range(self.pause_ms.clone()))
    }
}

/// What came of a change.
#[derive(Debug)]
pub(super) enum Written {
    /// It was made; the Node as stored.
    Changed(Box<Node>, NodePatch),
    /// There was nothing to change.
    Unchanged,
    /// The Node is gone, or is another one under the same name.
    Gone,
}

/// Makes the change that `decide` wants. On a conflict the Node is read anew and decided upon again.
///
/// # Errors
/// The last try met a conflict, or a call failed otherwise.
pub(super) async fn write(
    nodes: &dyn NodeApi,
    seen: &Node,
    tries: &Tries,
    mut decide: impl FnMut(&Node) -> Option<NodePatch> + Send,
) -> Result<Written, ClusterError> {
    let mut fresh: Option<Node> = None;
    let mut tried = 0;
    loop {
        let Some(patch) = decide(fresh.as_ref().unwrap_or(seen)) else {
            return Ok(Written::Unchanged);
        };
        tried += 1;
        match nodes.patch(&patch).await {
            Ok(stored) => return Ok(Written::Changed(Box::new(stored), patch)),
            Err(ClusterError::NotFound { .. }) => return Ok(Written::Gone),
            Err(ClusterError::Conflict { .. }) if tried < tries.most => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(tries.pause()).await;
        match nodes.node(&seen.name).await? {
            Some(node) if node.uid == seen.uid => fresh = Some(node),
            Some(_) | None => return Ok(Written::Gone),
        }
    }
}

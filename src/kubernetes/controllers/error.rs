//! Why a controller ended that was not asked to.

use crate::kubernetes::queue::WorkerPanicked;

/// A controller cannot go on. The process must end: a controller that is silently missing is worse than a restart.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// A task of it panicked.
    #[error("{controller}: a task panicked")]
    Panicked {
        /// The controller.
        controller: &'static str,
        /// What happened.
        #[source]
        source: tokio::task::JoinError,
    },
    /// A worker of it panicked.
    #[error("{controller}: processing an object failed for good")]
    Worker {
        /// The controller.
        controller: &'static str,
        /// What happened.
        #[source]
        source: WorkerPanicked,
    },
    /// What it watches is watched no more.
    #[error("{controller}: the cache it works from has ended")]
    CacheEnded {
        /// The controller.
        controller: &'static str,
    },
}

//! SIGTERM and SIGINT.

use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

/// Returns when the process is asked to end. Where signals cannot be caught, it never returns: the system's own handling
/// stays in force then.
pub async fn stop_signal() {
    let both = signal(SignalKind::terminate()).and_then(|term| signal(SignalKind::interrupt()).map(|int| (term, int)));
    match both {
        Ok((mut term, mut int)) => {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        }
        Err(error) => {
            warn!(error = %error, "Could not catch signals");
            std::future::pending::<()>().await;
        }
    }
}

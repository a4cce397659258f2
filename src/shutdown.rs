//! How the process ends: by a signal, or because something broke.

use std::io;
use std::panic;
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// A Go program ends so after a panic, and so do scripts that look at it expect.
const PANICKED: i32 = 2;

/// A token that SIGTERM or SIGINT cancels; another of them ends the process at once, with 128 and the signal's number.
/// To be called within a tokio runtime.
///
/// # Errors
/// When the system does not let the process handle signals.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut signals = Signals::new()?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let first = signals.next().await;
        info!(signal = first.name, "Was told to stop");
        stop.cancel();
        let second = signals.next().await;
        warn!(signal = second.name, "Was told to stop once more, ends without waiting");
        end(128 + second.number);
    });
    Ok(token)
}

/// Ends the process when any thread or task panics: a controller that died alone would be missed too late.
pub fn on_panic() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        usual(panicked);
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "Ends because of a bug: something panicked");
        end(PANICKED);
    }));
}

#[expect(clippy::exit, reason = "the two cases in which nothing more may run")]
fn end(code: i32) -> ! {
    process::exit(code)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

#[derive(Debug, Clone, Copy)]
struct Received {
    name: &'static str,
    number: i32,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.terminate.recv() => Received { name: "SIGTERM", number: SignalKind::terminate().as_raw_value() },
            _ = self.interrupt.recv() => Received { name: "SIGINT", number: SignalKind::interrupt().as_raw_value() },
        }
    }
}

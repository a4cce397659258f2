//! Events of the cluster (`core/v1`), recorded as Kubernetes' own components record them: what repeats is counted on
//! the first Event, floods are folded and then dropped, and nobody waits for one.
//!
//! # Guarantees
//! - [`EventSink::record`] returns at once. Whether the Event is written, refused or lost is never an error; a failure is
//!   logged once until one succeeds again.
//! - Events are written in the order in which they were recorded.

mod correlator;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::correlator::{Correlator, Emission, Repeat};
use super::FIELD_MANAGER;

/// Events that wait to be written; more are dropped.
const CAPACITY: usize = 1000;
/// Tries of one write that gets no answer.
const TRIES: u32 = 3;
/// Pause between those.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long what waits is still written after the end was asked for.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Longest message, in bytes, that other readers of Events can be expected to show.
const LONGEST_MESSAGE: usize = 1024;

/// Type of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// All is well.
    Normal,
    /// Somebody should look.
    Warning,
}

impl Severity {
    /// Kubernetes' word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Something worth telling about an object.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The object.
    pub about: ObjectReference,
    /// Type.
    pub severity: Severity,
    /// Why it is told: one word in CamelCase.
    pub reason: &'static str,
    /// What happened, for people.
    pub message: String,
}

/// Where events go.
pub trait EventSink: Send + Sync {
    /// Takes an event; never waits.
    fn record(&self, event: NewEvent);
}

/// Records events of one component (`source.component`). Clones share the writer.
#[derive(Debug, Clone)]
pub struct EventRecorder {
    sender: mpsc::Sender<(&'static str, NewEvent)>,
    component: &'static str,
}

/// Writes what was recorded.
pub struct EventWriter {
    receiver: mpsc::Receiver<(&'static str, NewEvent)>,
    client: Client,
    correlator: Correlator,
    failing: bool,
}

/// A recorder and the one task that writes for it and for those made from it.
pub fn events(client: Client, component: &'static str) -> (EventRecorder, EventWriter) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let writer = EventWriter { receiver, client, correlator: Correlator::default(), failing: false };
    (EventRecorder { sender, component }, writer)
}

impl EventRecorder {
    /// A recorder of another component with the same writer.
    pub fn for_component(&self, component: &'static str) -> Self {
        Self { sender: self.sender.clone(), component }
    }
}

impl EventSink for EventRecorder {
    fn record(&self, mut event: NewEvent) {
        truncate(&mut event.message);
        let (reason, about) = (event.reason, event.about.name.clone());
        if self.sender.try_send((self.component, event)).is_err() {
            tracing::debug!(reason, object = about.as_deref(), "an event was dropped: too many wait to be written");
        }
    }
}

impl EventWriter {
    /// Writes until cancelled, then for two more seconds what waits.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                event = self.receiver.recv() => match event {
                    Some((component, event)) => self.write(component, event, &cancel).await,
                    None => return,
                },
            }
        }
        self.receiver.close();
        let rest = async {
            while let Some((component, event)) = self.receiver.recv().await {
                self.write(component, event, &cancel).await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, rest).await.is_err() {
            tracing::debug!("events were dropped at the end: the API server did not take them in time");
        }
    }

    async fn write(&mut self, component: &'static str, event: NewEvent, cancel: &CancellationToken) {
        let now = Time(jiff::Timestamp::now());
        let emission = self.correlator.correlate(component, event, &now, Instant::now());
        let mut tries = 1;
        loop {
            match self.send(&emission).await {
                Ok(()) => {
                    self.failing = false;
                    return;
                }
                Err(error) if tries < TRIES && may_pass(&error) => {
                    tries += 1;
                    tokio::select! {
                        () = cancel.cancelled() => return,
                        () = tokio::time::sleep(RETRY_PAUSE) => {}
                    }
                }
                Err(error) => {
                    self.note_failure(&error);
                    return;
                }
            }
        }
    }

    async fn send(&self, emission: &Emission) -> Result<(), Error> {
        match emission {
            Emission::Nothing => Ok(()),
            Emission::Create(event) => self.create(event).await,
            Emission::Repeat(repeat) => match self.repeat(repeat).await {
                // It expired, or was never written.
                Err(Error::Api(status)) if status.code == 404 => self.create(&repeat.event).await,
                other => other,
            },
        }
    }

    async fn create(&self, event: &Event) -> Result<(), Error> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        match self.api(event).create(&params, event).await {
            // A try without an answer was taken after all.
            Err(Error::Api(status)) if status.code == 409 => Ok(()),
            other => other.map(drop),
        }
    }

    async fn repeat(&self, repeat: &Repeat) -> Result<(), Error> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let name = repeat.event.metadata.name.as_deref().unwrap_or_default();
        self.api(&repeat.event).patch(name, &params, &Patch::Strategic(repeat.patch())).await.map(drop)
    }

    fn api(&self, event: &Event) -> Api<Event> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
        Api::namespaced(self.client.clone(), namespace)
    }

    fn note_failure(&mut self, error: &Error) {
        if self.failing {
            tracing::debug!(%error, "an event was not written");
        } else {
            tracing::warn!(%error, "an event was not written; further ones are logged at debug level until one is");
        }
        self.failing = true;
    }
}

/// Whether another try may fare better: no answer, or a server in trouble.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Api(status) => status.code >= 500 || status.code == 429,
        _ => true,
    }
}

fn truncate(message: &mut String) {
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE - 3).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push_str("...");
    }
}

#[cfg(test)]
mod tests;

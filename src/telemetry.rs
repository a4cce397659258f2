//! The log: what is written, how it looks, and how that changes while the program runs.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use globset::{Glob, GlobMatcher};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber, callsite};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt as log_format};

/// Targets of this program's own records begin so.
const OWN: &str = "cloud_provider_equinix_metal";

/// Tells of failed requests what those who sent them tell better.
const REDUNDANT: &str = "kube_client";

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// 0 and 1: changes made, warnings and errors. 2 to 4: calls as well. 5 and more: everything.
    pub verbosity: i32,
    /// Verbosity of single modules, the first match wins.
    pub modules: Vec<ModuleVerbosity>,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The verbosity of modules whose name matches a glob.
#[derive(Debug, Clone)]
pub struct ModuleVerbosity {
    pattern: GlobMatcher,
    verbosity: i32,
}

impl ModuleVerbosity {
    /// A pattern without `::` is matched against the last part of a module's path, any other against the whole path.
    ///
    /// # Errors
    /// When the pattern is no glob.
    pub fn new(pattern: &str, verbosity: i32) -> Result<Self, globset::Error> {
        Ok(Self { pattern: Glob::new(pattern)?.compile_matcher(), verbosity })
    }

    fn matches(&self, module: &str) -> bool {
        let whole = self.pattern.glob().glob().contains("::");
        self.pattern.is_match(if whole { module } else { last_part(module) })
    }
}

impl PartialEq for ModuleVerbosity {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.glob() == other.pattern.glob() && self.verbosity == other.verbosity
    }
}

impl Eq for ModuleVerbosity {}

/// Changes the verbosity of a running program. Clones change the same one.
#[derive(Debug, Clone)]
pub struct Verbosity {
    level: Arc<AtomicI32>,
    modules: Arc<[ModuleVerbosity]>,
}

impl Verbosity {
    /// The verbosity that options ask for.
    pub fn new(options: &LogOptions) -> Self {
        Self { level: Arc::new(AtomicI32::new(options.verbosity)), modules: options.modules.clone().into() }
    }

    /// The verbosity in force.
    pub fn get(&self) -> i32 {
        self.level.load(Ordering::Relaxed)
    }

    /// Puts another one in force, at once and for every thread.
    pub fn set(&self, verbosity: i32) {
        self.level.store(verbosity, Ordering::Relaxed);
        callsite::rebuild_interest_cache();
    }

    /// Records of other crates are never shown below `debug`: at `trace` some of them print headers, credentials and all.
    fn level_of(&self, metadata: &Metadata<'_>) -> LevelFilter {
        let module = metadata.module_path().unwrap_or(metadata.target());
        let single = self.modules.iter().find(|single| single.matches(module));
        let verbosity = single.map_or_else(|| self.get(), |single| single.verbosity);
        if metadata.target().starts_with(OWN) {
            match verbosity {
                ..=1 => LevelFilter::INFO,
                2..=4 => LevelFilter::DEBUG,
                5.. => LevelFilter::TRACE,
            }
        } else {
            match verbosity {
                ..=3 if metadata.target().starts_with(REDUNDANT) => LevelFilter::OFF,
                ..=3 => LevelFilter::WARN,
                4..=5 => LevelFilter::INFO,
                6.. => LevelFilter::DEBUG,
            }
        }
    }

    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level_of(metadata)
    }
}

impl<S: Subscriber> Filter<S> for Verbosity {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.shows(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.shows(metadata) { Interest::always() } else { Interest::never() }
    }
}

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Somebody did before.
    #[error("the log was set up before")]
    SetUpBefore(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends the log to stderr from now on, in colour on a terminal unless `NO_COLOR` is set.
///
/// # Errors
/// When a log was set up before.
pub fn init(options: &LogOptions) -> Result<Verbosity, TelemetryError> {
    let verbosity = Verbosity::new(options);
    subscriber(options.format, colours(), verbosity.clone(), io::stderr)
        .try_init()
        .map_err(TelemetryError::SetUpBefore)?;
    Ok(verbosity)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Yes,
    No,
}

fn colours() -> Colours {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stderr().is_terminal() && !refused { Colours::Yes } else { Colours::No }
}

fn subscriber<W>(
    format: LogFormat,
    colours: Colours,
    verbosity: Verbosity,
    writer: W,
) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => {
            log_format::layer().with_ansi(colours == Colours::Yes).with_target(true).with_writer(writer).boxed()
        }
        LogFormat::Json => log_format::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
    };
    Registry::default().with(layer.with_filter(verbosity))
}

fn last_part(module: &str) -> &str {
    module.rsplit("::").next().unwrap_or(module)
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use pretty_assertions::assert_eq;
    use tracing::subscriber::with_default;
    use tracing::{debug, error, info, trace, warn};

    use super::{Colours, LogFormat, LogOptions, ModuleVerbosity, Verbosity, subscriber};
    use crate::domain::Secret;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    fn options(verbosity: i32, modules: &[(&str, i32)], format: LogFormat) -> LogOptions {
        LogOptions {
            verbosity,
            modules: modules.iter().map(|(pattern, v)| ModuleVerbosity::new(pattern, *v).unwrap()).collect(),
            format,
        }
    }

    /// What is logged meanwhile, without colours.
    pub(crate) fn logged(options: &LogOptions, records: impl FnOnce(&Verbosity)) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let verbosity = Verbosity::new(options);
        let subscriber = subscriber(options.format, Colours::No, verbosity.clone(), move || writer.clone());
        with_default(subscriber, || records(&verbosity));
        buffer.take()
    }

    fn one_of_each() {
        error!("e");
        warn!("w");
        info!("i");
        debug!("d");
        trace!("t");
        warn!(target: "hyper", "hw");
        info!(target: "hyper", "hi");
        debug!(target: "hyper", "hd");
        trace!(target: "hyper", "ht");
        error!(target: "kube_client::client::builder", "ke");
    }

    #[test]
    fn dep_16_app_14_verbosity_decides_what_is_logged() {
        type Row = (i32, &'static [(&'static str, i32)], &'static str);
        let rows: [Row; 9] = [
            (-1, &[], "e w i hw"),
            (0, &[], "e w i hw"),
            (1, &[], "e w i hw"),
            (2, &[], "e w i d hw"),
            (4, &[], "e w i d hw hi ke"),
            (5, &[], "e w i d t hw hi ke"),
            (9, &[], "e w i d t hw hi hd ke"),
            (0, &[("tests", 5)], "e w i d t hw hi ke"),
            (0, &[("*::telemetry::*", 2), ("*", 5)], "e w i d hw"),
        ];
        for (verbosity, modules, expected) in rows {
            let log = logged(&options(verbosity, modules, LogFormat::Text), |_| one_of_each());
            let shown: Vec<_> = log.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
            assert_eq!(shown.join(" "), expected, "-v {verbosity} {modules:?}");
        }
    }

    #[test]
    fn app_28_verbosity_changes_while_running() {
        let log = logged(&options(0, &[], LogFormat::Text), |verbosity| {
            for level in [0, 2, 0] {
                verbosity.set(level);
                debug!(level, "told");
            }
        });
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("told level=2"), "{log}");
    }

    #[test]
    fn app_14_json_is_one_object_a_line() {
        let log = logged(&options(0, &[], LogFormat::Json), |_| {
            info!(service = "default/web", "Reserved an address");
        });
        let mut record: serde_json::Value = serde_json::from_str(&log).unwrap();
        assert!(record["timestamp"].take().is_string());
        assert_eq!(
            record,
            serde_json::json!({
                "timestamp": null,
                "level": "INFO",
                "target": "cloud_provider_equinix_metal::telemetry::tests",
                "message": "Reserved an address",
                "service": "default/web",
            })
        );
    }

    #[test]
    fn a_secret_is_never_logged() {
        let secret = Secret::new("hunter2-hunter2");
        for format in [LogFormat::Text, LogFormat::Json] {
            let log = logged(&options(9, &[], format), |_| {
                info!(?secret, password = %secret, "Read the settings");
            });
            assert!(log.contains("[redacted]") && !log.contains("hunter2"), "{log}");
        }
    }
}

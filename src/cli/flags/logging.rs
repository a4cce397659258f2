//! Flags of the log.

use std::time::Duration;

use clap::Args;

use super::syntax::{Switch, duration};
use super::{OptionFault, collect, items};
use crate::telemetry::{LogFormat, LogOptions, ModuleVerbosity};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging flags")]
pub(super) struct LoggingFlags {
    /// How much is logged: 0 for changes made, 2 for calls, 5 for everything
    #[arg(short, long, value_name = "LEVEL", default_value = "0")]
    v: i32,

    /// PATTERN=LEVEL of single modules, as in service_lb=5,metal*=2
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    vmodule: Vec<String>,

    /// How a line looks: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    logging_format: String,

    /// Accepted for compatibility: nothing is held back
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5s")]
    log_flush_frequency: Duration,

    /// Accepted for compatibility: the log goes to stderr
    #[arg(long, default_value = "false")]
    log_text_split_stream: Switch,

    /// Accepted for compatibility: nothing is held back
    #[arg(long, value_name = "SIZE", default_value = "0")]
    log_text_info_buffer_size: String,

    /// Accepted for compatibility: the log goes to stderr
    #[arg(long, default_value = "false")]
    log_json_split_stream: Switch,

    /// Accepted for compatibility: nothing is held back
    #[arg(long, value_name = "SIZE", default_value = "0")]
    log_json_info_buffer_size: String,
}

impl LoggingFlags {
    pub(super) fn options(self) -> Result<LogOptions, Vec<OptionFault>> {
        let mut faults = Vec::new();
        let format = match self.logging_format.as_str() {
            "" | "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            other => Err(vec![OptionFault::new("logging-format", format!("expected text or json, found {other:?}"))]),
        };
        let format = collect(&mut faults, format);
        let modules: Vec<_> =
            items(self.vmodule).iter().filter_map(|item| collect(&mut faults, module(item))).collect();
        match format {
            Some(format) if faults.is_empty() => Ok(LogOptions { verbosity: self.v, modules, format }),
            _ => Err(faults),
        }
    }
}

fn module(item: &str) -> Result<ModuleVerbosity, Vec<OptionFault>> {
    let fault = |why: String| vec![OptionFault::new("vmodule", why)];
    let parts = item.split_once('=').and_then(|(pattern, level)| Some((pattern, level.parse().ok()?)));
    let Some((pattern, level)) = parts.filter(|(pattern, _)| !pattern.is_empty()) else {
        return Err(fault(format!("expected PATTERN=LEVEL, found {item:?}")));
    };
    ModuleVerbosity::new(pattern, level).map_err(|error| fault(format!("{pattern:?}: {error}")))
}

//! Flags that manifests of other cloud controller managers may carry, and that change nothing here.

use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, Parser};

use super::OptionFault;
use super::syntax::{Switch, duration};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Flags accepted for compatibility, without effect")]
pub(super) struct InertFlags {
    /// Pod networks are not allocated here
    #[arg(long, default_value = "false")]
    allocate_node_cidrs: Switch,

    /// Pod networks are not allocated here
    #[arg(long, value_name = "NAME", default_value = "RangeAllocator")]
    cidr_allocator_type: String,

    /// Pod networks are not allocated here
    #[arg(long, value_name = "CIDR", default_value = "", hide_default_value = true)]
    cluster_cidr: String,

    /// There are no in-tree volumes any more
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    external_cloud_volume_plugin: String,

    /// All controllers use this program's own credentials
    #[arg(long, default_value = "false")]
    use_service_account_credentials: Switch,

    /// There is no Go profiler
    #[arg(long, default_value = "true")]
    profiling: Switch,

    /// There is no Go profiler
    #[arg(long, default_value = "false")]
    contention_profiling: Switch,

    /// Leader migration is not supported: true is refused
    #[arg(long, default_value = "false")]
    enable_leader_migration: Switch,

    /// Leader migration is not supported
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    leader_migration_config: String,

    /// There are no webhooks
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    webhooks: Vec<String>,

    /// There are no webhooks
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    webhook_bind_address: String,

    /// There are no webhooks
    #[arg(long, value_name = "PORT", default_value = "10260")]
    webhook_secure_port: u16,

    /// There are no webhooks
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    webhook_cert_dir: String,

    /// There are no webhooks
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    webhook_tls_cert_file: String,

    /// There are no webhooks
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    webhook_tls_private_key_file: String,

    /// There are no webhooks
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    webhook_tls_cipher_suites: Vec<String>,

    /// There are no webhooks
    #[arg(long, value_name = "VERSION", default_value = "", hide_default_value = true)]
    webhook_tls_min_version: String,

    /// There are no webhooks
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    webhook_tls_curve_preferences: Vec<i32>,

    /// There are no webhooks
    #[arg(long, value_name = "CERT,KEY[:NAMES]")]
    webhook_tls_sni_cert_key: Vec<String>,

    /// There are no webhooks
    #[arg(long, default_value = "false")]
    webhook_disable_http2_serving: Switch,

    /// Deprecated
    #[arg(long, hide = true, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    node_sync_period: Duration,

    /// Deprecated
    #[arg(long, hide = true, default_value = "false")]
    allow_untagged_cloud: Switch,
}

impl InertFlags {
    pub(super) fn check(&self) -> Vec<OptionFault> {
        if self.enable_leader_migration.is_on() {
            vec![OptionFault::new(
                "enable-leader-migration",
                "leader migration is not supported: let one controller manager end before the other starts",
            )]
        } else {
            Vec::new()
        }
    }

    /// Sentences to be logged at the start: one for all flags without effect that were given, one for each deprecated.
    pub(super) fn warnings(matches: &ArgMatches) -> Vec<String> {
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            _flags: InertFlags,
        }
        let command = Only::command();
        let (deprecated, inert): (Vec<_>, Vec<_>) = command
            .get_arguments()
            .filter(|arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine))
            .filter_map(|arg| arg.get_long().map(|flag| (arg.is_hide_set(), format!("--{flag}"))))
            .partition(|(deprecated, _)| *deprecated);
        let inert: Vec<_> = inert.into_iter().map(|(_, flag)| flag).collect();
        let mut warnings: Vec<_> =
            deprecated.into_iter().map(|(_, flag)| format!("{flag} is deprecated and has no effect")).collect();
        if !inert.is_empty() {
            warnings.push(format!("accepted for compatibility, without effect: {}", inert.join(" ")));
        }
        warnings
    }
}

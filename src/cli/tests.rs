use std::ffi::OsString;

use pretty_assertions::assert_eq;

use super::{Ending, Invocation, RunOptions, parse};

pub(super) fn invoke(arguments: &[&str]) -> Result<Invocation, Ending> {
    parse(std::iter::once("cpem").chain(arguments.iter().copied()).map(OsString::from))
}

pub(super) fn options(arguments: &[&str]) -> RunOptions {
    match invoke(arguments) {
        Ok(Invocation::Run(options)) => *options,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

/// Message and exit code.
pub(super) fn refusal(arguments: &[&str]) -> (String, u8) {
    match invoke(arguments) {
        Err(Ending::Refusal { message, code }) => (message, code),
        other => panic!("{arguments:?}: {other:?}"),
    }
}

fn answer(arguments: &[&str]) -> String {
    match invoke(arguments) {
        Err(Ending::Answer(text)) => text,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

#[test]
fn app_01_every_way_to_write_a_flag() {
    type Row = (&'static [&'static str], fn(&RunOptions) -> String, &'static str);
    let rows: [Row; 17] = [
        (&["--cluster-name=a"], name, "a"),
        (&["--cluster-name", "a"], name, "a"),
        (&["--cluster_name=a"], name, "a"),
        (&["--cluster_name", "a_b"], name, "a_b"),
        (&["run", "--cluster_name", "a"], name, "a"),
        (&["--cluster-name", "--v"], name, "--v"),
        (&["--cluster-name=a=b"], name, "a=b"),
        (&["--cluster-name=a", "--cluster-name=b"], name, "b"),
        (&["-v", "3"], verbosity, "3"),
        (&["-v=3"], verbosity, "3"),
        (&["-v3"], verbosity, "3"),
        (&["--v", "-1"], verbosity, "-1"),
        (&["--leader-elect"], election, "on"),
        (&["--leader-elect=F"], election, "off"),
        (&["--leader_elect=0"], election, "off"),
        (&["--vmodule=a=1,b=2", "--vmodule", "c=3"], modules, "3"),
        (&["--controllers", "-service", "--cluster-name=c"], name, "c"),
    ];
    for (arguments, read, expected) in rows {
        assert_eq!(read(&options(arguments)), expected, "{arguments:?}");
    }
}

fn name(options: &RunOptions) -> String {
    options.cloud.cluster_name.clone()
}

fn verbosity(options: &RunOptions) -> String {
    options.logging.verbosity.to_string()
}

fn modules(options: &RunOptions) -> String {
    options.logging.modules.len().to_string()
}

fn election(options: &RunOptions) -> String {
    match options.leader_election {
        super::LeaderElection::Off => "off".to_string(),
        super::LeaderElection::On(_) => "on".to_string(),
    }
}

#[test]
fn app_01_what_no_flag_is_is_refused_with_the_nearest() {
    let rows: [(&[&str], &str); 9] = [
        (&["--foo"], "unexpected argument '--foo'"),
        (&["--leader-elct"], "a similar argument exists: '--leader-elect'"),
        (&["versoin"], "a similar subcommand exists: 'version'"),
        (&["extra"], "unrecognized subcommand 'extra'"),
        (&["run", "extra"], "unexpected argument 'extra'"),
        (&["--leader-elect", "false"], "unexpected argument 'false': write --leader-elect=false"),
        (&["--cluster-name"], "a value is required for '--cluster-name <NAME>'"),
        (&["--node-monitor-period=5"], "the unit is missing"),
        (&["-x"], "unexpected argument '-x'"),
    ];
    for (arguments, expected) in rows {
        let (message, code) = refusal(arguments);
        assert_eq!(code, 1, "{arguments:?}");
        assert!(message.starts_with("error: ") && message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn app_15_help_and_version_are_answers() {
    let version = env!("CPEM_VERSION");
    let short = format!("Cloud Provider Equinix Metal {version}");
    assert_eq!(answer(&["--version"]), short);
    assert_eq!(answer(&["run", "--version=true"]), short);
    assert_eq!(answer(&["--version=raw", "--cloud-provider="]).lines().count(), 1);
    assert!(answer(&["--version=raw"]).starts_with(&format!("{short} (commit ")));
    assert_eq!(refusal(&["--version=x"]).1, 1);
    for arguments in [["--help"], ["-h"]] {
        let help = answer(&arguments);
        for heading in [
            "Usage:",
            "Commands:",
            "Policy flags:",
            "Leader election flags:",
            "Secure serving flags:",
            "Authentication flags:",
            "Authorization flags:",
            "Logging flags:",
        ] {
            assert!(help.lines().any(|line| line.starts_with(heading)), "{heading} is missing");
        }
        assert!(!help.contains("--node-sync-period"), "deprecated flags are hidden");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let (message, code) = refusal(&["--cloud-provider=", "--concurrent-node-syncs=0", "--secure-port=-1"]);
    assert_eq!(
        message,
        "error: --cloud-provider: cannot be empty\n\
         error: --concurrent-node-syncs: expected a number above zero, found 0\n\
         error: --secure-port: expected 0 to 65535, found -1"
    );
    assert_eq!(code, 1);
}

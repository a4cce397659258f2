//! The command line: what the program is asked to do.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::builder::{ArgAction, styling};
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

pub mod explain;
pub mod flags;
pub mod input;
pub mod objects;
pub mod output;
pub mod sandbox;
pub mod schema;
pub mod validate;
pub mod version;

pub use flags::{LeaderElection, PolicyLocation, RunOptions};

use crate::build_info;
use explain::ExplainArgs;
use flags::{OptionFault, RunFlags, Severity, syntax};
use sandbox::SandboxArgs;
use schema::SchemaArgs;
use validate::ValidateArgs;
use version::VersionArgs;

/// What the program is asked to do.
#[derive(Debug)]
pub enum Invocation {
    /// Be the controller.
    Run(Box<RunOptions>),
    /// Check policies.
    Validate(ValidateArgs),
    /// Print the schema of a policy.
    Schema(SchemaArgs),
    /// Say what a policy decides for an object, and why.
    Explain(ExplainArgs),
    /// Try a policy on a simulated project and a small cluster.
    Sandbox(SandboxArgs),
    /// Say which version this is.
    Version(VersionArgs),
}

/// The end of a program that has nothing to do: what it prints, and what it ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Help or version: on stdout, code 0.
    Answer(String),
    /// What is wrong with the command line: on stderr.
    Refusal {
        /// The message.
        message: String,
        /// The exit code.
        code: u8,
    },
}

#[derive(Debug, Parser)]
#[command(
    name = build_info::NAME,
    about = "The Kubernetes cloud controller manager for Equinix Metal, decided by one declarative policy.",
    long_about = None,
    disable_version_flag = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Without a command the controller runs: its flags follow the program's name.",
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<SubcommandArgs>,
    #[command(flatten)]
    run: RunFlags,
}

#[derive(Debug, Subcommand)]
#[command(subcommand_help_heading = "Commands")]
enum SubcommandArgs {
    /// Run the controller; this is what happens without a command, too
    Run(Box<RunFlags>),
    /// Check policies, for people and pipelines
    Validate(ValidateArgs),
    /// Print the JSON schema of a policy, for editors
    Schema(SchemaArgs),
    /// Say which rule of a policy decides for an object, why the earlier ones do not, and what would be made
    Explain(ExplainArgs),
    /// Try a policy: a simulated Metal project, a small Kubernetes API and the controller, all in this process
    Sandbox(SandboxArgs),
    /// Print the version
    Version(VersionArgs),
}

/// Reads the command line; the first argument is the program's name.
///
/// # Errors
/// [`Ending`] when there is nothing to do but to print something.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Ending> {
    let command = command();
    let arguments = syntax::normalise(arguments, &command);
    let hint = syntax::detached_value(&arguments, &command);
    let matches = command.try_get_matches_from(arguments).map_err(|error| match hint {
        Some(hint) => refusal(format!("error: {hint}")),
        None => ending_of(error),
    })?;
    if let Some(answer) = version_asked(&matches) {
        return Err(answer);
    }
    let line = CommandLine::from_arg_matches(&matches).map_err(ending_of)?;
    match line.command {
        None => run(line.run, &matches),
        Some(SubcommandArgs::Run(flags)) => {
            let (_, matches) = matches.subcommand().expect("the subcommand was just read");
            run(*flags, matches)
        }
        Some(SubcommandArgs::Validate(args)) => Ok(Invocation::Validate(args)),
        Some(SubcommandArgs::Schema(args)) => Ok(Invocation::Schema(args)),
        Some(SubcommandArgs::Explain(args)) => Ok(Invocation::Explain(args)),
        Some(SubcommandArgs::Sandbox(args)) => Ok(Invocation::Sandbox(args)),
        Some(SubcommandArgs::Version(args)) => Ok(Invocation::Version(args)),
    }
}

impl Ending {
    /// Prints it and gives the code to end with.
    pub fn print(&self) -> ExitCode {
        match self {
            Self::Answer(text) => {
                // A reader that has seen enough, as in `--help | head`, is no failure.
                match writeln!(io::stdout(), "{}", text.trim_end()) {
                    Ok(()) | Err(_) => ExitCode::SUCCESS,
                }
            }
            Self::Refusal { message, code } => {
                eprintln!("{}", message.trim_end());
                ExitCode::from(*code)
            }
        }
    }
}

fn command() -> Command {
    let plain = styling::Styles::plain();
    let command = with_version(CommandLine::command().styles(plain));
    syntax::go_flags(command).mut_subcommand("run", |run| syntax::go_flags(with_version(run)))
}

fn with_version(command: Command) -> Command {
    command.next_help_heading(None::<&str>).arg(version_flag())
}

fn version_flag() -> Arg {
    Arg::new(VERSION)
        .long("version")
        .help("Print the version and end; --version=raw prints commit and build date as well")
        .value_name("BOOL|raw")
        .action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_value("false")
        .hide_default_value(true)
        .default_missing_value("true")
}

const VERSION: &str = "version";

fn version_asked(matches: &ArgMatches) -> Option<Ending> {
    let matches = match matches.subcommand() {
        Some(("run", matches)) => matches,
        Some(_) => return None,
        None => matches,
    };
    let asked: &String = matches.get_one(VERSION)?;
    match asked.as_str() {
        "raw" => Some(Ending::Answer(version::raw())),
        other => match other.parse::<syntax::Switch>() {
            Ok(syntax::Switch::On) => Some(Ending::Answer(version::short())),
            Ok(syntax::Switch::Off) => None,
            Err(_) => Some(refusal(format!("error: --version: expected true, false or raw, found {other:?}"))),
        },
    }
}

fn run(flags: RunFlags, matches: &ArgMatches) -> Result<Invocation, Ending> {
    flags.options(matches).map(|options| Invocation::Run(Box::new(options))).map_err(|faults| faults_refused(&faults))
}

fn faults_refused(faults: &[OptionFault]) -> Ending {
    let lines: Vec<_> = faults.iter().map(|fault| format!("error: {fault}")).collect();
    let worst = faults.iter().map(OptionFault::severity).max().unwrap_or(Severity::Invalid);
    Ending::Refusal {
        message: lines.join("\n"),
        code: match worst {
            Severity::Invalid => 1,
            Severity::Fatal => 255,
        },
    }
}

fn ending_of(error: clap::Error) -> Ending {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ending::Answer(error.render().to_string()),
        _ => refusal(error.render().to_string()),
    }
}

fn refusal(message: String) -> Ending {
    Ending::Refusal { message, code: 1 }
}

#[cfg(test)]
mod tests;

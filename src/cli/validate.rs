//! `validate`: checks policies for people and pipelines.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;

use super::input;
use super::output::{self, Checked, Excerpts, FaultFormat, Verdict};
use crate::policy::{Defaults, Found, load_manifest};

/// Arguments of `validate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Ends with 0 when every policy is good, 1 when one has a fault, 2 when a file cannot be read.")]
pub struct ValidateArgs {
    /// Policies: YAML or JSON, as they are or in the manifest of a ConfigMap; - is the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// How faults are written
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    output: FaultFormat,
}

const FAULTY: u8 = 1;
const UNREADABLE: u8 = 2;

/// Checks the files and writes what was found.
pub fn run(args: &ValidateArgs, stdout: &mut dyn Write, stderr: &mut dyn Write) -> ExitCode {
    let files: Vec<Checked> = args.files.iter().map(|file| check(file)).collect();
    let excerpts = match io::stdout().is_terminal() {
        true => Excerpts::Shown,
        false => Excerpts::Hidden,
    };
    if let Err(error) = output::write(stdout, &files, args.output, excerpts) {
        // A reader that has seen enough, as in `| head`, is no failure of the policy; the code still tells.
        if error.kind() != io::ErrorKind::BrokenPipe
            && writeln!(stderr, "error: the result cannot be written: {error}").is_err()
        {
            return ExitCode::from(UNREADABLE);
        }
    }
    code(&files)
}

fn code(files: &[Checked]) -> ExitCode {
    let worst = files.iter().flat_map(|file| &file.verdicts).map(|verdict| match verdict {
        Verdict::Good { .. } => 0,
        Verdict::Faulty(_) => FAULTY,
        Verdict::Unreadable(_) => UNREADABLE,
    });
    ExitCode::from(worst.max().unwrap_or(0))
}

fn check(file: &str) -> Checked {
    match input::read(file) {
        Err(reason) => {
            Checked { file: file.to_owned(), text: String::new(), verdicts: vec![Verdict::Unreadable(reason)] }
        }
        Ok(input) => {
            let found = load_manifest(&input.bytes, &input.name, &Defaults::default());
            Checked {
                text: String::from_utf8_lossy(&input.bytes).into_owned(),
                file: input.name,
                verdicts: found.into_iter().map(verdict).collect(),
            }
        }
    }
}

fn verdict(found: Found) -> Verdict {
    match found.loaded {
        Ok(loaded) => Verdict::Good {
            key: found.key,
            name: loaded.policy.name.clone(),
            hash: loaded.policy.hash.to_string(),
            warnings: loaded.policy.warnings.into_iter().collect(),
        },
        Err(faults) => Verdict::Faulty(faults.into_iter().collect()),
    }
}

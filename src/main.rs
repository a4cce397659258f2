//! The program: reads the command line and does what it says.

use std::env;
use std::io;
use std::process::ExitCode;

use cloud_provider_equinix_metal::cli::{self, Invocation};

fn main() -> ExitCode {
    match cli::parse(env::args_os()) {
        Ok(invocation) => carry_out(invocation),
        Err(ending) => ending.print(),
    }
}

fn carry_out(invocation: Invocation) -> ExitCode {
    match invocation {
        Invocation::Run(_) => {
            eprintln!("error: this build has no controller yet");
            ExitCode::FAILURE
        }
        Invocation::Validate(args) => cli::validate::run(&args, &mut io::stdout(), &mut io::stderr()),
        Invocation::Schema(args) => cli::schema::run(&args, &mut io::stdout(), &mut io::stderr()),
        Invocation::Explain(args) => cli::explain::run(&args, &mut io::stdout(), &mut io::stderr()),
        Invocation::Version(args) => {
            println!("{}", args.text());
            ExitCode::SUCCESS
        }
    }
}

//! The program: reads the command line and does what it says.

use std::env;
use std::io;
use std::process::ExitCode;

use anyhow::Context;
use cloud_provider_equinix_metal::cli::sandbox::SandboxArgs;
use cloud_provider_equinix_metal::cli::{self, Invocation, RunOptions};
use cloud_provider_equinix_metal::{app, shutdown, telemetry};

fn main() -> ExitCode {
    match cli::parse(env::args_os()) {
        Ok(invocation) => carry_out(invocation),
        Err(ending) => ending.print(),
    }
}

fn carry_out(invocation: Invocation) -> ExitCode {
    match invocation {
        Invocation::Run(options) => run(*options),
        Invocation::Sandbox(args) => sandbox(args),
        Invocation::Validate(args) => cli::validate::run(&args, &mut io::stdout(), &mut io::stderr()),
        Invocation::Schema(args) => cli::schema::run(&args, &mut io::stdout(), &mut io::stderr()),
        Invocation::Explain(args) => cli::explain::run(&args, &mut io::stdout(), &mut io::stderr()),
        Invocation::Version(args) => {
            println!("{}", args.text());
            ExitCode::SUCCESS
        }
    }
}

fn run(options: RunOptions) -> ExitCode {
    let verbosity = match telemetry::init(&options.logging) {
        Ok(verbosity) => verbosity,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    shutdown::on_panic();
    match on_runtime(app::run(options, verbosity)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => failed(&anyhow::Error::new(error)),
        Err(error) => failed(&error),
    }
}

fn sandbox(args: SandboxArgs) -> ExitCode {
    if let Some(options) = args.logging()
        && let Err(error) = telemetry::init(&options)
    {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    match on_runtime(cli::sandbox::run(args)) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

/// Runs to the end, and does not wait for what is still blocking: a process that lost its lease must be gone at once.
fn on_runtime<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(result)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    tracing::error!("{error:#}");
    ExitCode::FAILURE
}

//! `schema`: prints the JSON schema of a policy.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use crate::policy::schema::json_schema_text;

/// Arguments of `schema`.
#[derive(Debug, Clone, Args)]
pub struct SchemaArgs {}

/// Prints the schema.
pub fn run(_: &SchemaArgs, stdout: &mut dyn Write, stderr: &mut dyn Write) -> ExitCode {
    match stdout.write_all(json_schema_text().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => match writeln!(stderr, "error: the schema cannot be written: {error}") {
            Ok(()) | Err(_) => ExitCode::FAILURE,
        },
    }
}

//! Files that a command is given.

use std::fs::File;
use std::io::{self, Read};

/// The name that stands for the standard input.
pub const STANDARD_INPUT: &str = "-";

/// More is never read: no policy and no set of manifests is larger.
const MOST: u64 = 64 * 1024 * 1024;

/// A file and its bytes.
#[derive(Debug)]
pub struct Input {
    /// Its name, for messages.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Reads a file; `-` is the standard input.
///
/// # Errors
/// The reason, without the name.
pub fn read(name: &str) -> Result<Input, String> {
    let bytes = match name {
        STANDARD_INPUT => read_all(io::stdin().lock()),
        path => File::open(path).and_then(read_all),
    };
    let shown = if name == STANDARD_INPUT { "<stdin>" } else { name };
    bytes.map(|bytes| Input { name: shown.to_owned(), bytes }).map_err(|error| reason(&error))
}

fn read_all(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

//! Gives the program its version: `CPEM_VERSION`, `CPEM_COMMIT`, `CPEM_BUILD_DATE` and `CPEM_RUSTC` for `env!`.
//!
//! The first three come from the environment (`VERSION`, `GIT_COMMIT`, `SOURCE_DATE_EPOCH`), which `make build` sets from git. A
//! plain `cargo build` sets none of them, so that neither a commit nor the time of day causes a rebuild.

use std::env;
use std::error::Error;
use std::process::Command;

use jiff::Timestamp;

fn main() -> Result<(), Box<dyn Error>> {
    let version = given("VERSION").unwrap_or_else(|| concat!("v", env!("CARGO_PKG_VERSION"), "-dev").to_string());
    let commit = given("GIT_COMMIT").unwrap_or_else(|| "unknown".to_string());
    let built = match given("SOURCE_DATE_EPOCH") {
        Some(seconds) => Timestamp::from_second(seconds.parse()?)?.to_string(),
        None => "unknown".to_string(),
    };
    let compiler = Command::new(env::var("RUSTC")?).arg("--version").output()?;
    let compiler = String::from_utf8(compiler.stdout)?;
    let compiler = compiler.split_whitespace().nth(1).unwrap_or("unknown");
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rustc-env=CPEM_VERSION={version}");
    println!("cargo::rustc-env=CPEM_COMMIT={commit}");
    println!("cargo::rustc-env=CPEM_BUILD_DATE={built}");
    println!("cargo::rustc-env=CPEM_RUSTC={compiler}");
    Ok(())
}

/// An empty variable counts as unset.
fn given(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

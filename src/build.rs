//! Gives the program its version: `CPEM_VERSION`, `CPEM_COMMIT` and `CPEM_BUILD_DATE` for `env!`.
//!
//! They come from the environment (`VERSION`, `GIT_COMMIT`, `SOURCE_DATE_EPOCH`), which `make build` sets from git. A
//! plain `cargo build` sets none of them, so that neither a commit nor the time of day causes a rebuild.

use std::env;
use std::error::Error;

use jiff::Timestamp;

fn main() -> Result<(), Box<dyn Error>> {
    let version = given("VERSION").unwrap_or_else(|| concat!("v", env!("CARGO_PKG_VERSION"), "-dev").to_string());
    let commit = given("GIT_COMMIT").unwrap_or_else(|| "unknown".to_string());
    let built = match given("SOURCE_DATE_EPOCH") {
        Some(seconds) => Timestamp::from_second(seconds.parse()?)?.to_string(),
        None => "unknown".to_string(),
    };
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rustc-env=CPEM_VERSION={version}");
    println!("cargo::rustc-env=CPEM_COMMIT={commit}");
    println!("cargo::rustc-env=CPEM_BUILD_DATE={built}");
    Ok(())
}

/// An empty variable counts as unset.
fn given(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

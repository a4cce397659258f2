//! The build.

use std::collections::HashMap;

use prometheus::{IntGauge, Opts, Registry};

use super::registered;
use crate::build_info::BUILD;

pub(super) fn register_in(registry: &Registry) {
    let (major, minor) = BUILD.major_minor();
    let platform = BUILD.platform();
    let labels = [
        ("major", major),
        ("minor", minor),
        ("git_version", BUILD.version),
        ("git_commit", BUILD.commit),
        ("git_tree_state", ""),
        ("build_date", BUILD.date),
        ("go_version", ""),
        ("compiler", "rustc"),
        ("rustc_version", BUILD.rustc),
        ("platform", platform.as_str()),
    ];
    let labels: HashMap<_, _> = labels.map(|(name, value)| (name.to_string(), value.to_string())).into();
    let opts = Opts::new(
        "kubernetes_build_info",
        "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build \
         date, compiler and its version, and platform on which it is running.",
    );
    registered(registry, IntGauge::with_opts(opts.const_labels(labels))).set(1);
}

//! Imports go one way, and the part that decides stays free of the world.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use regex::Regex;

/// Which modules each module may use, itself aside. `app` and `cli` may use all.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("domain", &[]),
    ("plan", &["domain", "ports::instances_v2"]),
    ("strategy", &["domain", "plan", "ports::instances_v2"]),
    ("policy", &["domain", "plan", "strategy"]),
    ("ports", &["domain", "plan"]),
    ("provider", &["domain", "plan", "strategy", "policy", "ports"]),
    ("metal", &["domain", "ports"]),
    // What the build says of itself is constant.
    ("kubernetes", &["domain", "plan", "ports", "policy", "strategy", "build_info"]),
    ("settings", &["domain", "strategy", "policy"]),
    ("sandbox", &[]),
];

/// The part that decides, and what it must not know of. `policy::store` alone is the meeting point of both worlds.
const PURE: [&str; 4] = ["domain", "plan", "strategy", "policy"];
const IMPURE: &str = r"\basync fn\b|\.await\b|\btokio::(fs|net|time|spawn|task|process|io)\b|\bstd::(env|fs|net::(TcpStream|UdpSocket|ToSocketAddrs)|process|time::(SystemTime|Instant))\b|\bSystemTime\b|\bInstant::now\b|\breqwest\b|\bkube::(Api|Client|api|client)\b";

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A file's code without comments and without what only tests see.
fn code(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let is_test = name == "tests.rs" || name == "testing.rs" || path.components().any(|c| c.as_os_str() == "tests");
    if is_test {
        return String::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn imports_go_one_way() {
    let used = Regex::new(r"crate::([a-z_0-9]+)(::[a-z_0-9]+)?").unwrap();
    let mut wrong = BTreeMap::new();
    for (module, may_use) in MAY_USE {
        for file in sources(&root().join(module)) {
            for found in used.captures_iter(&code(&file)) {
                let top = found[1].to_owned();
                let whole = format!("{top}{}", found.get(2).map_or("", |m| m.as_str()));
                if top != module && !may_use.contains(&top.as_str()) && !may_use.contains(&whole.as_str()) {
                    let file = file.strip_prefix(root()).unwrap().display().to_string();
                    wrong.entry(file).or_insert_with(Vec::new).push(whole);
                }
            }
        }
    }
    assert_eq!(wrong, BTreeMap::new(), "a module uses one that it may not know of");
}

#[test]
fn what_decides_knows_no_clock_no_environment_and_no_network() {
    let impure = Regex::new(IMPURE).unwrap();
    let mut wrong = Vec::new();
    for module in PURE {
        for file in sources(&root().join(module)) {
            let code = code(&file);
            for line in code.lines().filter(|line| impure.is_match(line)) {
                wrong.push(format!("{}: {}", file.strip_prefix(root()).unwrap().display(), line.trim()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn pages_are_about_one_noun() {
    let long: Vec<_> = sources(&root())
        .into_iter()
        .map(|file| (code(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > 450)
        .map(|(lines, file)| format!("{lines} lines: {}", file.strip_prefix(root()).unwrap().display()))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

//! What each mistake says: every file under `invalid/` against the text beside it.

use std::path::{Path, PathBuf};

use cloud_provider_equinix_metal::policy::{Defaults, load};
use pretty_assertions::assert_eq;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy").join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry is read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file has a name").to_string_lossy().into_owned()
}

/// Run with `BLESS=1` to write what is said now as what is to be said, and read the difference.
#[test]
fn each_invalid_policy_says_what_is_wrong() {
    let files = files(&folder("invalid"));
    let mut wrong = Vec::new();
    for path in files {
        let bytes = std::fs::read(&path).expect("the policy is read");
        let said = match load(&bytes, &name(&path), &Defaults::default()) {
            Ok(policy) => format!("accepted: {}\n", policy.name),
            Err(faults) => format!("{faults}\n"),
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &said).expect("the text is written");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if said != expected {
            wrong.push(format!("{}\n expected: {expected}\n said:     {said}", name(&path)));
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "run with BLESS=1 and read the difference");
}

#[test]
fn each_valid_policy_and_each_example_is_accepted_without_a_warning() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples");
    for path in files(&folder("valid")).into_iter().chain(files(&examples)) {
        let bytes = std::fs::read(&path).expect("the policy is read");
        match load(&bytes, &name(&path), &Defaults::default()) {
            Ok(policy) => assert!(policy.warnings.is_empty(), "{}", policy.warnings),
            Err(faults) => panic!("{faults}"),
        }
    }
}

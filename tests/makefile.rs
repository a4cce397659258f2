//! What `make` does, seen from outside: each test runs it in a small repository of its own and lets it build nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pretty_assertions::assert_eq;
use tempfile::TempDir;

/// A git repository with one commit that holds the build files of this one.
struct Repository(TempDir);

impl Repository {
    fn new() -> Repository {
        let repository = Repository(tempfile::tempdir().expect("a folder"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in ["Makefile", "Dockerfile", ".ci/container", ".ci/guard", "deploy/template/deployment.yaml"] {
            let copy = repository.path().join(file);
            fs::create_dir_all(copy.parent().expect("a parent")).expect("a folder");
            fs::copy(source.join(file), copy).expect("the file is in the repository");
        }
        fs::write(repository.path().join(".gitignore"), "/dist\n").expect("written");
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.commit();
        repository
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            "c",
        ]);
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").args(arguments).current_dir(self.path()).output().expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_string()
    }

    /// `make` with nothing of the caller's own settings.
    fn make(&self, arguments: &[&str]) -> Made {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let output = Command::new("make")
            .arg("--no-print-directory")
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", path)
            .output()
            .expect("make runs");
        Made::from(output)
    }
}

/// How a run of `make` ended.
struct Made {
    succeeded: bool,
    stdout: String,
    stderr: String,
}

impl From<Output> for Made {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Made { succeeded: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Made {
    #[track_caller]
    fn printed(self) -> String {
        assert!(self.succeeded, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    #[track_caller]
    fn refused(self) -> String {
        assert!(!self.succeeded, "{}", self.stdout);
        self.stderr
    }
}

/// What DRY_RUN says that it would do.
fn steps(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.strip_prefix("would run: ")).collect()
}

const NAME: &str = "equinix/cloud-provider-equinix-metal";

#[test]
fn bld_01_03_a_build_always_asks_cargo_and_lands_in_dist_bin() {
    let repository = Repository::new();
    let rows = [
        ("linux", "amd64", "x86_64-unknown-linux-gnu"),
        ("linux", "arm64", "aarch64-unknown-linux-gnu"),
        ("darwin", "amd64", "x86_64-apple-darwin"),
        ("darwin", "arm64", "aarch64-apple-darwin"),
    ];
    for (os, arch, target) in rows {
        let binary = format!("dist/bin/cloud-provider-equinix-metal-{os}-{arch}");
        fs::create_dir_all(repository.path().join("dist/bin")).expect("a folder");
        fs::write(repository.path().join(&binary), "left from before").expect("written");
        // Without the check for an installed target, which is a build of its own and runs even under --dry-run.
        let printed =
            repository.make(&["--dry-run", "build", "MAKE=:", &format!("OS={os}"), &format!("ARCH={arch}")]).printed();
        assert!(printed.contains(&format!("--release --target {target} ")), "{printed}");
        assert!(printed.contains(&format!("/release/cloud-provider-equinix-metal {binary}\n")), "{printed}");
        assert_eq!(printed.contains("+crt-static"), os == "linux", "{printed}");
    }
}

#[test]
fn bld_04_a_build_in_a_container_is_for_linux_or_refused() {
    let refusal = Repository::new().make(&["build", "DOCKERBUILD=true", "OS=darwin"]).refused();
    assert!(refusal.contains("DOCKERBUILD=true builds for linux only, not for OS=darwin"), "{refusal}");
}

#[test]
fn an_unknown_machine_is_refused_with_the_known_ones() {
    let refusal = Repository::new().make(&["build", "OS=plan9"]).refused();
    assert!(refusal.contains("cannot build for OS=plan9"), "{refusal}");
    assert!(refusal.contains("known are linux and darwin, each with amd64 and arm64"), "{refusal}");
}

#[test]
fn bld_06_the_version_is_the_tag_of_the_commit_else_the_last_one_and_the_hash() {
    let repository = Repository::new();
    let version = || repository.make(&["version"]).printed().trim().to_string();
    let hash = || repository.git(&["rev-parse", "--short", "HEAD"]);

    assert_eq!(version(), format!("v0.0.0-{}", hash()));
    repository.git(&["tag", "v1.2.3"]);
    assert_eq!(version(), "v1.2.3");
    repository.commit();
    assert_eq!(version(), format!("v1.2.3-{}", hash()));
    assert_eq!(repository.make(&["tag"]).printed().trim(), hash());
    assert_eq!(repository.make(&["version", "VERSION=v7"]).printed().trim(), "v7");
}

#[test]
fn bld_07_08_an_image_is_for_linux_and_named_by_tag_and_architecture() {
    let repository = Repository::new();
    let rows: &[(&[&str], &str)] = &[
        (&["ARCH=arm64"], "image linux/arm64 dist/image/root \"equinix/cloud-provider-equinix-metal:latest-arm64\""),
        (&["ARCH=amd64", "OS=darwin"], "image linux/amd64 dist/image/root"),
        (&["ARCH=arm64", "BUILD_IMAGE=a/b", "BUILD_TAG=c"], "image linux/arm64 dist/image/root \"a/b:c-arm64\""),
        (&["ARCH=arm64", "TAGGED_ARCH_IMAGE=a/b:d"], "image linux/arm64 dist/image/root \"a/b:d\""),
    ];
    for (arguments, expected) in rows {
        let printed = repository.make(&[&["--dry-run", "image", "MAKE=:"], *arguments].concat()).printed();
        assert!(printed.contains(expected), "{arguments:?}: {printed}");
    }
}

#[test]
fn bld_02_09_every_architecture_is_pushed_before_they_are_joined() {
    let printed = Repository::new()
        .make(&["push-all", "manifest-all", "DRY_RUN=true", "CONTAINER_TOOL=sh", "ARCHES=amd64 arm64"])
        .printed();
    let expected = [
        format!("sh push {NAME}:latest-amd64 docker://{NAME}:latest-amd64"),
        format!("sh push {NAME}:latest-arm64 docker://{NAME}:latest-arm64"),
        format!("sh manifest create {NAME}:latest"),
        format!("sh manifest add {NAME}:latest containers-storage:{NAME}:latest-amd64"),
        format!("sh manifest add {NAME}:latest containers-storage:{NAME}:latest-arm64"),
        format!("sh manifest push --all {NAME}:latest docker://{NAME}:latest"),
    ];
    assert_eq!(steps(&printed), expected);
}

#[test]
fn bld_10_help_lists_every_target() {
    let repository = Repository::new();
    let help = repository.make(&[]).printed();
    assert_eq!(help, repository.make(&["help"]).printed());
    let targets = "build build-all test race lint fmt clean help install ci cd release e2e bench image image-all push \
                   push-all manifest-create manifest-annotate manifest-push manifest-all schema version tag deploy \
                   undeploy ccm";
    for target in targets.split_whitespace() {
        assert!(help.contains(&format!("\n  {target} ")), "{target} is not in:\n{help}");
    }
}

#[test]
fn bld_11_deploy_applies_the_template_with_the_image_in_it() {
    let printed = Repository::new().make(&["undeploy", "DRY_RUN=true", "IMAGE=example.com/ccm:v1"]).printed();
    assert!(printed.contains("\n          image: example.com/ccm:v1\n"), "{printed}");
}

#[test]
fn bld_12_nothing_is_published_unconfirmed_or_under_a_wrong_name() {
    let repository = Repository::new();
    repository.git(&["tag", "v1.2.3"]);
    let rows: &[(&[&str], &str)] = &[
        (&["cd", "BRANCH_NAME=main"], "confirm with CONFIRM=true"),
        (&["cd", "CONFIRM=yes", "BRANCH_NAME=main"], "confirm with CONFIRM=true"),
        (&["cd", "CONFIRM=true"], "BRANCH_NAME is not set"),
        (&["cd", "CONFIRM=true", "BRANCH_NAME=a..b"], "BRANCH_NAME=a..b is no branch name"),
        (&["release", "RELEASE_TAG=v1.2.3"], "confirm with CONFIRM=true"),
        (&["release", "CONFIRM=true"], "RELEASE_TAG is not set"),
        (&["release", "CONFIRM=true", "RELEASE_TAG=1.2.3"], "RELEASE_TAG=1.2.3 is no version"),
        (&["release", "CONFIRM=true", "RELEASE_TAG=v1.2.4"], "HEAD does not carry the tag v1.2.4"),
    ];
    for (arguments, expected) in rows {
        let refusal = repository.make(arguments).refused();
        assert!(refusal.contains(expected), "{arguments:?}: {refusal}");
    }

    fs::write(repository.path().join("Dockerfile"), "FROM elsewhere\n").expect("written");
    let refusal = repository.make(&["release", "CONFIRM=true", "RELEASE_TAG=v1.2.3"]).refused();
    assert!(refusal.contains("there are uncommitted changes"), "{refusal}");
}

#[test]
fn bld_12_15_what_a_branch_and_a_release_publish() {
    let repository = Repository::new();
    let hash = repository.git(&["rev-parse", "--short", "HEAD"]);
    repository.git(&["tag", "v1.2.3"]);
    repository.git(&["tag", "v2.0.0-rc.1"]);
    let rows: [(&[&str], Vec<&str>); 3] = [
        (&["cd", "BRANCH_NAME=fix/dns"], vec!["fix-dns", &hash]),
        (&["release", "RELEASE_TAG=v1.2.3"], vec!["v1.2.3", "latest"]),
        (&["release", "RELEASE_TAG=v2.0.0-rc.1"], vec!["v2.0.0-rc.1"]),
    ];
    for (arguments, tags) in rows {
        let printed = repository.make(&[arguments, &["DRY_RUN=true", "CONTAINER_TOOL=sh"]].concat()).printed();
        let published: Vec<&str> = steps(&printed)
            .into_iter()
            .filter_map(|step| step.strip_prefix("sh manifest push --all "))
            .filter_map(|step| step.split_once(' ')?.0.strip_prefix("equinix/cloud-provider-equinix-metal:"))
            .collect();
        assert_eq!(published, tags, "{arguments:?}: {printed}");
    }
    let manifest = fs::read_to_string(repository.path().join("dist/release/deployment.yaml")).expect("it is written");
    assert!(manifest.contains(&format!("image: {NAME}:v2.0.0-rc.1\n")), "{manifest}");
}

#[test]
fn bld_13_the_image_is_empty_but_for_the_program_and_runs_as_nobody() {
    let dockerfile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).expect("readable");
    let stages: Vec<&str> = dockerfile.split("\nFROM ").skip(1).map(str::trim_end).collect();
    let base = "scratch AS base\nUSER 65532:65532\nWORKDIR /\nENTRYPOINT [\"./cloud-provider-equinix-metal\"]";
    assert_eq!(stages[0], base);
    assert_eq!(stages[1], "base AS prebuilt\nCOPY . /");
    assert_eq!(stages.last(), Some(&"base\nCOPY --from=builder /src/dist/image/root /"));
}

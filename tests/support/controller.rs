//! The program itself, run as a child: what users run, killed as theirs may be.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running controller. It is killed when it is dropped; its log is printed when the test is failing.
pub(crate) struct Controller {
    child: Child,
    log: PathBuf,
}

/// How to run a controller.
pub(crate) struct Run<'a> {
    /// Where to find the cluster.
    pub(crate) kubeconfig: &'a Path,
    /// Where to find Metal.
    pub(crate) metal_url: &'a str,
    /// Its project.
    pub(crate) project: &'a str,
    /// The key.
    pub(crate) token: &'a str,
    /// The policy; without one the settings decide.
    pub(crate) policy: Option<&'a Path>,
    /// More flags.
    pub(crate) flags: &'a [String],
    /// More environment.
    pub(crate) environment: &'a [(String, String)],
    /// Where its log goes.
    pub(crate) log: PathBuf,
}

impl Controller {
    /// Starts the program.
    pub(crate) fn start(run: Run<'_>) -> Self {
        let log = File::options().create(true).append(true).open(&run.log).expect("the log can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-provider-equinix-metal"));
        command
            .arg("--cloud-provider=equinixmetal")
            .arg("--leader-elect=false")
            .arg("--authentication-skip-lookup=true")
            .arg("--secure-port=0")
            .arg("--node-monitor-period=200ms")
            .arg("--kube-api-qps=500")
            .arg("--kube-api-burst=1000")
            .arg(format!("--kubeconfig={}", run.kubeconfig.display()))
            .args(run.flags)
            .env_clear()
            .env("METAL_API_KEY", run.token)
            .env("METAL_PROJECT_ID", run.project)
            .env("METAL_API_URL", run.metal_url)
            .envs(run.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log);
        if let Some(policy) = run.policy {
            command.arg(format!("--policy-file={}", policy.display()));
        }
        let child = command.spawn().expect("the program starts");
        Self { child, log: run.log }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child can be waited for");
    }

    /// Asks it to stop and returns its exit code.
    pub(crate) async fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        self.wait(Duration::from_secs(20)).await
    }

    /// Waits for its end; `None` when it was killed by a signal.
    pub(crate) async fn wait(&mut self, limit: Duration) -> Option<i32> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the controller did not end within {limit:?}; its log:\n{}", self.log())
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("the end of the controller's log:");
            tail.into_iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

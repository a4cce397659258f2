//! The program itself as a child, whose time and memory are its own and not those of the simulators.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// Clock ticks a second in `/proc`: Linux tells user space this number on every architecture that Rust's `std` runs on.
const TICKS: u64 = 100;

/// How to run the program.
pub(crate) struct Run<'a> {
    pub(crate) kubeconfig: &'a Path,
    pub(crate) policy: &'a Path,
    pub(crate) metal_url: &'a str,
    pub(crate) project: &'a str,
    pub(crate) key: &'a str,
    pub(crate) flags: &'a [&'a str],
    pub(crate) log: PathBuf,
}

/// A running program; killed when it is dropped.
pub(crate) struct Controller {
    child: Child,
    log: PathBuf,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Time on a processor, in user space and in the kernel.
    pub(crate) cpu: Duration,
    /// Peak of the memory that is resident, in bytes.
    pub(crate) peak: u64,
}

impl Controller {
    /// Starts the program without any limit of its own on calls, so that what is measured is its work.
    pub(crate) fn start(run: Run<'_>) -> anyhow::Result<Self> {
        let log = File::create(&run.log).context("cannot write the controller's log")?;
        let child = Command::new(env!("CARGO_BIN_EXE_cloud-provider-equinix-metal"))
            .args(["run", "--cloud-provider=equinixmetal", "--leader-elect=false", "--secure-port=0"])
            .args(["--authentication-skip-lookup=true", "--kube-api-qps=-1", "--metal-api-qps=0"])
            .arg(format!("--kubeconfig={}", run.kubeconfig.display()))
            .arg(format!("--policy-file={}", run.policy.display()))
            .args(run.flags)
            .env_clear()
            .envs([("METAL_API_KEY", run.key), ("METAL_PROJECT_ID", run.project), ("METAL_API_URL", run.metal_url)])
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot write the controller's log")?)
            .stderr(log)
            .spawn()
            .context("cannot start the program")?;
        Ok(Self { child, log: run.log })
    }

    /// Fails when it has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait().context("cannot look after the controller")? else { return Ok(()) };
        bail!("the controller ended ({status}); its log:\n{}", self.end_of_log());
    }

    /// The last lines of its log.
    pub(crate) fn end_of_log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// What it has used so far; `None` on systems without Linux's `/proc`.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak: u64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
        // The second field is the program's name in brackets; the 14th and 15th are the times.
        let times = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
        let ticks = times.map(str::parse::<u64>).sum::<Result<u64, _>>().ok()?;
        Some(Usage { cpu: Duration::from_millis(ticks * 1000 / TICKS), peak: peak * 1024 })
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // It may have ended by itself, which is what is wanted here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

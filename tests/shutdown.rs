//! How a process ends: each test runs this program once more as the process that is to end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use cloud_provider_equinix_metal::shutdown;
use pretty_assertions::assert_eq;

/// Says what the process that is to end does.
const ROLE: &str = "SHUTDOWN_TEST_ROLE";

/// Is the process that is to end, when its role is set.
#[test]
fn the_process_that_ends() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "panics" => {
                shutdown::on_panic();
                tokio::spawn(async { panic!("a controller has a bug") });
                std::future::pending().await
            }
            "obeys" => {
                let stop = shutdown::on_signal().unwrap();
                println!("\nready");
                stop.cancelled().await;
                println!("stopping");
            }
            _ => {
                let stop = shutdown::on_signal().unwrap();
                println!("\nready");
                stop.cancelled().await;
                println!("stopping");
                // As when somebody waits for an answer that never comes, and blocks a thread meanwhile.
                std::thread::sleep(Duration::from_secs(600));
            }
        }
    });
}

struct Process {
    child: Child,
    output: BufReader<Box<dyn Read>>,
}

impl Process {
    fn start(role: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_that_ends", "--nocapture"])
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(Box::new(child.stdout.take().unwrap()) as Box<dyn Read>);
        Self { child, output }
    }

    fn says(&mut self, expected: &str) {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if line.trim() == expected {
                return;
            }
            line.clear();
        }
        panic!("it ended without a word of {expected:?}");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn ends(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

#[test]
fn app_33_a_panic_in_a_task_ends_the_process_with_2() {
    assert_eq!(Process::start("panics").ends().code(), Some(2));
}

#[test]
fn app_32_a_signal_asks_and_the_process_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let mut process = Process::start("obeys");
        process.says("ready");
        process.signal(signal);
        process.says("stopping");
        assert_eq!(process.ends().code(), Some(0), "{signal}");
    }
}

#[test]
fn app_32_a_second_signal_ends_the_process_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut process = Process::start("hangs");
        process.says("ready");
        process.signal("TERM");
        process.says("stopping");
        process.signal(signal);
        assert_eq!(process.ends().code(), Some(code), "{signal}");
    }
}

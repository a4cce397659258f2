//! The process, as Linux shows it under `/proc`. Elsewhere there are no such figures.

use std::fs;
use std::sync::{Mutex, PoisonError};

use prometheus::{Counter, Gauge, Registry};

use super::registered;

/// Linux counts times for `/proc` in hundredths of a second on every architecture there is a build for.
const TICKS: f64 = 100.0;

pub(super) struct Process {
    figures: Mutex<Figures>,
}

struct Figures {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    start: Gauge,
}

/// What `/proc` says; `None` for what cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Reading {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
    start_seconds: Option<f64>,
}

impl Process {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |name: &str, help: &str| registered(registry, Gauge::new(name, help));
        let figures = Figures {
            cpu: registered(
                registry,
                Counter::new("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
            ),
            resident: gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            virtual_memory: gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
            open_fds: gauge("process_open_fds", "Number of open file descriptors."),
            max_fds: gauge("process_max_fds", "Maximum number of open file descriptors."),
            start: gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
        };
        Self { figures: Mutex::new(figures) }
    }

    /// Reads the figures anew. One that cannot be read stays as it was.
    pub(super) fn refresh(&self) {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = Reading::now();
        if let Some(seconds) = reading.cpu_seconds {
            figures.cpu.inc_by((seconds - figures.cpu.get()).max(0.0));
        }
        for (gauge, value) in [
            (&figures.resident, reading.resident_bytes),
            (&figures.virtual_memory, reading.virtual_bytes),
            (&figures.open_fds, reading.open_fds),
            (&figures.max_fds, reading.max_fds),
            (&figures.start, reading.start_seconds),
        ] {
            if let Some(value) = value {
                gauge.set(value);
            }
        }
    }
}

impl Reading {
    fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let open = fs::read_dir("/proc/self/fd").ok().and_then(|entries| u32::try_from(entries.count()).ok());
        Self {
            // One of them is the directory that is being read.
            open_fds: open.map(|count| f64::from(count.saturating_sub(1))),
            ..Self::from(
                &read("/proc/self/stat"),
                &read("/proc/self/status"),
                &read("/proc/self/limits"),
                &read("/proc/stat"),
            )
        }
    }

    fn from(stat: &str, status: &str, limits: &str, system: &str) -> Self {
        // The program's name is in parentheses and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS);
        let boot = number_after(system, "btime ");
        Self {
            cpu_seconds: cpu,
            resident_bytes: number_after(status, "VmRSS:").map(|kilobytes| kilobytes * 1024.0),
            virtual_bytes: number_after(status, "VmSize:").map(|kilobytes| kilobytes * 1024.0),
            open_fds: None,
            max_fds: number_after(limits, "Max open files"),
            start_seconds: boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS),
        }
    }
}

fn number_after(text: &str, beginning: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(beginning))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use pretty_assertions::assert_eq;

    use super::Reading;

    #[test]
    fn obs_08_figures_are_read_from_proc() {
        let stat =
            "42 (odd ) name) S 1 42 42 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 4 0 12345 99 88 18446744073709551615";
        let status = "Name:\tx\nVmSize:\t  204800 kB\nVmRSS:\t   10240 kB\n";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024       524288      files\n";
        let system = "cpu 1 2\nbtime 1700000000\n";
        let expected = Reading {
            cpu_seconds: Some(3.0),
            resident_bytes: Some(10_485_760.0),
            virtual_bytes: Some(209_715_200.0),
            open_fds: None,
            max_fds: Some(1024.0),
            start_seconds: Some(1_700_000_123.45),
        };
        assert_eq!(Reading::from(stat, status, limits, system), expected);
        assert_eq!(Reading::from("", "", "", ""), Reading::default());
    }

    #[test]
    fn obs_08_this_process_has_plausible_figures() {
        let reading = Reading::now();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - reading.start_seconds.unwrap();
        assert!((-2.0..3600.0).contains(&age), "{age}");
        assert!(reading.open_fds.unwrap() >= 3.0);
        assert!(reading.max_fds.unwrap() >= reading.open_fds.unwrap());
        assert!(reading.virtual_bytes.unwrap() > reading.resident_bytes.unwrap());
        assert!(reading.cpu_seconds.unwrap() >= 0.0);
    }
}

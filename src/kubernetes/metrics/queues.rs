//! Work queues.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};

use super::{registered, seconds};
use crate::kubernetes::queue::{QueueMetrics, QueueProbe};

pub(super) struct Queues {
    adds: IntCounterVec,
    depth: IntGaugeVec,
    retries: IntCounterVec,
    queue_duration: HistogramVec,
    work_duration: HistogramVec,
    unfinished_work: GaugeVec,
    longest_running: GaugeVec,
    probes: Mutex<Vec<(&'static str, Weak<dyn QueueProbe>)>>,
}

struct Queue {
    all: Arc<Queues>,
    name: &'static str,
    adds: IntCounter,
    retries: IntCounter,
    queue_duration: Histogram,
    work_duration: Histogram,
}

impl Queues {
    pub(super) fn new(registry: &Registry) -> Self {
        let opts = |name: &str, help: &str| Opts::new(name, help);
        let durations = |name: &str, help: &str| {
            let buckets = exponential_buckets(1e-8, 10.0, 10).expect("the buckets grow");
            HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), LABELS)
        };
        Self {
            adds: registered(
                registry,
                IntCounterVec::new(opts("workqueue_adds_total", "Total number of adds handled by workqueue"), LABELS),
            ),
            depth: registered(
                registry,
                IntGaugeVec::new(opts("workqueue_depth", "Current depth of workqueue"), LABELS),
            ),
            retries: registered(
                registry,
                IntCounterVec::new(
                    opts("workqueue_retries_total", "Total number of retries handled by workqueue"),
                    LABELS,
                ),
            ),
            queue_duration: registered(
                registry,
                durations(
                    "workqueue_queue_duration_seconds",
                    "How long in seconds an item stays in workqueue before being requested.",
                ),
            ),
            work_duration: registered(
                registry,
                durations(
                    "workqueue_work_duration_seconds",
                    "How long in seconds processing an item from workqueue takes.",
                ),
            ),
            unfinished_work: registered(
                registry,
                GaugeVec::new(
                    opts(
                        "workqueue_unfinished_work_seconds",
                        "How many seconds of work has been done that is in progress and hasn't been observed by \
                         work_duration.",
                    ),
                    LABELS,
                ),
            ),
            longest_running: registered(
                registry,
                GaugeVec::new(
                    opts(
                        "workqueue_longest_running_processor_seconds",
                        "How many seconds has the longest running processor for workqueue been running.",
                    ),
                    LABELS,
                ),
            ),
            probes: Mutex::default(),
        }
    }

    pub(super) fn named(queues: &Arc<Self>, name: &'static str) -> Arc<dyn QueueMetrics> {
        queues.depth.with_label_values(&[name]).set(0);
        queues.unfinished_work.with_label_values(&[name]).set(0.0);
        queues.longest_running.with_label_values(&[name]).set(0.0);
        Arc::new(Queue {
            all: queues.clone(),
            name,
            adds: queues.adds.with_label_values(&[name]),
            retries: queues.retries.with_label_values(&[name]),
            queue_duration: queues.queue_duration.with_label_values(&[name]),
            work_duration: queues.work_duration.with_label_values(&[name]),
        })
    }

    /// Asks every queue that still exists how it stands.
    pub(super) fn refresh(&self) {
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, probe) in probes {
            let (depth, unfinished, longest) = probe.upgrade().map_or_else(Default::default, |probe| {
                (probe.depth(), probe.unfinished_work(), probe.longest_running())
            });
            self.depth.with_label_values(&[name]).set(i64::try_from(depth).unwrap_or(i64::MAX));
            self.unfinished_work.with_label_values(&[name]).set(seconds(unfinished));
            self.longest_running.with_label_values(&[name]).set(seconds(longest));
        }
    }
}

const LABELS: &[&str] = &["name"];

impl QueueMetrics for Queue {
    fn attach(&self, probe: Weak<dyn QueueProbe>) {
        let mut probes = self.all.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.retain(|(name, _)| *name != self.name);
        probes.push((self.name, probe));
    }

    fn added(&self) {
        self.adds.inc();
    }

    fn retried(&self) {
        self.retries.inc();
    }

    fn waited(&self, queue_duration: Duration) {
        self.queue_duration.observe(seconds(queue_duration));
    }

    fn worked(&self, work_duration: Duration) {
        self.work_duration.observe(seconds(work_duration));
    }
}

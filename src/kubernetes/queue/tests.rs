use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::*;

const SERVICE_BACKOFF: Backoff = Backoff { base: Duration::from_secs(5), max: Duration::from_secs(300) };

fn queue() -> WorkQueue<&'static str> {
    WorkQueue::new(QueueConfig { backoff: SERVICE_BACKOFF, retry_limit: None }, Arc::new(NoQueueMetrics))
}

/// The key that can be had now, if any.
async fn now<K: Key>(queue: &WorkQueue<K>) -> Option<Pass<K>> {
    tokio::select! {
        biased;
        pass = queue.next() => pass,
        () = tokio::task::yield_now() => None,
    }
}

/// Time that passes until a key can be had.
async fn wait_for(queue: &WorkQueue<&'static str>) -> (Duration, Pass<&'static str>) {
    let before = Instant::now();
    let pass = queue.next().await.expect("the queue is open");
    (before.elapsed(), pass)
}

#[tokio::test(start_paused = true)]
async fn svc_20_the_delay_doubles_from_5_s_to_300_s_and_success_resets_it() {
    let queue = queue();
    queue.add("web");
    let mut delays = Vec::new();
    for _ in 0..9 {
        let (delay, pass) = wait_for(&queue).await;
        delays.push(delay.as_secs());
        pass.end(Outcome::Failed);
    }
    assert_eq!(delays, [0, 5, 10, 20, 40, 80, 160, 300, 300]);

    let (_, pass) = wait_for(&queue).await;
    pass.end(Outcome::Done);
    queue.add("web");
    wait_for(&queue).await.1.end(Outcome::Failed);
    assert_eq!(wait_for(&queue).await.0.as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn svc_20_an_event_is_handled_at_once_and_leaves_the_count_of_failures() {
    let queue = queue();
    queue.add("web");
    wait_for(&queue).await.1.end(Outcome::Failed);
    wait_for(&queue).await.1.end(Outcome::Failed);
    queue.add("web");
    let (delay, pass) = wait_for(&queue).await;
    assert_eq!((delay, queue.failures(&"web")), (Duration::ZERO, 2));
    pass.end(Outcome::Failed);
    assert_eq!(wait_for(&queue).await.0.as_secs(), 20, "third failure, and the second's retry is gone");
}

#[tokio::test(start_paused = true)]
async fn svc_21_a_delay_asked_for_leaves_the_count_of_failures() {
    let queue = queue();
    queue.add("web");
    wait_for(&queue).await.1.end(Outcome::Failed);
    wait_for(&queue).await.1.end(Outcome::RetryAfter(Duration::from_secs(61)));
    let (delay, pass) = wait_for(&queue).await;
    assert_eq!((delay.as_secs(), queue.failures(&"web")), (61, 1));
    pass.end(Outcome::Failed);
    assert_eq!(wait_for(&queue).await.0.as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn what_only_somebody_can_mend_is_tried_at_the_longest_delay() {
    let queue = queue();
    queue.add("web");
    wait_for(&queue).await.1.end(Outcome::FailedForGood);
    assert_eq!(wait_for(&queue).await.0.as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn node_34_the_delay_doubles_from_5_ms_to_1000_s_with_a_bucket_shared_by_all_keys() {
    let queue = WorkQueue::new(
        QueueConfig {
            backoff: Backoff { base: Duration::from_millis(5), max: Duration::from_secs(1000) },
            retry_limit: Some(RateLimit { per_second: 10.0, burst: 100 }),
        },
        Arc::new(NoQueueMetrics),
    );
    let start = Instant::now();
    for node in 0..120 {
        queue.add(node);
        queue.next().await.expect("open").end(Outcome::Failed);
    }
    let mut at = Vec::new();
    for _ in 0..120 {
        let pass = queue.next().await.expect("open");
        at.push(start.elapsed().as_millis());
        pass.end(Outcome::Done);
    }
    assert_eq!(at[..100].to_vec(), vec![5; 100], "the burst waits for its own delay only");
    assert_eq!(at[100..103].to_vec(), [100, 200, 300], "then ten a second");
    assert_eq!(at[119], 2000);

    advance(Duration::from_secs(60)).await;
    let mut delays = Vec::new();
    queue.add(0);
    for _ in 0..20 {
        let before = Instant::now();
        let pass = queue.next().await.expect("open");
        delays.push(before.elapsed().as_millis());
        pass.end(Outcome::Failed);
    }
    assert_eq!(delays[..5], [0, 5, 10, 20, 40]);
    assert_eq!(delays[19], 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn svc_33_node_38_a_key_is_never_processed_twice_at_once_and_events_meanwhile_cause_one_more_pass() {
    let queue = queue();
    queue.add("web");
    queue.add("web");
    let pass = now(&queue).await.expect("it waits");
    queue.add("web");
    queue.add("web");
    assert!(now(&queue).await.is_none(), "its pass has not ended");
    pass.end(Outcome::Done);
    now(&queue).await.expect("one more pass").end(Outcome::Done);
    assert!(now(&queue).await.is_none(), "and no third");
    assert!(queue.is_idle());
}

#[tokio::test(start_paused = true)]
async fn svc_34_a_pass_takes_the_delayed_retry_of_its_key_with_it() {
    let queue = queue();
    queue.add("web");
    wait_for(&queue).await.1.end(Outcome::Failed);
    queue.add("web");
    wait_for(&queue).await.1.end(Outcome::Done);
    advance(Duration::from_secs(1000)).await;
    assert!(now(&queue).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_was_dropped_counts_as_failed() {
    let queue = queue();
    queue.add("web");
    drop(now(&queue).await.expect("it waits"));
    assert_eq!(queue.failures(&"web"), 1);
    assert_eq!(wait_for(&queue).await.0.as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_finishes_or_drops_what_waits() {
    for (waiting, handed_out) in [(Waiting::Finish, true), (Waiting::Drop, false)] {
        let queue = queue();
        queue.add("web");
        queue.add_after("db", Duration::from_secs(1));
        queue.shut_down(waiting);
        queue.add("late");
        if handed_out {
            let pass = queue.next().await.expect("it waited before");
            assert_eq!(*pass.key(), "web");
            pass.end(Outcome::Failed);
        }
        assert!(queue.next().await.is_none(), "{waiting:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn app_33_a_panic_in_a_pass_is_an_error_of_the_queue() {
    let queue = queue();
    queue.add("web");
    let result = queue.work(2, |_| async { panic!("a fault in a pass") }).await;
    assert!(result.is_err());
}

#[derive(Default)]
struct Figures {
    seen: Mutex<Vec<String>>,
    probe: Mutex<Option<Weak<dyn QueueProbe>>>,
}

impl Figures {
    fn note(&self, what: String) {
        self.seen.lock().expect("no test panics here").push(what);
    }
}

impl QueueMetrics for Figures {
    fn attach(&self, probe: Weak<dyn QueueProbe>) {
        *self.probe.lock().expect("no test panics here") = Some(probe);
    }
    fn added(&self) {
        self.note("added".into());
    }
    fn retried(&self) {
        self.note("retried".into());
    }
    fn waited(&self, queue_duration: Duration) {
        self.note(format!("waited {queue_duration:?}"));
    }
    fn worked(&self, work_duration: Duration) {
        self.note(format!("worked {work_duration:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_queue_tells_its_figures() {
    let figures = Arc::new(Figures::default());
    let queue = WorkQueue::new(
        QueueConfig { backoff: SERVICE_BACKOFF, retry_limit: None },
        Arc::clone(&figures) as Arc<dyn QueueMetrics>,
    );
    let probe = figures.probe.lock().expect("free").clone().expect("attached");
    let probe = probe.upgrade().expect("the queue lives");
    queue.add("web");
    queue.add("web");
    queue.add("db");
    assert_eq!(probe.depth(), 2);
    advance(Duration::from_secs(1)).await;
    let web = now(&queue).await.expect("it waits");
    advance(Duration::from_secs(2)).await;
    let db = now(&queue).await.expect("it waits");
    advance(Duration::from_secs(1)).await;
    assert_eq!(
        (probe.depth(), probe.unfinished_work(), probe.longest_running()),
        (0, Duration::from_secs(4), Duration::from_secs(3))
    );
    queue.add("web");
    assert_eq!(probe.depth(), 1);
    web.end(Outcome::Done);
    db.end(Outcome::Failed);
    assert_eq!(
        *figures.seen.lock().expect("free"),
        ["added", "added", "waited 1s", "waited 3s", "added", "worked 3s", "worked 1s", "retried"]
    );
}

/// What a history does next.
#[derive(Debug, Clone)]
enum Step {
    Add(u8),
    AddAfter(u8, u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8).prop_map(Step::Add),
        (0..4_u8, 0..50_u64).prop_map(|(key, delay)| Step::AddAfter(key, delay)),
        (0..40_u64).prop_map(Step::Wait),
    ]
}

fn outcome(n: u8) -> Outcome {
    match n % 4 {
        0 | 1 => Outcome::Done,
        2 => Outcome::Failed,
        _ => Outcome::RetryAfter(Duration::from_millis(u64::from(n))),
    }
}

/// What the passes of a history saw.
#[derive(Default)]
struct Seen {
    running: [AtomicUsize; 4],
    overlaps: AtomicUsize,
    passes: AtomicUsize,
    /// The number of the last add of each key, and of the last that a pass began after.
    added: [AtomicUsize; 4],
    served: [AtomicUsize; 4],
}

impl Seen {
    async fn pass(&self, key: u8, script: &[(u8, u8)]) -> Outcome {
        let slot = usize::from(key);
        self.served[slot].store(self.added[slot].load(Ordering::SeqCst), Ordering::SeqCst);
        if self.running[slot].fetch_add(1, Ordering::SeqCst) > 0 {
            self.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        let n = self.passes.fetch_add(1, Ordering::SeqCst);
        // Every history ends well, so that the queue comes to rest.
        let (work, end) = script.get(n).copied().unwrap_or((1, 0));
        tokio::time::sleep(Duration::from_millis(u64::from(work))).await;
        self.running[slot].fetch_sub(1, Ordering::SeqCst);
        outcome(end)
    }
}

async fn play(steps: Vec<Step>, script: Vec<(u8, u8)>, workers: usize) -> Arc<Seen> {
    let queue = WorkQueue::new(
        QueueConfig {
            backoff: Backoff { base: Duration::from_millis(5), max: Duration::from_millis(80) },
            retry_limit: Some(RateLimit { per_second: 100.0, burst: 3 }),
        },
        Arc::new(NoQueueMetrics),
    );
    let (seen, script) = (Arc::new(Seen::default()), Arc::new(script));
    let running = tokio::spawn({
        let (queue, seen) = (queue.clone(), Arc::clone(&seen));
        async move {
            queue
                .work(workers, move |key: u8| {
                    let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                    async move { seen.pass(key, &script).await }
                })
                .await
        }
    });
    for step in steps {
        match step {
            Step::Add(key) => {
                seen.added[usize::from(key)].fetch_add(1, Ordering::SeqCst);
                queue.add(key);
            }
            Step::AddAfter(key, delay) => {
                seen.added[usize::from(key)].fetch_add(1, Ordering::SeqCst);
                queue.add_after(key, Duration::from_millis(delay));
            }
            Step::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
    }
    while !queue.is_idle() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    queue.shut_down(Waiting::Finish);
    running.await.expect("the workers end").expect("no pass panicked");
    seen
}

proptest! {
    #[test]
    fn no_key_is_lost_and_none_is_processed_twice_at_once(
        steps in prop::collection::vec(step(), 0..60),
        script in prop::collection::vec((0..30_u8, any::<u8>()), 0..80),
        workers in 1..5_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let seen = runtime.block_on(play(steps, script, workers));
        prop_assert_eq!(seen.overlaps.load(Ordering::SeqCst), 0);
        let numbers = |list: &[AtomicUsize; 4]| list.iter().map(|n| n.load(Ordering::SeqCst)).collect::<Vec<_>>();
        prop_assert_eq!(numbers(&seen.added), numbers(&seen.served), "a pass began after the last add of every key");
    }
}

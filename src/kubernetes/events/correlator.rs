//! What is written of what was recorded: counts instead of copies, and a bound on floods.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{NewEvent, Severity};

/// From so many different messages on, within [`AGGREGATE_WINDOW`] of each other, events that differ in their message
/// only are folded into one.
const AGGREGATE_FROM: usize = 10;
const AGGREGATE_WINDOW: Duration = Duration::from_secs(600);
const AGGREGATE_PREFIX: &str = "(combined from similar events): ";
/// Events about one object that are written without delay; after that one in [`SPAM_REFILL`].
const SPAM_BURST: f64 = 25.0;
const SPAM_REFILL: Duration = Duration::from_secs(300);
/// Things remembered of each sort; the least recently used goes first.
const REMEMBERED: usize = 4096;

/// Characters of an object's name, at most.
const LONGEST_NAME: usize = 253;

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Emission {
    /// A new Event.
    Create(Box<Event>),
    /// One more of an Event.
    Repeat(Box<Repeat>),
    /// Too many about this object.
    Nothing,
}

/// One more of an Event that was written before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Repeat {
    /// The Event as it is now, in case the first one is gone.
    pub(super) event: Event,
}

impl Repeat {
    /// The fields that change.
    pub(super) fn patch(&self) -> Value {
        json!({
            "count": self.event.count,
            "message": self.event.message,
            "lastTimestamp": self.event.last_timestamp,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct About {
    component: &'static str,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Similar {
    about: About,
    severity: Severity,
    reason: &'static str,
}

/// Same event: similar, and with the same message unless folded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Same {
    similar: Similar,
    message: Option<String>,
}

#[derive(Debug)]
struct Fold {
    messages: HashSet<String>,
    last: Instant,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

#[derive(Debug, Clone)]
struct Written {
    name: String,
    count: i32,
    first: Time,
}

/// Remembers what was recorded.
#[derive(Debug, Default)]
pub(super) struct Correlator {
    folds: Recent<Similar, Fold>,
    buckets: Recent<About, Bucket>,
    written: Recent<Same, Written>,
}

impl Correlator {
    /// What to write of an event that a component records now.
    pub(super) fn correlate(&mut self, component: &'static str, event: NewEvent, now: &Time, at: Instant) -> Emission {
        let about = About::of(component, &event.about);
        let similar = Similar { about: about.clone(), severity: event.severity, reason: event.reason };
        let folded = self.fold(&similar, &event.message, at);
        let same = Same { similar, message: (!folded).then(|| event.message.clone()) };
        let written = self.count(same, &event.about, now);
        if !self.allows(about, at) {
            return Emission::Nothing;
        }
        let count = written.count;
        let event = build(component, event, folded, written, now);
        if count > 1 { Emission::Repeat(Box::new(Repeat { event })) } else { Emission::Create(Box::new(event)) }
    }

    fn fold(&mut self, similar: &Similar, message: &str, at: Instant) -> bool {
        let fold = self.folds.entry(similar.clone(), || Fold { messages: HashSet::new(), last: at });
        if at.duration_since(fold.last) > AGGREGATE_WINDOW {
            fold.messages.clear();
        }
        fold.last = at;
        if fold.messages.len() + 1 < AGGREGATE_FROM || fold.messages.contains(message) {
            fold.messages.insert(message.to_owned());
            return false;
        }
        true
    }

    fn count(&mut self, same: Same, about: &ObjectReference, now: &Time) -> Written {
        let written = self.written.entry(same, || Written {
            name: event_name(about.name.as_deref().unwrap_or_default(), now),
            count: 0,
            first: now.clone(),
        });
        written.count = written.count.saturating_add(1);
        written.clone()
    }

    fn allows(&mut self, about: About, at: Instant) -> bool {
        let bucket = self.buckets.entry(about, || Bucket { tokens: SPAM_BURST, at });
        let refilled = at.duration_since(bucket.at).as_secs_f64() / SPAM_REFILL.as_secs_f64();
        bucket.tokens = (bucket.tokens + refilled).min(SPAM_BURST);
        bucket.at = at;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

impl About {
    fn of(component: &'static str, about: &ObjectReference) -> Self {
        Self {
            component,
            kind: about.kind.clone(),
            namespace: about.namespace.clone(),
            name: about.name.clone(),
            uid: about.uid.clone(),
        }
    }
}

/// As other components name their Events, within the longest name that an object may have.
fn event_name(object: &str, now: &Time) -> String {
    let stamp = format!("{:x}", now.0.as_nanosecond());
    let kept: String = object.chars().take(LONGEST_NAME - 1 - stamp.len()).collect();
    format!("{}.{stamp}", kept.trim_end_matches(['.', '-']))
}

fn build(component: &'static str, event: NewEvent, folded: bool, written: Written, now: &Time) -> Event {
    let namespace = event.about.namespace.clone().unwrap_or_else(|| "default".into());
    let message = if folded { format!("{AGGREGATE_PREFIX}{}", event.message) } else { event.message };
    Event {
        metadata: ObjectMeta { name: Some(written.name), namespace: Some(namespace), ..ObjectMeta::default() },
        involved_object: event.about,
        type_: Some(event.severity.as_str().into()),
        reason: Some(event.reason.into()),
        message: Some(message),
        count: Some(written.count),
        first_timestamp: Some(written.first),
        last_timestamp: Some(now.clone()),
        source: Some(EventSource { component: Some(component.into()), host: None }),
        reporting_component: Some(component.into()),
        reporting_instance: Some(String::new()),
        ..Event::default()
    }
}

/// A map that forgets the least recently used.
#[derive(Debug)]
struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.uses += 1;
        if let Some((used, _)) = self.entries.get(&key) {
            self.by_use.remove(used);
        } else if self.entries.len() >= REMEMBERED
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.by_use.insert(self.uses, key.clone());
        let entry = self.entries.entry(key).or_insert_with(|| (0, make()));
        entry.0 = self.uses;
        &mut entry.1
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn about(name: &str) -> ObjectReference {
        ObjectReference {
            kind: Some("Service".into()),
            namespace: Some("shop".into()),
            name: Some(name.into()),
            uid: Some("u1".into()),
            ..ObjectReference::default()
        }
    }

    /// A clock and the correlator under test.
    struct Scene {
        correlator: Correlator,
        start: Instant,
    }

    impl Scene {
        fn new() -> Self {
            Self { correlator: Correlator::default(), start: Instant::now() }
        }

        fn record(&mut self, seconds: u64, name: &str, reason: &'static str, message: &str) -> Emission {
            let event = NewEvent { about: about(name), severity: Severity::Normal, reason, message: message.into() };
            let second = i64::try_from(seconds).expect("a small number");
            let now = Time(jiff::Timestamp::from_second(second).expect("in range"));
            let at = self.start + Duration::from_secs(seconds);
            self.correlator.correlate("service-controller", event, &now, at)
        }
    }

    /// Short form of what is written.
    fn shown(emission: &Emission) -> String {
        let show = |event: &Event| {
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            format!("{} x{} {}", text(&event.metadata.name), event.count.unwrap_or_default(), text(&event.message))
        };
        match emission {
            Emission::Create(event) => format!("create {}", show(event)),
            Emission::Repeat(repeat) => format!("repeat {}", show(&repeat.event)),
            Emission::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn obs_13_a_repeat_counts_on_the_first_event() {
        let mut scene = Scene::new();
        assert_eq!(shown(&scene.record(1, "web", "A", "m")), "create web.3b9aca00 x1 m");
        assert_eq!(shown(&scene.record(2, "web", "A", "m")), "repeat web.3b9aca00 x2 m");
        assert_eq!(shown(&scene.record(3, "web", "A", "other")), "create web.b2d05e00 x1 other");
        assert_eq!(shown(&scene.record(4, "db", "A", "m")), "create db.ee6b2800 x1 m");
        let Emission::Repeat(repeat) = scene.record(5, "web", "A", "m") else {
            panic!("a repeat");
        };
        assert_eq!(repeat.patch(), json!({ "count": 3, "message": "m", "lastTimestamp": "1970-01-01T00:00:05Z" }));
    }

    #[test]
    fn obs_13_many_similar_events_are_folded() {
        let mut scene = Scene::new();
        let seen: Vec<String> = (1..=12).map(|n| shown(&scene.record(n, "web", "A", &format!("m{n}")))).collect();
        assert!(seen[..9].iter().all(|s| s.starts_with("create") && !s.contains("combined")));
        assert_eq!(
            seen[9..],
            [
                "create web.2540be400 x1 (combined from similar events): m10",
                "repeat web.2540be400 x2 (combined from similar events): m11",
                "repeat web.2540be400 x3 (combined from similar events): m12",
            ]
        );
        assert_eq!(
            shown(&scene.record(613, "web", "A", "m99")),
            "create web.8eb9a5b200 x1 m99",
            "ten quiet minutes end the folding"
        );
    }

    #[test]
    fn obs_13_a_flood_about_one_object_is_dropped_after_25_then_one_in_5_minutes_passes() {
        let mut scene = Scene::new();
        let written = |emission: &Emission| *emission != Emission::Nothing;
        let passed = (0..100).filter(|_| written(&scene.record(1, "web", "A", "m"))).count();
        assert_eq!(passed, 25);
        assert!(written(&scene.record(1, "db", "A", "m")), "other objects have their own allowance");
        assert!(!written(&scene.record(300, "web", "B", "x")));
        assert!(written(&scene.record(301, "web", "B", "x")));
        assert!(!written(&scene.record(302, "web", "B", "x")));
    }

    #[test]
    fn svc_53_an_event_carries_everything_kubernetes_expects() {
        let Emission::Create(event) = Scene::new().record(1, "web", "EnsuringLoadBalancer", "Ensuring load balancer")
        else {
            panic!("a new event");
        };
        assert_eq!(
            serde_json::to_value(&*event).expect("an Event"),
            json!({
                "apiVersion": "v1", "kind": "Event",
                "metadata": { "name": "web.3b9aca00", "namespace": "shop" },
                "involvedObject": { "kind": "Service", "namespace": "shop", "name": "web", "uid": "u1" },
                "type": "Normal", "reason": "EnsuringLoadBalancer", "message": "Ensuring load balancer",
                "count": 1,
                "firstTimestamp": "1970-01-01T00:00:01Z", "lastTimestamp": "1970-01-01T00:00:01Z",
                "source": { "component": "service-controller" },
                "reportingComponent": "service-controller", "reportingInstance": "",
            })
        );
    }

    #[test]
    fn the_longest_name_of_an_object_still_makes_a_name_of_an_event() {
        let name = format!("{}.{}", "a".repeat(235), "b".repeat(17));
        let now = Time(jiff::Timestamp::from_second(1_800_000_000).expect("in range"));
        let event = event_name(&name, &now);
        assert_eq!(event, format!("{}.{:x}", "a".repeat(235), 1_800_000_000_000_000_000_u64));
    }

    #[test]
    fn the_least_recently_used_is_forgotten() {
        let mut recent = Recent::default();
        for n in 0..REMEMBERED {
            recent.entry(n, || n);
        }
        recent.entry(0, || 1);
        recent.entry(REMEMBERED, || 0);
        assert_eq!(recent.entries.len(), REMEMBERED);
        assert!(recent.entries.contains_key(&0) && !recent.entries.contains_key(&1));
    }
}

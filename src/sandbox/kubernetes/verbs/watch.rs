//! Following a collection: a stream of changes from a version on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::sandbox::kubernetes::api::Shared;
use crate::sandbox::kubernetes::negotiate::Representation;
use crate::sandbox::kubernetes::object;
use crate::sandbox::kubernetes::query::{invalid_match, parse_revision};
use crate::sandbox::kubernetes::registry::Resource;
use crate::sandbox::kubernetes::render;
use crate::sandbox::kubernetes::request::ResourceRequest;
use crate::sandbox::kubernetes::schema;
use crate::sandbox::kubernetes::selector::Selector;
use crate::sandbox::kubernetes::status::Refusal;
use crate::sandbox::kubernetes::store::{Change, Object};
use crate::sandbox::kubernetes::table::Columns;

/// How often a quiet watch that asked for bookmarks gets one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// How long before its end a watch gets its last bookmark.
const LAST_BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// How long a watch lives that names no time.
const DEFAULT_LIFE: Duration = Duration::from_secs(30 * 60);

/// The connection of the watch is broken on order.
#[derive(Debug, thiserror::Error)]
#[error("the watch was cut on order")]
struct WatchCut;

/// Where a watch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// With the present objects, then changes; and a bookmark in between if that is asked for.
    Present { bookmark: bool },
    /// With the changes after that version.
    After(u64),
    /// With the objects of a version that is not there yet: a refusal.
    Ahead(u64),
}

struct Watch {
    shared: Arc<Shared>,
    resource: Arc<Resource>,
    namespace: Option<String>,
    selector: Selector,
    representation: Representation,
    bookmarks: bool,
    cursor: u64,
    ready: VecDeque<Bytes>,
    columns: Columns,
    revisions: watch::Receiver<u64>,
    cuts: watch::Receiver<u64>,
    ends: Instant,
    next_bookmark: Instant,
    over: bool,
}

/// Opens a watch.
pub(super) fn watch(shared: &Arc<Shared>, request: &ResourceRequest) -> Result<Response<Body>, Refusal> {
    let resource = &request.target.resource;
    let mut selector = Selector::of_query(&request.query, resource)?;
    if let Some(name) = &request.target.name {
        selector = selector.named(name);
    }
    let bookmarks = request.query.flag("allowWatchBookmarks");
    let start = start(request, shared.store.revision())?;
    let life = request.query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let now = Instant::now();
    let ends = now + life.unwrap_or(DEFAULT_LIFE);
    let mut watch = Watch {
        shared: shared.clone(),
        resource: resource.clone(),
        namespace: request.target.namespace.clone(),
        selector,
        representation: request.representation,
        bookmarks,
        cursor: 0,
        ready: VecDeque::new(),
        columns: Columns::Shown,
        revisions: shared.store.subscribe(),
        cuts: shared.cuts.subscribe(),
        ends,
        next_bookmark: next_bookmark(now, ends),
        over: false,
    };
    watch.begin(start);
    let lines = stream::unfold(watch, |mut watch| async move { watch.next().await.map(|line| (line, watch)) });
    let mut response = Response::new(Body::from_stream(lines));
    let media = match request.representation {
        Representation::Full => "application/json",
        Representation::Table(_) => "application/json;stream=watch;as=Table;g=meta.k8s.io;v=v1",
        Representation::Metadata => "application/json;stream=watch;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    Ok(response)
}

fn start(request: &ResourceRequest, current: u64) -> Result<Start, Refusal> {
    let version = request.query.get("resourceVersion").map(parse_revision).transpose()?;
    let initial = request.query.get("sendInitialEvents").map(|value| value != "false" && value != "0");
    let matching = request.query.get("resourceVersionMatch");
    match (initial, matching) {
        (Some(_), Some("NotOlderThan")) => {}
        (Some(_), _) => {
            return Err(invalid_match("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        }
        (None, Some(_)) => {
            return Err(invalid_match(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        (None, None) => {}
    }
    Ok(match (initial, version) {
        (Some(true), Some(version)) if version > current => Start::Ahead(version),
        (Some(true), _) => Start::Present { bookmark: request.query.flag("allowWatchBookmarks") },
        (None, None | Some(0)) => Start::Present { bookmark: false },
        (Some(false), None | Some(0)) => Start::After(u64::MAX),
        (_, Some(version)) => Start::After(version),
    })
}

impl Watch {
    fn begin(&mut self, start: Start) {
        match start {
            Start::After(u64::MAX) => self.cursor = self.shared.store.revision(),
            Start::After(version) => self.cursor = version,
            Start::Ahead(version) => self.refuse(&Refusal::too_large_revision(version, self.shared.store.revision())),
            Start::Present { bookmark } => {
                let present = self.shared.store.list(&self.resource.collection, self.namespace.as_deref(), None, None);
                let Ok(present) = present else { return };
                self.cursor = present.revision;
                for (_, object) in present.objects {
                    if self.selector.matches(&object.value) {
                        self.push("ADDED", &object);
                    }
                }
                if bookmark {
                    let line = self.bookmark(true);
                    self.ready.push_back(line);
                }
            }
        }
    }

    /// The next line of the stream; nothing when the watch is over.
    async fn next(&mut self) -> Option<Result<Bytes, WatchCut>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            if self.over {
                return None;
            }
            self.revisions.mark_unchanged();
            self.collect();
            if !self.ready.is_empty() {
                continue;
            }
            let wake = self.ends.min(if self.bookmarks { self.next_bookmark } else { self.ends });
            tokio::select! {
                changed = self.revisions.changed() => self.over |= changed.is_err(),
                cut = self.cuts.changed() => return cut.is_ok().then_some(Err(WatchCut)),
                () = tokio::time::sleep_until(wake) => self.tick(),
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.over = now >= self.ends;
        if self.bookmarks && !self.over && now >= self.next_bookmark {
            let line = self.bookmark(false);
            self.ready.push_back(line);
            self.next_bookmark = next_bookmark(now, self.ends);
        }
    }

    /// Takes in what changed since the last look.
    fn collect(&mut self) {
        match self.shared.store.changes_after(&self.resource.collection, self.cursor) {
            Ok((changes, revision)) => {
                for change in &changes {
                    self.take(change);
                }
                self.cursor = self.cursor.max(revision);
            }
            Err(compacted) => {
                let message = format!("too old resource version: {} ({})", self.cursor, compacted.oldest);
                self.refuse(&Refusal::expired(message));
            }
        }
    }

    /// Ends the watch with a refusal.
    fn refuse(&mut self, refusal: &Refusal) {
        let event = json!({"type": "ERROR", "object": refusal.body()});
        self.ready.push_back(line(event.to_string()));
        self.over = true;
    }

    fn take(&mut self, change: &Change) {
        if self.namespace.as_ref().is_some_and(|namespace| *namespace != change.key.0) {
            return;
        }
        let was = change.before.as_ref().is_some_and(|before| self.selector.matches(&before.value));
        let is = !change.deleted && self.selector.matches(&change.after.value);
        match (was, is) {
            (false, true) => self.push("ADDED", &change.after),
            (true, true) => self.push("MODIFIED", &change.after),
            (true, false) if change.deleted => self.push("DELETED", &change.after),
            (true, false) => {
                let before = change.before.as_ref().map(|before| before.value.clone());
                let mut last = before.unwrap_or_default();
                let version = Value::from(change.revision.to_string());
                object::metadata_mut(&mut last).insert("resourceVersion".to_owned(), version);
                self.push("DELETED", &Object::new(last, change.revision));
            }
            (false, false) => {}
        }
    }

    fn push(&mut self, kind: &str, object: &Object) {
        let body = render::watched(&self.resource, self.representation, object, self.columns);
        if matches!(self.representation, Representation::Table(_)) {
            self.columns = Columns::Hidden;
        }
        let mut text = Vec::with_capacity(body.len() + 40);
        text.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
        text.extend_from_slice(&body);
        text.extend_from_slice(b"}\n");
        self.ready.push_back(Bytes::from(text));
    }

    /// The version reached so far, in an object that is otherwise empty.
    fn bookmark(&self, initial_events_end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": self.cursor.to_string()});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let empty = schema::normalise(json!({"metadata": metadata}), &self.resource.schema);
        let value = empty.map(|normalised| normalised.value).unwrap_or_default();
        let object = match self.representation {
            Representation::Full => object::with_type(&value, &self.resource),
            Representation::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Representation::Table(_) => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": null, "rows": [],
                "metadata": {"resourceVersion": self.cursor.to_string()},
            }),
        };
        line(json!({"type": "BOOKMARK", "object": object}).to_string())
    }
}

/// Every minute, and once more shortly before the end.
fn next_bookmark(now: Instant, ends: Instant) -> Instant {
    let last = ends - LAST_BOOKMARK_BEFORE_END;
    let regular = now + BOOKMARK_EVERY;
    if last > now { regular.min(last) } else { regular }
}

fn line(mut text: String) -> Bytes {
    text.push('\n');
    Bytes::from(text)
}

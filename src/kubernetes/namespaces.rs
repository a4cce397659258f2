//! Labels of Namespaces, watched only if the policy looks at them.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, CacheWriter, Cached, Delta, WatchEnded, cache};
use crate::ports::Namespaces;

/// Labels of every Namespace.
///
/// Nothing is watched, and every Namespace is unknown, until [`KubeNamespaces::ready`] is called for the first time.
pub struct KubeNamespaces {
    cache: Cache<NamespaceLabels>,
    wanted: watch::Sender<bool>,
    changed: watch::Sender<u64>,
}

/// Keeps [`KubeNamespaces`] current.
pub struct NamespaceWatch {
    namespaces: Arc<KubeNamespaces>,
    writer: CacheWriter<NamespaceLabels>,
}

/// What is kept of a Namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceLabels {
    name: String,
    resource_version: String,
    labels: Arc<BTreeMap<String, String>>,
}

impl Cached for NamespaceLabels {
    type Object = api::Namespace;
    type Key = String;

    fn from_object(object: &api::Namespace) -> Self {
        let meta = &object.metadata;
        Self {
            name: meta.name.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            labels: Arc::new(meta.labels.clone().unwrap_or_default()),
        }
    }

    fn key(&self) -> String {
        self.name.clone()
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

/// The labels and what keeps them current.
pub fn namespaces() -> (Arc<KubeNamespaces>, NamespaceWatch) {
    let (cache, writer) = cache();
    let namespaces = Arc::new(KubeNamespaces { cache, wanted: watch::channel(false).0, changed: watch::channel(0).0 });
    let watch = NamespaceWatch { namespaces: Arc::clone(&namespaces), writer };
    (namespaces, watch)
}

impl KubeNamespaces {
    /// Has Namespaces watched from now on, and waits until the labels of all are known.
    pub async fn ready(&self) {
        self.wanted.send_replace(true);
        self.cache.synced().await;
    }

    /// Wakes whenever labels of a Namespace changed: decisions about its Services may be others now.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

impl Namespaces for KubeNamespaces {
    fn labels(&self, namespace: &str) -> Option<Arc<BTreeMap<String, String>>> {
        self.cache.get(&namespace.to_owned()).map(|found| Arc::clone(&found.labels))
    }
}

impl NamespaceWatch {
    /// Waits until the labels are asked for, then watches until cancelled.
    ///
    /// # Errors
    /// The watch ended by itself.
    pub async fn run(self, client: Client, cancel: CancellationToken) -> Result<(), WatchEnded> {
        let Self { namespaces, writer } = self;
        let mut wanted = namespaces.wanted.subscribe();
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            // Cannot fail: `namespaces` holds the sender.
            _ = wanted.wait_for(|wanted| *wanted) => {}
        }
        let deltas = namespaces.cache.subscribe();
        tokio::select! {
            ended = writer.watch(Api::all(client), cancel.clone()) => ended,
            () = tell_of_changes(&namespaces, deltas) => Ok(()),
        }
    }
}

async fn tell_of_changes(namespaces: &KubeNamespaces, mut deltas: super::cache::Deltas<NamespaceLabels>) {
    while let Some(delta) = deltas.next().await {
        let matters = match &delta {
            Delta::Applied { old: Some(old), new } => old.labels != new.labels,
            Delta::Applied { old: None, .. } | Delta::Deleted(_) => true,
        };
        if matters {
            namespaces.changed.send_modify(|changes| *changes += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;
    use serde_json::json;
    use wiremock::matchers::{method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[tokio::test]
    async fn namespaces_are_watched_from_the_first_question_on() {
        let server = MockServer::start().await;
        let item = |name: &str, labels: serde_json::Value| json!({ "metadata": { "name": name, "resourceVersion": "1", "labels": labels } });
        Mock::given(method("GET"))
            .and(path("/api/v1/namespaces"))
            .and(query_param("watch", "true"))
            .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(3600)))
            .with_priority(1)
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .and(path("/api/v1/namespaces"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({
                "apiVersion": "v1", "kind": "NamespaceList", "metadata": { "resourceVersion": "5" },
                "items": [item("shop", json!({ "tier": "internal" })), item("plain", json!(null))],
            })))
            .mount(&server)
            .await;
        let client = Client::try_from(kube::Config::new(server.uri().parse().expect("a URL"))).expect("a client");
        let (namespaces, watch) = namespaces();
        let cancel = CancellationToken::new();
        let running = tokio::spawn(watch.run(client, cancel.clone()));
        tokio::task::yield_now().await;
        assert_eq!(server.received_requests().await.expect("recorded").len(), 0);
        assert_eq!(namespaces.labels("shop"), None);

        let mut changed = namespaces.subscribe();
        namespaces.ready().await;
        let internal = BTreeMap::from([("tier".to_owned(), "internal".to_owned())]);
        assert_eq!(namespaces.labels("shop"), Some(Arc::new(internal)));
        assert_eq!(namespaces.labels("plain"), Some(Arc::default()));
        assert_eq!(namespaces.labels("absent"), None);
        changed.changed().await.expect("the labels became known");

        cancel.cancel();
        running.await.expect("no panic").expect("ended as asked");
    }
}

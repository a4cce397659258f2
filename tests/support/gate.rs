//! A reverse proxy that counts writes and can swallow the answer of one: the moment at which a controller is killed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// Counts the writes of a controller over all the servers it talks to.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Counters>);

struct Counters {
    writes: AtomicU64,
    swallow: AtomicU64,
    swallowed: Notify,
    log: Mutex<Vec<String>>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            writes: AtomicU64::new(0),
            swallow: AtomicU64::new(u64::MAX),
            swallowed: Notify::new(),
            log: Mutex::default(),
        }
    }
}

impl Gate {
    /// Counts from 0 again and lets every answer through, but for that of write number `swallow` (from 1): it takes
    /// place, and nobody learns of it.
    pub(crate) fn reset(&self, swallow: Option<u64>) {
        self.0.writes.store(0, Ordering::SeqCst);
        self.0.swallow.store(swallow.unwrap_or(u64::MAX), Ordering::SeqCst);
        self.log().clear();
    }

    /// Returns once the answer was swallowed.
    pub(crate) async fn swallowed(&self) {
        self.0.swallowed.notified().await;
    }

    /// How many writes succeeded, events and leases left out.
    pub(crate) fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::SeqCst)
    }

    /// The writes in order, as `METHOD path`.
    pub(crate) fn log(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.log.lock().expect("no test panics while it holds the log")
    }

    /// Puts the gate before a server. The proxy ends when the handle is dropped.
    pub(crate) async fn before(&self, upstream: kube::Client) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let router = Router::new().fallback(forward).with_state(Upstream { client: upstream, gate: self.clone() });
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a listener on loopback goes on");
        });
        Proxy { address, _server: AbortOnDropHandle::new(server) }
    }
}

/// A running proxy.
pub(crate) struct Proxy {
    address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

#[derive(Clone)]
struct Upstream {
    client: kube::Client,
    gate: Gate,
}

async fn forward(State(upstream): State<Upstream>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let is_write = !matches!(head.method, Method::GET | Method::HEAD)
        && !path.contains("/events")
        && !path.contains("/leases")
        && !path.contains("reviews");
    let line = format!("{} {path}", head.method);
    head.headers.remove("host");
    let body = match axum::body::to_bytes(body, 32 << 20).await {
        Ok(bytes) => kube::client::Body::from(bytes),
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let response = match upstream.client.send(http::Request::from_parts(head, body)).await {
        Ok(response) => response,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    if is_write && response.status().is_success() {
        let number = upstream.gate.0.writes.fetch_add(1, Ordering::SeqCst) + 1;
        upstream.gate.log().push(line);
        if number == upstream.gate.0.swallow.load(Ordering::SeqCst) {
            upstream.gate.0.swallowed.notify_one();
            std::future::pending::<()>().await;
        }
    }
    let (head, body) = response.into_parts();
    Response::from_parts(head, Body::new(body))
}

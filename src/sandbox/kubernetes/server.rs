//! Connections: accept, read, answer, cut.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use super::api::Shared;
use super::fault::FaultEffect;
use super::journal::{Entry, Verb};
use super::request::{ResourceRequest, user_agent};
use super::status::Refusal;
use super::target::Target;
use super::{access, endpoints, verbs};

/// The largest body that is read, as etcd allows it.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// The connection ends without an answer, on order of a test.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut on order")]
struct Cut;

/// Accepts connections until the server stops.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let connections = TaskTracker::new();
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => break,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(shared.stop.clone().run_until_cancelled_owned(connection(stream, shared.clone())));
            },
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Without it small answers wait for an acknowledgement; a socket that refuses it still works.
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { respond(&shared, request).await }
    });
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::trace!(%error, "connection ended early");
    }
}

async fn respond(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let user = match access::identify(shared, &head.headers) {
        Ok(user) => user,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let Some(target) = Target::find(&shared.registry, head.uri.path()) else {
        return Ok(endpoints::answer(shared, &head));
    };
    let bytes = match axum::body::to_bytes(Body::new(body), BODY_LIMIT).await {
        Ok(bytes) => bytes,
        Err(_) => return Ok(refused(&Refusal::too_large(BODY_LIMIT))),
    };
    let request = match ResourceRequest::new(&head, target, bytes, user) {
        Ok(request) => request,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    answer(shared, request, &head.headers).await
}

async fn answer(
    shared: &Arc<Shared>,
    request: ResourceRequest,
    headers: &http::HeaderMap,
) -> Result<Response<Body>, Cut> {
    let entry = entry(&request, headers);
    let struck = shared.faults.strike(request.verb, &entry.resource, request.target.name.as_deref());
    match struck {
        Some(FaultEffect::CutBefore) => {
            shared.journal.record(entry);
            return Err(Cut);
        }
        Some(FaultEffect::Refuse(code)) => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            shared.journal.record(Entry { status: code.as_u16(), ..entry });
            return Ok(refused(&Refusal::injected(code)));
        }
        Some(FaultEffect::Delay(time)) => tokio::time::sleep(time).await,
        Some(FaultEffect::CutAfter) | None => {}
    }
    let response = verbs::answer(shared, &request).unwrap_or_else(|refusal| refused(&refusal));
    let cut = struck == Some(FaultEffect::CutAfter);
    let status = if cut { 0 } else { response.status().as_u16() };
    shared.journal.record(Entry { status, ..entry });
    if cut { Err(Cut) } else { Ok(response) }
}

fn entry(request: &ResourceRequest, headers: &http::HeaderMap) -> Entry {
    let target = &request.target;
    let resource = match target.subresource {
        Some(part) => format!("{}/{}", target.resource.plural, part.as_str()),
        None => target.resource.plural.clone(),
    };
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let has_body = matches!(request.verb, Verb::Create | Verb::Update | Verb::Patch);
    Entry {
        verb: request.verb,
        resource,
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        status: 0,
        user_agent: user_agent(headers).to_owned(),
        field_manager: request.query.get("fieldManager").map(str::to_owned),
        content_type: content_type.filter(|_| has_body).map(str::to_owned),
    }
}

/// The response of a refusal.
pub(crate) fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = json(refusal.code, &refusal.body());
    if refusal.code == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A JSON response.
pub(crate) fn json(code: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A plain-text response.
pub(crate) fn text(code: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

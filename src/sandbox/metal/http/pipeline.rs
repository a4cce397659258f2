//! What every request passes on its way to the project and back.

use std::io;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};

use super::access::Verdict;
use super::fault::{CannedReply, Effect, Moment, Sender};
use super::journal::Outcome;
use crate::sandbox::metal::api::reply::{Reply, json_response};
use crate::sandbox::metal::api::{Api, NO_ROUTE};
use crate::sandbox::metal::wire::PREFIX;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Marks a response that must not be sent: the connection ends instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutConnection;

/// How far a list is turned before its pages are cut.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ListShift(pub(crate) usize);

/// Records a request, lets faults strike it, checks its key and answers it.
pub(crate) async fn intercept(State(api): State<Api>, request: Request, next: Next) -> Response {
    let route =
        request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, |matched| below_prefix(matched.as_str())).to_owned();
    let target = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let number = api.journal().arrive(api.now(), request.method(), &route, below_prefix(&target).to_owned());
    let path = below_prefix(request.uri().path());
    let faults = api.faults().strike(request.method(), &route, path);
    let mut response = answer(&api, &route, faults, request, next).await;
    let cut = response.extensions().get::<CutConnection>().is_some();
    api.journal().end(number, if cut { Outcome::Cut } else { Outcome::Answered(response.status().as_u16()) });
    if response.extensions().get::<Sender>() != Some(&Sender::Intermediary)
        && let Ok(id) = HeaderValue::from_str(&api.request_id())
    {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn answer(api: &Api, route: &str, faults: Vec<(Moment, Effect)>, mut request: Request, next: Next) -> Response {
    let mut after = None;
    for (moment, effect) in faults {
        match (effect, moment) {
            (Effect::Delay(delay), _) => tokio::time::sleep(delay).await,
            (Effect::ShiftPage(by), _) => {
                request.extensions_mut().insert(ListShift(by));
            }
            (Effect::Reply(reply), Moment::BeforeCommit) => return canned(reply),
            (Effect::Cut, Moment::BeforeCommit) => return cut(),
            (Effect::Hang, Moment::BeforeCommit) => return hang(api).await,
            (effect, _) => after = Some(effect),
        }
    }
    let response = carry_out(api, route, request, next).await;
    match after {
        None | Some(Effect::Delay(_) | Effect::ShiftPage(_)) => response,
        Some(Effect::Reply(reply)) => canned(reply),
        Some(Effect::Cut) => cut(),
        Some(Effect::Hang) => hang(api).await,
        Some(Effect::TruncatedJson) => halved(response, Rest::Missing, api).await,
        Some(Effect::CutBody) => halved(response, Rest::Cut, api).await,
        Some(Effect::StallBody) => halved(response, Rest::Stalled, api).await,
        Some(Effect::WrongContentType) => mistyped(response),
    }
}

async fn carry_out(api: &Api, route: &str, request: Request, next: Next) -> Response {
    let key = request.headers().get("x-auth-token").and_then(|value| value.to_str().ok());
    match api.keys().judge(key, request.method(), route) {
        Verdict::Pass => next.run(request).await,
        Verdict::Refuse(refusal) => refusal.into_response(),
        Verdict::Answer(value) => json_response(StatusCode::OK, &value),
    }
}

fn canned(reply: CannedReply) -> Response {
    let mut response =
        Reply::Empty(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).into_response();
    *response.body_mut() = Body::from(reply.body);
    if let Some(content_type) = reply.content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response.extensions_mut().insert(reply.sender);
    response
}

fn cut() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CutConnection);
    response
}

async fn hang(api: &Api) -> Response {
    api.stopping().cancelled().await;
    cut()
}

fn mistyped(mut response: Response) -> Response {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

#[derive(Debug, Clone, Copy)]
enum Rest {
    Missing,
    Cut,
    Stalled,
}

async fn halved(response: Response, rest: Rest, api: &Api) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = axum::body::to_bytes(body, usize::MAX).await else {
        return cut();
    };
    let half = whole.slice(..whole.len() / 2);
    let body = match rest {
        Rest::Missing => {
            parts.headers.remove(CONTENT_LENGTH);
            Body::from(half)
        }
        Rest::Cut => {
            Body::from_stream(stream::iter([Ok::<Bytes, io::Error>(half), Err(io::ErrorKind::ConnectionReset.into())]))
        }
        Rest::Stalled => {
            let stopping = api.stopping().clone();
            let end = stream::once(async move {
                stopping.cancelled().await;
                Err::<Bytes, io::Error>(io::ErrorKind::ConnectionReset.into())
            });
            Body::from_stream(stream::iter([Ok(half)]).chain(end))
        }
    };
    Response::from_parts(parts, body)
}

fn below_prefix(path: &str) -> &str {
    path.strip_prefix(PREFIX).unwrap_or(path)
}

//! One request: paced, named, bounded in time, observed, and repeated when the server asks for it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use kube::client::Body;
use tokio::time::{Instant, sleep, timeout};
use tower::{BoxError, Service, ServiceExt};
use tracing::debug;

use super::rate::TokenBucket;

/// A server that asks for more is asked again all the same.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
const MOST_RETRIES: u32 = 10;
/// A wait for the rate limit that is worth a line in the log.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Counts what a client does.
pub trait RequestObserver: Send + Sync {
    /// A request was answered, or came to nothing.
    fn requested(&self, record: &RequestRecord<'_>);
    /// A request waited so long for the rate limit.
    fn throttled(&self, method: &Method, host: &str, wait: Duration);
    /// An answer asked to try again, and that will be done.
    fn retried(&self, method: &Method, host: &str, code: StatusCode);
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub struct RequestRecord<'a> {
    /// The method.
    pub method: &'a Method,
    /// The server.
    pub host: &'a str,
    /// How it ended.
    pub outcome: RequestOutcome,
    /// Until the head of the answer was there.
    pub duration: Duration,
    /// Bytes of the request's body.
    pub request_size: u64,
    /// Bytes of the answer's body, where it says so.
    pub response_size: Option<u64>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// With an answer.
    Answered(StatusCode),
    /// Without.
    Failed,
}

/// Counts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRequestObserver;

impl RequestObserver for NoRequestObserver {
    fn requested(&self, _: &RequestRecord<'_>) {}
    fn throttled(&self, _: &Method, _: &str, _: Duration) {}
    fn retried(&self, _: &Method, _: &str, _: StatusCode) {}
}

/// What to do with an answer that asks to try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retries {
    WhenAsked,
    Never,
}

/// The service of one named client.
#[derive(Clone)]
pub(super) struct Paced<S> {
    pub(super) inner: S,
    pub(super) user_agent: HeaderValue,
    pub(super) bucket: Option<Arc<TokenBucket>>,
    pub(super) timeout: Duration,
    pub(super) retries: Retries,
    pub(super) host: Arc<str>,
    pub(super) observer: Arc<dyn RequestObserver>,
}

impl<S> Service<Request<Body>> for Paced<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert(header::USER_AGENT, self.user_agent.clone());
        Box::pin(self.clone().send(request))
    }
}

impl<S> Paced<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    async fn send(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let mut next = request;
        let mut retries = 0;
        loop {
            let again = copy(&next);
            let response = self.clone().attempt(next).await?;
            let delay = match self.retries {
                Retries::WhenAsked if retries < MOST_RETRIES => asked_delay(&response),
                Retries::WhenAsked | Retries::Never => None,
            };
            let (Some(delay), Some(again)) = (delay, again) else {
                return Ok(response);
            };
            self.observer.retried(again.method(), &self.host, response.status());
            debug!(
                path = again.uri().path(),
                code = response.status().as_u16(),
                ?delay,
                "Was asked to try again later"
            );
            sleep(delay).await;
            retries += 1;
            next = again;
        }
    }

    async fn attempt(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let method = request.method().clone();
        if let Some(bucket) = &self.bucket {
            let wait = bucket.take();
            if wait >= LONG_WAIT {
                debug!(?wait, %method, path = request.uri().path(), "Waited for the client's own rate limit");
            }
            sleep(wait).await;
            self.observer.throttled(&method, &self.host, wait);
        }
        let request_size = request.body().size_hint().lower();
        let started = Instant::now();
        let limit = self.timeout;
        let result = match timeout(limit, self.inner.oneshot(request)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer from {} within {limit:?}", self.host).into()),
        };
        self.observer.requested(&RequestRecord {
            method: &method,
            host: &self.host,
            outcome: match &result {
                Ok(response) => RequestOutcome::Answered(response.status()),
                Err(_) => RequestOutcome::Failed,
            },
            duration: started.elapsed(),
            request_size,
            response_size: result.as_ref().ok().and_then(content_length),
        });
        result
    }
}

/// `None` for a body that can be sent once only.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

/// The server's wish counts on 429 and 5xx, in seconds; a date is not understood, as in other clients of Kubernetes.
fn asked_delay(response: &Response<Body>) -> Option<Duration> {
    let status = response.status();
    if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
        return None;
    }
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

fn content_length(response: &Response<Body>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

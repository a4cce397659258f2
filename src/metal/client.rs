//! One HTTP client for all calls to Metal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::{StatusCode, Url};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{self, Answer};
use super::connection::{base_url, http_client};
use super::route::{Method, Route};
use super::throttle::Throttle;
use super::{Backoff, HttpDump, Outcome, RateLimit, RequestObserver, RequestReport, dump, pause};
use crate::domain::Secret;
use crate::ports::MetalError;

/// Where the API is, unless configured otherwise.
pub const DEFAULT_BASE_URL: &str = "https://api.equinix.com/metal/v1";

/// A page of 1,000 devices is a few MiB.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// How to reach Metal. [`ClientConfig::new`] gives values fit for production.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Address of the API, version included.
    pub base_url: String,
    /// The API key, of a user or of a project.
    pub api_key: Secret,
    /// Longest time to make a connection.
    pub connect_timeout: Duration,
    /// Longest time for one try, from sending to the last byte.
    pub request_timeout: Duration,
    /// Longest time for a call with all its waits and retries.
    pub deadline: Duration,
    /// How often a call is tried that may be repeated without harm.
    pub tries: u32,
    /// Waits between tries, and after a 429 that names none.
    pub backoff: Backoff,
    /// The pace of all calls together.
    pub rate: RateLimit,
    /// The longest pause that a 429 can cause.
    pub longest_pause: Duration,
    /// Whether requests and answers go to the debug log.
    pub dump: HttpDump,
}

impl ClientConfig {
    /// The defaults: 5 s to connect, 30 s a try, 60 s and 4 tries a call, 10 calls a second after a burst of 50.
    pub fn new(base_url: impl Into<String>, api_key: Secret) -> Self {
        Self {
            base_url: base_url.into(),
            api_key,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(60),
            tries: 4,
            backoff: Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) },
            rate: RateLimit::default(),
            longest_pause: Duration::from_secs(300),
            dump: HttpDump::Off,
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL is not an `http` or `https` address.
    #[error("the Metal API's base URL {url:?} is not usable: {problem}")]
    BaseUrl {
        /// As configured.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The key holds characters that no header can carry, such as a line break.
    #[error("the Metal API key holds characters that cannot be sent; check METAL_API_KEY or apiKey")]
    ApiKey,
    /// TLS could not be set up, for instance because the system has no root certificates.
    #[error("the HTTP client could not be set up; root certificates are read from /etc/ssl or SSL_CERT_FILE")]
    Setup(#[source] reqwest::Error),
}

/// When Metal was last heard of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// The last answer that was not an error of the key, the API or the network.
    pub last_success: Option<SystemTime>,
    /// The last failure since then: when, and what.
    pub failing: Option<(SystemTime, String)>,
}

/// Whether a call may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Sending it twice does what sending it once does.
    Harmless,
    /// Sending it twice may buy twice: one try, whatever happens.
    Never,
}

/// A call to make. No `Debug`: its body may hold a password.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) route: Route<'a>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) repeat: Repeat,
    /// What the body holds that must not come back in an error's text.
    pub(super) secret: Option<&'a Secret>,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, route: Route<'a>) -> Self {
        Self { method, route, query: Vec::new(), body: None, repeat: Repeat::Harmless, secret: None }
    }

    /// Method and path, as errors name it.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.route)
    }
}

/// Speaks HTTP with Metal.
///
/// # Guarantees
/// - Every call ends within the deadline of its configuration, and when its future is dropped.
/// - The key goes to the configured address only: redirects are not followed.
/// - Neither logs nor errors hold the key or a BGP password.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    config: ClientConfig,
    throttle: Throttle,
    observer: Arc<dyn RequestObserver>,
    contact: Mutex<Contact>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that reports each request to `observer`. Sends nothing yet.
    ///
    /// # Errors
    /// When the base URL or the key cannot be used, or TLS cannot be set up.
    pub fn new(mut config: ClientConfig, observer: Arc<dyn RequestObserver>) -> Result<Self, ClientError> {
        // A key out of a file ends in a line break; what is sent and what is hidden must be the same.
        config.api_key = Secret::new(config.api_key.expose().trim());
        let base = base_url(&config.base_url)?;
        Ok(Self {
            http: http_client(&config, &base)?,
            base,
            throttle: Throttle::new(config.rate, config.backoff, config.longest_pause),
            config,
            observer,
            contact: Mutex::default(),
        })
    }

    /// When Metal was last heard of.
    pub fn contact(&self) -> Contact {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a call until it succeeds, fails for good, or its time is over.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer, MetalError> {
        let result = self.call_within(call, Instant::now() + self.config.deadline).await;
        self.note(&result);
        result
    }

    /// A call whose answer carries a value.
    pub(super) async fn fetch<T: serde::de::DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, MetalError> {
        let answer = self.call(call).await?;
        answer::decode(&call.name(), &answer, &self.secrets(call))
    }

    async fn call_within(&self, call: &Call<'_>, deadline: Instant) -> Result<Answer, MetalError> {
        let tries = match call.repeat {
            Repeat::Harmless => self.config.tries.max(1),
            Repeat::Never => 1,
        };
        let mut tried = 0;
        loop {
            self.throttle.admit(deadline).await.map_err(|retry_after| self.rate_limited(call, retry_after))?;
            tried += 1;
            let (error, asked) = match self.attempt(call, deadline).await? {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Failed { error, asked } => (error, asked),
            };
            // The pause of a 429 is the throttle's business and the same for everybody.
            let wait = match error {
                MetalError::RateLimited { .. } => Duration::ZERO,
                _ => asked.unwrap_or_else(|| self.config.backoff.jittered(tried)),
            };
            if tried >= tries || Instant::now() + wait >= deadline {
                return Err(error);
            }
            tracing::debug!(request = call.name(), %error, ?wait, "a call to Metal failed and will be tried again");
            sleep(wait).await;
        }
    }

    /// One try. An error is final; a [`Attempt::Failed`] may be tried again.
    async fn attempt(&self, call: &Call<'_>, deadline: Instant) -> Result<Attempt, MetalError> {
        let answer = match self.send(call, deadline).await? {
            Ok(answer) => answer,
            Err(error) => return Ok(Attempt::Failed { error, asked: None }),
        };
        let asked = pause::asked(&answer.headers, SystemTime::now());
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let retry_after = self.throttle.refused(asked);
            tracing::warn!(request = call.name(), pause = ?retry_after, "Metal asked to slow down");
            let error = self.rate_limited(call, retry_after);
            return Ok(Attempt::Failed { error, asked: None });
        }
        self.throttle.accepted();
        match answer::failure(&call.name(), &answer, &self.secrets(call)) {
            None => Ok(Attempt::Answered(answer)),
            Some(error @ MetalError::Server { .. }) => Ok(Attempt::Failed { error, asked }),
            Some(error) => Err(error),
        }
    }

    /// Sends the request and reads the whole answer; tells the observer.
    async fn send(&self, call: &Call<'_>, deadline: Instant) -> Result<Result<Answer, MetalError>, MetalError> {
        let request = self.request(call)?;
        let secrets = self.secrets(call);
        if self.config.dump == HttpDump::On {
            let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
            tracing::debug!(
                request = call.name(),
                url = %request.url(),
                headers = dump::headers(request.headers()),
                body = dump::body(body, &secrets),
                "sent a request to Metal"
            );
        }
        let started = Instant::now();
        let until = deadline.min(started + self.config.request_timeout);
        let result = timeout_at(until, self.exchange(request)).await;
        let duration = started.elapsed();
        let result = result.unwrap_or_else(|_| Err(Broken::Late(duration)));
        self.observer.observe(&RequestReport {
            method: call.method,
            route: call.route.template(),
            outcome: result.as_ref().map_or(Outcome::NoAnswer, |answer| Outcome::Status(answer.status.as_u16())),
            duration,
        });
        if let (HttpDump::On, Ok(answer)) = (self.config.dump, &result) {
            tracing::debug!(
                request = call.name(),
                status = answer.status.as_u16(),
                headers = dump::headers(&answer.headers),
                body = dump::body(&answer.body, &secrets),
                "received an answer from Metal"
            );
        }
        Ok(result.map_err(|broken| broken.into_error(&call.name(), &secrets)))
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<Answer, Broken> {
        let mut response = self.http.execute(request).await.map_err(Broken::Http)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Broken::Http)? {
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(Broken::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
    }

    fn request(&self, call: &Call<'_>) -> Result<reqwest::Request, MetalError> {
        let malformed = |cause: &str| MetalError::Malformed { request: call.name(), cause: cause.to_owned() };
        let segments = call.route.segments().ok_or_else(|| malformed("an id that is none"))?;
        let mut url = self.base.clone();
        url.path_segments_mut().expect("base_url() lets only http and https through").pop_if_empty().extend(segments);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.http.request(call.method.into(), url);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        request.build().map_err(|_| malformed("the request cannot be written"))
    }

    fn rate_limited(&self, call: &Call<'_>, retry_after: Duration) -> MetalError {
        MetalError::RateLimited { request: call.name(), retry_after }
    }

    fn secrets<'s>(&'s self, call: &'s Call<'_>) -> Vec<&'s Secret> {
        std::iter::once(&self.config.api_key).chain(call.secret).collect()
    }

    fn note<T>(&self, result: &Result<T, MetalError>) {
        let now = SystemTime::now();
        let mut contact = self.contact.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            // An answer about one thing says that the API works.
            Ok(_) | Err(MetalError::Forbidden { .. } | MetalError::NotFound { .. } | MetalError::Rejected { .. }) => {
                *contact = Contact { last_success: Some(now), failing: None };
            }
            Err(error) => contact.failing = Some((now, error.to_string())),
        }
    }
}

enum Attempt {
    Answered(Answer),
    Failed {
        error: MetalError,
        /// The wait that the answer asked for.
        asked: Option<Duration>,
    },
}

/// Why there is no whole answer.
enum Broken {
    Http(reqwest::Error),
    Late(Duration),
    TooLarge,
}

impl Broken {
    fn into_error(self, request: &str, secrets: &[&Secret]) -> MetalError {
        let request = request.to_owned();
        match self {
            Self::Http(error) => answer::unreachable(&request, error, secrets),
            Self::Late(after) => MetalError::Unreachable {
                request,
                cause: format!("no whole answer after {:.1} s", after.as_secs_f64()),
            },
            Self::TooLarge => MetalError::Malformed {
                request,
                cause: format!("it is larger than {} MiB", LARGEST_BODY / 1024 / 1024),
            },
        }
    }
}

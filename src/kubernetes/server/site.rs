//! What the server shows, and to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use http::{HeaderValue, Method, Request, StatusCode};
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use serde_json::{Value, json};
use tracing::{debug, info, trace};

use super::answer::{self, Answer};
use super::authentication::Authenticator;
use super::authorization::Authorizer;
use super::health::{HealthChecks, HealthQuery, HealthReport, Probe};
use super::review::{Attempt, Verdict};
use crate::kubernetes::metrics::{self, Metrics};

/// A number and a line break.
const LONGEST_VERBOSITY: usize = 32;

/// What the server shows, and who decides whom it is shown to.
pub struct Site {
    /// `/healthz`, `/livez`, `/readyz`.
    pub checks: Arc<HealthChecks>,
    /// `/metrics`, `/metrics/slis`.
    pub metrics: Metrics,
    /// `/configz`: the settings in force, without secrets.
    pub settings: Value,
    /// `/policyz`.
    pub policy: Arc<dyn PolicyStatus>,
    /// `/debug/flags/v`: puts another verbosity of the log in force.
    pub set_verbosity: Arc<dyn Fn(i32) + Send + Sync>,
    /// Who asks.
    pub authenticator: Authenticator,
    /// What they may do.
    pub authorizer: Authorizer,
}

/// Tells how the policy stands.
pub trait PolicyStatus: Send + Sync {
    /// How it stands now.
    fn report(&self) -> PolicyReport;
}

/// How the policy stands. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    /// Where it comes from: a file, a ConfigMap, or the settings.
    pub source: String,
    /// The one in force; `None` until there is one.
    pub active: Option<ActivePolicy>,
    /// Faults of the one that arrived last, when it could not be put in force; one sentence each.
    pub faults: Vec<String>,
    /// The one that waits for approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldPolicy>,
}

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivePolicy {
    /// `metadata.name`.
    pub name: String,
    /// The hash of its meaning.
    pub hash: String,
    /// How many things of which kind it has: rules, pools, backends, Services served.
    pub counts: BTreeMap<String, u64>,
}

/// A policy that is not put in force before somebody approves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldPolicy {
    /// `metadata.name`.
    pub name: String,
    /// The hash to approve.
    pub hash: String,
    /// Why it is held.
    pub reason: String,
}

impl Site {
    /// Answers a request that came over a connection with this client certificate chain.
    pub(super) async fn respond(&self, request: Request<Body>, chain: &[CertificateDer<'_>]) -> Answer {
        let method = request.method().clone();
        let answer = self.answer(request, chain).await;
        if method == Method::HEAD { answer::headers_only(answer) } else { answer }
    }

    async fn answer(&self, request: Request<Body>, chain: &[CertificateDer<'_>]) -> Answer {
        let Ok(user) = self.authenticator.identify(request.headers(), chain).await else {
            return answer::unauthorized();
        };
        let attempt = Attempt {
            user,
            verb: request.method().as_str().to_ascii_lowercase(),
            path: request.uri().path().to_string(),
        };
        trace!(user = attempt.user.name, verb = attempt.verb, path = attempt.path, "Was asked");
        match self.authorizer.decide(&attempt).await {
            Ok(Verdict::Allowed) => self.show(request).await,
            Ok(Verdict::Denied { reason }) => answer::forbidden(&attempt, &reason),
            Err(error) => {
                debug!(%error, path = attempt.path, "Could not find out what somebody may do");
                answer::internal_error(&attempt.path, &error.to_string())
            }
        }
    }

    async fn show(&self, request: Request<Body>) -> Answer {
        let path = request.uri().path();
        if path == "/debug/flags/v" {
            return match *request.method() {
                Method::PUT => self.take_verbosity(request.into_body()).await,
                _ => answer::method_not_allowed("PUT"),
            };
        }
        let page = match path {
            "/metrics" => metrics_page(self.metrics.exposition()),
            "/metrics/slis" => metrics_page(self.metrics.slis()),
            "/configz" => answer::json(&self.settings),
            "/policyz" => answer::json(&json!(self.policy.report())),
            _ => match self.health(path, request.uri().query().unwrap_or_default()) {
                Some(page) => page,
                None => return answer::not_found(),
            },
        };
        match *request.method() {
            Method::GET | Method::HEAD => page,
            _ => answer::method_not_allowed("GET, HEAD"),
        }
    }

    fn health(&self, path: &str, query: &str) -> Option<Answer> {
        let (name, check) = match path.strip_prefix('/')?.split_once('/') {
            Some((name, check)) => (name, Some(check)),
            None => (path.strip_prefix('/')?, None),
        };
        let probe = [Probe::Healthz, Probe::Livez, Probe::Readyz].into_iter().find(|probe| probe.as_str() == name)?;
        let Some(check) = check else {
            return Some(match self.checks.probe(probe, &health_query(query)) {
                HealthReport::Well(text) => answer::text(StatusCode::OK, text),
                HealthReport::Unwell(text) => answer::text(StatusCode::INTERNAL_SERVER_ERROR, text),
            });
        };
        Some(match self.checks.single(check)? {
            Ok(()) => answer::text(StatusCode::OK, "ok"),
            Err(reason) => {
                answer::text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {reason}\n"))
            }
        })
    }

    async fn take_verbosity(&self, body: Body) -> Answer {
        let given = to_bytes(body, LONGEST_VERBOSITY).await.ok();
        let text = given.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::trim);
        match text.and_then(|text| text.parse().ok()) {
            Some(verbosity) => {
                (self.set_verbosity)(verbosity);
                info!(verbosity, "Changed the verbosity of the log");
                answer::text(StatusCode::OK, format!("successfully set verbosity to {verbosity}\n"))
            }
            None => answer::text(StatusCode::BAD_REQUEST, "expected a whole number, as in --v\n"),
        }
    }
}

fn metrics_page(text: String) -> Answer {
    answer::typed(StatusCode::OK, HeaderValue::from_static(metrics::CONTENT_TYPE), text)
}

fn health_query(query: &str) -> HealthQuery {
    let mut wanted = HealthQuery::default();
    for item in query.split('&') {
        match item.split_once('=').unwrap_or((item, "")) {
            ("verbose", _) => wanted.verbose = true,
            ("exclude", name) => {
                wanted.exclude.insert(name.to_string());
            }
            _ => {}
        }
    }
    wanted
}

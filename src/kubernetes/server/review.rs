//! Questions that the API server answers about users.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::identity::User;
use crate::domain::Secret;

/// How long a review may take.
pub const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);

/// What somebody wants to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Who.
    pub user: User,
    /// The method in lower case.
    pub verb: String,
    /// Where, without query.
    pub path: String,
}

/// Whether somebody may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allowed,
    /// No; the reason is empty when none was given.
    Denied {
        /// Why.
        reason: String,
    },
}

/// Finds out whose a token is.
#[async_trait]
pub trait TokenReviewer: Send + Sync {
    /// The user; `None` when the token is nobody's.
    async fn review(&self, token: &Secret) -> Result<Option<User>, ReviewError>;
}

/// Finds out what somebody may do.
#[async_trait]
pub trait AccessReviewer: Send + Sync {
    /// The verdict of the cluster's RBAC.
    async fn review(&self, attempt: &Attempt) -> Result<Verdict, ReviewError>;
}

/// A question that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The API server refused it or could not be reached.
    #[error("{0}")]
    Failed(Box<kube::Error>),
    /// It took too long.
    #[error("no answer within {REVIEW_TIMEOUT:?}")]
    TimedOut,
}

/// The API server of a client.
pub struct KubeReviews {
    tokens: Api<TokenReview>,
    access: Api<SubjectAccessReview>,
}

impl KubeReviews {
    /// Asks through this client.
    pub fn new(client: Client) -> Self {
        Self { tokens: Api::all(client.clone()), access: Api::all(client) }
    }
}

#[async_trait]
impl TokenReviewer for KubeReviews {
    async fn review(&self, token: &Secret) -> Result<Option<User>, ReviewError> {
        let question = TokenReview {
            spec: TokenReviewSpec { token: token.expose().to_string(), audiences: None },
            ..TokenReview::default()
        };
        let answer = bounded(self.tokens.create(&PostParams::default(), &question)).await?;
        let status = answer.status.unwrap_or_default();
        if status.authenticated != Some(true) {
            return Ok(None);
        }
        let user = status.user.unwrap_or_default();
        Ok(user.username.filter(|name| !name.is_empty()).map(|name| User {
            name,
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }))
    }
}

#[async_trait]
impl AccessReviewer for KubeReviews {
    async fn review(&self, attempt: &Attempt) -> Result<Verdict, ReviewError> {
        let user = attempt.user.clone();
        let question = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.name),
                uid: Some(user.uid).filter(|uid| !uid.is_empty()),
                groups: Some(user.groups),
                extra: Some(user.extra),
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some(attempt.path.clone()),
                    verb: Some(attempt.verb.clone()),
                }),
                resource_attributes: None,
            },
            ..SubjectAccessReview::default()
        };
        let answer = bounded(self.access.create(&PostParams::default(), &question)).await?;
        let status = answer.status.unwrap_or_default();
        if status.allowed && status.denied != Some(true) {
            return Ok(Verdict::Allowed);
        }
        Ok(Verdict::Denied { reason: status.reason.unwrap_or_default() })
    }
}

async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, ReviewError> {
    match tokio::time::timeout(REVIEW_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| ReviewError::Failed(Box::new(error))),
        Err(_) => Err(ReviewError::TimedOut),
    }
}

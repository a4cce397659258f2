//! What somebody may do at the server.

use std::sync::Arc;

use super::config::AuthorizationConfig;
use super::expiring::Expiring;
use super::review::{AccessReviewer, Attempt, ReviewError, Verdict};

/// Members of this group may do anything.
const MASTERS: &str = "system:masters";

/// Decides by path, then by group, then by asking the cluster.
pub struct Authorizer {
    config: AuthorizationConfig,
    reviewer: Option<Arc<dyn AccessReviewer>>,
    known: Expiring<Attempt, Verdict>,
}

impl Authorizer {
    /// Without a reviewer only the paths that everybody may use are open, but for members of `system:masters`.
    pub fn new(config: AuthorizationConfig, reviewer: Option<Arc<dyn AccessReviewer>>) -> Self {
        Self { config, reviewer, known: Expiring::new() }
    }

    /// Whether somebody may do something.
    ///
    /// # Errors
    /// When the cluster had to be asked and did not answer.
    pub async fn decide(&self, attempt: &Attempt) -> Result<Verdict, ReviewError> {
        let open = self.config.always_allow.iter().any(|pattern| pattern.matches(&attempt.path));
        if open || attempt.user.groups.iter().any(|group| group == MASTERS) {
            return Ok(Verdict::Allowed);
        }
        let Some(reviewer) = &self.reviewer else {
            return Ok(Verdict::Denied { reason: String::new() });
        };
        if let Some(verdict) = self.known.get(attempt) {
            return Ok(verdict);
        }
        let verdict = reviewer.review(attempt).await?;
        let ttl = match verdict {
            Verdict::Allowed => self.config.allowed_ttl,
            Verdict::Denied { .. } => self.config.denied_ttl,
        };
        self.known.put(attempt.clone(), verdict.clone(), ttl);
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use pretty_assertions::assert_eq;
    use tokio::time::advance;

    use super::super::PathPattern;
    use super::super::identity::User;
    use super::{AccessReviewer, Attempt, AuthorizationConfig, Authorizer, ReviewError, Verdict};

    /// Allows `get /metrics` to alice, fails on `/broken`, and counts what it is asked.
    #[derive(Default)]
    struct Cluster(AtomicU32);

    #[async_trait]
    impl AccessReviewer for Cluster {
        async fn review(&self, attempt: &Attempt) -> Result<Verdict, ReviewError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match (attempt.user.name.as_str(), attempt.verb.as_str(), attempt.path.as_str()) {
                (_, _, "/broken") => Err(ReviewError::TimedOut),
                ("alice", "get", "/metrics") => Ok(Verdict::Allowed),
                _ => Ok(Verdict::Denied { reason: "no".into() }),
            }
        }
    }

    fn config() -> AuthorizationConfig {
        AuthorizationConfig {
            kubeconfig: None,
            always_allow: ["/healthz", "/open/*"].map(PathPattern::new).into(),
            allowed_ttl: Duration::from_secs(10),
            denied_ttl: Duration::from_secs(3),
        }
    }

    fn attempt(user: &str, group: &str, verb: &str, path: &str) -> Attempt {
        let user = User { name: user.into(), groups: vec![group.into()], ..User::anonymous() };
        Attempt { user, verb: verb.into(), path: path.into() }
    }

    #[tokio::test]
    async fn app_24_by_path_by_group_and_by_review() {
        let denied = |reason: &str| Some(Verdict::Denied { reason: reason.into() });
        let rows = [
            (attempt("bob", "g", "get", "/healthz"), Some(Verdict::Allowed), 0),
            (attempt("bob", "g", "post", "/healthz"), Some(Verdict::Allowed), 0),
            (attempt("bob", "g", "get", "/healthz/x"), denied("no"), 1),
            (attempt("bob", "g", "get", "/open/a/b"), Some(Verdict::Allowed), 0),
            (attempt("bob", "system:masters", "get", "/broken"), Some(Verdict::Allowed), 0),
            (attempt("alice", "g", "get", "/metrics"), Some(Verdict::Allowed), 1),
            (attempt("alice", "g", "put", "/metrics"), denied("no"), 1),
            (attempt("alice", "g", "get", "/broken"), None, 1),
        ];
        for (attempt, expected, asked) in rows {
            let cluster = Arc::new(Cluster::default());
            let authorizer = Authorizer::new(config(), Some(cluster.clone()));
            let verdict = authorizer.decide(&attempt).await;
            assert_eq!(verdict.ok(), expected, "{attempt:?}");
            assert_eq!(cluster.0.load(Ordering::Relaxed), asked, "{attempt:?}");
        }
    }

    #[tokio::test]
    async fn app_24_25_without_a_cluster_only_open_paths_work() {
        let authorizer = Authorizer::new(config(), None);
        let open = authorizer.decide(&attempt("bob", "g", "get", "/healthz")).await.unwrap();
        let closed = authorizer.decide(&attempt("bob", "g", "get", "/metrics")).await.unwrap();
        assert_eq!((open, closed), (Verdict::Allowed, Verdict::Denied { reason: String::new() }));
    }

    #[tokio::test(start_paused = true)]
    async fn app_24_verdicts_are_remembered_and_failures_are_not() {
        let rows = [("alice", "/metrics", 10), ("bob", "/metrics", 3), ("alice", "/broken", 0)];
        for (user, path, seconds) in rows {
            let cluster = Arc::new(Cluster::default());
            let authorizer = Authorizer::new(config(), Some(cluster.clone()));
            let attempt = attempt(user, "g", "get", path);
            let mut asked_again_after = None;
            let first = authorizer.decide(&attempt).await.ok();
            for second in 0..=10 {
                assert_eq!(authorizer.decide(&attempt).await.ok(), first);
                if cluster.0.load(Ordering::Relaxed) > 1 {
                    asked_again_after = asked_again_after.or(Some(second));
                }
                advance(Duration::from_secs(1)).await;
            }
            assert_eq!(asked_again_after, Some(seconds), "{user} {path}");
        }
    }
}

//! Who is asking.

use http::{HeaderMap, header};

use super::api::Shared;
use super::status::Refusal;

/// The user behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// The name.
    pub(crate) name: String,
    /// The groups.
    pub(crate) groups: Vec<String>,
}

/// Finds the user of a request: everybody is an admin unless tokens are configured.
///
/// # Errors
/// When tokens are configured and the request carries none of them.
pub(crate) fn identify(shared: &Shared, headers: &HeaderMap) -> Result<User, Refusal> {
    if shared.config.tokens.is_empty() {
        let groups = vec!["system:masters".to_owned(), "system:authenticated".to_owned()];
        return Ok(User { name: "sandbox-admin".to_owned(), groups });
    }
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let secret = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let known = shared.config.tokens.iter().find(|token| token.secret == secret);
    let known = known.ok_or_else(Refusal::unauthorized)?;
    Ok(User { name: known.user.clone(), groups: known.groups.clone() })
}

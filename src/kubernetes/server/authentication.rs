//! Who somebody is, by what they show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, header};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use tracing::debug;

use super::certificate_user::{Authorities, common_name_of, user_of};
use super::expiring::Expiring;
use super::identity::User;
use super::review::TokenReviewer;
use crate::domain::Secret;

/// A credential was shown, and none of those shown is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Unauthorized")]
pub struct Unauthorized;

/// Whose certificates count. Replaced as a whole when the authorities change.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Authorities of users' certificates.
    pub users: Option<Authorities>,
    /// Proxies that name users in headers.
    pub proxies: Option<TrustedProxies>,
}

/// Proxies that name users in headers, and the headers they do it with.
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    /// Authorities of the proxies' certificates.
    pub authorities: Authorities,
    /// Common names of the proxies; any when empty.
    pub allowed_names: Vec<String>,
    /// Headers with the user's name; the first that is there counts.
    pub username_headers: Vec<String>,
    /// Headers with the user's UID.
    pub uid_headers: Vec<String>,
    /// Headers with the user's groups; all count.
    pub group_headers: Vec<String>,
    /// Prefixes of headers with anything else.
    pub extra_prefixes: Vec<String>,
}

/// Finds out who asks: by a proxy's word, by certificate, by token.
pub struct Authenticator {
    trust: Arc<ArcSwap<Trust>>,
    reviewer: Option<Arc<dyn TokenReviewer>>,
    token_ttl: Duration,
    known: Expiring<[u8; 32], Option<User>>,
}

/// What one way of authentication says.
enum Finding {
    Is(User),
    /// It does not apply.
    Nothing,
    /// It applies, and what was shown is no good.
    Refused,
}

impl Authenticator {
    /// Without a reviewer tokens are not looked at: who shows one is nobody in particular.
    pub fn new(trust: Arc<ArcSwap<Trust>>, reviewer: Option<Arc<dyn TokenReviewer>>, token_ttl: Duration) -> Self {
        Self { trust, reviewer, token_ttl, known: Expiring::new() }
    }

    /// The user who sends these headers over a connection with this certificate chain.
    ///
    /// # Errors
    /// When a credential was shown and none is good.
    pub async fn identify(&self, headers: &HeaderMap, chain: &[CertificateDer<'_>]) -> Result<User, Unauthorized> {
        let trust = self.trust.load_full();
        let mut refused = false;
        for finding in [by_proxy(&trust, headers, chain), by_certificate(&trust, chain)] {
            match finding {
                Finding::Is(user) => return Ok(user.authenticated()),
                Finding::Nothing => {}
                Finding::Refused => refused = true,
            }
        }
        match self.by_token(headers).await {
            Finding::Is(user) => Ok(user.authenticated()),
            Finding::Nothing if !refused => Ok(User::anonymous()),
            Finding::Nothing | Finding::Refused => Err(Unauthorized),
        }
    }

    async fn by_token(&self, headers: &HeaderMap) -> Finding {
        let (Some(reviewer), Some(token)) = (&self.reviewer, bearer(headers)) else {
            return Finding::Nothing;
        };
        let digest: [u8; 32] = Sha256::digest(token.expose()).into();
        let user = match self.known.get(&digest) {
            Some(known) => known,
            None => match reviewer.review(&token).await {
                Ok(user) => {
                    self.known.put(digest, user.clone(), self.token_ttl);
                    user
                }
                Err(error) => {
                    debug!(%error, "Could not find out whose a token is");
                    None
                }
            },
        };
        user.map_or(Finding::Refused, Finding::Is)
    }
}

fn by_proxy(trust: &Trust, headers: &HeaderMap, chain: &[CertificateDer<'_>]) -> Finding {
    let (Some(proxies), Some(first)) = (&trust.proxies, chain.first()) else {
        return Finding::Nothing;
    };
    if let Err(error) = proxies.authorities.vouch(chain) {
        debug!(%error, "A client's certificate is not that of a trusted proxy");
        return Finding::Refused;
    }
    let name = common_name_of(first).unwrap_or_default();
    if !proxies.allowed_names.is_empty() && !proxies.allowed_names.contains(&name) {
        debug!(name, "A proxy's name is not among those allowed");
        return Finding::Refused;
    }
    let Some(name) = values(headers, &proxies.username_headers).next() else {
        return Finding::Nothing;
    };
    Finding::Is(User {
        name,
        uid: values(headers, &proxies.uid_headers).next().unwrap_or_default(),
        groups: values(headers, &proxies.group_headers).collect(),
        extra: extra(headers, &proxies.extra_prefixes),
    })
}

fn by_certificate(trust: &Trust, chain: &[CertificateDer<'_>]) -> Finding {
    let (Some(authorities), Some(first)) = (&trust.users, chain.first()) else {
        return Finding::Nothing;
    };
    match authorities.vouch(chain) {
        Ok(()) => user_of(first).map_or(Finding::Nothing, Finding::Is),
        Err(error) => {
            debug!(%error, "A client's certificate is not good");
            Finding::Refused
        }
    }
}

fn values<'a>(headers: &'a HeaderMap, names: &'a [String]) -> impl Iterator<Item = String> + 'a {
    names
        .iter()
        .flat_map(|name| headers.get_all(name.as_str()))
        .filter_map(|value| value.to_str().ok())
        .filter(|value| !value.is_empty())
        .map(str::to_string)
}

fn extra(headers: &HeaderMap, prefixes: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for prefix in prefixes {
        let prefix = prefix.to_ascii_lowercase();
        for (name, value) in headers {
            if let (Some(key), Ok(value)) = (name.as_str().strip_prefix(prefix.as_str()), value.to_str()) {
                extra.entry(unescaped(key)).or_default().push(value.to_string());
            }
        }
    }
    extra
}

/// Reads `%2f` and the like; text that is not well escaped stays as it is.
fn unescaped(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(|d| char::from(d).to_digit(16)));
        match digits {
            [Some(high), Some(low)] => bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?')),
            _ => return key.to_string(),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| key.to_string())
}

fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Secret::new(token))
}

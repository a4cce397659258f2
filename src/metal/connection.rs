//! Where the connection goes, and how it is made.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Url, redirect};

use super::{ClientConfig, ClientError, dump};

const USER_AGENT: &str = concat!(
    "cloud-provider-equinix-metal/",
    env!("CPEM_VERSION"),
    " (+https://github.com/kubernetes-sigs/cloud-provider-equinix-metal)"
);
const KEY_HEADER: &str = "x-auth-token";
/// Shorter than load balancers wait, so that no purchase is sent on a connection that is being closed.
const IDLE: Duration = Duration::from_secs(30);

/// The address to put paths behind.
pub(super) fn base_url(text: &str) -> Result<Url, ClientError> {
    let refused = |problem: &str| ClientError::BaseUrl { url: dump::bounded(text, 200), problem: problem.to_owned() };
    // It may hold a secret.
    let hidden = |problem: &str| ClientError::BaseUrl { url: "(not shown)".to_owned(), problem: problem.to_owned() };
    let url: Url = text.trim().parse().map_err(|error| refused(&format!("{error}")))?;
    match url.scheme() {
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            Err(hidden("it must not hold a user name or a password"))
        }
        "http" | "https" if url.query().is_some() || url.fragment().is_some() => {
            Err(hidden("it must not hold a query or a fragment"))
        }
        "http" | "https" => Ok(url),
        _ => Err(refused("it must begin with https:// or http://")),
    }
}

/// A client that sends the key with every request, to this address only.
pub(super) fn http_client(config: &ClientConfig, base: &Url) -> Result<reqwest::Client, ClientError> {
    let mut key = HeaderValue::from_str(config.api_key.expose()).map_err(|_| ClientError::ApiKey)?;
    key.set_sensitive(true);
    let headers = HeaderMap::from_iter([
        (HeaderName::from_static(KEY_HEADER), key),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ]);
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only when another thread was faster, with the same provider.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(headers)
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(IDLE)
        .redirect(redirect::Policy::none());
    if base.scheme() == "http" {
        // No certificate is ever looked at: do not load, or fail to find, the system's.
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(ClientError::Setup)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::domain::Secret;
    use crate::metal::{Client, DEFAULT_BASE_URL, Unobserved};

    #[test]
    fn a_base_url_that_is_none_is_refused_and_never_shows_a_password() {
        let cases = [
            (
                "api.equinix.com",
                "the Metal API's base URL \"api.equinix.com\" is not usable: relative URL without a base",
            ),
            (
                "ftp://api.equinix.com",
                "the Metal API's base URL \"ftp://api.equinix.com\" is not usable: it must begin with https:// or http://",
            ),
            (
                "https://me:s3cret@api.equinix.com",
                "the Metal API's base URL \"(not shown)\" is not usable: it must not hold a user name or a password",
            ),
            (
                "https://api.equinix.com/?token=x",
                "the Metal API's base URL \"(not shown)\" is not usable: it must not hold a query or a fragment",
            ),
        ];
        for (url, expected) in cases {
            assert_eq!(base_url(url).expect_err(url).to_string(), expected);
        }
    }

    #[test]
    fn a_key_that_no_header_carries_is_refused() {
        let config = ClientConfig::new(DEFAULT_BASE_URL, Secret::new("two\nlines"));
        let error = Client::new(config, Arc::new(Unobserved)).expect_err("a line break inside");
        assert!(matches!(error, ClientError::ApiKey), "{error:?}");
    }

    #[test]
    fn a_loopback_address_is_known_in_every_form() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/metal/v1", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("https://api.equinix.com/metal/v1", false),
        ] {
            assert_eq!(is_loopback(&base_url(url).expect(url)), expected, "{url}");
        }
    }
}

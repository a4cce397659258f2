//! What each key may do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::Method;
use serde_json::{Value, json};

use crate::sandbox::metal::config::{AuthToken, SimulatorConfig};
use crate::sandbox::metal::world::Refusal;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Reading; every write is answered 403.
    ReadOnly,
    /// Nothing in this project: every request is answered 403.
    Forbidden,
    /// Nothing, but lists are empty instead of refused.
    EmptyLists,
    /// It is no key: every request is answered 401.
    Unknown,
}

/// What a request may go on to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Pass,
    Refuse(Refusal),
    Answer(Value),
}

/// The keys and their rights, which can change at any time.
#[derive(Debug)]
pub(crate) struct Keys(Mutex<HashMap<AuthToken, Access>>);

const DENIED: &str = "Access denied for the current authentication token";

impl Keys {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        let read_only = config.read_only_tokens.iter().map(|key| (key.clone(), Access::ReadOnly));
        let full = (config.auth_token.clone(), Access::Full);
        Self(Mutex::new(read_only.chain([full]).collect()))
    }

    pub(crate) fn set(&self, key: AuthToken, access: Access) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, access);
    }

    pub(crate) fn judge(&self, key: Option<&str>, method: &Method, route: &str) -> Verdict {
        let access = key.map_or(Access::Unknown, |key| self.access(key));
        match access {
            Access::Full => Verdict::Pass,
            Access::ReadOnly if *method == Method::GET => Verdict::Pass,
            Access::ReadOnly => Verdict::Refuse(Refusal::forbidden(DENIED)),
            Access::EmptyLists if *method == Method::GET => {
                empty_list(route).map_or_else(|| Verdict::Refuse(refusal(route)), Verdict::Answer)
            }
            Access::EmptyLists | Access::Forbidden => Verdict::Refuse(refusal(route)),
            Access::Unknown => Verdict::Refuse(Refusal::Unauthorized),
        }
    }

    fn access(&self, key: &str) -> Access {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(&AuthToken::from(key)).copied().unwrap_or(Access::Unknown)
    }
}

fn refusal(route: &str) -> Refusal {
    Refusal::forbidden(if route.starts_with("/devices/{d}") {
        "You are not authorized to view this device"
    } else {
        DENIED
    })
}

fn empty_list(route: &str) -> Option<Value> {
    let meta = json!({"first": null, "previous": null, "self": null, "next": null, "last": null,
        "total": 0, "current_page": 1, "last_page": 1});
    match route {
        "/projects/{p}/devices" => Some(json!({"devices": [], "meta": meta})),
        "/projects/{p}/ips" => Some(json!({"ip_addresses": [], "meta": meta})),
        "/projects/{p}/bgp/sessions" => Some(json!({"bgp_sessions": []})),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn each_access_on_reads_writes_and_lists() {
        let keys = Keys::new(&SimulatorConfig::default());
        let list = "/projects/{p}/bgp/sessions";
        let denied = || Verdict::Refuse(Refusal::forbidden(DENIED));
        let no_device = || Verdict::Refuse(Refusal::forbidden("You are not authorized to view this device"));
        let no_key = || Verdict::Refuse(Refusal::Unauthorized);
        for (access, reading, writing, listing) in [
            (Access::Full, Verdict::Pass, Verdict::Pass, Verdict::Pass),
            (Access::ReadOnly, Verdict::Pass, denied(), Verdict::Pass),
            (Access::Forbidden, no_device(), no_device(), denied()),
            (Access::EmptyLists, no_device(), no_device(), Verdict::Answer(json!({"bgp_sessions": []}))),
            (Access::Unknown, no_key(), no_key(), no_key()),
        ] {
            keys.set(AuthToken::from("k"), access);
            let got = (
                keys.judge(Some("k"), &Method::GET, "/devices/{d}"),
                keys.judge(Some("k"), &Method::DELETE, "/devices/{d}"),
                keys.judge(Some("k"), &Method::GET, list),
            );
            assert_eq!(got, (reading, writing, listing), "{access:?}");
        }
        assert_eq!(keys.judge(None, &Method::GET, list), no_key());
    }
}

//! The calls of the API that this program makes.

use std::fmt;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are HTTP's own")]
pub enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Delete => Self::DELETE,
        }
    }
}

/// A place below the base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Project(&'a str),
    Devices(&'a str),
    Device(&'a str),
    Reservations(&'a str),
    Reservation(&'a str),
    BgpConfig(&'a str),
    BgpConfigs(&'a str),
    BgpSessions(&'a str),
    DeviceBgpSessions(&'a str),
    Neighbors(&'a str),
}

impl<'a> Route<'a> {
    /// The route with its id left open: a label of few values for metrics.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Project(_) => "/projects/{id}",
            Self::Devices(_) => "/projects/{id}/devices",
            Self::Device(_) => "/devices/{id}",
            Self::Reservations(_) => "/projects/{id}/ips",
            Self::Reservation(_) => "/ips/{id}",
            Self::BgpConfig(_) => "/projects/{id}/bgp-config",
            Self::BgpConfigs(_) => "/projects/{id}/bgp-configs",
            Self::BgpSessions(_) => "/projects/{id}/bgp/sessions",
            Self::DeviceBgpSessions(_) => "/devices/{id}/bgp/sessions",
            Self::Neighbors(_) => "/devices/{id}/bgp/neighbors",
        }
    }

    /// The id in it.
    pub(super) fn id(self) -> &'a str {
        match self {
            Self::Project(id)
            | Self::Devices(id)
            | Self::Device(id)
            | Self::Reservations(id)
            | Self::Reservation(id)
            | Self::BgpConfig(id)
            | Self::BgpConfigs(id)
            | Self::BgpSessions(id)
            | Self::DeviceBgpSessions(id)
            | Self::Neighbors(id) => id,
        }
    }

    /// The path's segments; `None` where the id would lead to another place (`..`).
    pub(super) fn segments(self) -> Option<impl Iterator<Item = &'a str>> {
        let id = self.id();
        let usable = !matches!(id.trim(), "" | "." | "..");
        let fill = move |segment: &'static str| if segment == "{id}" { id } else { segment };
        usable.then(|| self.template().split('/').skip(1).map(fill))
    }
}

impl fmt::Display for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id: String = self.id().chars().filter(|c| !c.is_control()).take(64).collect();
        f.write_str(&self.template().replace("{id}", &id))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn an_id_that_leads_elsewhere_has_no_path() {
        for id in ["", " ", ".", ".."] {
            assert!(Route::Device(id).segments().is_none(), "{id:?}");
        }
        let path: Vec<_> = Route::Neighbors("d1").segments().expect("a plain id").collect();
        assert_eq!(path, ["devices", "d1", "bgp", "neighbors"]);
    }

    #[test]
    fn a_route_is_shown_in_bounded_length() {
        assert_eq!(Route::Reservation("r1").to_string(), "/ips/r1");
        assert_eq!(Route::Device(&"x".repeat(5000)).to_string().len(), "/devices/".len() + 64);
    }
}

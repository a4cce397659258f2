//! What a request path points at.

use std::sync::Arc;

use super::registry::{Registry, Resource, Scope, Subresource};

/// A path under a served resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    /// The resource.
    pub(crate) resource: Arc<Resource>,
    /// The namespace of the path, if it names one.
    pub(crate) namespace: Option<String>,
    /// The object, or the whole collection.
    pub(crate) name: Option<String>,
    /// The part of the object.
    pub(crate) subresource: Option<Subresource>,
}

impl Target {
    /// Finds what `path` points at, or nothing when no such thing is served.
    pub(crate) fn find(registry: &Registry, path: &str) -> Option<Self> {
        let decoded: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(percent_decode).collect();
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, plural, tail) = match rest {
            ["namespaces", _, "status" | "finalize"] => (None, "namespaces", &rest[1..]),
            ["namespaces", namespace, plural, tail @ ..] => (Some((*namespace).to_owned()), *plural, tail),
            [plural, tail @ ..] => (None, *plural, tail),
            [] => return None,
        };
        let resource = registry.find(group, version, plural)?;
        let (name, part) = match tail {
            [] => (None, None),
            [name] => (Some((*name).to_owned()), None),
            [name, part] => (Some((*name).to_owned()), Some(*part)),
            _ => return None,
        };
        let subresource = match part {
            None => None,
            Some(part) => Some(*resource.subresources.iter().find(|known| known.as_str() == part)?),
        };
        let fits = match resource.scope {
            Scope::Cluster => namespace.is_none(),
            Scope::Namespaced => namespace.is_some() || name.is_none(),
        };
        fits.then_some(Self { resource, namespace, name, subresource })
    }
}

/// Decodes `%xx`; what is not valid stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = bytes.get(index + 1..index + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if bytes[index] == b'%' => {
                out.push(byte);
                index += 3;
            }
            Some(_) | None => {
                out.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    type Found = (&'static str, Option<&'static str>, Option<&'static str>, Option<Subresource>);

    #[test]
    fn paths_point_at_resources() {
        let rows: &[(&str, Option<Found>)] = &[
            ("/api/v1/nodes", Some(("nodes", None, None, None))),
            ("/api/v1/nodes/a/status", Some(("nodes", None, Some("a"), Some(Subresource::Status)))),
            ("/api/v1/services", Some(("services", None, None, None))),
            ("/api/v1/namespaces", Some(("namespaces", None, None, None))),
            ("/api/v1/namespaces/x", Some(("namespaces", None, Some("x"), None))),
            ("/api/v1/namespaces/x/finalize", Some(("namespaces", None, Some("x"), Some(Subresource::Finalize)))),
            ("/api/v1/namespaces/x/services/s", Some(("services", Some("x"), Some("s"), None))),
            ("/apis/coordination.k8s.io/v1/namespaces/x/leases", Some(("leases", Some("x"), None, None))),
            ("/api/v1/services/s", None),
            ("/api/v1/namespaces/x/nodes", None),
            ("/api/v1/nodes/a/nothing", None),
            ("/api/v2/nodes", None),
            ("/healthz", None),
        ];
        let registry = Registry::built_in();
        for (path, expected) in rows {
            let found = Target::find(&registry, path);
            let found = found.as_ref().map(|target| {
                let plural = target.resource.plural.as_str();
                (plural, target.namespace.as_deref(), target.name.as_deref(), target.subresource)
            });
            assert_eq!(found, *expected, "{path}");
        }
    }
}

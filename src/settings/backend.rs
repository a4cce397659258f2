//! `METAL_LOAD_BALANCER`: a URL whose scheme names the backend.

use std::fmt;
use std::str::FromStr;

/// The load-balancer backend that the original was told to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendSetting {
    /// `kube-vip://`
    KubeVip,
    /// `metallb:///<namespace>/<configmap>`
    MetalLbConfigMap {
        /// Namespace of MetalLB.
        namespace: String,
        /// Name of its ConfigMap.
        name: String,
    },
    /// `metallb:///<namespace>?crdConfiguration=true`
    MetalLbCustomResources {
        /// Namespace of MetalLB.
        namespace: String,
    },
    /// `empty://`
    Empty,
    /// `emlb:///<metro>`
    Emlb {
        /// Metro of the load balancers.
        metro: String,
    },
}

const SCHEMES: &str = "kube-vip://, metallb:///<namespace>/<configmap>, empty:// and emlb:///<metro>";
const METROS: [&str; 3] = ["da", "ny", "sv"];

impl FromStr for BackendSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("names no backend: \"://\" is missing; supported are {SCHEMES}"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = path.split_once('/').unwrap_or((path, ""));
        if !matches!(scheme, "kube-vip" | "metallb" | "empty" | "emlb") {
            return Err(format!("names a backend that is not supported; supported are {SCHEMES}"));
        }
        if !host.is_empty() {
            return Err(format!("has two slashes where three are needed: write {scheme}:///{host}"));
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        match scheme {
            "kube-vip" => Ok(Self::KubeVip),
            "empty" => Ok(Self::Empty),
            "emlb" => emlb(path),
            _ => metallb(path, query),
        }
    }
}

fn emlb(metro: &str) -> Result<BackendSetting, String> {
    let metro = metro.to_ascii_lowercase();
    match METROS.contains(&metro.as_str()) {
        true => Ok(BackendSetting::Emlb { metro }),
        false => {
            Err(format!("names no metro with load balancers; write emlb:///<metro> with one of {}", METROS.join(", ")))
        }
    }
}

fn metallb(path: &str, query: &str) -> Result<BackendSetting, String> {
    let (namespace, name) = path.split_once('/').unwrap_or((path, ""));
    let or = |text: &str, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text.to_owned() };
    let namespace = or(namespace, "metallb-system");
    let custom_resources = query
        .split('&')
        .find_map(|pair| match pair.split_once('=').unwrap_or((pair, "")) {
            ("crdConfiguration", value) => Some(go_bool(value)),
            _ => None,
        })
        .unwrap_or(Some(false))
        .ok_or("has a crdConfiguration that is neither true nor false")?;
    Ok(match custom_resources {
        true => BackendSetting::MetalLbCustomResources { namespace },
        false => BackendSetting::MetalLbConfigMap { namespace, name: or(name, "config") },
    })
}

/// The words that Go's `strconv.ParseBool` takes.
pub(super) fn go_bool(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl fmt::Display for BackendSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KubeVip => f.write_str("kube-vip://"),
            Self::MetalLbConfigMap { namespace, name } => write!(f, "metallb:///{namespace}/{name}"),
            Self::MetalLbCustomResources { namespace } => write!(f, "metallb:///{namespace}?crdConfiguration=true"),
            Self::Empty => f.write_str("empty://"),
            Self::Emlb { metro } => write!(f, "emlb:///{metro}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn parse(text: &str) -> Result<BackendSetting, String> {
        text.parse()
    }

    #[test]
    fn lb_01_the_scheme_picks_the_backend() {
        let config_map = |namespace: &str, name: &str| {
            Ok(BackendSetting::MetalLbConfigMap { namespace: namespace.into(), name: name.into() })
        };
        let cases = [
            ("kube-vip://", Ok(BackendSetting::KubeVip)),
            ("kube-vip:///ignored?x=y", Ok(BackendSetting::KubeVip)),
            ("empty://", Ok(BackendSetting::Empty)),
            ("empty:///ignored", Ok(BackendSetting::Empty)),
            ("metallb://", config_map("metallb-system", "config")),
            ("metallb:///", config_map("metallb-system", "config")),
            ("metallb:///ns", config_map("ns", "config")),
            ("metallb:///ns/name/", config_map("ns", "name")),
            ("metallb:///ns/name?crdConfiguration=false", config_map("ns", "name")),
            (
                "metallb:///ns?crdConfiguration=true",
                Ok(BackendSetting::MetalLbCustomResources { namespace: "ns".into() }),
            ),
            ("emlb:///da", Ok(BackendSetting::Emlb { metro: "da".into() })),
            ("emlb:///SV/", Ok(BackendSetting::Emlb { metro: "sv".into() })),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
            if let Ok(setting) = expected {
                assert_eq!(parse(&setting.to_string()), Ok(setting), "{text} written again");
            }
        }
    }

    #[test]
    fn kv_01_path_and_query_of_kube_vip_are_ignored() {
        assert_eq!(parse("kube-vip:///a/b?c=d"), Ok(BackendSetting::KubeVip));
    }

    #[test]
    fn none_01_path_of_empty_is_ignored() {
        assert_eq!(parse("empty:///a/b"), Ok(BackendSetting::Empty));
    }

    #[test]
    fn cfg_27_28_29_what_cannot_be_meant_is_an_error_at_start() {
        let cases = [
            ("metallb", "names no backend: \"://\" is missing; supported are kube-vip://"),
            ("haproxy://", "names a backend that is not supported; supported are kube-vip://"),
            ("metallb://ns/cfg", "has two slashes where three are needed: write metallb:///ns"),
            ("kube-vip://x", "has two slashes where three are needed: write kube-vip:///x"),
            ("metallb:///ns?crdConfiguration", "has a crdConfiguration that is neither true nor false"),
            ("metallb:///ns?crdConfiguration=maybe", "has a crdConfiguration that is neither true nor false"),
            ("emlb:///", "names no metro with load balancers; write emlb:///<metro> with one of da, ny, sv"),
        ];
        for (text, expected) in cases {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}

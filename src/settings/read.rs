//! Reads the settings: every fault is found, not the first alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::backend::go_bool;
use super::{BgpPassword, Settings, SettingsFault};
use crate::domain::{LabelSelector, Secret};
use crate::strategy::BgpAnnotations;

/// Where Metal's API is unless it is said to be elsewhere.
const DEFAULT_API_URL: &str = "https://api.equinix.com/metal/v1";
const DEFAULT_ASN: u32 = 65000;

/// Environment variables, by name.
pub type Environment = BTreeMap<String, String>;

/// Reads settings from the environment and, where there is one, the file of `--cloud-config`.
pub fn load(environment: &Environment, cloud_config: Option<&Path>) -> Result<Settings, Vec<SettingsFault>> {
    let mut reader = Reader { environment, file: BTreeMap::new(), path: PathBuf::new(), faults: Vec::new() };
    if let Some(path) = cloud_config {
        reader.path = path.to_owned();
        match std::fs::read(path) {
            Ok(bytes) => reader.parse(&bytes),
            Err(error) => {
                reader.faults.push(SettingsFault::Unreadable { path: path.to_owned(), cause: error.to_string() });
            }
        }
    }
    let settings = reader.settings();
    match reader.faults.is_empty() {
        true => Ok(settings),
        false => Err(reader.faults),
    }
}

struct Reader<'a> {
    environment: &'a Environment,
    /// By key in lower case: the original reads keys whatever their case.
    file: BTreeMap<String, Value>,
    path: PathBuf,
    faults: Vec<SettingsFault>,
}

/// A value and where it was found.
struct Found {
    text: String,
    origin: String,
    in_environment: bool,
}

impl Reader<'_> {
    fn parse(&mut self, bytes: &[u8]) {
        let cause = match serde_json::from_slice(bytes) {
            Ok(Value::Object(keys)) => {
                self.file = keys.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
                return;
            }
            Ok(_) => "another kind of value was found".to_owned(),
            Err(error) if error.is_eof() && bytes.is_empty() => "the file is empty".to_owned(),
            Err(error) => format!("line {}, column {}", error.line(), error.column()),
        };
        self.faults.push(SettingsFault::NotJson { path: self.path.clone(), cause });
    }

    fn settings(&mut self) -> Settings {
        let defaults = BgpAnnotations::default();
        let mut name =
            |environment, key, default: String| self.text(environment, key).map_or(default, |found| found.text);
        let annotations = BgpAnnotations {
            node_asn: name("METAL_ANNOTATION_LOCAL_ASN", "annotationLocalASN", defaults.node_asn),
            peer_asn: name("METAL_ANNOTATION_PEER_ASN", "annotationPeerASN", defaults.peer_asn),
            peer_ip: name("METAL_ANNOTATION_PEER_IP", "annotationPeerIP", defaults.peer_ip),
            src_ip: name("METAL_ANNOTATION_SRC_IP", "annotationSrcIP", defaults.src_ip),
            bgp_pass: name("METAL_ANNOTATION_BGP_PASS", "annotationBGPPass", defaults.bgp_pass),
            network_ipv4_private: name(
                "METAL_ANNOTATION_NETWORK_IPV4_PRIVATE",
                "annotationNetworkIPv4Private",
                defaults.network_ipv4_private,
            ),
        };
        let annotation_eip_metro =
            name("METAL_ANNOTATION_EIP_METRO", "annotationEIPMetro", "metal.equinix.com/eip-metro".into());
        let annotation_eip_facility =
            name("METAL_ANNOTATION_EIP_FACILITY", "annotationEIPFacility", "metal.equinix.com/eip-facility".into());
        let settings = Settings {
            api_key: Secret::new(self.required("METAL_API_KEY", "apiKey")),
            project_id: self.required("METAL_PROJECT_ID", "projectId"),
            api_url: self.api_url(),
            load_balancer: self.parsed("METAL_LOAD_BALANCER", "loadbalancer", str::parse),
            metro: self.text("METAL_METRO_NAME", "metro").map(|found| found.text.to_lowercase()),
            facility: self.text("METAL_FACILITY_NAME", "facility").map(|found| found.text.to_lowercase()),
            local_asn: self.number("METAL_LOCAL_ASN", "localASN", 1..=u64::from(u32::MAX)).unwrap_or(DEFAULT_ASN),
            bgp_pass: self.bgp_pass(),
            annotations,
            annotation_eip_metro,
            annotation_eip_facility,
            eip_tag: self.text("METAL_EIP_TAG", "eipTag").map(|found| found.text),
            load_balancer_id: self.text("METAL_LOAD_BALANCER_ID", "loadBalancerID").map(|found| found.text),
            api_server_port: self.number("METAL_API_SERVER_PORT", "apiServerPort", 0..=u64::from(u16::MAX)),
            bgp_node_selector: self
                .parsed("METAL_BGP_NODE_SELECTOR", "bgpNodeSelector", |text| {
                    text.parse::<LabelSelector>().map_err(|e| e.to_string())
                })
                .unwrap_or_default(),
            eip_health_check_use_host_ip: self.use_host_ip(),
        };
        self.contradictions(&settings);
        settings
    }

    fn contradictions(&mut self, settings: &Settings) {
        let mut say = |problem: &str| self.faults.push(SettingsFault::Contradiction { problem: problem.to_owned() });
        if settings.eip_tag.is_some() && settings.load_balancer_id.is_some() {
            say(
                "METAL_EIP_TAG (eipTag) and METAL_LOAD_BALANCER_ID (loadBalancerID) both provide the control plane's endpoint: keep one of them",
            );
        }
        if settings.load_balancer_id.is_some()
            && !matches!(settings.load_balancer, Some(super::BackendSetting::Emlb { .. }))
        {
            say("METAL_LOAD_BALANCER_ID (loadBalancerID) needs METAL_LOAD_BALANCER=emlb:///<metro>");
        }
    }

    /// The environment's value, else the file's text. A value of another type in the file is a fault.
    fn text(&mut self, environment: &'static str, key: &'static str) -> Option<Found> {
        if let Some(found) = self.variable(environment) {
            return Some(found);
        }
        let origin = self.origin(key);
        match self.file.get(&key.to_lowercase()) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(Found { text: text.clone(), origin, in_environment: false }),
            Some(_) => {
                self.faults.push(SettingsFault::Invalid { origin, problem: "must be a string".to_owned() });
                None
            }
        }
    }

    fn variable(&self, environment: &'static str) -> Option<Found> {
        let text = self.environment.get(environment).filter(|text| !text.is_empty())?;
        Some(Found { text: text.clone(), origin: environment.to_owned(), in_environment: true })
    }

    fn origin(&self, key: &str) -> String {
        format!("{key} in {}", self.path.display())
    }

    fn required(&mut self, environment: &'static str, key: &'static str) -> String {
        match self.text(environment, key) {
            Some(found) => found.text,
            None => {
                // A wrong type is reported already.
                if self.file.get(&key.to_lowercase()).is_none_or(|value| value.is_null() || value.is_string()) {
                    self.faults.push(SettingsFault::Missing { environment, key });
                }
                String::new()
            }
        }
    }

    fn parsed<T>(
        &mut self,
        environment: &'static str,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let found = self.text(environment, key)?;
        match parse(&found.text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.faults.push(SettingsFault::Invalid { origin: found.origin, problem });
                None
            }
        }
    }

    /// A whole number; 0 in either place counts as unset.
    fn number<T: TryFrom<u64>>(
        &mut self,
        environment: &'static str,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<T> {
        let (number, origin) = match (self.variable(environment), self.file.get(&key.to_lowercase())) {
            (Some(found), _) => (found.text.parse().ok(), found.origin),
            (None, None | Some(Value::Null)) => return None,
            (None, Some(value)) => (value.as_u64().filter(|_| value.is_number()), self.origin(key)),
        };
        match number {
            Some(0) => None,
            Some(number) if range.contains(&number) => T::try_from(number).ok(),
            _ => {
                let problem = format!("must be a whole number from {} to {}", range.start(), range.end());
                self.faults.push(SettingsFault::Invalid { origin, problem });
                None
            }
        }
    }

    fn use_host_ip(&mut self) -> bool {
        let (environment, key) = ("METAL_EIP_HEALTH_CHECK_USE_HOST_IP", "eipHealthCheckUseHostIP");
        let (value, origin) = match (self.variable(environment), self.file.get(&key.to_lowercase())) {
            (Some(found), _) => (go_bool(&found.text), found.origin),
            (None, None | Some(Value::Null)) => return false,
            (None, Some(value)) => (value.as_bool(), self.origin(key)),
        };
        value.unwrap_or_else(|| {
            self.faults.push(SettingsFault::Invalid { origin, problem: "must be true or false".to_owned() });
            false
        })
    }

    fn bgp_pass(&mut self) -> Option<BgpPassword> {
        let found = self.text("METAL_BGP_PASS", "bgpPass")?;
        let password = Secret::new(found.text);
        Some(match found.in_environment {
            true => BgpPassword::Environment(password),
            false => BgpPassword::CloudConfig { path: self.path.clone(), password },
        })
    }

    fn api_url(&mut self) -> String {
        let problem = "must be a URL such as https://api.equinix.com/metal/v1".to_owned();
        let checked = |text: &str| match text.parse::<http::Uri>() {
            Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {
                Ok(text.trim_end_matches('/').to_owned())
            }
            _ => Err(problem),
        };
        self.parsed("METAL_API_URL", "base-url", checked).unwrap_or_else(|| DEFAULT_API_URL.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::settings::BackendSetting;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn credentials(more: &[(&str, &str)]) -> Environment {
        let mut all = environment(&[("METAL_API_KEY", "key"), ("METAL_PROJECT_ID", "project")]);
        all.extend(environment(more));
        all
    }

    /// Settings, or the faults as text with the file's path as `FILE`.
    fn read(environment: &Environment, file: Option<&str>) -> Result<Settings, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cloud-sa.json");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        load(environment, file.map(|_| path.as_path())).map_err(|faults| {
            faults.iter().map(|f| f.to_string().replace(&path.display().to_string(), "FILE")).collect()
        })
    }

    fn settings(pairs: &[(&str, &str)], file: Option<&str>) -> Settings {
        read(&credentials(pairs), file).unwrap()
    }

    fn faults(pairs: &[(&str, &str)], file: Option<&str>) -> Vec<String> {
        read(&credentials(pairs), file).unwrap_err()
    }

    #[test]
    fn cfg_05_06_07_08_17_18_19_20_21_the_defaults_are_those_of_the_original() {
        assert_eq!(
            settings(&[], None),
            Settings {
                api_key: Secret::new("key"),
                project_id: "project".into(),
                api_url: "https://api.equinix.com/metal/v1".into(),
                load_balancer: None,
                metro: None,
                facility: None,
                local_asn: 65000,
                bgp_pass: None,
                annotations: BgpAnnotations::default(),
                annotation_eip_metro: "metal.equinix.com/eip-metro".into(),
                annotation_eip_facility: "metal.equinix.com/eip-facility".into(),
                eip_tag: None,
                load_balancer_id: None,
                api_server_port: None,
                bgp_node_selector: LabelSelector::default(),
                eip_health_check_use_host_ip: false,
            }
        );
    }

    #[test]
    fn cfg_01_the_environment_beats_the_file_and_the_file_beats_the_default() {
        let file = r#"{"metro":"sv","facility":"SV15","localASN":64512,"apiKey":"of the file","projectID":"p"}"#;
        let both = settings(&[("METAL_METRO_NAME", "da")], Some(file));
        assert_eq!(
            (both.metro.as_deref(), both.facility.as_deref(), both.local_asn),
            (Some("da"), Some("sv15"), 64512)
        );
        assert_eq!(both.api_key, Secret::new("key"));
        assert_eq!(read(&Environment::new(), Some(file)).unwrap().api_key, Secret::new("of the file"));
    }

    #[test]
    fn cfg_02_03_key_and_project_are_required_and_both_are_named() {
        let expected = [
            "METAL_API_KEY is required: set it in the environment, or apiKey in the file of --cloud-config",
            "METAL_PROJECT_ID is required: set it in the environment, or projectId in the file of --cloud-config",
        ];
        assert_eq!(read(&Environment::new(), None).unwrap_err(), expected);
        assert_eq!(read(&Environment::new(), Some("{}")).unwrap_err(), expected);
    }

    #[test]
    fn cfg_04_keys_of_the_file_are_read_in_any_case_and_unknown_ones_are_ignored() {
        for file in [
            r#"{"apiKey":"k","projectId":"p","base-url":"http://x/y"}"#,
            r#"{"apikey":"k","projectID":"p","unknown":{},"Base-URL":"http://x/y/"}"#,
            r#"{"APIKEY":"k","PROJECTID":"p","base-url":"http://x/y"}"#,
        ] {
            let settings = read(&Environment::new(), Some(file)).unwrap();
            assert_eq!((settings.project_id.as_str(), settings.api_url.as_str()), ("p", "http://x/y"), "{file}");
        }
    }

    #[test]
    fn cfg_09_10_11_12_13_14_15_16_annotation_names_can_be_changed() {
        let names = [
            ("METAL_ANNOTATION_LOCAL_ASN", "annotationLocalASN"),
            ("METAL_ANNOTATION_PEER_ASN", "annotationPeerASN"),
            ("METAL_ANNOTATION_PEER_IP", "annotationPeerIP"),
            ("METAL_ANNOTATION_SRC_IP", "annotationSrcIP"),
            ("METAL_ANNOTATION_BGP_PASS", "annotationBGPPass"),
            ("METAL_ANNOTATION_NETWORK_IPV4_PRIVATE", "annotationNetworkIPv4Private"),
            ("METAL_ANNOTATION_EIP_METRO", "annotationEIPMetro"),
            ("METAL_ANNOTATION_EIP_FACILITY", "annotationEIPFacility"),
        ];
        let shown = |s: Settings| {
            let a = s.annotations;
            [
                a.node_asn,
                a.peer_asn,
                a.peer_ip,
                a.src_ip,
                a.bgp_pass,
                a.network_ipv4_private,
                s.annotation_eip_metro,
                s.annotation_eip_facility,
            ]
        };
        let expected: [String; 8] = std::array::from_fn(|i| format!("example.com/{i}"));
        let by_name: Vec<_> = names.iter().zip(&expected).map(|((name, _), value)| (*name, value.as_str())).collect();
        assert_eq!(shown(settings(&by_name, None)), expected);
        let file: serde_json::Map<_, _> =
            names.iter().zip(&expected).map(|((_, key), value)| ((*key).to_owned(), value.clone().into())).collect();
        assert_eq!(shown(settings(&[], Some(&Value::Object(file).to_string()))), expected);
    }

    #[test]
    fn cfg_22_base_url_sets_the_api_and_the_environment_beats_it() {
        let file = r#"{"base-url":"http://127.0.0.1:9/metal/v1/"}"#;
        assert_eq!(settings(&[], Some(file)).api_url, "http://127.0.0.1:9/metal/v1");
        assert_eq!(settings(&[("METAL_API_URL", "https://other")], Some(file)).api_url, "https://other");
        let problem = "must be a URL such as https://api.equinix.com/metal/v1";
        assert_eq!(faults(&[("METAL_API_URL", "api.equinix.com")], None), [format!("METAL_API_URL: {problem}")]);
        assert_eq!(faults(&[], Some(r#"{"base-url":"ftp://x"}"#)), [format!("base-url in FILE: {problem}")]);
    }

    #[test]
    fn cfg_23_a_broken_file_is_an_error_that_names_the_path_and_not_the_content() {
        let cases = [
            ("empty", "", "--cloud-config FILE: is not a JSON object: the file is empty"),
            ("truncated", r#"{"apiKey":"s3cret"#, "--cloud-config FILE: is not a JSON object: line 1, column 17"),
            ("trailing comma", "{\"metro\":\"da\",\n}", "--cloud-config FILE: is not a JSON object: line 2, column 1"),
            ("a list", r#"["s3cret"]"#, "--cloud-config FILE: is not a JSON object: another kind of value was found"),
            (
                "port as text",
                r#"{"apiServerPort":"6443"}"#,
                "apiServerPort in FILE: must be a whole number from 0 to 65535",
            ),
            ("key as number", r#"{"metro":7}"#, "metro in FILE: must be a string"),
        ];
        for (name, file, expected) in cases {
            assert_eq!(faults(&[], Some(file)), [expected], "{name}");
        }
        assert!(settings(&[], Some("{}")).metro.is_none());
        let missing = load(&credentials(&[]), Some(Path::new("/does/not/exist"))).unwrap_err();
        assert!(missing[0].to_string().starts_with("--cloud-config /does/not/exist: cannot be read: "), "{missing:?}");
    }

    #[test]
    fn cfg_24_a_variable_set_to_nothing_counts_as_unset() {
        let kept = settings(&[("METAL_EIP_TAG", "")], Some(r#"{"eipTag":"prod"}"#));
        assert_eq!(kept.eip_tag.as_deref(), Some("prod"));
    }

    #[test]
    fn cfg_25_the_summary_shows_every_setting_and_no_secret() {
        let mut all = settings(
            &[("METAL_BGP_PASS", "s3cret"), ("METAL_LOAD_BALANCER", "kube-vip://"), ("METAL_METRO_NAME", "da")],
            None,
        );
        all.api_key = Secret::new("t0ken");
        assert_eq!(
            all.summary(),
            [
                "authToken: '<masked>'",
                "projectID: 'project'",
                "load balancer config: 'kube-vip://'",
                "metro: 'da'",
                "facility: ''",
                "local ASN: '65000'",
                "Elastic IP Tag: ''",
                "API Server Port: 'the API server's own'",
                "BGP Node Selector: ''",
                "Load Balancer ID: ''",
            ]
        );
        let printed = format!("{all:?} {:?}", all.summary());
        assert!(!printed.contains("s3cret") && !printed.contains("t0ken"), "{printed}");
    }

    #[test]
    fn cfg_07_19_26_numbers_are_whole_and_in_range() {
        let asn = "must be a whole number from 1 to 4294967295";
        let port = "must be a whole number from 0 to 65535";
        for (name, value, problem) in [
            ("METAL_LOCAL_ASN", "abc", asn),
            ("METAL_LOCAL_ASN", "-1", asn),
            ("METAL_LOCAL_ASN", "4294967296", asn),
            ("METAL_API_SERVER_PORT", "65536", port),
            ("METAL_API_SERVER_PORT", "https", port),
        ] {
            assert_eq!(faults(&[(name, value)], None), [format!("{name}: {problem}")], "{value}");
        }
        assert_eq!(settings(&[("METAL_LOCAL_ASN", "4294967295")], None).local_asn, u32::MAX);
        assert_eq!(settings(&[], Some(r#"{"localASN":0,"apiServerPort":0}"#)).local_asn, 65000);
        assert_eq!(settings(&[], Some(r#"{"apiServerPort":6443}"#)).api_server_port, Some(6443));
        assert_eq!(faults(&[], Some(r#"{"localASN":1.5}"#)), [format!("localASN in FILE: {asn}")]);
    }

    #[test]
    fn cfg_20_the_node_selector_is_read_and_a_bad_one_is_an_error() {
        let selector = settings(&[("METAL_BGP_NODE_SELECTOR", "bgp=yes,tier in (a, b),!off")], None).bgp_node_selector;
        assert_eq!(selector.to_string(), "bgp in (yes),tier in (a,b),!off");
        let fault = &faults(&[("METAL_BGP_NODE_SELECTOR", "bgp in (yes")], None)[0];
        assert!(fault.starts_with("METAL_BGP_NODE_SELECTOR: "), "{fault}");
    }

    #[test]
    fn cfg_21_the_words_of_go_for_true_and_false() {
        for (word, expected) in
            [("1", true), ("T", true), ("TRUE", true), ("True", true), ("f", false), ("False", false)]
        {
            let settings =
                settings(&[("METAL_EIP_HEALTH_CHECK_USE_HOST_IP", word)], Some(r#"{"eipHealthCheckUseHostIP":true}"#));
            assert_eq!(settings.eip_health_check_use_host_ip, expected, "{word}");
        }
        assert_eq!(
            faults(&[("METAL_EIP_HEALTH_CHECK_USE_HOST_IP", "yes")], None),
            ["METAL_EIP_HEALTH_CHECK_USE_HOST_IP: must be true or false"]
        );
    }

    #[test]
    fn cfg_27_30_faults_of_meaning_name_the_setting() {
        let cases: [(&[(&str, &str)], &str); 3] = [
            (&[("METAL_LOAD_BALANCER", "metallb")], "METAL_LOAD_BALANCER: names no backend"),
            (
                &[("METAL_LOAD_BALANCER_ID", "loadbal-1")],
                "METAL_LOAD_BALANCER_ID (loadBalancerID) needs METAL_LOAD_BALANCER=emlb:///<metro>",
            ),
            (
                &[
                    ("METAL_LOAD_BALANCER_ID", "loadbal-1"),
                    ("METAL_EIP_TAG", "x"),
                    ("METAL_LOAD_BALANCER", "emlb:///da"),
                ],
                "METAL_EIP_TAG (eipTag) and METAL_LOAD_BALANCER_ID (loadBalancerID) both provide",
            ),
        ];
        for (pairs, expected) in cases {
            let found = faults(pairs, None);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
        }
        assert_eq!(settings(&[("METAL_LOAD_BALANCER", "empty://")], None).load_balancer, Some(BackendSetting::Empty));
    }

    #[test]
    fn cfg_08_the_bgp_password_remembers_where_it_was_found() {
        assert_eq!(
            settings(&[("METAL_BGP_PASS", "a")], Some(r#"{"bgpPass":"b"}"#)).bgp_pass,
            Some(BgpPassword::Environment(Secret::new("a")))
        );
        let Some(BgpPassword::CloudConfig { password, .. }) = settings(&[], Some(r#"{"bgpPass":"b"}"#)).bgp_pass else {
            panic!()
        };
        assert_eq!(password.expose(), "b");
    }
}

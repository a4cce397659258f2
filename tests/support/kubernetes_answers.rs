//! Requests with the answers that a real kube-apiserver gave, and how to ask them of any server.

#![allow(dead_code, reason = "each suite uses its part of this")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The recorded files, each a history of its own on a fresh server.
pub(crate) const FILES: &[&str] = &["services", "resources", "custom_resources"];

/// How long a real server may take until a step that waits is answered as it should be.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// A request, and the answer to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// What the step is about; unique in its file.
    pub(crate) name: String,
    method: String,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accept: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// Media type of the body.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    media: Option<String>,
    /// JSON, or a text that is sent as it is; `{"$repeat": [TEXT, TIMES]}` stands for a long text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    /// Parts of the answer that later steps use as `${NAME}`, by dotted path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    save: BTreeMap<String, String>,
    /// The step is asked again until this is the status: what it waits for takes a real server a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u16>,
    /// What of the answer is compared: everything, or the part at a dotted path, or with `code` the status only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compare: Option<String>,
    /// What a real server answered.
    pub(crate) answer: Option<Answer>,
}

/// An answer without what differs from run to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    code: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    body: Value,
}

/// A server to ask.
pub(crate) struct Server {
    url: String,
    token: Option<String>,
    client: reqwest::Client,
    saved: BTreeMap<String, String>,
}

/// Where a file is.
pub(crate) fn path_of(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kubernetes_answers").join(format!("{file}.jsonl"))
}

/// The steps of a file.
pub(crate) fn load(file: &str) -> Vec<Step> {
    let text = std::fs::read_to_string(path_of(file)).expect("the file of answers is there");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is a step")).collect()
}

impl Server {
    pub(crate) fn new(url: &str, token: Option<&str>) -> Self {
        // Another test of the process may have been first.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client =
            reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().expect("a client can be built");
        Self { url: url.to_owned(), token: token.map(str::to_owned), client, saved: BTreeMap::new() }
    }

    /// Asks one step, and keeps what later steps need.
    pub(crate) async fn ask(&mut self, step: &Step) -> Answer {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            let answer = self.ask_once(step).await;
            if step.until.is_none_or(|code| code == answer.code) || Instant::now() > deadline {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ask_once(&mut self, step: &Step) -> Answer {
        let method = step.method.parse().expect("the method is one");
        let mut request = self.client.request(method, format!("{}{}", self.url, self.filled(&step.path)));
        request = request.header("Accept", step.accept.as_deref().unwrap_or("application/json"));
        request = request.header("User-Agent", step.user_agent.as_deref().unwrap_or("diff/1"));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &step.body {
            let text = match expanded(body) {
                Value::String(text) => text,
                body => body.to_string(),
            };
            request =
                request.header("Content-Type", step.media.as_deref().unwrap_or_default()).body(self.filled(&text));
        }
        let response = request.send().await.expect("the server answers");
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter();
        let mut warnings: Vec<String> =
            warnings.map(|warning| warning.to_str().expect("warnings are text").to_owned()).collect();
        warnings.sort();
        let text = response.text().await.expect("the body arrives");
        let body = read_body(&text, &step.path);
        for (name, path) in &step.save {
            let found = at(&body, path);
            self.saved.insert(name.clone(), found.as_str().map_or_else(|| found.to_string(), str::to_owned));
        }
        let body = match step.compare.as_deref() {
            Some("code") => Value::Null,
            Some(path) => steady(at(&body, path).clone(), ""),
            None => steady(body, ""),
        };
        Answer { code, warnings, body }
    }

    fn filled(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.saved {
            filled = filled.replace(&format!("${{{name}}}"), value);
        }
        filled
    }
}

/// JSON, the lines of a watch, or text.
fn read_body(text: &str, path: &str) -> Value {
    if path.contains("watch=1") {
        let lines = text.lines().map(serde_json::from_str);
        return lines.collect::<Result<Vec<Value>, _>>().map_or_else(|_| json!(text), Value::Array);
    }
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn expanded(value: &Value) -> Value {
    match value {
        Value::Object(members) => match members.get("$repeat") {
            Some(repeat) => {
                let text = repeat[0].as_str().expect("what is repeated is text");
                let times = repeat[1].as_u64().and_then(|times| usize::try_from(times).ok());
                Value::from(text.repeat(times.expect("how often is a number")))
            }
            None => members.iter().map(|(key, value)| (key.clone(), expanded(value))).collect::<Map<_, _>>().into(),
        },
        Value::Array(items) => items.iter().map(expanded).collect(),
        other => other.clone(),
    }
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, part| &value[part])
}

/// Fields whose values the server chooses.
const CHOSEN: &[&str] = &[
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "time",
    "nodePort",
    "clusterIP",
    "healthCheckNodePort",
    "lastTransitionTime",
];

/// Texts within texts that the server chooses.
static CHOSEN_TEXT: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rows = [
        (r"10\.96\.\d+\.\d+", "<address>"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uid>"),
        (r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
        (r"gen-[a-z0-9]{5}", "<generated>"),
        // The whole object as the server sorts it.
        (r#"(?s)(patch: |^)Invalid value: "\{.*": "#, "${1}Invalid value: <object>: "),
    ];
    rows.map(|(pattern, name)| (Regex::new(pattern).expect("the pattern is one"), name)).to_vec()
});

/// The value without what differs from run to run.
fn steady(value: Value, key: &str) -> Value {
    match value {
        Value::Object(members) => {
            let steadied = members.into_iter().map(|(key, value)| {
                let value = steady(value, &key);
                (key, value)
            });
            Value::Object(steadied.collect())
        }
        Value::Array(items) => {
            let key = if key == "clusterIPs" { "clusterIP" } else { "" };
            let mut items: Vec<Value> = items.into_iter().map(|item| steady(item, key)).collect();
            // Entries of one second come in any order, as do faults found by walking a map.
            if items.iter().all(|item| item.get("manager").is_some() || item.get("reason").is_some()) {
                items.sort_by_key(Value::to_string);
            }
            Value::Array(items)
        }
        Value::String(text) if key == "clusterIP" && (text == "None" || text.is_empty()) => Value::String(text),
        value if CHOSEN.contains(&key) && !value.is_null() => json!(format!("<{key}>")),
        Value::String(text) => {
            let text =
                CHOSEN_TEXT.iter().fold(text, |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned());
            Value::String(text)
        }
        other => other,
    }
}

//! The simulator as an HTTP client meets it.

use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::Value;

use super::{ClockStart, DeviceSeed, MetalSimulator, Project, SimulatorConfig};

mod assignments;
mod bgp;
mod catalog;
mod conventions;
mod devices;
mod faults;
mod lags;
mod lifecycle;
mod reservations;
mod scale;

/// A simulator whose clock stands still, with a client that holds its key.
struct Setup {
    simulator: MetalSimulator,
    project: Project,
    http: reqwest::Client,
    key: String,
    p: String,
}

/// What came back.
#[derive(Debug, Clone)]
struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Setup {
    async fn new(config: SimulatorConfig) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = ClockStart::Manual(Timestamp::from_second(1_709_251_200).unwrap());
        let key = config.auth_token.reveal().to_owned();
        let simulator = MetalSimulator::start(SimulatorConfig { clock, ..config }).await.unwrap();
        let project = simulator.state();
        let p = project.id();
        Self { simulator, project, http: reqwest::Client::new(), key, p }
    }

    async fn default() -> Self {
        Self::new(SimulatorConfig::default()).await
    }

    fn device(&self, hostname: &str) -> String {
        self.project.seed_device(DeviceSeed::new(hostname, "da")).unwrap()
    }

    fn request(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.simulator.base_url()));
        let request = request.header("x-auth-token", &self.key).header("accept", "application/json");
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Got> {
        got(self.request(method, path, body)).await
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, None).await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Got {
        self.send(Method::POST, path, Some(body)).await.unwrap()
    }

    async fn put(&self, path: &str, body: Value) -> Got {
        self.send(Method::PUT, path, Some(body)).await.unwrap()
    }

    async fn patch(&self, path: &str, body: Value) -> Got {
        self.send(Method::PATCH, path, Some(body)).await.unwrap()
    }

    async fn delete(&self, path: &str) -> Got {
        self.send(Method::DELETE, path, None).await.unwrap()
    }

    fn path(&self, below: &str) -> String {
        format!("/projects/{}/{below}", self.p)
    }
}

async fn got(request: reqwest::RequestBuilder) -> reqwest::Result<Got> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Got { status, headers, text: response.text().await? })
}

/// One field of every entry of a list.
fn each(list: &Value, field: &str) -> Vec<Value> {
    list.as_array().unwrap().iter().map(|entry| entry[field].clone()).collect()
}

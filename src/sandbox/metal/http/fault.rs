//! One fault: when it strikes and what it does.

use std::time::Duration;

use serde_json::json;

/// A disturbance of matching requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(crate) method: Option<String>,
    pub(crate) route: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) skip: u32,
    pub(crate) times: Option<u32>,
    pub(crate) probability: f64,
    pub(crate) moment: Moment,
    pub(crate) effect: Effect,
}

/// Whether the request took effect before the fault struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing happened.
    BeforeCommit,
    /// The request was carried out, and the client is not told.
    AfterCommit,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answers this instead.
    Reply(CannedReply),
    /// Cuts the connection without an answer.
    Cut,
    /// Never answers.
    Hang,
    /// Waits, then goes on as usual; other faults may still strike.
    Delay(Duration),
    /// Sends the true answer without its second half, as if that were all.
    TruncatedJson,
    /// Sends the true answer as `text/html`.
    WrongContentType,
    /// Sends half of the true answer, then cuts the connection.
    CutBody,
    /// Sends half of the true answer, then nothing more.
    StallBody,
    /// Turns a list by this many entries before its pages are cut, as if entries had moved between pages.
    ShiftPage(usize),
}

/// An answer that does not depend on the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannedReply {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) sender: Sender,
}

/// Who seems to have sent an answer; only the API itself adds `X-Request-Id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Api,
    Intermediary,
}

impl Fault {
    /// A fault on every request of a route such as `POST /projects/{p}/ips`; `*` stands for any method or any route.
    #[must_use]
    pub fn on(route: &str, effect: Effect) -> Self {
        let (method, route) = route.split_once(' ').unwrap_or(("*", route));
        let named = |text: &str| (text != "*").then(|| text.to_owned());
        Self {
            method: named(method),
            route: named(route),
            path: None,
            skip: 0,
            times: None,
            probability: 1.0,
            moment: Moment::BeforeCommit,
            effect,
        }
    }

    /// Strikes only at this path below the base URL, such as `/devices/<id>`.
    #[must_use]
    pub fn at(self, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    /// Lets the first matching requests pass.
    #[must_use]
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// Strikes this often, then never again.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Strikes once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Strikes by chance (0 never, 1 always); the simulator's seed decides.
    #[must_use]
    pub fn probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    /// Strikes after the request took effect.
    #[must_use]
    pub fn after_commit(self) -> Self {
        Self { moment: Moment::AfterCommit, ..self }
    }
}

impl CannedReply {
    /// A refusal of the API in its form for several texts.
    #[must_use]
    pub fn errors(status: u16, texts: &[&str]) -> Self {
        Self::json(status, json!({ "errors": texts }).to_string())
    }

    /// A refusal of the API in its form for one text.
    #[must_use]
    pub fn error(status: u16, text: &str) -> Self {
        Self::json(status, json!({ "error": text }).to_string())
    }

    /// The API's own 500.
    #[must_use]
    pub fn oh_snap() -> Self {
        let text = "Oh snap, something went wrong! We've logged the error and will take a look - please reach out to us \
                    if you continue having trouble.";
        Self::errors(500, &[text])
    }

    /// Any JSON text.
    #[must_use]
    pub fn json(status: u16, body: String) -> Self {
        let content_type = Some("application/json; charset=utf-8");
        Self { status, content_type, body, headers: Vec::new(), sender: Sender::Api }
    }

    /// A page of a load balancer in front of the API.
    #[must_use]
    pub fn html(status: u16) -> Self {
        let body = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n");
        Self { status, content_type: Some("text/html"), body, headers: Vec::new(), sender: Sender::Intermediary }
    }

    /// A status with no body, from something in front of the API.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: String::new(), headers: Vec::new(), sender: Sender::Intermediary }
    }

    /// A 429, with or without the seconds after which to try again.
    #[must_use]
    pub fn too_many_requests(retry_after: Option<u64>) -> Self {
        let reply = Self::errors(429, &["Too many requests"]);
        match retry_after {
            Some(seconds) => reply.header("retry-after", seconds.to_string()),
            None => reply,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

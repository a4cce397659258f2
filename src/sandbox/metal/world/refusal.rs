//! Why the API refuses a request.

/// A refusal in the API's terms: a status and its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 401.
    Unauthorized,
    /// 403 with this text.
    Forbidden(String),
    /// 404.
    NotFound,
    /// 422 with these texts.
    Unprocessable(Vec<String>),
}

impl Refusal {
    pub(crate) fn forbidden(text: &str) -> Self {
        Self::Forbidden(text.to_owned())
    }

    pub(crate) fn unprocessable(text: &str) -> Self {
        Self::Unprocessable(vec![text.to_owned()])
    }

    /// What a person would read.
    pub(crate) fn texts(&self) -> Vec<String> {
        match self {
            Self::Unauthorized => vec!["Invalid authentication token".to_owned()],
            Self::Forbidden(text) => vec![text.clone()],
            Self::NotFound => vec!["Not found".to_owned()],
            Self::Unprocessable(texts) => texts.clone(),
        }
    }
}

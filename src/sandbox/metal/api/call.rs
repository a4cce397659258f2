//! What a request says: its query and its body.

use axum::body::Bytes;
use axum::extract::{FromRequest, Query, Request};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Api;
use crate::sandbox::metal::http::pipeline::ListShift;
use crate::sandbox::metal::wire::expansion::Expansion;
use crate::sandbox::metal::wire::paging::Page;
use crate::sandbox::metal::world::{Refusal, World};

/// The query and body of one request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    query: Vec<(String, String)>,
    body: Value,
    shift: usize,
}

impl FromRequest<Api> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Self::Rejection> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).map(|Query(pairs)| pairs);
        let shift = request.extensions().get::<ListShift>().copied().unwrap_or_default().0;
        let bytes = Bytes::from_request(request, api).await.map_err(IntoResponse::into_response)?;
        let unreadable = || Refusal::unprocessable("The request could not be parsed").into_response();
        let body =
            if bytes.is_empty() { json!({}) } else { serde_json::from_slice(&bytes).map_err(|_| unreadable())? };
        Ok(Self { query: query.map_err(|_| unreadable())?, body, shift })
    }
}

impl Call {
    /// The last value given for a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter, whether it was repeated, comma-joined, or written with brackets.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let bracketed = format!("{name}[]");
        let matching = self.query.iter().filter(|(key, _)| key == name || *key == bracketed);
        matching.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|value| !value.is_empty()).collect()
    }

    pub(crate) fn expansion(&self) -> Expansion {
        Expansion::parse(self.values("include"), self.values("exclude"))
    }

    /// The body as a value of its own type.
    ///
    /// # Errors
    /// It lacks a field, or a field has another type.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_value(self.body.clone()).map_err(|error| Refusal::unprocessable(&error.to_string()))
    }

    /// One page of a list, with its description.
    pub(crate) fn paged<T>(
        &self,
        world: &World,
        list: List<'_>,
        mut entries: Vec<T>,
        write: impl FnMut(T) -> Value,
    ) -> Value {
        let page = Page::parse(
            self.parameter("page"),
            self.parameter("per_page"),
            list.default_size,
            world.config.per_page_cap,
        );
        let total = entries.len();
        entries.rotate_left(self.shift.checked_rem(total).unwrap_or(0));
        let entries: Vec<Value> = page.of(entries.into_iter()).map(write).collect();
        json!({ list.name: entries, "meta": page.meta(list.path, total) })
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Which list a page belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List<'a> {
    /// The envelope's field.
    pub(crate) name: &'static str,
    /// Where it is, below the prefix.
    pub(crate) path: &'a str,
    /// How many entries a page has unless the caller says otherwise.
    pub(crate) default_size: usize,
}

//! Query parameters of a request.

use super::field_error::FieldError;
use super::status::Refusal;
use super::target::percent_decode;

/// The decoded query string.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads a raw query string.
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        let pairs = raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self { pairs: pairs.collect() }
    }

    /// The first value of a parameter; empty values count as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// Whether a flag is set, also as `?watch` and `?watch=1`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        let found = self.pairs.iter().find(|(name, _)| name == key);
        found.is_some_and(|(_, value)| !matches!(value.as_str(), "0" | "false"))
    }

    /// A parameter as a number.
    ///
    /// # Errors
    /// When it is given and is none.
    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let parsed = text.parse::<u64>();
        parsed
            .map(Some)
            .map_err(|_| Refusal::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
    }
}

/// The version that a read asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadAt {
    /// The newest.
    Newest,
    /// Any; a real server answers from its cache.
    Any,
    /// Not older than that.
    NotOlderThan(u64),
    /// Exactly that.
    Exactly(u64),
}

impl ReadAt {
    /// Reads `resourceVersion` and `resourceVersionMatch` of a list.
    ///
    /// # Errors
    /// When the two do not go together.
    pub(crate) fn of_list(query: &Query) -> Result<Self, Refusal> {
        let version = query.get("resourceVersion").map(parse_revision).transpose()?;
        match (query.get("resourceVersionMatch"), version) {
            (None, None) => Ok(Self::Newest),
            (None | Some("NotOlderThan"), Some(0)) => Ok(Self::Any),
            (None | Some("NotOlderThan"), Some(version)) => Ok(Self::NotOlderThan(version)),
            (Some("Exact"), Some(0)) => {
                Err(invalid_match("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""))
            }
            (Some("Exact"), Some(version)) => Ok(Self::Exactly(version)),
            (Some(_), None) => {
                Err(invalid_match("resourceVersionMatch is forbidden unless resourceVersion is provided"))
            }
            (Some(other), Some(_)) => {
                let error = FieldError::not_supported("resourceVersionMatch", other, &["Exact", "NotOlderThan", ""]);
                Err(Refusal::invalid_options("ListOptions", error))
            }
        }
    }
}

/// A resource version of a request.
///
/// # Errors
/// When it is no number.
pub(crate) fn parse_revision(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        let error = FieldError::invalid("resourceVersion", text, why);
        Refusal::bad_request(format!("invalid resource version: {error}"))
    })
}

/// A rule of list options is broken.
pub(crate) fn invalid_match(why: &str) -> Refusal {
    Refusal::invalid_options("ListOptions", FieldError::forbidden("resourceVersionMatch", why))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse(Some("labelSelector=a%3Db%2Cc+in+%28d%29&watch=1&limit=&pretty"));
        let pairs = [("labelSelector", "a=b,c in (d)"), ("watch", "1"), ("limit", ""), ("pretty", "")];
        let expected = Query { pairs: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec() };
        assert_eq!(query, expected);
        assert_eq!(query.get("limit"), None);
        assert!(query.flag("watch") && query.flag("pretty") && !query.flag("other"));
    }
}

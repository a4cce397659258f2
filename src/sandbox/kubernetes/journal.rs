//! What was asked of the server.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many requests are kept in full; counters go on.
const KEPT: usize = 10_000;

/// What a request does, in the words of RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads a collection.
    List,
    /// Follows a collection.
    Watch,
    /// Makes an object.
    Create,
    /// Replaces an object.
    Update,
    /// Changes an object.
    Patch,
    /// Removes an object.
    Delete,
    /// Removes the objects of a collection.
    DeleteCollection,
}

impl Verb {
    /// The RBAC word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Whether objects may change.
    pub fn writes(self) -> bool {
        match self {
            Self::Get | Self::List | Self::Watch => false,
            Self::Create | Self::Update | Self::Patch | Self::Delete | Self::DeleteCollection => true,
        }
    }
}

/// One request for a resource, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was asked.
    pub verb: Verb,
    /// Plural of the resource, with the subresource as in `services/status`.
    pub resource: String,
    /// The namespace, if the path names one.
    pub namespace: Option<String>,
    /// The object, if the path names one.
    pub name: Option<String>,
    /// HTTP status; 0 when the connection was cut instead.
    pub status: u16,
    /// The client's User-Agent.
    pub user_agent: String,
    /// The `fieldManager` parameter, if given.
    pub field_manager: Option<String>,
    /// The body's media type, if it had a body.
    pub content_type: Option<String>,
}

/// Counters and the newest requests.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<(Verb, String), u64>,
    entries: VecDeque<Entry>,
}

impl Journal {
    pub(crate) fn record(&self, entry: Entry) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.counts.entry((entry.verb, entry.resource.clone())).or_default() += 1;
        if state.entries.len() == KEPT {
            state.entries.pop_front();
        }
        state.entries.push_back(entry);
    }

    pub(crate) fn counts(&self) -> BTreeMap<(Verb, String), u64> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).entries.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State::default();
    }
}

//! Whole listings out of pages.

use std::collections::HashSet;

use super::Client;
use super::client::Call;
use super::route::{Method, Route};
use super::wire::{Listed, Meta};
use crate::ports::MetalError;

const PER_PAGE: &str = "1000";
/// A listing that changed while it was read is read again this often.
const TRIES: u32 = 3;
/// More pages than any project has: a server that always announces one more is not followed for ever.
const MOST_PAGES: u32 = 1000;

impl Client {
    /// All entries of a paged list, each once, in the API's order.
    ///
    /// The list is read again when it changed between two pages (the total moved, or entries are missing); when it never
    /// holds still that is an error, not a short list. An answer without the list's key is an error too.
    pub(super) async fn list<T: Listed>(&self, route: Route<'_>, include: &'static str) -> Result<Vec<T>, MetalError> {
        let mut problem = String::new();
        for _ in 0..TRIES {
            match self.read_pages(route, include).await? {
                Ok(entries) => return Ok(entries),
                Err(shift) => problem = shift,
            }
        }
        Err(MetalError::Malformed {
            request: list_call(route, include, 1).name(),
            cause: format!("the list is not whole: {problem}, {TRIES} times"),
        })
    }

    /// The list as it was read once; the inner error says what shows that it changed meanwhile.
    async fn read_pages<T: Listed>(
        &self,
        route: Route<'_>,
        include: &'static str,
    ) -> Result<Result<Vec<T>, String>, MetalError> {
        let mut reading = Reading::default();
        let mut page = 1;
        loop {
            let call = list_call(route, include, page);
            let malformed = |cause: String| MetalError::Malformed { request: call.name(), cause };
            let (entries, meta) = T::unwrap_page(self.fetch(&call).await?);
            let entries: Vec<T> = entries.ok_or_else(|| malformed(format!("it has no list {:?}", T::KEY)))?;
            let more = meta.announces_more_after(page);
            reading.take(entries, &meta).map_err(malformed)?;
            if !more {
                return Ok(reading.finish());
            }
            page += 1;
            if page > MOST_PAGES {
                return Err(malformed(format!("it announces more than {MOST_PAGES} pages")));
            }
        }
    }
}

fn list_call<'a>(route: Route<'a>, include: &'static str, page: u32) -> Call<'a> {
    let mut call = Call::new(Method::Get, route);
    call.query = vec![("include", include.to_owned()), ("per_page", PER_PAGE.to_owned()), ("page", page.to_string())];
    call
}

/// What the pages held so far.
struct Reading<T> {
    entries: Vec<T>,
    ids: HashSet<String>,
    total: Option<u64>,
    moved: Option<String>,
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), ids: HashSet::new(), total: None, moved: None }
    }
}

impl<T: Listed> Reading<T> {
    fn take(&mut self, entries: Vec<T>, meta: &Meta) -> Result<(), String> {
        if let (Some(before), Some(now)) = (self.total, meta.total)
            && before != now
        {
            self.moved = Some(format!("its total went from {before} to {now} between two pages"));
        }
        self.total = meta.total.or(self.total);
        for entry in entries {
            let id = entry.id().filter(|id| !id.is_empty()).ok_or("an entry has no id")?;
            if self.ids.insert(id.to_owned()) {
                self.entries.push(entry);
            }
        }
        Ok(())
    }

    /// The entries, or what shows that some may be missing.
    fn finish(self) -> Result<Vec<T>, String> {
        let got = self.entries.len() as u64;
        match (self.moved, self.total) {
            (Some(moved), _) => Err(moved),
            (None, Some(total)) if got < total => Err(format!("it holds {got} entries of {total}")),
            (None, _) => Ok(self.entries),
        }
    }
}

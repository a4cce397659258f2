//! Rows by id and in order of creation, with the lists' delay in noticing what is new and what is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

/// Rows that are read by id at once but join and leave lists at times of their own.
///
/// A row by id is the truth; a list is what the API admits to at that moment. Both cost one look-up a row.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: BTreeMap<u64, Row<T>>,
    order_of: HashMap<String, u64>,
    leaving: BTreeSet<(Timestamp, u64)>,
    next: u64,
}

#[derive(Debug)]
struct Row<T> {
    id: String,
    value: T,
    listed_from: Timestamp,
    listed_until: Option<Timestamp>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), order_of: HashMap::new(), leaving: BTreeSet::new(), next: 0 }
    }
}

impl<T> Table<T> {
    pub(crate) fn insert(&mut self, id: &str, value: T, listed_from: Timestamp) {
        let order = self.next;
        self.next += 1;
        self.order_of.insert(id.to_owned(), order);
        self.rows.insert(order, Row { id: id.to_owned(), value, listed_from, listed_until: None });
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.row(id).filter(|row| row.listed_until.is_none()).map(|row| &row.value)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let row = self.rows.get_mut(self.order_of.get(id)?)?;
        row.listed_until.is_none().then_some(&mut row.value)
    }

    /// What a list shows under this id: not yet a new row, still a removed one.
    pub(crate) fn get_listed(&self, id: &str, now: Timestamp) -> Option<&T> {
        self.row(id).filter(|row| row.is_listed(now)).map(|row| &row.value)
    }

    /// Ends the row for readers by id; lists show it until `listed_until`.
    pub(crate) fn remove(&mut self, id: &str, listed_until: Timestamp) -> Option<&mut T> {
        let order = *self.order_of.get(id)?;
        let row = self.rows.get_mut(&order)?;
        if row.listed_until.is_some() {
            return None;
        }
        row.listed_until = Some(listed_until);
        self.leaving.insert((listed_until, order));
        Some(&mut row.value)
    }

    /// Drops the rows that have left every list, and returns them.
    pub(crate) fn sweep(&mut self, now: Timestamp) -> Vec<(String, T)> {
        let mut swept = Vec::new();
        while let Some(&(until, order)) = self.leaving.first() {
            if until > now {
                break;
            }
            self.leaving.pop_first();
            if let Some(row) = self.rows.remove(&order) {
                self.order_of.remove(&row.id);
                swept.push((row.id, row.value));
            }
        }
        swept
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &T> {
        self.rows.values().filter(|row| row.listed_until.is_none()).map(|row| &row.value)
    }

    pub(crate) fn live_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.values_mut().filter(|row| row.listed_until.is_none()).map(|row| &mut row.value)
    }

    pub(crate) fn listed(&self, now: Timestamp) -> impl Iterator<Item = &T> {
        self.rows.values().filter(move |row| row.is_listed(now)).map(|row| &row.value)
    }

    fn row(&self, id: &str) -> Option<&Row<T>> {
        self.rows.get(self.order_of.get(id)?)
    }
}

impl<T> Row<T> {
    fn is_listed(&self, now: Timestamp) -> bool {
        self.listed_from <= now && self.listed_until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_new_row_is_read_at_once_and_listed_later() {
        let mut table = Table::default();
        table.insert("a", 1, at(10));
        assert_eq!(
            (table.get("a"), table.get_listed("a", at(9)), table.get_listed("a", at(10))),
            (Some(&1), None, Some(&1))
        );
        assert_eq!(table.listed(at(9)).count(), 0);
        assert_eq!(table.live().collect::<Vec<_>>(), [&1]);
    }

    #[test]
    fn a_removed_row_is_gone_at_once_and_leaves_lists_later() {
        let mut table = Table::default();
        table.insert("a", 1, at(0));
        table.insert("b", 2, at(0));
        assert_eq!(table.remove("a", at(20)), Some(&mut 1));
        assert_eq!(table.remove("a", at(30)), None);
        assert_eq!(
            (table.get("a"), table.get_listed("a", at(19)), table.get_listed("a", at(20))),
            (None, Some(&1), None)
        );
        assert_eq!(table.sweep(at(19)), []);
        assert_eq!(table.sweep(at(20)), [("a".to_owned(), 1)]);
        assert_eq!(table.listed(at(19)).collect::<Vec<_>>(), [&2]);
    }
}

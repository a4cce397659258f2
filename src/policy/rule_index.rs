//! Finds the few rules that may apply to a Service without trying all of them.

use std::collections::{BTreeSet, HashMap};

use super::glob::NameGlob;
use super::rule::{Candidate, ServiceRule};
use crate::domain::{LabelSelector, Operator};

/// Every rule is filed under one part of its match that is quick to look up, else among those that are always tried.
#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    always: Vec<usize>,
    namespaces: Names,
    names: Names,
    classes: Names,
    namespace_labels: Labels,
    service_labels: Labels,
}

#[derive(Debug, Default)]
struct Names {
    exact: HashMap<String, Vec<usize>>,
    prefix: HashMap<String, Vec<usize>>,
    prefix_lengths: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct Labels(HashMap<String, HashMap<String, Vec<usize>>>);

impl RuleIndex {
    pub(super) fn new(rules: &[ServiceRule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            let matches = &rule.matches;
            let filed = index.namespaces.file(&matches.namespaces, number)
                || index.names.file(&matches.names, number)
                || index.classes.file(&matches.classes, number)
                || index.service_labels.file(&matches.service_selector, number)
                || index.namespace_labels.file(&matches.namespace_selector, number);
            if !filed {
                index.always.push(number);
            }
        }
        index
    }

    /// The numbers of the rules that may apply, in order.
    pub(super) fn candidates(&self, candidate: &Candidate<'_>) -> Vec<usize> {
        let service = candidate.subject.service;
        let mut found = self.always.clone();
        self.namespaces.find(&service.key.namespace, &mut found);
        self.names.find(&service.key.name, &mut found);
        if let Some(class) = candidate.class() {
            self.classes.find(class, &mut found);
        }
        self.service_labels.find(&service.labels, &mut found);
        self.namespace_labels.find(candidate.subject.namespace_labels, &mut found);
        if found.len() > self.always.len() {
            found.sort_unstable();
            found.dedup();
        }
        found
    }
}

impl Names {
    fn file(&mut self, globs: &Option<Vec<NameGlob>>, number: usize) -> bool {
        let Some(globs) = globs else {
            return false;
        };
        if !globs.iter().all(|glob| glob.exact().is_some() || glob.prefix().is_some()) {
            return false;
        }
        for glob in globs {
            if let Some(name) = glob.exact() {
                self.exact.entry(name.to_owned()).or_default().push(number);
            }
            if let Some(prefix) = glob.prefix() {
                self.prefix_lengths.insert(prefix.len());
                self.prefix.entry(prefix.to_owned()).or_default().push(number);
            }
        }
        true
    }

    fn find(&self, name: &str, found: &mut Vec<usize>) {
        found.extend(self.exact.get(name).into_iter().flatten());
        for length in self.prefix_lengths.range(..=name.len()) {
            let prefix = name.get(..*length).and_then(|prefix| self.prefix.get(prefix));
            found.extend(prefix.into_iter().flatten());
        }
    }
}

impl Labels {
    fn file(&mut self, selector: &Option<LabelSelector>, number: usize) -> bool {
        let requirement = selector
            .iter()
            .flat_map(|selector| &selector.requirements)
            .find(|requirement| requirement.operator == Operator::In);
        let Some(requirement) = requirement else {
            return false;
        };
        let values = self.0.entry(requirement.key.clone()).or_default();
        for value in &requirement.values {
            values.entry(value.clone()).or_default().push(number);
        }
        true
    }

    fn find(&self, labels: &std::collections::BTreeMap<String, String>, found: &mut Vec<usize>) {
        if self.0.is_empty() {
            return;
        }
        for (key, value) in labels {
            let rules = self.0.get(key).and_then(|values| values.get(value));
            found.extend(rules.into_iter().flatten());
        }
    }
}

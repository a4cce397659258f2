//! Faults on order.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::journal::Verb;

/// Which requests fail, how, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Only requests with this verb.
    pub verb: Option<Verb>,
    /// Only requests for this resource, as the journal names it (`services`, `services/status`).
    pub resource: Option<String>,
    /// Only requests for the object of this name.
    pub name: Option<String>,
    /// How many requests fail before the fault is used up.
    pub times: usize,
    /// What happens to them.
    pub effect: FaultEffect,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultEffect {
    /// It is refused with this HTTP status and nothing is done.
    Refuse(u16),
    /// It is answered as usual, after this time.
    Delay(Duration),
    /// The connection ends before anything is done.
    CutBefore,
    /// The request is carried out, and the connection ends before the answer.
    CutAfter,
}

/// The faults that are still to happen.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pending: Mutex<Vec<Fault>>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    pub(crate) fn clear(&self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The effect on this request; uses up one of the fault's times.
    pub(crate) fn strike(&self, verb: Verb, resource: &str, name: Option<&str>) -> Option<FaultEffect> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let index = pending.iter().position(|fault| fault.meets(verb, resource, name))?;
        let effect = pending[index].effect;
        pending[index].times -= 1;
        if pending[index].times == 0 {
            pending.remove(index);
        }
        Some(effect)
    }
}

impl Fault {
    fn meets(&self, verb: Verb, resource: &str, name: Option<&str>) -> bool {
        self.times > 0
            && self.verb.is_none_or(|wanted| wanted == verb)
            && self.resource.as_deref().is_none_or(|wanted| wanted == resource)
            && self.name.as_deref().is_none_or(|wanted| Some(wanted) == name)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_fault_strikes_what_it_names_as_often_as_it_says() {
        let faults = Faults::default();
        let resource = Some("services/status".to_owned());
        let effect = FaultEffect::Refuse(500);
        faults.add(Fault { verb: Some(Verb::Patch), resource, name: Some("a".to_owned()), times: 2, effect });
        let strikes = [
            (Verb::Patch, "services", Some("a")),
            (Verb::Patch, "services/status", Some("b")),
            (Verb::Get, "services/status", Some("a")),
            (Verb::Patch, "services/status", Some("a")),
            (Verb::Patch, "services/status", Some("a")),
            (Verb::Patch, "services/status", Some("a")),
        ]
        .map(|(verb, resource, name)| faults.strike(verb, resource, name));
        assert_eq!(strikes, [None, None, None, Some(effect), Some(effect), None]);
    }
}

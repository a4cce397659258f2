//! The faults in force.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::fault::{Effect, Fault, Moment};
use crate::sandbox::metal::api::routes;

/// The faults in force. Cloning gives another handle to the same ones.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<Rack>>);

/// Names one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(u64);

/// A fault names a route that the simulator does not serve, so it could never strike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulator does not serve {route}")]
pub struct UnknownRoute {
    /// The route as it was written.
    pub route: String,
}

#[derive(Debug)]
struct Rack {
    faults: BTreeMap<FaultId, Armed>,
    next: u64,
    chance: StdRng,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    seen: u32,
    struck: u32,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rack().faults.values().map(|armed| &armed.fault)).finish()
    }
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Rack { faults: BTreeMap::new(), next: 0, chance: StdRng::seed_from_u64(seed) })))
    }

    /// Puts a fault in force, behind those already there. Of several that match a request, all delays and the first
    /// other one strike.
    ///
    /// # Errors
    /// The fault names a route that is not served.
    pub fn push(&self, fault: Fault) -> Result<FaultId, UnknownRoute> {
        if let Some(route) = fault.route.as_ref().filter(|route| !routes::ROUTES.contains(&route.as_str())) {
            return Err(UnknownRoute { route: route.clone() });
        }
        let mut rack = self.rack();
        rack.next += 1;
        let id = FaultId(rack.next);
        rack.faults.insert(id, Armed { fault, seen: 0, struck: 0 });
        Ok(id)
    }

    /// How often a fault has struck; 0 once it was removed.
    #[must_use]
    pub fn struck(&self, id: FaultId) -> u32 {
        self.rack().faults.get(&id).map_or(0, |armed| armed.struck)
    }

    /// Takes a fault out of force.
    pub fn remove(&self, id: FaultId) {
        self.rack().faults.remove(&id);
    }

    /// Takes every fault out of force.
    pub fn clear(&self) {
        self.rack().faults.clear();
    }

    /// What strikes this request.
    pub(crate) fn strike(&self, method: &Method, route: &str, path: &str) -> Vec<(Moment, Effect)> {
        let mut rack = self.rack();
        let Rack { faults, chance, .. } = &mut *rack;
        let mut striking = Vec::new();
        for armed in faults.values_mut().filter(|armed| armed.matches(method, route, path)) {
            if !armed.strikes(chance) {
                continue;
            }
            striking.push((armed.fault.moment, armed.fault.effect.clone()));
            if !matches!(armed.fault.effect, Effect::Delay(_)) {
                break;
            }
        }
        striking
    }

    fn rack(&self) -> MutexGuard<'_, Rack> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Armed {
    fn matches(&self, method: &Method, route: &str, path: &str) -> bool {
        self.fault.method.as_deref().is_none_or(|wanted| wanted == method.as_str())
            && self.fault.route.as_deref().is_none_or(|wanted| wanted == route)
            && self.fault.path.as_deref().is_none_or(|wanted| wanted == path)
    }

    fn strikes(&mut self, chance: &mut StdRng) -> bool {
        self.seen = self.seen.saturating_add(1);
        let spent = self.fault.times.is_some_and(|times| self.struck >= times);
        if self.seen <= self.fault.skip || spent || !chance.random_bool(self.fault.probability.clamp(0.0, 1.0)) {
            return false;
        }
        self.struck = self.struck.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;

    fn struck(faults: &Faults, requests: &[(&str, &str)]) -> Vec<usize> {
        requests
            .iter()
            .map(|(method, id)| {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                faults.strike(&method, "/ips/{id}", &format!("/ips/{id}")).len()
            })
            .collect()
    }

    #[test]
    fn a_fault_strikes_what_it_names_as_often_as_it_says() {
        let requests = [("GET", "1"), ("GET", "2"), ("DELETE", "1"), ("GET", "1"), ("GET", "1")];
        for (name, fault, expected) in [
            ("everything", Fault::on("*", Effect::Cut), [1, 1, 1, 1, 1]),
            ("one route", Fault::on("* /ips/{id}", Effect::Cut), [1, 1, 1, 1, 1]),
            ("another route", Fault::on("* /devices/{d}", Effect::Cut), [0, 0, 0, 0, 0]),
            ("one method", Fault::on("GET *", Effect::Cut), [1, 1, 0, 1, 1]),
            ("one path", Fault::on("GET /ips/{id}", Effect::Cut).at("/ips/1"), [1, 0, 0, 1, 1]),
            ("once", Fault::on("*", Effect::Cut).once(), [1, 0, 0, 0, 0]),
            ("after two", Fault::on("*", Effect::Cut).skip(2).times(2), [0, 0, 1, 1, 0]),
            ("never by chance", Fault::on("*", Effect::Cut).probability(0.0), [0, 0, 0, 0, 0]),
        ] {
            let faults = Faults::new(1);
            let id = faults.push(fault).unwrap();
            assert_eq!(struck(&faults, &requests), expected, "{name}");
            assert_eq!(faults.struck(id) as usize, expected.iter().sum::<usize>(), "{name}");
        }
    }

    #[test]
    fn delays_add_to_the_first_other_fault() {
        let faults = Faults::new(1);
        let delay = Effect::Delay(Duration::from_millis(1));
        for effect in [delay.clone(), Effect::Cut, Effect::Hang] {
            faults.push(Fault::on("*", effect)).unwrap();
        }
        let before = Moment::BeforeCommit;
        assert_eq!(faults.strike(&Method::GET, "/user", "/user"), [(before, delay), (before, Effect::Cut)]);
    }

    #[test]
    fn chance_follows_from_the_seed() {
        let run = |seed| {
            let faults = Faults::new(seed);
            faults.push(Fault::on("*", Effect::Cut).probability(0.5)).unwrap();
            struck(&faults, &[("GET", "1"); 64])
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn a_fault_that_could_never_strike_is_refused() {
        let route = "/projects/{p}/nothing".to_owned();
        assert_eq!(Faults::new(1).push(Fault::on(&format!("GET {route}"), Effect::Cut)), Err(UnknownRoute { route }));
    }
}

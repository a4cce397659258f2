//! Who holds which address.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::record::RECORD_ANNOTATION;
use crate::domain::{Record, Service, ServiceKey};
use crate::plan::Claims;

/// The addresses of every Service of the cluster, kept up to date by the service controller. All choosing happens under
/// its lock, and what is chosen is set aside before the lock is released: no address is given to two Services.
#[derive(Debug, Default)]
pub struct AddressBook {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    services: HashMap<ServiceKey, Entry>,
    holders: HashMap<IpAddr, BTreeSet<ServiceKey>>,
    pools: HashMap<String, usize>,
}

/// What one Service holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entry {
    created_at: String,
    /// In `status.loadBalancer`: seen by users.
    shown: BTreeSet<IpAddr>,
    /// In the record.
    recorded: Option<(IpAddr, Option<String>)>,
    /// Chosen, not yet written.
    set_aside: Option<(IpAddr, Option<String>)>,
}

impl Entry {
    fn of(service: &Service) -> Self {
        let record = service.annotations.get(RECORD_ANNOTATION).and_then(|text| Record::parse(text));
        Self {
            created_at: service.created_at.clone(),
            shown: service.ingress.iter().filter_map(|ingress| ingress.ip).collect(),
            recorded: record.map(|record| (record.address, record.pool)),
            set_aside: None,
        }
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        let recorded = self.recorded.iter().chain(&self.set_aside).map(|(address, _)| *address);
        self.shown.iter().copied().chain(recorded).collect()
    }

    fn pool(&self) -> Option<&String> {
        self.set_aside.as_ref().or(self.recorded.as_ref()).and_then(|(_, pool)| pool.as_ref())
    }
}

impl AddressBook {
    /// Takes note of a Service as read from the cluster. What was set aside for it stays until it is written on it.
    pub fn observe(&self, service: &Service) {
        let mut pages = self.lock();
        let mut entry = Entry::of(service);
        let set_aside = pages.services.get(&service.key).and_then(|old| old.set_aside.clone());
        entry.set_aside = set_aside.filter(|_| entry.recorded.is_none());
        pages.replace(&service.key, Some(entry));
    }

    /// Takes note that a Service is gone.
    pub fn forget(&self, service: &ServiceKey) {
        self.lock().replace(service, None);
    }

    /// Chooses under the lock. What `choose` says the Service is about to hold is set aside for it at once.
    pub fn choose<T>(
        &self,
        service: &Service,
        choose: impl FnOnce(&dyn Claims) -> T,
        holds: impl FnOnce(&T) -> Option<(IpAddr, Option<String>)>,
    ) -> T {
        let mut pages = self.lock();
        let chosen = choose(&*pages);
        if let Some(held) = holds(&chosen) {
            let mut entry = pages.services.get(&service.key).cloned().unwrap_or_else(|| Entry::of(service));
            entry.set_aside = Some(held);
            pages.replace(&service.key, Some(entry));
        }
        chosen
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        // Entries are replaced whole, so a panic elsewhere leaves them sound.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn replace(&mut self, service: &ServiceKey, entry: Option<Entry>) {
        if self.services.get(service) == entry.as_ref() {
            return;
        }
        if let Some(old) = self.services.remove(service) {
            for address in old.addresses() {
                if let Some(holders) = self.holders.get_mut(&address) {
                    holders.remove(service);
                    if holders.is_empty() {
                        self.holders.remove(&address);
                    }
                }
            }
            if let Some(count) = old.pool().and_then(|pool| self.pools.get_mut(pool)) {
                *count -= 1;
            }
        }
        if let Some(entry) = entry {
            for address in entry.addresses() {
                self.holders.entry(address).or_default().insert(service.clone());
            }
            if let Some(pool) = entry.pool() {
                *self.pools.entry(pool.clone()).or_default() += 1;
            }
            self.services.insert(service.clone(), entry);
        }
    }

    /// How good a claim is: shown to users before recorded before set aside, then the older Service.
    fn rank<'a>(&'a self, address: IpAddr, service: &'a ServiceKey) -> Option<(u8, &'a str, &'a ServiceKey)> {
        let entry = self.services.get(service)?;
        let is = |held: &Option<(IpAddr, Option<String>)>| held.as_ref().is_some_and(|(held, _)| *held == address);
        let strength = match entry {
            entry if entry.shown.contains(&address) => 0,
            entry if is(&entry.recorded) => 1,
            entry if is(&entry.set_aside) => 2,
            _ => return None,
        };
        Some((strength, &entry.created_at, service))
    }
}

impl Claims for Pages {
    fn other_holder(&self, address: IpAddr, service: &ServiceKey) -> Option<ServiceKey> {
        let holders = self.holders.get(&address)?;
        let best = holders.iter().filter_map(|holder| self.rank(address, holder)).min()?;
        (best.2 != service).then(|| best.2.clone())
    }

    fn set_aside(&self, service: &ServiceKey) -> Option<IpAddr> {
        self.services.get(service)?.set_aside.as_ref().map(|(address, _)| *address)
    }

    fn held_by_others(&self, pool: &str, service: &ServiceKey) -> usize {
        let own = self.services.get(service).and_then(Entry::pool).is_some_and(|own| own == pool);
        self.pools.get(pool).copied().unwrap_or(0) - usize::from(own)
    }
}

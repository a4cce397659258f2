//! Checks that say whether the process is well.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use tracing::debug;

/// One thing that may be well or not.
pub trait HealthCheck: Send + Sync {
    /// Its name, as in `/healthz/NAME`.
    fn name(&self) -> &str;

    /// Whether it is well. Answers at once.
    ///
    /// # Errors
    /// Says what is wrong; shown in the log and to those who may see the check alone.
    fn check(&self) -> Result<(), String>;
}

/// A check that is well as long as the process answers: one of each running controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping(pub &'static str);

impl HealthCheck for Ping {
    fn name(&self) -> &str {
        self.0
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Which of the health endpoints is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probe {
    /// `/healthz`.
    Healthz,
    /// `/livez`.
    Livez,
    /// `/readyz`.
    Readyz,
}

impl Probe {
    /// Its name, without the slash.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }
}

/// Counts what checks say.
pub trait HealthObserver: Send + Sync {
    /// A check was made for a probe.
    fn checked(&self, probe: Probe, check: &str, result: &Result<(), String>);
}

/// Counts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHealthObserver;

impl HealthObserver for NoHealthObserver {
    fn checked(&self, _: Probe, _: &str, _: &Result<(), String>) {}
}

/// The checks of this process. More may join while it runs.
pub struct HealthChecks {
    checks: RwLock<Vec<Arc<dyn HealthCheck>>>,
    observer: Arc<dyn HealthObserver>,
}

/// What was asked of a health endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthQuery {
    /// Whether the checks are to be listed even when all are well.
    pub verbose: bool,
    /// Checks to leave out.
    pub exclude: BTreeSet<String>,
}

/// The answer of a health endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthReport {
    /// All is well; the text to show.
    Well(String),
    /// Something is not; the text to show, which does not say why.
    Unwell(String),
}

impl HealthChecks {
    /// No checks yet: a probe then finds one called `ping`.
    pub fn new(observer: Arc<dyn HealthObserver>) -> Self {
        Self { checks: RwLock::default(), observer }
    }

    /// Adds a check. One of the same name is replaced.
    pub fn add(&self, check: Arc<dyn HealthCheck>) {
        let mut checks = self.checks.write().unwrap_or_else(PoisonError::into_inner);
        checks.retain(|other| other.name() != check.name());
        checks.push(check);
    }

    /// Makes every check but those left out.
    pub fn probe(&self, probe: Probe, query: &HealthQuery) -> HealthReport {
        let mut text = String::new();
        let mut failed = Vec::new();
        let mut unknown = query.exclude.clone();
        for check in self.all() {
            let name = check.name();
            if unknown.remove(name) || query.exclude.contains(name) {
                text.push_str(&format!("[+]{name} excluded: ok\n"));
                continue;
            }
            let result = check.check();
            self.observer.checked(probe, name, &result);
            match result {
                Ok(()) => text.push_str(&format!("[+]{name} ok\n")),
                Err(reason) => {
                    text.push_str(&format!("[-]{name} failed: reason withheld\n"));
                    debug!(check = name, reason, "A health check failed");
                    failed.push(name.to_string());
                }
            }
        }
        if !unknown.is_empty() {
            let unknown: Vec<_> = unknown.iter().map(|name| format!("{name:?}")).collect();
            let unknown = unknown.join(", ");
            text.push_str(&format!("warn: some health checks cannot be excluded: no matches for {unknown}\n"));
        }
        let probe = probe.as_str();
        match (failed.is_empty(), query.verbose) {
            (false, _) => HealthReport::Unwell(format!("{text}{probe} check failed\n")),
            (true, true) => HealthReport::Well(format!("{text}{probe} check passed\n")),
            (true, false) => HealthReport::Well("ok".to_string()),
        }
    }

    /// Makes one check; `None` when there is none of that name.
    pub fn single(&self, name: &str) -> Option<Result<(), String>> {
        self.all().iter().find(|check| check.name() == name).map(|check| check.check())
    }

    fn all(&self) -> Vec<Arc<dyn HealthCheck>> {
        let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner).clone();
        if checks.is_empty() { vec![Arc::new(Ping("ping"))] } else { checks }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use pretty_assertions::assert_eq;

    use super::{HealthCheck, HealthChecks, HealthObserver, HealthQuery, HealthReport, NoHealthObserver, Ping, Probe};

    struct Sick;

    impl HealthCheck for Sick {
        fn name(&self) -> &str {
            "sick"
        }

        fn check(&self) -> Result<(), String> {
            Err("a secret reason".into())
        }
    }

    fn query(verbose: bool, exclude: &[&str]) -> HealthQuery {
        HealthQuery { verbose, exclude: exclude.iter().map(ToString::to_string).collect() }
    }

    fn checks(list: &[Arc<dyn HealthCheck>]) -> HealthChecks {
        let checks = HealthChecks::new(Arc::new(NoHealthObserver));
        list.iter().for_each(|check| checks.add(check.clone()));
        checks
    }

    #[test]
    fn app_20_21_what_a_probe_shows() {
        let ping = || Arc::new(Ping("service-lb-controller")) as Arc<dyn HealthCheck>;
        let election = || Arc::new(Ping("leaderElection")) as Arc<dyn HealthCheck>;
        let sick = || Arc::new(Sick) as Arc<dyn HealthCheck>;
        let well = |text: &str| HealthReport::Well(text.to_string());
        let unwell = |text: &str| HealthReport::Unwell(text.to_string());
        let rows = [
            (vec![], query(false, &[]), well("ok")),
            (vec![], query(true, &[]), well("[+]ping ok\nhealthz check passed\n")),
            (
                vec![election(), ping()],
                query(true, &[]),
                well("[+]leaderElection ok\n[+]service-lb-controller ok\nhealthz check passed\n"),
            ),
            (
                vec![election(), ping()],
                query(true, &["leaderElection", "z", "a"]),
                well(
                    "[+]leaderElection excluded: ok\n[+]service-lb-controller ok\n\
                     warn: some health checks cannot be excluded: no matches for \"a\", \"z\"\nhealthz check passed\n",
                ),
            ),
            (
                vec![election(), sick()],
                query(false, &[]),
                unwell("[+]leaderElection ok\n[-]sick failed: reason withheld\nhealthz check failed\n"),
            ),
            (vec![election(), sick()], query(false, &["sick"]), well("ok")),
        ];
        for (list, query, expected) in rows {
            assert_eq!(checks(&list).probe(Probe::Healthz, &query), expected, "{query:?}");
        }
    }

    #[test]
    fn app_21_one_check_alone_says_why() {
        let checks = checks(&[Arc::new(Ping("fine")), Arc::new(Sick)]);
        assert_eq!(checks.single("fine"), Some(Ok(())));
        assert_eq!(checks.single("sick"), Some(Err("a secret reason".into())));
        assert_eq!(checks.single("ping"), None);
    }

    #[test]
    fn obs_10_checks_are_counted_when_they_are_made() {
        #[derive(Default)]
        struct Journal(Mutex<Vec<String>>);
        impl HealthObserver for Journal {
            fn checked(&self, probe: Probe, check: &str, result: &Result<(), String>) {
                self.0.lock().unwrap().push(format!("{} {check} {}", probe.as_str(), result.is_ok()));
            }
        }
        let journal = Arc::new(Journal::default());
        let checks = HealthChecks::new(journal.clone());
        checks.add(Arc::new(Ping("a")));
        checks.add(Arc::new(Sick));
        checks.probe(Probe::Healthz, &query(false, &["a"]));
        checks.probe(Probe::Livez, &query(false, &[]));
        assert_eq!(*journal.0.lock().unwrap(), ["healthz sick false", "livez a true", "livez sick false"]);
    }
}

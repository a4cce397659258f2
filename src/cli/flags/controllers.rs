//! Which controllers run.

use std::collections::BTreeSet;

use super::OptionFault;
use crate::kubernetes::controller_name::ControllerName;

/// The controllers that `--controllers` enables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerSelection(BTreeSet<ControllerName>);

impl ControllerSelection {
    /// Every controller.
    pub fn all() -> Self {
        Self(ControllerName::ALL.into_iter().collect())
    }

    /// Reads the flag's list: `*` enables all, `NAME` one, `-NAME` disables one; the first mention of a name wins, and
    /// without `*` only the listed ones run. An empty list enables nothing.
    pub fn parse(list: &[String]) -> Result<Self, Vec<OptionFault>> {
        let mut unknown = Vec::new();
        let mut mentions = Vec::new();
        let mut unmentioned = Mention::Disabled;
        for item in list.iter().filter(|item| !item.is_empty()) {
            if item == "*" {
                unmentioned = Mention::Enabled;
                continue;
            }
            let (name, mention) = match item.strip_prefix('-') {
                Some(name) => (name, Mention::Disabled),
                None => (item.as_str(), Mention::Enabled),
            };
            match ControllerName::find(name) {
                Some(controller) => mentions.push((controller, mention)),
                None => unknown.push(unknown_controller(name)),
            }
        }
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let enabled = ControllerName::ALL.into_iter().filter(|controller| {
            let first = mentions.iter().find(|(name, _)| name == controller);
            first.map_or(unmentioned, |(_, mention)| *mention) == Mention::Enabled
        });
        Ok(Self(enabled.collect()))
    }

    /// Whether a controller is to run.
    pub fn enables(&self, controller: ControllerName) -> bool {
        self.0.contains(&controller)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mention {
    Enabled,
    Disabled,
}

fn unknown_controller(name: &str) -> OptionFault {
    let known = ControllerName::ALL.map(ControllerName::canonical);
    let nearest = known
        .into_iter()
        .chain(ControllerName::ALL.map(ControllerName::alias))
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean {candidate:?}?"));
    OptionFault::new("controllers", format!("there is no controller {name:?}, only {}{nearest}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::{ControllerName, ControllerSelection};

    #[test]
    fn app_08_controllers_are_chosen_by_name_or_alias() {
        use ControllerName::{CloudNode, CloudNodeLifecycle, Route, Service};
        let rows: [(&str, &[ControllerName]); 9] = [
            ("*", &ControllerName::ALL),
            ("", &[]),
            ("service", &[Service]),
            ("cloud-node-controller,service-lb-controller", &[CloudNode, Service]),
            ("*,-route", &[CloudNode, CloudNodeLifecycle, Service]),
            ("-node-route-controller,*", &[CloudNode, CloudNodeLifecycle, Service]),
            ("-service", &[]),
            ("service,-service", &[Service]),
            ("-route,*,route", &[CloudNode, CloudNodeLifecycle, Service]),
        ];
        for (flag, expected) in rows {
            let list: Vec<_> = flag.split(',').map(str::to_string).collect();
            let selection = ControllerSelection::parse(&list).unwrap();
            let enabled: Vec<_> = ControllerName::ALL.into_iter().filter(|c| selection.enables(*c)).collect();
            assert_eq!(enabled, expected, "{flag:?}");
            let _ = Route;
        }
    }

    #[test]
    fn app_08_an_unknown_controller_is_named_with_the_nearest() {
        let faults = ControllerSelection::parse(&["*".into(), "-cloud-nodes".into(), "x".into()]).unwrap_err();
        assert_eq!(
            faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "--controllers: there is no controller \"cloud-nodes\", only cloud-node-controller, \
                 cloud-node-lifecycle-controller, node-route-controller, service-lb-controller; did you mean \"cloud-node\"?",
                "--controllers: there is no controller \"x\", only cloud-node-controller, \
                 cloud-node-lifecycle-controller, node-route-controller, service-lb-controller",
            ]
        );
    }
}

//! What every Node and Service got, and why, as a table.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::domain::record::RECORD_ANNOTATION;
use crate::domain::{Node, NodeAddressType, Record, Service, ServiceKey, ServiceType};

/// One line for each Node and Service, in the order in which they are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) nodes: Vec<Row>,
    pub(super) services: Vec<Row>,
}

/// The columns of one object; the last one is text of any length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) settled: bool,
}

const NODE_HEADER: [&str; 6] = ["NODE", "INTERNAL IP", "EXTERNAL IP", "TYPE", "REGION/ZONE", "WHAT IT GOT"];
const SERVICE_HEADER: [&str; 5] = ["SERVICE", "ADDRESS", "LOAD BALANCER", "POOL", "WHY"];

impl View {
    /// The view of a cluster. `claims` says, for a Service without an address, why it has none.
    pub(super) fn of(nodes: &[Node], services: &[Service], why_not: &BTreeMap<ServiceKey, WhyNot>) -> Self {
        let mut nodes: Vec<Row> = nodes.iter().map(node_row).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let balanced =
            |s: &&Service| s.kind == ServiceType::LoadBalancer || s.annotations.contains_key(RECORD_ANNOTATION);
        let mut services: Vec<Row> =
            services.iter().filter(balanced).map(|s| service_row(s, why_not.get(&s.key))).collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        Self { nodes, services }
    }

    /// Whether nothing is being waited for.
    pub(super) fn is_settled(&self) -> bool {
        self.nodes.iter().chain(&self.services).all(|row| row.settled)
    }

    /// Two tables, the columns as wide as they need to be and no line longer than `width`.
    pub(super) fn render(&self, width: usize) -> String {
        let mut text = String::new();
        table(&mut text, &NODE_HEADER, &self.nodes, "no node yet", width);
        text.push('\n');
        table(&mut text, &SERVICE_HEADER, &self.services, "no service of type LoadBalancer yet", width);
        text
    }

    /// One line for each object that is new or differs from the earlier view.
    pub(super) fn changes_since(&self, earlier: &Self) -> Vec<String> {
        let mut lines = changes("node", &self.nodes, &earlier.nodes);
        lines.extend(changes("service", &self.services, &earlier.services));
        lines
    }
}

/// What is known of an object, then what it got or why.
fn changes(kind: &str, now: &[Row], then: &[Row]) -> Vec<String> {
    let told = |row: &Row| {
        let (why, known) = row.columns.split_last().expect("every row has columns");
        let known: Vec<&str> = known.iter().map(String::as_str).filter(|value| *value != "-").collect();
        let colon = if known.is_empty() { "" } else { ": " };
        format!("{kind} {}  {}{colon}{why}", row.name, known.join(", "))
    };
    let gone = then.iter().filter(|row| !now.iter().any(|other| other.name == row.name));
    let changed = now.iter().filter(|row| !then.contains(row));
    changed.map(told).chain(gone.map(|row| format!("{kind} {}  gone", row.name))).collect()
}

/// Why a Service has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WhyNot {
    /// The policy leaves it alone; nothing is being waited for.
    NotOurs(String),
    /// The last failure.
    Failed(String),
}

fn node_row(node: &Node) -> Row {
    let label = |key: &str| node.labels.get(key).map_or("-", String::as_str).to_owned();
    let address = |kind: NodeAddressType| {
        let found = node.addresses.iter().find(|a| a.kind == kind);
        found.map_or("-", |a| a.address.as_str()).to_owned()
    };
    let uninitialised = node.taints.iter().any(|t| t.key == crate::domain::node::UNINITIALIZED_TAINT);
    let mut got = Vec::new();
    if uninitialised {
        got.push("waits to be initialised".to_owned());
    } else {
        got.extend(managed(node));
        if node.annotations.keys().any(|key| key.contains("bgp-peers-0")) {
            got.push("BGP session".to_owned());
        }
        if got.is_empty() {
            got.push("initialised".to_owned());
        }
    }
    let zone = format!("{}/{}", label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"));
    Row {
        name: node.name.clone(),
        columns: vec![
            address(NodeAddressType::InternalIp),
            address(NodeAddressType::ExternalIp),
            label("node.kubernetes.io/instance-type"),
            if zone == "-/-" { "-".into() } else { zone },
            got.join(", "),
        ],
        settled: !uninitialised,
    }
}

/// Labels and taints that rules of the policy set, the topology left out.
fn managed(node: &Node) -> Vec<String> {
    let recorded = node.annotations.get(crate::domain::node::MANAGED_FIELDS_ANNOTATION);
    let recorded: serde_json::Value =
        recorded.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(serde_json::Value::Null);
    let labels = recorded["labels"].as_object().into_iter().flatten();
    let labels = labels
        .filter(|(key, _)| !key.contains("topology.kubernetes.io/") && !key.contains("beta.kubernetes.io/"))
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let taints = recorded["taints"].as_array().into_iter().flatten();
    let taints = taints.map(|taint| format!("taint {}", taint["key"].as_str().unwrap_or_default()));
    labels.chain(taints).collect()
}

fn service_row(service: &Service, why_not: Option<&WhyNot>) -> Row {
    let shown: Vec<String> = service.ingress.iter().filter_map(|i| i.ip).map(|ip| ip.to_string()).collect();
    let record = service.annotations.get(RECORD_ANNOTATION).and_then(|text| Record::parse(text));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let why = match (&record, why_not, shown.is_empty()) {
        (_, _, _) if service.deleting => "is being deleted".to_owned(),
        (Some(record), _, false) => format!("rule {}", record.rule),
        (_, Some(WhyNot::NotOurs(reason)), _) => format!("left alone: {reason}"),
        (_, Some(WhyNot::Failed(reason)), true) => reason.clone(),
        (Some(record), None, true) => format!("rule {}, waits to be announced", record.rule),
        (None, _, true) => "waits for an address".to_owned(),
        (None, _, false) => "given by somebody else".to_owned(),
    };
    let left_alone = matches!(why_not, Some(WhyNot::NotOurs(_)));
    Row {
        name: service.key.to_string(),
        columns: vec![
            or_dash((!shown.is_empty()).then(|| shown.join(","))),
            or_dash(record.as_ref().map(|r| format!("{} ({})", r.load_balancer, r.backend.kind()))),
            or_dash(record.as_ref().map(|r| r.pool.clone().unwrap_or_else(|| "asked for".into()))),
            why,
        ],
        settled: left_alone
            || matches!(why_not, Some(WhyNot::Failed(_)))
            || (record.is_some() && !shown.is_empty() && !service.deleting),
    }
}

fn table(text: &mut String, header: &[&str], rows: &[Row], none: &str, width: usize) {
    if rows.is_empty() {
        text.push_str(none);
        text.push('\n');
        return;
    }
    let head: Vec<String> = header.iter().map(|h| (*h).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head)
        .chain(rows.iter().map(|row| std::iter::once(row.name.clone()).chain(row.columns.iter().cloned()).collect()))
        .collect();
    let columns = header.len();
    let widths: Vec<usize> =
        (0..columns).map(|n| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or(0)).collect();
    for line in lines {
        let mut written = String::new();
        for (n, cell) in line.iter().enumerate() {
            let pad = if n + 1 == columns { 0 } else { widths[n] + 2 };
            write!(written, "{cell:pad$}").expect("writing to a String does not fail");
        }
        text.push_str(&shortened(written.trim_end(), width));
        text.push('\n');
    }
}

fn shortened(line: &str, width: usize) -> String {
    match line.chars().count() > width {
        true => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn row(name: &str, columns: &[&str], settled: bool) -> Row {
        Row { name: name.into(), columns: columns.iter().map(|c| (*c).to_owned()).collect(), settled }
    }

    fn view(services: Vec<Row>) -> View {
        View {
            nodes: vec![row("worker-1", &["10.0.0.1", "-", "c3.small.x86", "da/da11", "initialised"], true)],
            services,
        }
    }

    #[test]
    fn the_table_is_as_wide_as_it_needs_to_be_and_no_wider_than_the_terminal() {
        let view = view(vec![row("default/web", &["147.75.48.0", "vip (kubeVip)", "public", "rule default"], true)]);
        assert_eq!(
            view.render(200),
            "NODE      INTERNAL IP  EXTERNAL IP  TYPE          REGION/ZONE  WHAT IT GOT\n\
             worker-1  10.0.0.1     -            c3.small.x86  da/da11      initialised\n\
             \n\
             SERVICE      ADDRESS      LOAD BALANCER  POOL    WHY\n\
             default/web  147.75.48.0  vip (kubeVip)  public  rule default\n"
        );
        assert!(view.render(40).lines().all(|line| line.chars().count() <= 40));
        assert!(View::default().render(80).contains("no service of type LoadBalancer yet"));
    }

    #[test]
    fn changes_are_told_once_and_what_is_gone_is_told() {
        let waiting = view(vec![row("default/web", &["-", "-", "-", "waits for an address"], false)]);
        let served = view(vec![row("default/web", &["147.75.48.0", "vip (kubeVip)", "public", "rule default"], true)]);
        assert!(!waiting.is_settled() && served.is_settled());
        assert_eq!(
            waiting.changes_since(&View::default()),
            [
                "node worker-1  10.0.0.1, c3.small.x86, da/da11: initialised",
                "service default/web  waits for an address"
            ]
        );
        assert_eq!(
            served.changes_since(&waiting),
            ["service default/web  147.75.48.0, vip (kubeVip), public: rule default"]
        );
        assert_eq!(served.changes_since(&served), Vec::<String>::new());
        assert_eq!(view(vec![]).changes_since(&served), ["service default/web  gone"]);
    }
}

//! The columns of `kubectl get`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::object;
use super::registry::{Resource, Rules};

/// Whether a table says what its columns are; later tables of a watch do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// It does.
    Shown,
    /// It does not.
    Hidden,
}

/// Name, type, priority (0 is always shown, 1 with `-o wide`).
type Column = (&'static str, &'static str, u8);

/// The column definitions of a resource.
pub(crate) fn columns(resource: &Resource) -> Vec<Value> {
    if let Some(custom) = &resource.custom {
        let name = json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0});
        let declared = custom.columns.iter().map(|column| {
            json!({
                "name": column.name, "type": column.kind, "format": "", "description": "", "priority": column.priority,
            })
        });
        return std::iter::once(name).chain(declared).collect();
    }
    let definition = |(name, kind, priority): &Column| {
        let format = if *name == "Name" { "name" } else { "" };
        json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
    };
    columns_of(resource).iter().map(definition).collect()
}

/// The cells of one row, in the order of the columns.
pub(crate) fn cells(resource: &Resource, value: &Value) -> Vec<Value> {
    let age = || json!(age(object::meta(value, "creationTimestamp")));
    let name = || json!(object::meta(value, "name"));
    match resource.rules {
        Rules::Service => service_cells(value),
        Rules::Node => node_cells(value),
        Rules::Event => event_cells(value),
        Rules::Namespace => vec![name(), json!(object::text(value, "status.phase")), age()],
        Rules::ConfigMap => vec![name(), json!(entries(value)), age()],
        Rules::Secret => vec![name(), json!(object::text(value, "type")), json!(entries(value)), age()],
        Rules::Lease => vec![name(), json!(object::text(value, "spec.holderIdentity")), age()],
        Rules::Pod => pod_cells(value),
        Rules::EndpointSlice => endpoint_slice_cells(value),
        Rules::CustomResourceDefinition => vec![name(), json!(object::meta(value, "creationTimestamp"))],
        Rules::Generic if resource.plural == "endpoints" => vec![name(), json!(endpoints(value)), age()],
        Rules::Generic if resource.plural == "serviceaccounts" => {
            vec![name(), json!(object::items(value, "secrets").len()), age()]
        }
        Rules::CustomResource => custom_cells(resource, value),
        Rules::Generic | Rules::Review => vec![name(), age()],
    }
}

fn columns_of(resource: &Resource) -> &'static [Column] {
    match resource.rules {
        Rules::Service => &[
            ("Name", "string", 0),
            ("Type", "string", 0),
            ("Cluster-IP", "string", 0),
            ("External-IP", "string", 0),
            ("Port(s)", "string", 0),
            ("Age", "string", 0),
            ("Selector", "string", 1),
        ],
        Rules::Node => &[
            ("Name", "string", 0),
            ("Status", "string", 0),
            ("Roles", "string", 0),
            ("Age", "string", 0),
            ("Version", "string", 0),
            ("Internal-IP", "string", 1),
            ("External-IP", "string", 1),
            ("OS-Image", "string", 1),
            ("Kernel-Version", "string", 1),
            ("Container-Runtime", "string", 1),
        ],
        Rules::Event => &[
            ("Last Seen", "string", 0),
            ("Type", "string", 0),
            ("Reason", "string", 0),
            ("Object", "string", 0),
            ("Subobject", "string", 1),
            ("Source", "string", 1),
            ("Message", "string", 0),
            ("First Seen", "string", 1),
            ("Count", "string", 1),
            ("Name", "string", 1),
        ],
        Rules::Namespace => &[("Name", "string", 0), ("Status", "string", 0), ("Age", "string", 0)],
        Rules::ConfigMap => &[("Name", "string", 0), ("Data", "string", 0), ("Age", "string", 0)],
        Rules::Secret => &[("Name", "string", 0), ("Type", "string", 0), ("Data", "string", 0), ("Age", "string", 0)],
        Rules::Lease => &[("Name", "string", 0), ("Holder", "string", 0), ("Age", "string", 0)],
        Rules::Pod => &[
            ("Name", "string", 0),
            ("Ready", "string", 0),
            ("Status", "string", 0),
            ("Restarts", "string", 0),
            ("Age", "string", 0),
            ("IP", "string", 1),
            ("Node", "string", 1),
        ],
        Rules::EndpointSlice => &[
            ("Name", "string", 0),
            ("AddressType", "string", 0),
            ("Ports", "string", 0),
            ("Endpoints", "string", 0),
            ("Age", "string", 0),
        ],
        Rules::CustomResourceDefinition => &[("Name", "string", 0), ("Created At", "date", 0)],
        Rules::Generic if resource.plural == "endpoints" => {
            &[("Name", "string", 0), ("Endpoints", "string", 0), ("Age", "string", 0)]
        }
        Rules::Generic if resource.plural == "serviceaccounts" => {
            &[("Name", "string", 0), ("Secrets", "string", 0), ("Age", "string", 0)]
        }
        Rules::Generic | Rules::CustomResource | Rules::Review => &[("Name", "string", 0), ("Age", "string", 0)],
    }
}

fn service_cells(service: &Value) -> Vec<Value> {
    let kind = object::text(service, "spec.type");
    let cluster = object::text(service, "spec.clusterIP");
    let cluster = if cluster.is_empty() { "<none>" } else { cluster };
    let selector = pairs(&service["spec"]["selector"]);
    vec![
        json!(object::meta(service, "name")),
        json!(kind),
        json!(cluster),
        json!(external_addresses(service, kind)),
        json!(ports(service)),
        json!(age(object::meta(service, "creationTimestamp"))),
        json!(if selector.is_empty() { "<none>".to_owned() } else { selector }),
    ]
}

fn external_addresses(service: &Value, kind: &str) -> String {
    let listed: Vec<&str> = object::items(service, "spec.externalIPs").iter().filter_map(Value::as_str).collect();
    if kind == "ExternalName" {
        return object::text(service, "spec.externalName").to_owned();
    }
    let ingress = object::items(service, "status.loadBalancer.ingress").iter();
    let given = ingress.map(|entry| match object::text(entry, "ip") {
        "" => object::text(entry, "hostname"),
        address => address,
    });
    let balanced: Vec<&str> = if kind == "LoadBalancer" { given.collect() } else { Vec::new() };
    let all: Vec<&str> = balanced.into_iter().chain(listed).collect();
    match (all.is_empty(), kind) {
        (false, _) => all.join(","),
        (true, "LoadBalancer") => "<pending>".to_owned(),
        (true, _) => "<none>".to_owned(),
    }
}

fn ports(service: &Value) -> String {
    let ports = object::items(service, "spec.ports").iter().map(|port| {
        let protocol = object::text(port, "protocol");
        match port["nodePort"].as_i64().filter(|number| *number > 0) {
            Some(node_port) => format!("{}:{node_port}/{protocol}", port["port"]),
            None => format!("{}/{protocol}", port["port"]),
        }
    });
    let listed = ports.collect::<Vec<_>>().join(",");
    if listed.is_empty() { "<none>".to_owned() } else { listed }
}

fn node_cells(node: &Value) -> Vec<Value> {
    let ready = object::items(node, "status.conditions").iter().find(|c| object::text(c, "type") == "Ready");
    let mut status = match ready.map(|condition| object::text(condition, "status")) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if node["spec"]["unschedulable"] == json!(true) {
        status.push_str(",SchedulingDisabled");
    }
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let roles: Vec<&str> = labels
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .filter(|role| !role.is_empty())
        .collect();
    let or = |text: &str, missing: &str| json!(if text.is_empty() { missing } else { text });
    let address = |kind: &str| {
        let found = object::items(node, "status.addresses").iter().find(|entry| object::text(entry, "type") == kind);
        or(found.map(|entry| object::text(entry, "address")).unwrap_or_default(), "<none>")
    };
    let info = |field: &str| or(object::text(&node["status"]["nodeInfo"], field), "<unknown>");
    vec![
        json!(object::meta(node, "name")),
        json!(status),
        or(&roles.join(","), "<none>"),
        json!(age(object::meta(node, "creationTimestamp"))),
        json!(object::text(node, "status.nodeInfo.kubeletVersion")),
        address("InternalIP"),
        address("ExternalIP"),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

fn event_cells(event: &Value) -> Vec<Value> {
    let text = |field: &str| object::text(event, field).to_owned();
    let or_event_time = |field: &str| match text(field) {
        time if time.is_empty() => text("eventTime"),
        time => time,
    };
    let last = match object::text(event, "series.lastObservedTime") {
        "" => or_event_time("lastTimestamp"),
        time => time.to_owned(),
    };
    let about = format!("{}/{}", text("involvedObject.kind").to_lowercase(), text("involvedObject.name"));
    let source = match (text("source.component"), text("source.host")) {
        (component, host) if host.is_empty() && component.is_empty() => text("reportingComponent"),
        (component, host) if host.is_empty() => component,
        (component, host) => format!("{component}, {host}"),
    };
    let count = event["series"]["count"].as_i64().or_else(|| event["count"].as_i64()).unwrap_or(1);
    vec![
        json!(age(&last)),
        json!(text("type")),
        json!(text("reason")),
        json!(about),
        json!(text("involvedObject.fieldPath")),
        json!(source),
        json!(text("message").trim()),
        json!(age(&or_event_time("firstTimestamp"))),
        json!(count),
        json!(object::meta(event, "name")),
    ]
}

fn pod_cells(pod: &Value) -> Vec<Value> {
    let statuses = object::items(pod, "status.containerStatuses");
    let ready = statuses.iter().filter(|status| status["ready"] == json!(true)).count();
    let total = object::items(pod, "spec.containers").len();
    let restarts: i64 = statuses.iter().filter_map(|status| status["restartCount"].as_i64()).sum();
    let or_none = |text: &str| json!(if text.is_empty() { "<none>" } else { text });
    vec![
        json!(object::meta(pod, "name")),
        json!(format!("{ready}/{total}")),
        json!(object::text(pod, "status.phase")),
        json!(restarts.to_string()),
        json!(age(object::meta(pod, "creationTimestamp"))),
        or_none(object::text(pod, "status.podIP")),
        or_none(object::text(pod, "spec.nodeName")),
    ]
}

fn endpoint_slice_cells(slice: &Value) -> Vec<Value> {
    let join = |parts: Vec<String>| {
        if parts.is_empty() { "<unset>".to_owned() } else { parts.join(",") }
    };
    let ports = object::items(slice, "ports").iter().map(|port| port["port"].to_string()).collect();
    let endpoints = object::items(slice, "endpoints").iter().flat_map(|endpoint| object::items(endpoint, "addresses"));
    let endpoints = endpoints.filter_map(Value::as_str).map(str::to_owned).collect();
    vec![
        json!(object::meta(slice, "name")),
        json!(object::text(slice, "addressType")),
        json!(join(ports)),
        json!(join(endpoints)),
        json!(age(object::meta(slice, "creationTimestamp"))),
    ]
}

fn custom_cells(resource: &Resource, value: &Value) -> Vec<Value> {
    let declared = resource.custom.iter().flat_map(|custom| &custom.columns).map(|column| {
        let found = column.path.split('.').filter(|part| !part.is_empty()).fold(value, |value, part| &value[part]);
        match (column.kind.as_str(), found) {
            ("date", Value::String(time)) => json!(age(time)),
            ("string", found) if !found.is_string() && !found.is_null() => json!(found.to_string()),
            (_, found) => found.clone(),
        }
    });
    std::iter::once(json!(object::meta(value, "name"))).chain(declared).collect()
}

fn endpoints(value: &Value) -> String {
    let addresses: Vec<String> = object::items(value, "subsets")
        .iter()
        .flat_map(|subset| {
            let ports = object::items(subset, "ports");
            object::items(subset, "addresses").iter().flat_map(move |address| {
                ports.iter().map(move |port| format!("{}:{}", object::text(address, "ip"), port["port"]))
            })
        })
        .collect();
    if addresses.is_empty() { "<none>".to_owned() } else { addresses.join(",") }
}

fn entries(value: &Value) -> usize {
    ["data", "binaryData"].iter().filter_map(|section| value[section].as_object()).map(serde_json::Map::len).sum()
}

fn pairs(map: &Value) -> String {
    let members = map.as_object().into_iter().flatten();
    let listed: Vec<String> =
        members.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    listed.join(",")
}

/// The time since `then`, as kubectl writes it.
fn age(then: &str) -> String {
    let Ok(then) = then.parse::<Timestamp>() else {
        return "<unknown>".to_owned();
    };
    short(Timestamp::now().duration_since(then).as_secs())
}

fn short(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let with_rest = |whole: i64, unit: &str, rest: i64, rest_unit: &str| match rest {
        0 => format!("{whole}{unit}"),
        rest => format!("{whole}{unit}{rest}{rest_unit}"),
    };
    match seconds {
        ..=-2 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => with_rest(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => with_rest(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => with_rest(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => with_rest(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::sandbox::kubernetes::registry::Registry;

    #[test]
    fn ages_are_short() {
        let rows = [(0, "0s"), (119, "119s"), (125, "2m5s"), (3600, "60m"), (10_860, "3h1m"), (90_000, "25h")];
        assert_eq!(rows.map(|(seconds, _)| short(seconds)), rows.map(|(_, text)| text.to_owned()));
    }

    #[test]
    fn every_resource_has_a_cell_for_each_column() {
        for resource in Registry::built_in().all() {
            let counts = (cells(&resource, &json!({"metadata": {"name": "x"}})).len(), columns(&resource).len());
            assert_eq!(counts.0, counts.1, "{}", resource.plural);
        }
    }

    #[test]
    fn a_service_shows_its_address_or_that_it_waits() {
        let mut service =
            json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"}]}});
        assert_eq!(service_cells(&service)[3..5], [json!("<pending>"), json!("80:30000/TCP")]);
        service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "a.example"}]}});
        assert_eq!(service_cells(&service)[3], json!("192.0.2.1,a.example"));
    }
}

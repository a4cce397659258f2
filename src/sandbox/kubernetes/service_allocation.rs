//! Gives a v1 Service its IP families, cluster addresses and node ports.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::allocation::{Allocations, Claims};
use super::api::{IpFamily, Shared};
use super::field_error::FieldError;
use super::object;
use super::registry::Resource;
use super::service::{self, ServiceType};
use super::status::Refusal;
use super::validation::ip;

/// What a write took, given back unless the write is committed.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    shared: &'a Shared,
    before: Claims,
    taken: Claims,
    committed: bool,
}

impl Reservation<'_> {
    /// The write happened: what the old object held and the new one does not is free again.
    pub(crate) fn commit(mut self) {
        self.committed = true;
        self.shared.allocations().release(&self.before, &self.taken);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.committed {
            self.shared.allocations().release(&self.taken, &self.before);
        }
    }
}

/// Completes a new or changed Service.
///
/// # Errors
/// When families, addresses or ports are asked for that cannot be given.
pub(crate) fn reserve<'a>(
    shared: &'a Shared,
    resource: &Resource,
    old: Option<&Value>,
    new: &mut Value,
) -> Result<Reservation<'a>, Refusal> {
    if let Some(old) = old {
        keep_allocated(old, new);
    }
    normalise_cluster_ips(old, new);
    let name = object::meta(new, "name").to_owned();
    let mut allocations = shared.allocations();
    let before = old.map(Claims::of).unwrap_or_default();
    let mut taken = Vec::new();
    let completed = super::service_families::complete(allocations.families(), old, new)
        .map_err(Lack::Wrong)
        .and_then(|()| addresses(&mut allocations, old, new, &mut taken))
        .and_then(|()| ports(&mut allocations, old, new, &mut taken));
    if let Err(lack) = completed {
        for step in taken {
            allocations.release(&step, &Claims::default());
        }
        return Err(match lack {
            Lack::Wrong(errors) => Refusal::invalid(resource, &name, &errors),
            Lack::Failure(message) => Refusal::internal(&message),
        });
    }
    drop(allocations);
    Ok(Reservation { shared, before, taken: Claims::of(new), committed: false })
}

/// Why a Service was not completed.
enum Lack {
    /// What it asks for is wrong.
    Wrong(Vec<FieldError>),
    /// A real server calls it a failure of its own.
    Failure(String),
}

type Given = Result<(), Lack>;

/// A client that leaves out what was allocated means to keep it.
fn keep_allocated(old: &Value, new: &mut Value) {
    if service::needs_cluster_ip(old) && service::needs_cluster_ip(new) {
        if object::text(new, "spec.clusterIP").is_empty() && !object::text(old, "spec.clusterIP").is_empty() {
            new["spec"]["clusterIP"] = old["spec"]["clusterIP"].clone();
        }
        if object::items(new, "spec.clusterIPs").is_empty() && !object::items(old, "spec.clusterIPs").is_empty() {
            new["spec"]["clusterIPs"] = old["spec"]["clusterIPs"].clone();
        }
    }
    if service::needs_node_ports(old) && service::needs_node_ports(new) {
        keep_node_ports(old, new);
    }
    let checked = service::needs_health_check(old) && service::needs_health_check(new);
    if checked && new["spec"]["healthCheckNodePort"].as_i64().unwrap_or(0) == 0 {
        new["spec"]["healthCheckNodePort"] = old["spec"]["healthCheckNodePort"].clone();
    }
}

fn keep_node_ports(old: &Value, new: &mut Value) {
    let number = |port: &Value| port["nodePort"].as_i64().filter(|number| *number != 0);
    let of_new: Vec<i64> = object::items(new, "spec.ports").iter().filter_map(number).collect();
    let mut by_name = BTreeMap::new();
    for port in object::items(old, "spec.ports") {
        by_name.insert(object::text(port, "name").to_owned(), number(port));
    }
    let ports = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter(|port| number(port).is_none()) {
        let known = by_name.get(object::text(port, "name")).copied().flatten();
        if let Some(known) = known.filter(|known| !of_new.contains(known)) {
            port["nodePort"] = json!(known);
        }
    }
}

/// Brings the singular and the plural field into line where the client used one of them.
fn normalise_cluster_ips(old: Option<&Value>, new: &mut Value) {
    let single = object::text(new, "spec.clusterIP").to_owned();
    let plural = new["spec"]["clusterIPs"].clone();
    let Some(old) = old else {
        if !single.is_empty() && object::items(new, "spec.clusterIPs").is_empty() {
            new["spec"]["clusterIPs"] = json!([single]);
        }
        return;
    };
    let old_single = object::text(old, "spec.clusterIP");
    if old_single != single && plural == old["spec"]["clusterIPs"] {
        match single.is_empty() {
            true => object::members_mut(&mut new["spec"]).remove("clusterIPs"),
            false => object::members_mut(&mut new["spec"]).insert("clusterIPs".to_owned(), json!([single])),
        };
    }
}

fn addresses(allocations: &mut Allocations, old: Option<&Value>, new: &mut Value, taken: &mut Vec<Claims>) -> Given {
    let headless = service::is_headless(new) || old.is_some_and(service::is_headless);
    if ServiceType::of(new) == Some(ServiceType::ExternalName) || headless {
        return Ok(());
    }
    let held = old.map(Claims::of).unwrap_or_default();
    let families: Vec<IpFamily> = object::items(new, "spec.ipFamilies").iter().filter_map(IpFamily::of).collect();
    let mut ips: Vec<Value> = object::items(new, "spec.clusterIPs").to_vec();
    for (index, family) in families.into_iter().enumerate() {
        let asked = ips.get(index).and_then(Value::as_str).filter(|text| !text.is_empty());
        let asked = asked.and_then(ip::parse);
        if asked.is_some_and(|address| held.holds(address)) {
            continue;
        }
        let given = allocations.address(family, asked).map_err(|fault| {
            let what = asked.map(|address| format!(" {address}")).unwrap_or_default();
            let why = format!("failed to allocate IP{what}: {fault}");
            Lack::Wrong(vec![FieldError::invalid("spec.clusterIPs", new["spec"]["clusterIPs"].clone(), why)])
        })?;
        taken.push(Claims::address(given));
        match ips.get_mut(index) {
            Some(slot) => *slot = json!(given.to_string()),
            None => ips.push(json!(given.to_string())),
        }
    }
    if let Some(first) = ips.first().cloned() {
        new["spec"]["clusterIP"] = first;
        new["spec"]["clusterIPs"] = Value::Array(ips);
    }
    Ok(())
}

fn ports(allocations: &mut Allocations, old: Option<&Value>, new: &mut Value, taken: &mut Vec<Claims>) -> Given {
    let held = old.map(Claims::of).unwrap_or_default();
    if service::needs_node_ports(new) {
        let automatic = service::allocates_node_ports(new);
        let list = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
        let mut by_port: BTreeMap<i64, u16> = BTreeMap::new();
        for (index, port) in list.into_iter().flatten().enumerate() {
            let asked = port["nodePort"].as_u64().filter(|number| *number != 0);
            let asked = asked.and_then(|number| u16::try_from(number).ok());
            let number = port["port"].as_i64().unwrap_or(0);
            let shared_with = by_port.get(&number).copied().filter(|given| asked.is_none_or(|asked| asked == *given));
            if asked.is_none() && !automatic || asked.is_some_and(|asked| held.has_port(asked)) {
                continue;
            }
            let given = match shared_with.filter(|_| old.is_none()) {
                Some(given) => given,
                None => {
                    let given = allocations.port(asked).map_err(|fault| {
                        let field = format!("spec.ports[{index}].nodePort");
                        Lack::Wrong(vec![FieldError::invalid(field, asked.unwrap_or(0), fault.to_string())])
                    })?;
                    taken.push(Claims::port(given));
                    given
                }
            };
            by_port.insert(number, given);
            port["nodePort"] = json!(given);
        }
    }
    health_check_port(allocations, old, new, taken)
}

fn health_check_port(
    allocations: &mut Allocations,
    old: Option<&Value>,
    new: &mut Value,
    taken: &mut Vec<Claims>,
) -> Given {
    if !service::needs_health_check(new) || old.is_some_and(service::needs_health_check) {
        return Ok(());
    }
    let asked = new["spec"]["healthCheckNodePort"].as_u64().filter(|number| *number != 0);
    let asked = asked.and_then(|number| u16::try_from(number).ok());
    let given = allocations.port(asked).map_err(|fault| {
        let number = asked.unwrap_or(0);
        Lack::Failure(format!("failed to allocate requested HealthCheck NodePort {number}: {fault}"))
    })?;
    taken.push(Claims::port(given));
    new["spec"]["healthCheckNodePort"] = json!(given);
    Ok(())
}

impl Claims {
    fn address(address: IpAddr) -> Self {
        Self::only([address], [])
    }

    fn port(port: u16) -> Self {
        Self::only([], [port])
    }
}

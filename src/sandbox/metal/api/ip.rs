//! Reservations and assignments, which share one space of ids.

use axum::extract::{Path, State};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::call::{Call, List};
use super::reply::{Answer, Reply};
use crate::sandbox::metal::catalog::metro_of_facility;
use crate::sandbox::metal::wire::View;
use crate::sandbox::metal::wire::expansion::Expansion;
use crate::sandbox::metal::world::device::offered_metro;
use crate::sandbox::metal::world::reservation::{OnApproval, Origin, Reservation, ReservationKind, ReservationOrder};
use crate::sandbox::metal::world::{Refusal, World};

/// More free pieces than this are not worth an answer.
const AVAILABLE_LIMIT: usize = 1024;

#[derive(Debug, Deserialize)]
struct NewReservation {
    r#type: String,
    quantity: Option<u32>,
    metro: Option<String>,
    facility: Option<String>,
    details: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    customdata: Option<Value>,
    #[serde(default)]
    fail_on_approval_required: bool,
    vrf_id: Option<String>,
    network: Option<std::net::IpAddr>,
    cidr: Option<u8>,
}

#[derive(Debug, Deserialize)]
struct IpChange {
    tags: Option<Vec<String>>,
    details: Option<String>,
    customdata: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct NewAssignment {
    address: String,
    customdata: Option<Value>,
}

pub(crate) async fn list(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let world = api.world();
    world.check_project(&project)?;
    let (wire, expansion, types) = (world.wire(View::List), call.expansion(), call.list("types"));
    let reservations: Vec<&Reservation> = world
        .reservations
        .listed(world.now)
        .filter(|reservation| reservation.origin != Origin::DeviceBlock)
        .filter(|reservation| types.is_empty() || types.contains(&reservation.kind.to_string().as_str()))
        .collect();
    let path = format!("projects/{project}/ips");
    let list = List { name: "ip_addresses", path: &path, default_size: 250 };
    Ok(Reply::Ok(call.paged(&world, list, reservations, |reservation| wire.reservation(reservation, &expansion))))
}

pub(crate) async fn reserve(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let mut world = api.world();
    world.check_project(&project)?;
    let order = order(&world, call.body()?)?;
    let id = world.reserve(order)?;
    Ok(Reply::Created(object(&world, &id, &call.expansion())?))
}

pub(crate) async fn show(State(api): State<Api>, Path(id): Path<String>, call: Call) -> Answer {
    Ok(Reply::Ok(object(&api.world(), &id, &call.expansion())?))
}

pub(crate) async fn update(State(api): State<Api>, Path(id): Path<String>, call: Call) -> Answer {
    let mut world = api.world();
    let change: IpChange = call.body()?;
    let world = &mut *world;
    let (tags, details, customdata) = if let Some(reservation) = world.reservations.get_mut(&id) {
        (&mut reservation.tags, &mut reservation.details, &mut reservation.customdata)
    } else {
        let assignment = world.assignments.get_mut(&id).ok_or(Refusal::NotFound)?;
        (&mut assignment.tags, &mut assignment.details, &mut assignment.customdata)
    };
    if let Some(changed) = change.tags {
        *tags = changed;
    }
    if change.details.is_some() {
        *details = change.details;
    }
    if let Some(changed) = change.customdata {
        *customdata = changed;
    }
    Ok(Reply::Ok(object(world, &id, &call.expansion())?))
}

pub(crate) async fn delete(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let mut world = api.world();
    if world.assignments.get(&id).is_some() {
        world.unassign(&id)?;
    } else {
        world.release(&id)?;
    }
    Ok(Reply::NO_CONTENT)
}

pub(crate) async fn available(State(api): State<Api>, Path(id): Path<String>, call: Call) -> Answer {
    let world = api.world();
    let reservation = world.reservations.get(&id).ok_or(Refusal::NotFound)?;
    let prefix = call.parameter("cidr").and_then(|cidr| cidr.parse::<u8>().ok());
    let prefix = prefix.ok_or_else(|| Refusal::unprocessable("Cidr can't be blank"))?;
    Ok(Reply::Ok(json!({ "available": reservation.available(prefix, AVAILABLE_LIMIT) })))
}

pub(crate) async fn of_device(State(api): State<Api>, Path(device): Path<String>, call: Call) -> Answer {
    let world = api.world();
    let device = world.device(&device)?;
    let (wire, expansion) = (world.wire(View::List), call.expansion());
    let addresses: Vec<Value> =
        wire.assignments_of(device).map(|assignment| wire.assignment(assignment, &expansion)).collect();
    Ok(Reply::Ok(json!({ "ip_addresses": addresses })))
}

pub(crate) async fn assign(State(api): State<Api>, Path(device): Path<String>, call: Call) -> Answer {
    let mut world = api.world();
    world.device(&device)?;
    let wanted: NewAssignment = call.body()?;
    let piece = piece(&wanted.address).ok_or_else(|| Refusal::unprocessable("Address is not valid"))?;
    let id = world.assign(&device, piece, wanted.customdata)?;
    Ok(Reply::Created(object(&world, &id, &call.expansion())?))
}

/// The reservation or assignment with this id.
fn object(world: &World, id: &str, expansion: &Expansion) -> Result<Value, Refusal> {
    let wire = world.wire(View::Object);
    if let Some(reservation) = world.reservations.get(id) {
        return Ok(wire.reservation(reservation, expansion));
    }
    let assignment = world.assignments.get(id).ok_or(Refusal::NotFound)?;
    Ok(wire.assignment(assignment, expansion))
}

fn order(world: &World, wanted: NewReservation) -> Result<ReservationOrder, Refusal> {
    let kind = match wanted.r#type.as_str() {
        "public_ipv4" => ReservationKind::PublicIpv4,
        "global_ipv4" => ReservationKind::GlobalIpv4,
        "vrf" => return vrf_order(world, wanted),
        other => {
            return Err(Refusal::unprocessable(&format!("{other} is not a valid type to request")));
        }
    };
    let longest = if kind == ReservationKind::GlobalIpv4 { 4 } else { 256 };
    let quantity = wanted.quantity.filter(|quantity| quantity.is_power_of_two() && *quantity <= longest);
    let quantity =
        quantity.ok_or_else(|| Refusal::unprocessable("Quantity must be a power of two within the size limits"))?;
    let metro = offered_metro(&world.config.metros, wanted.metro.as_deref(), wanted.facility.as_deref());
    if kind == ReservationKind::PublicIpv4 && metro.is_none() {
        let text = match wanted.metro.as_deref().or(wanted.facility.as_deref()) {
            Some(code) => format!("{code} is not a valid facility"),
            None => "Facility can't be blank".to_owned(),
        };
        return Err(Refusal::unprocessable(&text));
    }
    Ok(ReservationOrder {
        quantity,
        facility: wanted.facility.filter(|code| metro_of_facility(code).is_some()),
        tags: wanted.tags,
        details: wanted.details,
        customdata: wanted.customdata,
        on_approval: if wanted.fail_on_approval_required { OnApproval::Fail } else { OnApproval::Wait },
        ..ReservationOrder::of(kind.clone(), metro.filter(|_| kind == ReservationKind::PublicIpv4))
    })
}

fn vrf_order(world: &World, wanted: NewReservation) -> Result<ReservationOrder, Refusal> {
    let vrf = wanted.vrf_id.ok_or_else(|| Refusal::unprocessable("Vrf can't be blank"))?;
    let metro = world.vrfs.get(&vrf).ok_or(Refusal::NotFound)?;
    let block = wanted.network.zip(wanted.cidr).and_then(|(network, cidr)| IpNet::new(network, cidr).ok());
    let sized = |block: &IpNet| match block {
        IpNet::V4(block) => (22..=29).contains(&block.prefix_len()),
        IpNet::V6(block) => block.prefix_len() == 64,
    };
    let block =
        block.filter(sized).ok_or_else(|| Refusal::unprocessable("Network and cidr are not valid for a VRF"))?;
    Ok(ReservationOrder {
        block: Some(block.trunc()),
        tags: wanted.tags,
        details: wanted.details,
        customdata: wanted.customdata,
        vrf: Some(vrf),
        ..ReservationOrder::of(ReservationKind::Vrf, crate::sandbox::metal::catalog::metro(metro))
    })
}

/// A plain address or one in CIDR notation.
fn piece(text: &str) -> Option<IpNet> {
    match text.parse::<IpNet>() {
        Ok(net) => Some(net.trunc()),
        Err(_) => text.parse::<std::net::IpAddr>().ok().map(IpNet::from),
    }
}

//! Devices.

use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Api;
use super::call::{Call, List};
use super::reply::{Answer, Reply};
use crate::sandbox::metal::api::device_filter::DeviceFilter;
use crate::sandbox::metal::catalog::INSTANCE_TYPES;
use crate::sandbox::metal::wire::View;
use crate::sandbox::metal::world::device::{
    Device, DeviceAction, DeviceOrder, DeviceState, Networking, Purchase, offered_metro,
};
use crate::sandbox::metal::world::{Refusal, World};

#[derive(Debug, Deserialize)]
struct NewDevice {
    plan: String,
    operating_system: String,
    metro: Option<String>,
    facility: Option<Value>,
    hostname: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    userdata: Option<String>,
    customdata: Option<Value>,
    #[serde(default)]
    spot_instance: bool,
    hardware_reservation_id: Option<String>,
    termination_time: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct DeviceChange {
    hostname: Option<String>,
    description: Option<String>,
    tags: Option<Vec<String>>,
    locked: Option<bool>,
    userdata: Option<String>,
    customdata: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct WantedAction {
    r#type: String,
    operating_system: Option<String>,
}

pub(crate) async fn list(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let world = api.world();
    world.check_project(&project)?;
    let (wire, expansion, filter) = (world.wire(View::List), call.expansion(), DeviceFilter::of(&call));
    let devices: Vec<&Device> = world.devices.listed(world.now).filter(|device| filter.accepts(device, wire)).collect();
    let path = format!("projects/{project}/devices");
    let list = List { name: "devices", path: &path, default_size: 10 };
    Ok(Reply::Ok(call.paged(&world, list, devices, |device| wire.device(device, &expansion))))
}

pub(crate) async fn create(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let mut world = api.world();
    world.check_project(&project)?;
    let order = order(&world, call.body()?)?;
    let id = world.create_device(order)?;
    let device = world.device(&id)?;
    Ok(Reply::Created(world.wire(View::Object).device(device, &call.expansion())))
}

pub(crate) async fn show(State(api): State<Api>, Path(id): Path<String>, call: Call) -> Answer {
    let world = api.world();
    let device = world.device(&id)?;
    Ok(Reply::Ok(world.wire(View::Object).device(device, &call.expansion())))
}

pub(crate) async fn update(State(api): State<Api>, Path(id): Path<String>, call: Call) -> Answer {
    let mut world = api.world();
    let now = world.now;
    let device = world.device_mut(&id)?;
    let change: DeviceChange = call.body()?;
    device.hostname = change.hostname.unwrap_or_else(|| device.hostname.clone());
    device.description = change.description.or(device.description.take());
    device.tags = change.tags.unwrap_or_else(|| device.tags.clone());
    device.locked = change.locked.unwrap_or(device.locked);
    device.userdata = change.userdata.unwrap_or_else(|| device.userdata.clone());
    device.customdata = change.customdata.unwrap_or_else(|| device.customdata.clone());
    device.updated_at = now;
    let device = world.device(&id)?;
    Ok(Reply::Ok(world.wire(View::Object).device(device, &call.expansion())))
}

pub(crate) async fn delete(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    api.world().delete_device(&id)?;
    Ok(Reply::NO_CONTENT)
}

pub(crate) async fn act(State(api): State<Api>, Path(id): Path<String>, call: Call) -> Answer {
    let mut world = api.world();
    world.device(&id)?;
    let WantedAction { r#type, operating_system } = call.body()?;
    let unknown = || Refusal::unprocessable(&format!("{} is not a valid action", r#type));
    let action = DeviceAction::parse(&r#type).ok_or_else(unknown)?;
    world.run_action(&id, action)?;
    if let (DeviceAction::Reinstall, Some(operating_system)) = (action, operating_system) {
        world.device_mut(&id)?.operating_system = operating_system;
    }
    Ok(Reply::ACCEPTED)
}

fn order(world: &World, wanted: NewDevice) -> Result<DeviceOrder, Refusal> {
    if !INSTANCE_TYPES.iter().any(|known| known.slug == wanted.plan) {
        return Err(Refusal::unprocessable(&format!("{} is not a valid plan", wanted.plan)));
    }
    let facility = wanted
        .facility
        .as_ref()
        .and_then(|one_or_many| one_or_many.as_str().or_else(|| one_or_many.as_array()?.first()?.as_str()));
    let place = wanted.metro.as_deref().or(facility).unwrap_or_default();
    let metro = offered_metro(&world.config.metros, wanted.metro.as_deref(), facility)
        .ok_or_else(|| Refusal::unprocessable(&format!("{place} is not a valid facility")))?;
    Ok(DeviceOrder {
        hostname: wanted.hostname.unwrap_or_else(|| format!("{}-{}", metro.code, wanted.plan)),
        description: wanted.description,
        state: DeviceState::Queued,
        tags: wanted.tags,
        instance_type: wanted.plan,
        operating_system: wanted.operating_system,
        metro,
        facility: facility.map(str::to_owned),
        purchase: match (wanted.hardware_reservation_id, wanted.spot_instance) {
            (Some(_), _) => Purchase::Reserved,
            (None, true) => Purchase::Spot,
            (None, false) => Purchase::OnDemand,
        },
        userdata: wanted.userdata.unwrap_or_default(),
        customdata: wanted.customdata,
        network: Networking::Layer3,
        termination_time: wanted.termination_time,
    })
}

//! BGP sessions. None of these lists is paged.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::call::Call;
use super::reply::{Answer, Reply};
use crate::sandbox::metal::wire::View;
use crate::sandbox::metal::world::Refusal;
use crate::sandbox::metal::world::session::AddressFamily;

#[derive(Debug, Deserialize)]
struct NewSession {
    address_family: String,
    default_route: Option<bool>,
}

/// The documentation has a bare boolean here, callers send an object.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum SessionChange {
    Bare(bool),
    Named { default_route: bool },
}

pub(crate) async fn of_project(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let world = api.world();
    world.check_project(&project)?;
    let (wire, expansion) = (world.wire(View::List), call.expansion());
    let sessions: Vec<Value> = wire.listed_sessions().map(|session| wire.session(session, &expansion)).collect();
    Ok(Reply::Ok(json!({ "bgp_sessions": sessions })))
}

pub(crate) async fn of_device(State(api): State<Api>, Path(device): Path<String>, call: Call) -> Answer {
    let world = api.world();
    let device = world.device(&device)?;
    let (wire, expansion) = (world.wire(View::List), call.expansion());
    let listed = device.sessions.iter().filter_map(|id| world.sessions.get_listed(id, world.now));
    let sessions: Vec<Value> = listed.map(|session| wire.session(session, &expansion)).collect();
    Ok(Reply::Ok(json!({ "bgp_sessions": sessions })))
}

pub(crate) async fn open(State(api): State<Api>, Path(device): Path<String>, call: Call) -> Answer {
    let mut world = api.world();
    world.device(&device)?;
    let wanted: NewSession = call.body()?;
    let unknown = || Refusal::unprocessable(&format!("{} is not a valid address family", wanted.address_family));
    let family = AddressFamily::parse(&wanted.address_family).ok_or_else(unknown)?;
    let id = world.open_session(&device, family, wanted.default_route)?;
    let session = world.sessions.get(&id).ok_or(Refusal::NotFound)?;
    Ok(Reply::Created(world.wire(View::Object).session(session, &call.expansion())))
}

pub(crate) async fn show(State(api): State<Api>, Path(id): Path<String>, call: Call) -> Answer {
    let world = api.world();
    let session = world.sessions.get(&id).ok_or(Refusal::NotFound)?;
    Ok(Reply::Ok(world.wire(View::Object).session(session, &call.expansion())))
}

pub(crate) async fn update(State(api): State<Api>, Path(id): Path<String>, call: Call) -> Answer {
    let mut world = api.world();
    let now = world.now;
    let session = world.sessions.get_mut(&id).ok_or(Refusal::NotFound)?;
    let (SessionChange::Bare(default_route) | SessionChange::Named { default_route }) = call.body()?;
    session.default_route = Some(default_route);
    session.updated_at = now;
    let session = world.sessions.get(&id).ok_or(Refusal::NotFound)?;
    Ok(Reply::Ok(world.wire(View::Object).session(session, &call.expansion())))
}

pub(crate) async fn close(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    api.world().close_session(&id)?;
    Ok(Reply::NO_CONTENT)
}

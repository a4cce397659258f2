//! Metros, facilities and instance types. None of these lists is paged.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Api;
use super::call::Call;
use super::reply::{Answer, Reply};
use crate::sandbox::metal::catalog::{INSTANCE_TYPES, Metro, metro as find_metro};
use crate::sandbox::metal::wire::View;
use crate::sandbox::metal::world::{Refusal, World};

pub(crate) async fn metros(State(api): State<Api>) -> Answer {
    let world = api.world();
    let metros: Vec<Value> =
        offered(&world).into_iter().map(|metro| world.wire(View::List).metro(Some(metro))).collect();
    Ok(Reply::Ok(json!({ "metros": metros })))
}

pub(crate) async fn metro(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let world = api.world();
    let named = |metro: &Metro| metro.code == id || world.identities.of("metro", metro.code) == id;
    let metro = offered(&world).into_iter().find(named).ok_or(Refusal::NotFound)?;
    Ok(Reply::Ok(world.wire(View::Object).metro(Some(metro))))
}

pub(crate) async fn facilities(State(api): State<Api>, call: Call) -> Answer {
    Ok(Reply::Ok(facility_list(&api.world(), &call)))
}

pub(crate) async fn project_facilities(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let world = api.world();
    world.check_project(&project)?;
    Ok(Reply::Ok(facility_list(&world, &call)))
}

pub(crate) async fn plans(State(api): State<Api>, call: Call) -> Answer {
    Ok(Reply::Ok(plan_list(&api.world(), &call)))
}

pub(crate) async fn project_plans(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let world = api.world();
    world.check_project(&project)?;
    Ok(Reply::Ok(plan_list(&world, &call)))
}

fn offered(world: &World) -> Vec<Metro> {
    world.config.metros.iter().filter_map(|code| find_metro(code)).collect()
}

fn facility_list(world: &World, call: &Call) -> Value {
    let wire = world.wire(View::List);
    let expansion = call.expansion();
    let facilities: Vec<Value> = offered(world)
        .into_iter()
        .map(|metro| wire.facility_object(metro.facility, &world.identities.of("facility", metro.facility), &expansion))
        .collect();
    json!({ "facilities": facilities })
}

fn plan_list(world: &World, call: &Call) -> Value {
    let wire = world.wire(View::List);
    let (slug, kind, categories) = (call.parameter("slug"), call.parameter("type"), call.list("categories"));
    let plans: Vec<Value> = INSTANCE_TYPES
        .iter()
        .filter(|plan| slug.is_none_or(|slug| slug == plan.slug))
        .filter(|_| kind.is_none_or(|kind| kind == "standard"))
        .filter(|_| categories.is_empty() || categories.contains(&"compute"))
        .map(|plan| wire.catalog_plan(plan))
        .collect();
    json!({ "plans": plans })
}

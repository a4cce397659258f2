//! The project and the user behind the key.

use axum::extract::{Path, State};

use super::Api;
use super::call::Call;
use super::reply::{Answer, Reply};
use crate::sandbox::metal::wire::View;

pub(crate) async fn show(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let world = api.world();
    world.check_project(&project)?;
    Ok(Reply::Ok(world.wire(View::Object).project(&call.expansion())))
}

pub(crate) async fn user(State(api): State<Api>) -> Answer {
    Ok(Reply::Ok(api.world().wire(View::Object).user()))
}

//! The project's BGP configuration, and each device's neighbours.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::call::Call;
use super::reply::{Answer, Reply};
use crate::sandbox::metal::wire::View;
use crate::sandbox::metal::world::Refusal;
use crate::sandbox::metal::world::bgp::BgpDeployment;
use crate::sandbox::metal::world::clock::rfc3339;

#[derive(Deserialize)]
struct WantedBgp {
    deployment_type: String,
    asn: u32,
    md5: Option<String>,
}

pub(crate) async fn show(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let world = api.world();
    world.check_project(&project)?;
    Ok(Reply::Ok(world.wire(View::List).bgp_config(&call.expansion())))
}

pub(crate) async fn request(State(api): State<Api>, Path(project): Path<String>, call: Call) -> Answer {
    let mut world = api.world();
    world.check_project(&project)?;
    let wanted: WantedBgp = call.body()?;
    let deployment = match wanted.deployment_type.as_str() {
        "local" => BgpDeployment::Local,
        "global" => BgpDeployment::Global,
        other => {
            return Err(Refusal::unprocessable(&format!("{other} is not a valid deployment type")));
        }
    };
    world.request_bgp(deployment, wanted.asn, wanted.md5)?;
    Ok(Reply::NO_CONTENT)
}

/// Looks at the routers now instead of at the next turn.
pub(crate) async fn discover(State(api): State<Api>, Path(project): Path<String>) -> Answer {
    let mut world = api.world();
    world.check_project(&project)?;
    world.refresh_sessions();
    Ok(Reply::Ok(json!({ "updated_at": rfc3339(world.now) })))
}

pub(crate) async fn neighbors(State(api): State<Api>, Path(device): Path<String>) -> Answer {
    let world = api.world();
    let device = world.device(&device)?;
    Ok(Reply::Ok(json!({ "bgp_neighbors": world.wire(View::List).neighbors(device) })))
}

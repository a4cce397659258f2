//! Which endpoint serves which route.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::{Api, bgp, catalog, device, ip, project, session};
use crate::sandbox::metal::http::pipeline::intercept;
use crate::sandbox::metal::world::Refusal;

/// Every route there is, as the journal and faults name it.
pub(crate) const ROUTES: [&str; 22] = [
    "/user",
    "/projects/{p}",
    "/projects/{p}/devices",
    "/projects/{p}/ips",
    "/projects/{p}/bgp-config",
    "/projects/{p}/bgp-configs",
    "/projects/{p}/bgp/sessions",
    "/projects/{p}/facilities",
    "/projects/{p}/plans",
    "/devices/{d}",
    "/devices/{d}/actions",
    "/devices/{d}/ips",
    "/devices/{d}/bgp/sessions",
    "/devices/{d}/bgp/neighbors",
    "/ips/{id}",
    "/ips/{id}/available",
    "/bgp/sessions/{id}",
    "/bgp/discover/{p}",
    "/locations/metros",
    "/locations/metros/{id}",
    "/facilities",
    "/plans",
];

/// The Metal API below its prefix.
pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/user", get(project::user))
        .route("/projects/{p}", get(project::show))
        .route("/projects/{p}/devices", get(device::list).post(device::create))
        .route("/projects/{p}/ips", get(ip::list).post(ip::reserve))
        .route("/projects/{p}/bgp-config", get(bgp::show))
        .route("/projects/{p}/bgp-configs", post(bgp::request))
        .route("/projects/{p}/bgp/sessions", get(session::of_project))
        .route("/projects/{p}/facilities", get(catalog::project_facilities))
        .route("/projects/{p}/plans", get(catalog::project_plans))
        .route("/devices/{d}", get(device::show).put(device::update).delete(device::delete))
        .route("/devices/{d}/actions", post(device::act))
        .route("/devices/{d}/ips", get(ip::of_device).post(ip::assign))
        .route("/devices/{d}/bgp/sessions", get(session::of_device).post(session::open))
        .route("/devices/{d}/bgp/neighbors", get(bgp::neighbors))
        .route("/ips/{id}", get(ip::show).patch(ip::update).delete(ip::delete))
        .route("/ips/{id}/available", get(ip::available))
        .route("/bgp/sessions/{id}", get(session::show).put(session::update).delete(session::close))
        .route("/bgp/discover/{p}", post(bgp::discover))
        .route("/locations/metros", get(catalog::metros))
        .route("/locations/metros/{id}", get(catalog::metro))
        .route("/facilities", get(catalog::facilities))
        .route("/plans", get(catalog::plans))
        .method_not_allowed_fallback(no_route)
}

/// Puts a router behind the record of requests, the faults and the check of keys.
pub(crate) fn intercepted(router: Router<Api>, api: Api) -> Router {
    router.layer(from_fn_with_state(api.clone(), intercept)).with_state(api)
}

/// What is not served is not found.
pub(crate) async fn no_route() -> Response {
    Refusal::NotFound.into_response()
}

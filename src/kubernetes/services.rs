//! What the service controller reads from the API server past the cache, and writes to it: finalizer and status.
//!
//! Both go out as strategic merge patches of `services/status`, which takes metadata as well, without a resourceVersion
//! (the provider writes the Service in between) and with the UID, so that a Service made anew under the same name is
//! left alone. Finalizers of others are never touched.

use async_trait::async_trait;
use k8s_openapi::api::core::v1 as api;
use kube::api::Patch;
use kube::{Api, Client};
use serde_json::{Map, Value, json};

use super::cluster::params;
use super::convert;
use super::predicates::LOAD_BALANCER_FINALIZER;
use super::refusal::cluster_error;
use crate::domain::{Ingress, Service, ServiceKey};
use crate::ports::ClusterError;

/// Services at the API server. Every call fails with [`ClusterError::Conflict`] when the Service's UID is another now.
#[async_trait]
pub trait ServiceApi: Send + Sync {
    /// Whether there is a Service of this name, caches left aside.
    async fn exists(&self, key: &ServiceKey) -> Result<bool, ClusterError>;

    /// Adds our finalizer.
    async fn add_finalizer(&self, service: &Service) -> Result<(), ClusterError>;

    /// Removes our finalizer and returns the Service as it is now; it may be gone by then.
    async fn remove_finalizer(&self, service: &Service) -> Result<Service, ClusterError>;

    /// Replaces `status.loadBalancer.ingress` as a whole; an empty list clears it.
    async fn set_ingress(&self, service: &Service, ingress: &[Ingress]) -> Result<(), ClusterError>;
}

/// Services of the cluster behind a client.
pub struct KubeServices {
    client: Client,
}

impl KubeServices {
    /// The Services that this client reaches.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    fn api(&self, key: &ServiceKey) -> Api<api::Service> {
        Api::namespaced(self.client.clone(), &key.namespace)
    }

    async fn patch(&self, service: &Service, body: Value) -> Result<Service, ClusterError> {
        self.api(&service.key)
            .patch_status(&service.key.name, &params(), &Patch::Strategic(body))
            .await
            .map(|stored| convert::service(&stored))
            .map_err(|error| failed(&service.key, &error))
    }
}

#[async_trait]
impl ServiceApi for KubeServices {
    async fn exists(&self, key: &ServiceKey) -> Result<bool, ClusterError> {
        match self.api(key).get_metadata(&key.name).await.map_err(|error| failed(key, &error)) {
            Ok(_) => Ok(true),
            Err(ClusterError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn add_finalizer(&self, service: &Service) -> Result<(), ClusterError> {
        let body = json!({ "metadata": metadata(service, "finalizers") });
        self.patch(service, body).await.map(drop)
    }

    async fn remove_finalizer(&self, service: &Service) -> Result<Service, ClusterError> {
        let body = json!({ "metadata": metadata(service, "$deleteFromPrimitiveList/finalizers") });
        self.patch(service, body).await
    }

    async fn set_ingress(&self, service: &Service, ingress: &[Ingress]) -> Result<(), ClusterError> {
        // An empty list would leave the stored one as it is.
        let list = if ingress.is_empty() { Value::Null } else { convert::ingress_list(ingress) };
        let body = json!({ "metadata": { "uid": service.uid }, "status": { "loadBalancer": { "ingress": list } } });
        self.patch(service, body).await.map(drop)
    }
}

fn metadata(service: &Service, directive: &str) -> Value {
    Value::Object(Map::from_iter([
        ("uid".to_owned(), json!(service.uid)),
        (directive.to_owned(), json!([LOAD_BALANCER_FINALIZER])),
    ]))
}

fn failed(key: &ServiceKey, error: &kube::Error) -> ClusterError {
    cluster_error(format!("Service {key}"), error)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    const SERVICE: &str = "/api/v1/namespaces/shop/services/web";
    const STATUS: &str = "/api/v1/namespaces/shop/services/web/status";

    fn service() -> Service {
        let object = json!({ "metadata": { "namespace": "shop", "name": "web", "uid": "u1" } });
        convert::service(&serde_json::from_value(object).expect("a Service"))
    }

    async fn answering(verb: &str, at: &str, code: u16, body: Value) -> (MockServer, KubeServices) {
        let server = MockServer::start().await;
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(ResponseTemplate::new(code).set_body_json(body))
            .mount(&server)
            .await;
        let config = kube::Config::new(server.uri().parse().expect("a URL"));
        let client = Client::try_from(config).expect("a client");
        (server, KubeServices::new(client))
    }

    async fn patched(server: &MockServer) -> Value {
        let requests = server.received_requests().await.expect("requests are recorded");
        let kind = requests[0].headers.get("content-type").and_then(|value| value.to_str().ok());
        assert_eq!(kind, Some("application/strategic-merge-patch+json"));
        assert_eq!(requests[0].url.query(), Some("&fieldManager=cloud-provider-equinix-metal"));
        requests[0].body_json().expect("JSON")
    }

    #[tokio::test]
    async fn svc_14_finalizer_and_status_are_strategic_patches_of_the_status_without_a_version() {
        let stored = json!({ "metadata": { "namespace": "shop", "name": "web", "uid": "u1" } });
        let ours = json!([LOAD_BALANCER_FINALIZER]);

        let (server, services) = answering("PATCH", STATUS, 200, stored.clone()).await;
        services.add_finalizer(&service()).await.expect("added");
        assert_eq!(patched(&server).await, json!({ "metadata": { "uid": "u1", "finalizers": ours } }));

        let (server, services) = answering("PATCH", STATUS, 200, stored.clone()).await;
        services.remove_finalizer(&service()).await.expect("removed");
        assert_eq!(
            patched(&server).await,
            json!({ "metadata": { "uid": "u1", "$deleteFromPrimitiveList/finalizers": ours } })
        );

        let (server, services) = answering("PATCH", STATUS, 200, stored.clone()).await;
        let ingress = [Ingress::address("192.0.2.1".parse().expect("an address"))];
        services.set_ingress(&service(), &ingress).await.expect("written");
        assert_eq!(
            patched(&server).await,
            json!({ "metadata": { "uid": "u1" }, "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } } })
        );

        let (server, services) = answering("PATCH", STATUS, 200, stored).await;
        services.set_ingress(&service(), &[]).await.expect("cleared");
        assert_eq!(
            patched(&server).await,
            json!({ "metadata": { "uid": "u1" }, "status": { "loadBalancer": { "ingress": null } } })
        );
    }

    #[tokio::test]
    async fn only_a_definite_answer_says_that_a_service_is_gone() {
        let status = |code: u16, reason: &str| json!({ "kind": "Status", "status": "Failure", "code": code, "message": "m", "reason": reason });
        let key = ServiceKey::new("shop", "web");
        let (_server, services) = answering("GET", SERVICE, 404, status(404, "NotFound")).await;
        assert!(matches!(services.exists(&key).await, Ok(false)));
        for (code, body) in [(500, status(500, "InternalError")), (404, json!("<html>")), (404, status(404, ""))] {
            let (_server, services) = answering("GET", SERVICE, code, body).await;
            assert!(services.exists(&key).await.is_err(), "{code}");
        }
    }
}

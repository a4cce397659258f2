//! The provider's writes to the cluster, by way of the API server.

mod password;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1 as api;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Map, Value, json};

use super::own_writes::OwnWrites;
use super::refusal::cluster_error;
use super::{FIELD_MANAGER, convert};
use crate::domain::{Node, Secret, Service, ServiceKey, Taint};
use crate::plan::{Change, NodePatch, PasswordSource, ServicePatch};
use crate::ports::{Cluster, ClusterError};

/// The cluster behind a client.
pub struct KubeCluster {
    client: Client,
    own_writes: Arc<OwnWrites>,
}

impl KubeCluster {
    /// The cluster that this client reaches. Writes to Services are noted in `own_writes`.
    pub fn new(client: Client, own_writes: Arc<OwnWrites>) -> Self {
        Self { client, own_writes }
    }

    fn services(&self, key: &ServiceKey) -> Api<api::Service> {
        Api::namespaced(self.client.clone(), &key.namespace)
    }

    fn nodes(&self) -> Api<api::Node> {
        Api::all(self.client.clone())
    }

    /// The whole list of taints to write: what the stored list holds and this program does not understand stays in it.
    async fn taints(&self, patch: &NodePatch, wanted: &[Taint]) -> Result<Vec<Value>, ClusterError> {
        let object = format!("Node {}", patch.node);
        let Some(version) = &patch.resource_version else {
            return Err(ClusterError::Invalid {
                object,
                message: "a change of taints needs the version it was decided on".into(),
            });
        };
        let request = kube::core::Request::new("/api/v1/nodes")
            .get(&patch.node, &kube::api::GetParams::default())
            .map_err(|error| ClusterError::Failed { object: object.clone(), message: error.to_string() })?;
        let stored: Value = self.client.request(request).await.map_err(|error| cluster_error(&object, &error))?;
        if stored["metadata"]["resourceVersion"] != json!(version) {
            return Err(ClusterError::Conflict { object });
        }
        let listed = stored["spec"]["taints"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(convert::merged_taints(listed, wanted))
    }
}

#[async_trait]
impl Cluster for KubeCluster {
    async fn patch_service(&self, patch: &ServicePatch) -> Result<Service, ClusterError> {
        self.own_writes.note(patch);
        self.services(&patch.service)
            .patch(&patch.service.name, &params(), &Patch::Merge(service_body(patch)))
            .await
            .map(|stored| convert::service(&stored))
            .map_err(|error| cluster_error(format!("Service {}", patch.service), &error))
    }

    async fn patch_node(&self, patch: &NodePatch) -> Result<Node, ClusterError> {
        let taints = match &patch.taints {
            Some(wanted) => Some(self.taints(patch, wanted).await?),
            None => None,
        };
        self.nodes()
            .patch(&patch.node, &params(), &Patch::Merge(node_body(patch, taints)))
            .await
            .map(|stored| convert::node(&stored))
            .map_err(|error| cluster_error(format!("Node {}", patch.node), &error))
    }

    async fn service(&self, key: &ServiceKey) -> Result<Option<Service>, ClusterError> {
        let found = self.services(key).get(&key.name).await;
        match found.map_err(|error| cluster_error(format!("Service {key}"), &error)) {
            Ok(stored) => Ok(Some(convert::service(&stored))),
            Err(ClusterError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn password(&self, source: &PasswordSource) -> Result<Secret, ClusterError> {
        password::read(&self.client, source).await
    }
}

/// Parameters of every patch.
pub(super) fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() }
}

fn service_body(patch: &ServicePatch) -> Value {
    let mut metadata = Map::new();
    if !patch.uid.is_empty() {
        metadata.insert("uid".into(), json!(patch.uid));
    }
    insert_changes(&mut metadata, "annotations", &patch.annotations);
    let mut body = Map::from_iter([("metadata".to_owned(), Value::Object(metadata))]);
    match &patch.load_balancer_ip {
        Change::Keep => {}
        Change::Set(ip) => {
            body.insert("spec".into(), json!({ "loadBalancerIP": ip }));
        }
        Change::Clear => {
            body.insert("spec".into(), json!({ "loadBalancerIP": null }));
        }
    }
    Value::Object(body)
}

fn node_body(patch: &NodePatch, taints: Option<Vec<Value>>) -> Value {
    let mut metadata = Map::new();
    if let Some(version) = &patch.resource_version {
        metadata.insert("resourceVersion".into(), json!(version));
    }
    insert_changes(&mut metadata, "labels", &patch.labels);
    insert_changes(&mut metadata, "annotations", &patch.annotations);
    let mut spec = Map::new();
    if let Some(id) = &patch.provider_id {
        spec.insert("providerID".into(), json!(id));
    }
    if let Some(taints) = taints {
        let list = if taints.is_empty() { Value::Null } else { json!(taints) };
        spec.insert("taints".into(), list);
    }
    let mut body = Map::new();
    for (field, value) in [("metadata", metadata), ("spec", spec)] {
        if !value.is_empty() {
            body.insert(field.into(), Value::Object(value));
        }
    }
    Value::Object(body)
}

/// `None` becomes an explicit null, which is what removes a key in a merge patch.
fn insert_changes(metadata: &mut Map<String, Value>, field: &str, changes: &BTreeMap<String, Option<String>>) {
    if !changes.is_empty() {
        metadata.insert(field.into(), json!(changes));
    }
}

#[cfg(test)]
mod tests;

//! Devices and Nodes to start from, and the manifests a user brings.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use k8s_openapi::api::core::v1 as api;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, ResourceExt};
use serde::Deserialize;
use serde_json::json;

use crate::domain::node::UNINITIALIZED_TAINT;
use crate::sandbox::metal::{DeviceSeed, Project};

/// Sizes of the sandbox's machines, in turn, so that rules on plans have something to choose between.
const PLANS: [&str; 3] = ["c3.small.x86", "m3.large.x86", "g2.large.x86"];
/// Who applies what a user brings.
const FIELD_MANAGER: &str = "sandbox";

/// A device of the sandbox: every third is a `g2` with the tag `gpu`; two share a rack.
fn device(number: usize, hostname: &str, metro: &str) -> DeviceSeed {
    let plan = PLANS[(number - 1) % PLANS.len()];
    let mut tags = vec![format!("rack=r{}", number.div_ceil(2))];
    if plan.starts_with("g2") {
        tags.push("gpu".into());
    }
    DeviceSeed { instance_type: plan.into(), tags, ..DeviceSeed::new(hostname, metro) }
}

/// Puts `count` devices into the project and a Node for each into the cluster, as their kubelets would register them.
pub(super) async fn nodes(client: &Client, project: &Project, metro: &str, count: usize) -> anyhow::Result<()> {
    for number in 1..=count {
        let name = format!("worker-{number}");
        project.seed_device(device(number, &name, metro)).with_context(|| format!("cannot make device {name}"))?;
        register(client, &name).await.with_context(|| format!("cannot register node {name}"))?;
    }
    Ok(())
}

/// Puts a device into the project for every Node that the cluster has already. Returns how many there are.
pub(super) async fn devices_for(client: &Client, project: &Project, metro: &str) -> anyhow::Result<usize> {
    let nodes: Api<api::Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default()).await.context("cannot list the cluster's nodes")?;
    for (number, node) in nodes.iter().enumerate() {
        let name = node.name_any();
        project.seed_device(device(number + 1, &name, metro)).with_context(|| format!("cannot make device {name}"))?;
    }
    Ok(nodes.items.len())
}

async fn register(client: &Client, name: &str) -> anyhow::Result<()> {
    let nodes: Api<api::Node> = Api::all(client.clone());
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {"taints": [{"key": UNINITIALIZED_TAINT, "value": "true", "effect": "NoSchedule"}]},
    });
    nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
    let ready = json!({"status": {"conditions": [{
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the sandbox's kubelet is always ready",
    }]}});
    nodes.patch_status(name, &PatchParams::default(), &Patch::Strategic(ready)).await?;
    Ok(())
}

/// Manifests from files, each with where it was read.
pub(super) fn read(files: &[PathBuf]) -> anyhow::Result<Vec<(String, DynamicObject)>> {
    let mut objects = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        objects.extend(parse(file, &text)?);
    }
    Ok(objects)
}

fn parse(file: &Path, text: &str) -> anyhow::Result<Vec<(String, DynamicObject)>> {
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    let mut objects = Vec::new();
    for (n, document) in documents.into_iter().filter(|d| !d.is_null()).enumerate() {
        let origin = format!("{}, document {}", file.display(), n + 1);
        let object =
            DynamicObject::deserialize(document).with_context(|| format!("{origin}: not a Kubernetes object"))?;
        if object.types.is_none() {
            bail!("{origin}: apiVersion and kind are missing");
        }
        objects.push((origin, object));
    }
    Ok(objects)
}

/// Applies manifests, in their order. A Namespace that is not there is made.
pub(super) async fn apply(client: &Client, objects: Vec<(String, DynamicObject)>) -> anyhow::Result<()> {
    for (origin, object) in objects {
        apply_one(client, &object).await.with_context(|| format!("cannot apply {origin}"))?;
    }
    Ok(())
}

async fn apply_one(client: &Client, object: &DynamicObject) -> anyhow::Result<()> {
    let types = object.types.as_ref().context("apiVersion and kind are missing")?;
    let kind = GroupVersionKind::try_from(types).context("apiVersion is not valid")?;
    let (resource, capabilities) = pinned_kind(client, &kind).await?;
    let name = object.metadata.name.as_deref().context("metadata.name is missing")?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
            ensure_namespace(client, namespace).await?;
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    };
    api.patch(name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object)).await?;
    Ok(())
}

async fn ensure_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let namespaces: Api<api::Namespace> = Api::all(client.clone());
    if namespaces.get_opt(name).await?.is_none() {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    }
    Ok(())
}

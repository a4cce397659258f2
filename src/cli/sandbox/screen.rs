//! Shows what happens: a table that is drawn anew on a terminal, a line for each change elsewhere.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use k8s_openapi::api::core::v1 as api;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::view::{View, WhyNot};
use crate::domain::{Service, ServiceKey, ServiceType};
use crate::kubernetes::convert;
use crate::policy::{Decision, PolicyStore, ServiceSubject};

/// How often the cluster is looked at. It is on this machine.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How long nothing may change before the world counts as settled.
const SETTLED_FOR: Duration = Duration::from_millis(600);
/// Width of a table where nobody says how wide the terminal is.
const WIDTH: usize = 160;

/// What surrounds the table.
pub(super) struct Surroundings {
    pub(super) policy: Arc<PolicyStore>,
    pub(super) policy_origin: String,
    pub(super) metal_url: String,
    pub(super) cluster_url: String,
    pub(super) kubeconfig: PathBuf,
}

/// Looks at the cluster and shows it.
pub(super) struct Screen {
    surroundings: Surroundings,
    client: Client,
    is_terminal: bool,
    started: Instant,
    last: View,
}

impl Screen {
    pub(super) fn new(surroundings: Surroundings, client: Client, is_terminal: bool) -> Self {
        Self { surroundings, client, is_terminal, started: Instant::now(), last: View::default() }
    }

    /// Shows what happens for ever.
    pub(super) async fn follow(&mut self) -> anyhow::Result<ExitCode> {
        self.introduce();
        loop {
            self.step().await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Shows what happens until nothing is being waited for, then the table.
    pub(super) async fn until_settled(&mut self) -> anyhow::Result<()> {
        self.is_terminal = false;
        self.introduce();
        let mut settled_since = None;
        loop {
            let changed = self.step().await?;
            match (self.last.is_settled(), changed, settled_since) {
                (false, _, _) | (_, true, _) => settled_since = None,
                (true, false, None) => settled_since = Some(Instant::now()),
                (true, false, Some(since)) if since.elapsed() >= SETTLED_FOR => break,
                (true, false, Some(_)) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.print(&format!("\n{}", self.last.render(WIDTH)));
        Ok(())
    }

    /// Looks once; `true` when something changed.
    async fn step(&mut self) -> anyhow::Result<bool> {
        let view = self.look().await?;
        let changes = view.changes_since(&self.last);
        self.last = view;
        if self.is_terminal {
            self.draw(&changes);
        } else {
            let seconds = self.started.elapsed().as_secs_f32();
            changes.iter().for_each(|line| self.print(&format!("{seconds:6.2}s  {line}\n")));
        }
        Ok(!changes.is_empty())
    }

    async fn look(&self) -> anyhow::Result<View> {
        let nodes: Api<api::Node> = Api::all(self.client.clone());
        let services: Api<api::Service> = Api::all(self.client.clone());
        let all = ListParams::default();
        let nodes = nodes.list(&all).await.context("cannot list nodes")?;
        let services = services.list(&all).await.context("cannot list services")?;
        let nodes: Vec<_> = nodes.iter().map(convert::node).collect();
        let services: Vec<_> = services.iter().map(convert::service).collect();
        let why_not = self.why_not(&services).await?;
        Ok(View::of(&nodes, &services, &why_not))
    }

    /// Why Services without an address have none: the policy leaves them alone, or the last try failed.
    async fn why_not(&self, services: &[Service]) -> anyhow::Result<BTreeMap<ServiceKey, WhyNot>> {
        let mut reasons = BTreeMap::new();
        let waiting: Vec<_> =
            services.iter().filter(|s| s.kind == ServiceType::LoadBalancer && s.ingress.is_empty()).collect();
        if waiting.is_empty() {
            return Ok(reasons);
        }
        let namespaces: Api<api::Namespace> = Api::all(self.client.clone());
        let namespaces = namespaces.list(&ListParams::default()).await.context("cannot list namespaces")?;
        let labels: BTreeMap<_, _> = namespaces.iter().map(|n| (n.name_any(), n.labels().clone())).collect();
        let none = BTreeMap::new();
        let policy = self.surroundings.policy.current();
        for service in waiting {
            let namespace_labels = labels.get(&service.key.namespace).unwrap_or(&none);
            let reason = match policy.decide(&ServiceSubject { service, namespace_labels }) {
                Decision::Served(_) => self.last_failure(&service.key).await?.map(WhyNot::Failed),
                Decision::Ignored { rule } => Some(WhyNot::NotOurs(format!("rule {rule} ignores it"))),
                Decision::UnclaimedClass { class } => Some(WhyNot::NotOurs(format!("no rule names its class {class}"))),
            };
            if let Some(reason) = reason {
                reasons.insert(service.key.clone(), reason);
            }
        }
        Ok(reasons)
    }

    async fn last_failure(&self, service: &ServiceKey) -> anyhow::Result<Option<String>> {
        let events: Api<api::Event> = Api::namespaced(self.client.clone(), &service.namespace);
        let of_service = ListParams::default().fields(&format!("involvedObject.name={}", service.name));
        let list = events.list(&of_service).await.context("cannot list events")?;
        let failed = |event: &api::Event| event.reason.as_deref() == Some("SyncLoadBalancerFailed");
        Ok(list.into_iter().filter(failed).filter_map(|event| event.message).next_back())
    }

    fn introduce(&self) {
        self.print(&self.heading());
    }

    fn heading(&self) -> String {
        let s = &self.surroundings;
        let policy = s.policy.current();
        format!(
            "policy      {} ({}, hash {})\nmetal       {}\nkubernetes  {}\nkubeconfig  {}\n\n",
            policy.name,
            s.policy_origin,
            policy.hash,
            s.metal_url,
            s.cluster_url,
            s.kubeconfig.display()
        )
    }

    fn draw(&self, changes: &[String]) {
        if changes.is_empty() {
            return;
        }
        let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0));
        let hint = format!(
            "Try: kubectl --kubeconfig {} create service loadbalancer web --tcp=80    Ctrl-C ends the sandbox.\n",
            self.surroundings.kubeconfig.display()
        );
        // Home, then everything below is cleared: nothing flickers and nothing of the last table is left.
        self.print(&format!("\x1b[H\x1b[J{}{}\n{hint}", self.heading(), self.last.render(width)));
    }

    fn print(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // Nobody is left to tell when nobody reads any more.
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }
}

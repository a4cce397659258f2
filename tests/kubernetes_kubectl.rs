//! The stock kubectl works with the small Kubernetes API.
//!
//! The kubectl of `KUBEBUILDER_ASSETS` is taken, else the one on the PATH; without either, nothing is tried, and that is
//! said.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use cloud_provider_equinix_metal::sandbox::kubernetes::{ApiConfig, KubernetesApi};
use pretty_assertions::assert_eq;
use serde_json::json;
use tempfile::TempDir;

const WEB: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: web
  labels: {app: web}
spec:
  type: LoadBalancer
  ports:
  - {name: http, port: 80}
";

struct Kubectl {
    program: PathBuf,
    home: TempDir,
}

impl Kubectl {
    /// The kubectl at hand, set up for that server.
    fn find(api: &KubernetesApi) -> Option<Self> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|assets| PathBuf::from(assets).join("kubectl"));
        let on_path = std::env::var_os("PATH")
            .and_then(|path| std::env::split_paths(&path).map(|dir| dir.join("kubectl")).find(|file| file.is_file()));
        let program = assets.filter(|file| file.is_file()).or(on_path)?;
        let home = TempDir::new().expect("a folder can be made");
        std::fs::write(home.path().join("kubeconfig"), api.kubeconfig()).expect("a file can be written");
        Some(Self { program, home })
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(&self.program);
        let home = self.home.path();
        command.env("KUBECONFIG", home.join("kubeconfig")).env("KUBECACHEDIR", home.join("cache")).env("HOME", home);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self, arguments: &[&str], input: &str) -> Child {
        let mut child = self.command(arguments).spawn().expect("kubectl starts");
        child.stdin.take().expect("the input is a pipe").write_all(input.as_bytes()).expect("kubectl reads its input");
        child
    }

    async fn run(&self, line: &str, input: &str) -> Output {
        let arguments: Vec<&str> = line.split(' ').collect();
        let child = self.spawn(&arguments, input);
        tokio::task::spawn_blocking(|| child.wait_with_output()).await.expect("no panic").expect("kubectl ends")
    }
}

/// Standard output when it went well, else standard error, each without the last line end.
fn said(output: &Output) -> String {
    let text = if output.status.success() { &output.stdout } else { &output.stderr };
    String::from_utf8_lossy(text).trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_makes_changes_and_removes() {
    let api = KubernetesApi::start(ApiConfig::default()).await.expect("a free port is there");
    let Some(kubectl) = Kubectl::find(&api) else {
        eprintln!("no kubectl is on the PATH: what it does with the simulated API was not tried");
        return;
    };
    let wider = WEB.replace("port: 80", "port: 81");
    let misspelt = WEB.replace("type: Load", "tpye: Load");
    let rows: &[(&str, &str, &str)] = &[
        (
            "apply -f -",
            &misspelt,
            "Error from server (BadRequest): error when creating \"STDIN\": Service in version \"v1\" cannot be handled as a \
             Service: strict decoding error: unknown field \"spec.tpye\"",
        ),
        ("apply -f -", WEB, "service/web created"),
        ("apply -f -", WEB, "service/web unchanged"),
        ("apply -f -", &wider, "service/web configured"),
        ("get service web -o jsonpath={.spec.ports[*].port}", "", "81"),
        ("label service web tier=front", "", "service/web labeled"),
        ("annotate service web example.io/a=b", "", "service/web annotated"),
        ("get services -l tier=front -o name", "", "service/web"),
        ("get services --field-selector spec.type=LoadBalancer -o name", "", "service/web"),
        ("patch service web -p {\"spec\":{\"externalTrafficPolicy\":\"Local\"}}", "", "service/web patched"),
        (
            "patch service web --type=json -p [{\"op\":\"add\",\"path\":\"/metadata/labels/x\",\"value\":\"1\"}]",
            "",
            "service/web patched",
        ),
        (
            "patch service web --subresource=status --type=merge -p \
             {\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.1\"}]}}}",
            "",
            "service/web patched",
        ),
        ("get service web -o jsonpath={.status.loadBalancer.ingress[0].ipMode}", "", "VIP"),
        (
            "patch service web --type=merge -p {\"spec\":{\"loadBalancerClass\":\"a/b\"}}",
            "",
            "The Service \"web\" is invalid: spec.loadBalancerClass: Invalid value: \"a/b\": may not change once set",
        ),
        ("apply --server-side --force-conflicts -f -", &wider, "service/web serverside-applied"),
        ("apply --server-side -f -", WEB, "service/web serverside-applied"),
        ("create namespace x", "", "namespace/x created"),
        ("create configmap c --from-literal=a=b -n x", "", "configmap/c created"),
        ("create service loadbalancer lb --tcp=80:8080 -n x", "", "service/lb created"),
        ("get services -n x -o jsonpath={.items[*].spec.type}", "", "LoadBalancer"),
        ("delete namespace x --wait --timeout=20s", "", "namespace \"x\" deleted"),
        ("get namespace x", "", "Error from server (NotFound): namespaces \"x\" not found"),
        ("delete service web --wait --timeout=20s", "", "service \"web\" deleted"),
        ("get service web", "", "Error from server (NotFound): services \"web\" not found"),
        ("create serviceaccount bot", "", "serviceaccount/bot created"),
        ("auth can-i delete nodes", "", "yes"),
    ];
    for (line, input, expected) in rows {
        let said = said(&kubectl.run(line, input).await);
        let first = said.lines().next().unwrap_or_default();
        assert!(first.starts_with(expected), "kubectl {line}\nexpected: {expected}\nsaid: {said}");
    }
    let token = said(&kubectl.run("create token bot", "").await);
    assert!(token.starts_with("sandbox-"), "{token}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_shows_what_is_there() {
    let api = KubernetesApi::start(ApiConfig::default()).await.expect("a free port is there");
    let Some(kubectl) = Kubectl::find(&api) else {
        eprintln!("no kubectl is on the PATH: what it shows of the simulated API was not tried");
        return;
    };
    let node = json!({
        "metadata": {"name": "n1", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.36.3"},
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "ExternalIP", "address": "192.0.2.1"}],
        },
    });
    api.store().insert("nodes", node).expect("the Node is valid");
    kubectl.run("apply -f -", WEB).await;
    let words = |text: &str| text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
    let rows: &[(&str, &[&[&str]])] = &[
        (
            "get nodes",
            &[&["NAME", "STATUS", "ROLES", "AGE", "VERSION"], &["n1", "Ready", "control-plane", "*", "v1.36.3"]],
        ),
        (
            "get nodes --no-headers -o wide",
            &[&[
                "n1",
                "Ready",
                "control-plane",
                "*",
                "v1.36.3",
                "10.0.0.1",
                "192.0.2.1",
                "<unknown>",
                "<unknown>",
                "<unknown>",
            ]],
        ),
        ("get services web --no-headers", &[&["web", "LoadBalancer", "*", "<pending>", "*", "*"]]),
        (
            "get namespaces --no-headers",
            &[
                &["default", "Active", "*"],
                &["kube-node-lease", "Active", "*"],
                &["kube-public", "Active", "*"],
                &["kube-system", "Active", "*"],
            ],
        ),
    ];
    for (line, expected) in rows {
        let mut shown: Vec<Vec<String>> = words(&said(&kubectl.run(line, "").await));
        for (row, wanted) in shown.iter_mut().zip(*expected) {
            for (cell, _) in row.iter_mut().zip(*wanted).filter(|(_, wanted)| **wanted == "*") {
                *cell = "*".to_owned();
            }
        }
        assert_eq!(shown, *expected, "kubectl {line}");
    }
    let described = said(&kubectl.run("describe service web", "").await);
    assert!(described.contains("External Traffic Policy:  Cluster"), "{described}");
    let explained = said(&kubectl.run("explain service.spec.loadBalancerClass", "").await);
    assert!(explained.contains("FIELD: loadBalancerClass <string>"), "{explained}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_follows_changes() {
    let api = KubernetesApi::start(ApiConfig::default()).await.expect("a free port is there");
    let Some(kubectl) = Kubectl::find(&api) else {
        eprintln!("no kubectl is on the PATH: how it follows the simulated API was not tried");
        return;
    };
    let mut following = kubectl.spawn(&["get", "nodes", "--watch", "--no-headers", "-o", "name"], "");
    let opened = async {
        while !api.store().requests().keys().any(|(verb, resource)| verb.as_str() == "watch" && resource == "nodes") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), opened).await.expect("kubectl opens its watch");
    api.store().insert("nodes", json!({"metadata": {"name": "n1"}})).expect("the Node is valid");
    api.store().insert("nodes", json!({"metadata": {"name": "n2"}})).expect("the Node is valid");
    let output = following.stdout.take().expect("the output is a pipe");
    let lines = tokio::task::spawn_blocking(|| {
        let lines = std::io::BufRead::lines(std::io::BufReader::new(output));
        lines.take(2).collect::<Result<Vec<String>, _>>().expect("the output is text")
    });
    assert_eq!(lines.await.expect("no panic"), ["node/n1", "node/n2"]);
    following.kill().expect("kubectl runs until it is ended");
    following.wait().expect("it ended");
}

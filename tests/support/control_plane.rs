//! A real etcd and kube-apiserver on loopback, started for one test and gone with it.

#![allow(dead_code, reason = "each suite uses its part of this")]
#![allow(clippy::panic, reason = "a control plane that does not start fails the test")]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// How long etcd and kube-apiserver together may take before the start counts as failed.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How often a start is tried again when somebody else took a port between choosing and binding it.
const PORT_TRIES: usize = 5;

/// A user that a [`ControlPlane`] knows by bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The name that RBAC and the audit log see.
    pub(crate) name: String,
    /// The groups that RBAC sees.
    pub(crate) groups: Vec<String>,
}

impl User {
    /// A member of `system:masters`: everything is allowed.
    pub(crate) fn admin() -> User {
        User { name: "e2e-admin".into(), groups: vec!["system:masters".into()] }
    }

    /// A service account, with the groups that a real token for it would carry.
    pub(crate) fn service_account(namespace: &str, name: &str) -> User {
        User {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")],
        }
    }
}

/// A running etcd and kube-apiserver.
///
/// # Guarantees
/// - `/readyz` answered `ok` before [`ControlPlane::start`] returned.
/// - RBAC is on. Nothing but the apiserver runs: no controller makes EndpointSlices, collects garbage or sets a Node's
///   conditions.
/// - Both processes end with this value, and also when the test process is killed.
/// - The data is removed on drop, unless the thread is panicking: then it stays, and its path is printed.
pub(crate) struct ControlPlane {
    // The order matters: kube-apiserver ends before its etcd does.
    apiserver: Process,
    etcd: Process,
    dir: Option<TempDir>,
    programs: PathBuf,
    url: String,
    admin_token: String,
    kubeconfig: PathBuf,
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver from the folder that `KUBEBUILDER_ASSETS` names, with the admin as the only user.
    pub(crate) async fn start() -> ControlPlane {
        Self::start_with(&[]).await
    }

    /// Starts as [`ControlPlane::start`] does, with more users; each gets a kubeconfig from
    /// [`ControlPlane::kubeconfig_of`].
    pub(crate) async fn start_with(users: &[User]) -> ControlPlane {
        let programs = std::env::var_os("KUBEBUILDER_ASSETS")
            .map(PathBuf::from)
            .expect("KUBEBUILDER_ASSETS names a folder with etcd, kube-apiserver and kubectl; `make e2e` sets it");
        let mut tries = 1;
        loop {
            match Self::try_start(&programs, users).await {
                Ok(started) => return started,
                Err(failure) if failure.port_was_taken && tries < PORT_TRIES => tries += 1,
                Err(failure) => panic!("{}", failure.message),
            }
        }
    }

    /// The base URL of the API, such as `https://127.0.0.1:40123`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The admin's bearer token.
    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// The admin's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubeconfig of a user that was given to [`ControlPlane::start_with`].
    pub(crate) fn kubeconfig_of(&self, user: &User) -> PathBuf {
        kubeconfig_path(self.dir(), user)
    }

    /// A client with the admin's rights.
    pub(crate) async fn client(&self) -> Client {
        client_from(&self.kubeconfig).await
    }

    /// A client with the rights of a user that was given to [`ControlPlane::start_with`].
    pub(crate) async fn client_of(&self, user: &User) -> Client {
        client_from(&self.kubeconfig_of(user)).await
    }

    /// `kubectl` with the admin's kubeconfig.
    pub(crate) fn kubectl(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(self.programs.join("kubectl"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command
    }

    /// Every request that the apiserver finished, one JSON `audit.k8s.io/v1` Event a line, without bodies.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.dir().join("audit.log")
    }

    /// Ends kube-apiserver at once and starts it again on the same port with the same data: what a client sees when
    /// the control plane is upgraded.
    pub(crate) async fn restart_apiserver(&mut self) {
        self.apiserver.relaunch().expect("kube-apiserver ran before, so it can be run again");
        let deadline = Instant::now() + READY_WITHIN;
        if let Err(failure) = wait_until_ready(&mut self.apiserver, &self.kubeconfig, deadline).await {
            panic!("{}", failure.message);
        }
    }

    fn dir(&self) -> &Path {
        self.dir.as_ref().expect("the folder is taken only by drop").path()
    }

    async fn try_start(programs: &Path, users: &[User]) -> Result<ControlPlane, StartFailure> {
        let deadline = Instant::now() + READY_WITHIN;
        let dir = tempfile::Builder::new().prefix("control-plane-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let [api_port, client_port, peer_port] = free_ports()?;
        let url = format!("https://127.0.0.1:{api_port}");
        let etcd_url = format!("http://127.0.0.1:{client_port}");
        let admin = User::admin();

        let credentials = Credentials::write(dir.path(), &url, &[std::slice::from_ref(&admin), users].concat())?;
        let mut etcd = Process::launch(etcd_command(programs, dir.path(), &etcd_url, peer_port), dir.path(), "etcd")?;
        let mut apiserver = Process::launch(
            apiserver_command(programs, dir.path(), &etcd_url, api_port),
            dir.path(),
            "kube-apiserver",
        )?;
        let kubeconfig = kubeconfig_path(dir.path(), &admin);
        let ready = wait_until_ready(&mut apiserver, &kubeconfig, deadline).await;
        if ready.is_err() && etcd.exited() {
            return Err(etcd.failure("ended before kube-apiserver was ready"));
        }
        ready?;
        Ok(ControlPlane {
            apiserver,
            etcd,
            programs: programs.to_path_buf(),
            url,
            admin_token: credentials.admin_token,
            kubeconfig,
            dir: Some(dir),
        })
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.apiserver.end();
        self.etcd.end();
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            eprintln!("control plane: logs and data are kept in {}", dir.keep().display());
        }
    }
}

/// Why a start did not come to `/readyz`.
struct StartFailure {
    message: String,
    port_was_taken: bool,
}

impl From<io::Error> for StartFailure {
    fn from(error: io::Error) -> Self {
        StartFailure { message: format!("the control plane could not be set up: {error}"), port_was_taken: false }
    }
}

/// A child that ends when it is told to, or when this process is gone and can tell nobody.
struct Process {
    name: &'static str,
    command: Vec<OsString>,
    log: PathBuf,
    watched: Child,
}

/// Runs its arguments until they end or until standard input closes, which the kernel does for a process that died.
const WATCH: &str =
    r#"exec 3<&0; "$@" 3<&- & child=$!; (cat <&3; kill -KILL "$child") >/dev/null 2>&1 & wait "$child""#;

impl Process {
    fn launch(command: Vec<OsString>, dir: &Path, name: &'static str) -> io::Result<Process> {
        let log = dir.join(format!("{name}.log"));
        let watched = Process::spawn(name, &command, &log)?;
        Ok(Process { name, command, log, watched })
    }

    fn spawn(name: &str, command: &[OsString], log: &Path) -> io::Result<Child> {
        let output = File::options().create(true).append(true).open(log)?;
        Command::new("sh")
            .args(["-c", WATCH, name])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
    }

    fn relaunch(&mut self) -> io::Result<()> {
        self.end();
        self.watched = Process::spawn(self.name, &self.command, &self.log)?;
        Ok(())
    }

    fn exited(&mut self) -> bool {
        matches!(self.watched.try_wait(), Ok(Some(_)))
    }

    fn failure(&self, what: &str) -> StartFailure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        StartFailure {
            message: format!("{} {what}; the end of its log:\n{tail}", self.name),
            port_was_taken: log.contains("address already in use"),
        }
    }

    /// Idempotent. Does not return before the process is gone.
    fn end(&mut self) {
        drop(self.watched.stdin.take());
        if let Err(error) = self.watched.wait() {
            eprintln!("control plane: {} could not be waited for: {error}", self.name);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the processes need to trust each other, written to the folder of the control plane.
struct Credentials {
    admin_token: String,
}

impl Credentials {
    fn write(dir: &Path, url: &str, users: &[User]) -> io::Result<Credentials> {
        let authority = certificate_authority();
        let serving_key = KeyPair::generate().expect("a P-256 key can be made");
        let serving = CertificateParams::new(["127.0.0.1".into(), "localhost".into(), "kubernetes.default.svc".into()])
            .and_then(|parameters| parameters.signed_by(&serving_key, &authority))
            .expect("the names are valid");
        let account_key = KeyPair::generate().expect("a P-256 key can be made");

        fs::write(dir.join("ca.crt"), authority.pem())?;
        fs::write(dir.join("apiserver.crt"), serving.pem())?;
        write_secret(&dir.join("apiserver.key"), &serving_key.serialize_pem())?;
        write_secret(&dir.join("service-accounts.key"), &account_key.serialize_pem())?;
        fs::write(dir.join("service-accounts.pub"), account_key.public_key_pem())?;
        fs::write(dir.join("audit-policy.yaml"), AUDIT_POLICY)?;

        let mut table = String::new();
        for user in users {
            let token = uuid::Uuid::new_v4();
            table.push_str(&format!("{token},{0},{0},\"{1}\"\n", user.name, user.groups.join(",")));
            write_secret(&kubeconfig_path(dir, user), &kubeconfig(dir, url, &user.name, &token.to_string()))?;
        }
        write_secret(&dir.join("tokens.csv"), &table)?;
        let admin_token = table.split(',').next().expect("the admin is the first user").to_string();
        Ok(Credentials { admin_token })
    }
}

/// Bodies are left out so that the log of a large run stays readable.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: None
    nonResourceURLs: [\"/readyz*\", \"/livez*\", \"/healthz*\"]
  - level: None
    users: [\"system:apiserver\"]
  - level: Metadata
";

fn etcd_command(programs: &Path, dir: &Path, url: &str, peer_port: u16) -> Vec<OsString> {
    let peer = format!("http://127.0.0.1:{peer_port}");
    vec![
        programs.join("etcd").into(),
        "--data-dir".into(),
        dir.join("etcd").into(),
        format!("--listen-client-urls={url}").into(),
        format!("--advertise-client-urls={url}").into(),
        format!("--listen-peer-urls={peer}").into(),
        format!("--initial-advertise-peer-urls={peer}").into(),
        format!("--initial-cluster=default={peer}").into(),
        // The data never outlives the test, so waiting for the disk would only cost time.
        "--unsafe-no-fsync".into(),
        "--logger=zap".into(),
        "--log-level=warn".into(),
    ]
}

fn apiserver_command(programs: &Path, dir: &Path, etcd: &str, port: u16) -> Vec<OsString> {
    let file = |flag: &str, name: &str| {
        let mut argument = OsString::from(format!("--{flag}="));
        argument.push(dir.join(name));
        argument
    };
    vec![
        programs.join("kube-apiserver").into(),
        format!("--etcd-servers={etcd}").into(),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={port}").into(),
        file("cert-dir", "certificates"),
        file("tls-cert-file", "apiserver.crt"),
        file("tls-private-key-file", "apiserver.key"),
        file("client-ca-file", "ca.crt"),
        file("token-auth-file", "tokens.csv"),
        file("service-account-key-file", "service-accounts.pub"),
        file("service-account-signing-key-file", "service-accounts.key"),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        "--authorization-mode=RBAC".into(),
        // Both would need a controller that is not there.
        "--disable-admission-plugins=ServiceAccount".into(),
        "--endpoint-reconciler-type=none".into(),
        "--allow-privileged=true".into(),
        file("audit-policy-file", "audit-policy.yaml"),
        file("audit-log-path", "audit.log"),
        "--audit-log-mode=blocking".into(),
        "--v=1".into(),
    ]
}

async fn wait_until_ready(apiserver: &mut Process, kubeconfig: &Path, deadline: Instant) -> Result<(), StartFailure> {
    let client = client_from(kubeconfig).await;
    loop {
        let readyz = http::Request::get("/readyz").body(Vec::new()).expect("the request is valid");
        match client.request_text(readyz).await {
            Ok(_) => return Ok(()),
            Err(_) if apiserver.exited() => return Err(apiserver.failure("ended before it was ready")),
            Err(error) if Instant::now() > deadline => {
                return Err(apiserver.failure(&format!("was not ready in {READY_WITHIN:?} ({error})")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn client_from(kubeconfig: &Path) -> Client {
    // Whoever was first has installed the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig was written by this module");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("the kubeconfig is complete");
    Client::try_from(config).expect("the certificate authority is valid")
}

fn certificate_authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "e2e");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a P-256 key can be made");
    CertifiedIssuer::self_signed(parameters, key).expect("the parameters are valid")
}

fn kubeconfig_path(dir: &Path, user: &User) -> PathBuf {
    dir.join(format!("{}.kubeconfig", user.name.replace(':', "_")))
}

fn kubeconfig(dir: &Path, url: &str, user: &str, token: &str) -> String {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "e2e",
        "clusters": [{ "name": "e2e", "cluster": { "server": url, "certificate-authority": dir.join("ca.crt") } }],
        "users": [{ "name": user, "user": { "token": token } }],
        "contexts": [{ "name": "e2e", "context": { "cluster": "e2e", "user": user } }],
    })
    .to_string()
}

fn write_secret(path: &Path, content: &str) -> io::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// Ports that nobody listens on now; all are held until the last is known, so that they differ.
fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

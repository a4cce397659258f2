//! `explain`: says which rule of a policy decides for an object, why the earlier ones do not, and what would be made.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::input;
use super::objects::{self, Objects, Subject};
use super::output::{Excerpts, write_faults, write_json};
use crate::domain::Device;
use crate::policy::explain::{NodeExplanation, ServiceExplanation};
use crate::policy::{Defaults, Loaded, ServiceSubject, load_manifest};

/// Arguments of `explain`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Ends with 0, or with 1 when the policy or an object has a fault, or 2 when a file cannot be read."
)]
pub struct ExplainArgs {
    /// The policy: YAML or JSON, as it is or in the manifest of a ConfigMap; - is the standard input
    #[arg(long = "policy", short = 'f', value_name = "POLICY")]
    policy: String,
    /// Manifests of Services, Nodes and Namespaces, YAML or JSON; - is the standard input
    #[arg(required = true, value_name = "OBJECT")]
    objects: Vec<String>,
    /// Devices as Metal's API returns them, for what a Node does not tell itself, such as tags
    #[arg(long, value_name = "FILE")]
    devices: Vec<String>,
    /// Namespace of Services that name none
    #[arg(long, short, default_value = "default")]
    namespace: String,
    /// The controller's own metro, for pools that name none
    #[arg(long, value_name = "CODE")]
    metro: Option<String>,
    /// How the explanation is written
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    output: ExplainFormat,
}

/// How an explanation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ExplainFormat {
    /// Text
    #[default]
    Text,
    /// One JSON object
    Json,
}

/// Why nothing can be explained.
#[derive(Debug)]
enum Refusal {
    /// A policy or an object has a fault.
    Faulty(String),
    /// A file cannot be read.
    Unreadable(String),
}

/// Explains what the policy decides for the objects.
pub fn run(args: &ExplainArgs, stdout: &mut dyn Write, stderr: &mut dyn Write) -> ExitCode {
    let (message, code) = match explain(args, stdout) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Ok(Err(error)) => (format!("error: the result cannot be written: {error}"), 1),
        Err(Refusal::Faulty(message)) => (message, 1),
        Err(Refusal::Unreadable(message)) => (message, 2),
    };
    match writeln!(stderr, "{}", message.trim_end()) {
        Ok(()) | Err(_) => ExitCode::from(code),
    }
}

fn explain(args: &ExplainArgs, stdout: &mut dyn Write) -> Result<io::Result<()>, Refusal> {
    let loaded = load_policy(args)?;
    let mut objects = Objects::default();
    for file in &args.objects {
        objects.add(&read(file)?, &args.namespace).map_err(Refusal::Faulty)?;
    }
    let mut devices = Vec::new();
    for file in &args.devices {
        devices.extend(objects::devices(&read(file)?).map_err(Refusal::Faulty)?);
    }
    let explained = explain_all(&loaded, &objects, &devices);
    Ok(match args.output {
        ExplainFormat::Text => write_text(stdout, &loaded, &objects, &explained),
        ExplainFormat::Json => write_json(stdout, &as_json(&loaded, &objects, &explained)),
    })
}

fn read(file: &str) -> Result<input::Input, Refusal> {
    input::read(file).map_err(|reason| Refusal::Unreadable(format!("{file}: cannot be read: {reason}")))
}

fn load_policy(args: &ExplainArgs) -> Result<Loaded, Refusal> {
    let input = read(&args.policy)?;
    let defaults = Defaults { metro: args.metro.clone(), facility: None };
    let mut found = load_manifest(&input.bytes, &input.name, &defaults).into_iter();
    match (found.next(), found.next()) {
        (Some(only), None) => only.loaded.map_err(|faults| {
            let mut message = Vec::new();
            let excerpts = if io::stderr().is_terminal() { Excerpts::Shown } else { Excerpts::Hidden };
            let text = String::from_utf8_lossy(&input.bytes);
            match write_faults(&mut message, &faults, &text, excerpts) {
                Ok(()) => Refusal::Faulty(String::from_utf8_lossy(&message).into_owned()),
                Err(_) => Refusal::Faulty(faults.to_string()),
            }
        }),
        _ => Err(Refusal::Faulty(format!("{}: expected one policy, found several", input.name))),
    }
}

enum Explained {
    Service(Box<ServiceExplanation>, Vec<String>),
    Node(Box<NodeExplanation>, Vec<String>),
}

fn explain_all(loaded: &Loaded, objects: &Objects, devices: &[Device]) -> Vec<Explained> {
    let policy = &loaded.policy;
    let names = &loaded.document.spec.services.overrides;
    objects
        .subjects
        .iter()
        .map(|subject| match subject {
            Subject::Service(service) => {
                let namespace = &service.key.namespace;
                let labels = objects.namespace_labels(namespace);
                let subject = ServiceSubject { service, namespace_labels: &labels };
                let explanation = ServiceExplanation::new(policy, names, &subject);
                let tried = policy.rules().iter().take(explanation.tried.len());
                let asked = tried.filter(|rule| rule.matches.namespace_selector.is_some()).count() > 0;
                let notes = match asked && !objects.namespaces.contains_key(namespace) {
                    true => vec![format!(
                        "the labels of Namespace {namespace} are not known, and rules look at them: add its manifest"
                    )],
                    false => Vec::new(),
                };
                Explained::Service(Box::new(explanation), notes)
            }
            Subject::Node(node) => match objects::device_of(node, devices) {
                Some(device) => Explained::Node(Box::new(NodeExplanation::new(policy, node, device)), Vec::new()),
                None => {
                    let device = objects::device_as_node_tells(node);
                    let note =
                        "told by the Node's own labels; its device's tags are not known: add --devices".to_owned();
                    let explanation = NodeExplanation::new(policy, node, &device);
                    let notes = if explanation.rules.is_empty() { Vec::new() } else { vec![note] };
                    Explained::Node(Box::new(explanation), notes)
                }
            },
        })
        .collect()
}

fn write_text(out: &mut dyn Write, loaded: &Loaded, objects: &Objects, explained: &[Explained]) -> io::Result<()> {
    writeln!(out, "Policy {}, hash {}", loaded.policy.name, loaded.policy.hash)?;
    for one in explained {
        let (text, notes) = match one {
            Explained::Service(explanation, notes) => (explanation.to_string(), notes),
            Explained::Node(explanation, notes) => (explanation.to_string(), notes),
        };
        write!(out, "\n{text}")?;
        for note in notes {
            writeln!(out, "  note: {note}")?;
        }
    }
    for stranger in &objects.strangers {
        writeln!(out, "\n{stranger}: no policy decides about this kind")?;
    }
    Ok(())
}

fn as_json(loaded: &Loaded, objects: &Objects, explained: &[Explained]) -> Value {
    let with_notes = |kind: &str, mut value: Value, notes: &[String]| {
        value["kind"] = json!(kind);
        value["notes"] = json!(notes);
        value
    };
    let list: Vec<Value> = explained
        .iter()
        .map(|one| match one {
            Explained::Service(explanation, notes) => with_notes("Service", json!(explanation), notes),
            Explained::Node(explanation, notes) => with_notes("Node", json!(explanation), notes),
        })
        .collect();
    json!({
        "policy": {"name": loaded.policy.name, "hash": loaded.policy.hash.as_str()},
        "objects": list,
        "unknown": objects.strangers
    })
}

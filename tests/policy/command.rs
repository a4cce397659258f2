//! The commands as a person or a pipeline runs them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cloud-provider-equinix-metal"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A program that reads no input may be gone already.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the output is UTF-8")
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

#[test]
fn validate_ends_with_what_it_found() {
    let good = "valid/everything.yaml";
    let bad = "invalid/pool-host-bits.yaml";
    let cases: [(&str, &[&str], i32); 6] = [
        ("good", &["validate", good], 0),
        ("bad", &["validate", bad], 1),
        ("both", &["validate", good, bad], 1),
        ("not there", &["validate", "no/such.yaml", bad], 2),
        ("a directory", &["validate", "invalid"], 2),
        ("no file named", &["validate"], 1),
    ];
    for (name, arguments, code) in cases {
        let output = run(arguments, "");
        assert_eq!(output.status.code(), Some(code), "{name}: {}", text(&output.stderr));
    }
}

#[test]
fn validate_says_ok_with_name_and_hash() {
    let output = run(&["validate", "valid/everything.yaml"], "");
    let said = text(&output.stdout);
    assert!(said.starts_with("valid/everything.yaml: ok: dallas-production, hash "), "{said}");
    let policy =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/valid/everything.yaml"))
            .expect("the policy is there");
    let piped = run(&["validate", "-"], &policy);
    assert_eq!(text(&piped.stdout), said.replace("valid/everything.yaml", "<stdin>"));
}

#[test]
fn validate_speaks_json_github_and_sarif() {
    let file = "invalid/pool-host-bits.yaml";
    let fault = json!({
        "code": "invalid-address",
        "severity": "error",
        "file": file,
        "line": 5, "column": 53, "endLine": 5, "endColumn": 68,
        "pointer": "/spec/addressPools/0/static/ranges/0",
        "expected": "the first address of the network before the /",
        "found": "\"203.0.113.17/28\", an address inside of it",
        "suggestion": "203.0.113.16/28"
    });
    let output = run(&["validate", "--output", "json", file], "");
    assert_eq!(json_of(&output), json!({"policies": [{"file": file, "ok": false, "faults": [fault]}]}));

    let output = run(&["validate", "--output=github", file], "");
    assert_eq!(
        text(&output.stdout),
        "::error file=invalid/pool-host-bits.yaml,line=5,col=53,endLine=5,endColumn=68,title=invalid-address::\
         /spec/addressPools/0/static/ranges/0: expected the first address of the network before the /, found \
         \"203.0.113.17/28\", an address inside of it; did you mean 203.0.113.16/28?\n"
    );

    let sarif = json_of(&run(&["validate", "-o", "sarif", file], ""));
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "invalid-address");
    assert_eq!(
        result["locations"][0]["physicalLocation"],
        json!({
            "artifactLocation": {"uri": file},
            "region": {"startLine": 5, "startColumn": 53, "endLine": 5, "endColumn": 68}
        })
    );
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().expect("rules");
    assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]));
}

#[test]
fn schema_prints_the_schema() {
    let output = run(&["schema"], "");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/cloud-policy.schema.json");
    assert_eq!(text(&output.stdout), std::fs::read_to_string(path).expect("the schema is checked in"));
}

const OBJECTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { tenant: "yes" } }
---
apiVersion: v1
kind: Namespace
metadata: { name: staff, labels: { tier: internal } }
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata:
    name: web
    namespace: shop
    annotations: { example.com/metro: sv, metal.equinix.com/eip-facility: da11 }
  spec: { type: LoadBalancer, ports: [{ port: 80 }] }
- apiVersion: v1
  kind: Service
  metadata: { name: api }
  spec: { type: ClusterIP, ports: [{ port: 80 }] }
- apiVersion: v1
  kind: Service
  metadata: { name: cam, namespace: shop, labels: { exposure: office } }
  spec: { type: LoadBalancer, loadBalancerClass: metal.equinix.com/internal, ports: [{ port: 80 }] }
- apiVersion: v1
  kind: Service
  metadata: { name: tool, namespace: staff, labels: { exposure: vpn } }
  spec: { type: LoadBalancer, loadBalancerClass: metal.equinix.com/internal, ports: [{ port: 80 }] }
- apiVersion: v1
  kind: Service
  metadata: { name: old, namespace: legacy-1 }
  spec: { type: LoadBalancer, loadBalancerIP: 203.0.113.99, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Node
metadata: { name: n1 }
spec: { providerID: "equinixmetal://d1" }
---
apiVersion: v1
kind: Node
metadata: { name: n2 }
spec: { providerID: "aws://i1" }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
"#;

#[test]
fn explain_says_which_rule_decides_and_why_no_other() {
    let output = run(&["explain", "-f", "valid/everything.yaml", "--devices", "devices.json", "-"], OBJECTS);
    assert_eq!(text(&output.stderr), "");
    let said = text(&output.stdout);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/explain.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &said).expect("the text is written");
    }
    assert_eq!(said, std::fs::read_to_string(golden).expect("the golden text is there"));
}

#[test]
fn explain_speaks_json() {
    let output = run(&["explain", "-f", "valid/everything.yaml", "-o", "json", "-"], OBJECTS);
    let said = json_of(&output);
    let web = &said["objects"][0];
    assert_eq!(
        (&web["service"], &web["decision"], &web["rule"]),
        (&json!("shop/web"), &json!("served"), &json!("tenant-choice"))
    );
    assert_eq!(
        web["tried"][0],
        json!({"rule": "not-ours", "field": "namespaces", "wanted": "legacy-*", "found": "shop"})
    );
    assert_eq!(web["tried"][3], json!({"rule": "tenant-choice"}));
    assert_eq!(said["objects"][1]["decision"], "notALoadBalancer");
    assert_eq!(said["objects"][6]["managed"], false);
    assert_eq!(said["unknown"], json!(["Deployment web"]));
}

#[test]
fn explain_refuses_what_it_cannot_read() {
    let cases: [(&str, &[&str], &str, i32, &str); 5] = [
        (
            "a bad policy",
            &["explain", "-f", "invalid/pool-host-bits.yaml", "-"],
            OBJECTS,
            1,
            "invalid/pool-host-bits.yaml:5:53",
        ),
        ("no policy", &["explain", "-f", "no.yaml", "-"], OBJECTS, 2, "no.yaml: cannot be read"),
        ("no object", &["explain", "-f", "valid/everything.yaml", "no.yaml"], "", 2, "no.yaml: cannot be read"),
        (
            "no manifest",
            &["explain", "-f", "valid/everything.yaml", "-"],
            "a: b\n",
            1,
            "<stdin>: expected a Kubernetes object",
        ),
        ("no YAML", &["explain", "-f", "valid/everything.yaml", "-"], "{", 1, "<stdin>: "),
    ];
    for (name, arguments, input, code, expected) in cases {
        let output = run(arguments, input);
        assert_eq!(output.status.code(), Some(code), "{name}");
        assert!(text(&output.stderr).starts_with(expected), "{name}: {}", text(&output.stderr));
    }
}

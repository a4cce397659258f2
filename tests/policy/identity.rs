//! What a policy is called, whatever its text looks like.

use cloud_provider_equinix_metal::policy::{Defaults, Document, Loaded, compile_document, load_document};
use pretty_assertions::assert_eq;

const EVERYTHING: &str = include_str!("valid/everything.yaml");

fn read(text: &str) -> Loaded {
    load_document(text.as_bytes(), "p.yaml", &Defaults::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn a_document_written_as_yaml_is_the_same_document() {
    let loaded = read(EVERYTHING);
    let again = read(&loaded.document.to_yaml());
    assert_eq!(again.document, loaded.document);
    assert_eq!(again.policy.hash, loaded.policy.hash);
    let in_code = compile_document(&loaded.document, "in code", &Defaults::default()).expect("the same document");
    assert_eq!(in_code.hash, loaded.policy.hash);
}

#[test]
fn a_policy_that_says_nothing_is_a_policy() {
    let document = Document::new("nothing");
    assert_eq!(read(&document.to_yaml()).document, document);
    let policy = compile_document(&document, "in code", &Defaults::default()).expect("nothing is wrong with it");
    assert_eq!(policy.nodes.provider_names, ["equinixmetal", "packet"]);
    assert_eq!(policy.bgp.local_asn, 65000);
}

#[test]
fn the_hash_is_of_the_meaning() {
    let head = "apiVersion: policy.metal.equinix.com/v1alpha1\nkind: CloudPolicy\nmetadata: { name: p }\nspec:\n";
    let hash = |spec: &str| read(&format!("{head}{spec}")).policy.hash.to_string();
    let plain = hash("  bgp: { localASN: 65001 }\n  loadBalancers: [{ name: vip, kubeVip: {} }]\n");
    assert_eq!(plain.len(), 16);
    let same = [
        ("order", "  loadBalancers: [{ kubeVip: {}, name: vip }]\n  bgp: { localASN: 65001 }\n"),
        ("comments", "  # vip\n  loadBalancers:\n  - name: vip # vip\n    kubeVip: {}\n  bgp:\n    localASN: 65001\n"),
        ("quotes", "  loadBalancers: [{ name: \"vip\", kubeVip: {} }]\n  bgp: { localASN: 0xfde9 }\n"),
        (
            "defaults written out",
            "  addressPools: []\n  loadBalancers: [{ name: vip, kubeVip: {} }]\n  bgp: { localASN: 65001, peerASN: 65530 }\n  \
             nodes: { topology: { region: Metro } }\n  rollout: { onPoolChange: Keep }\n",
        ),
        ("a whole fraction", "  bgp: { localASN: 65001.0 }\n  loadBalancers: [{ name: vip, kubeVip: {} }]\n"),
        ("aliases", "  loadBalancers: [{ name: &n vip, kubeVip: {} }]\n  bgp: { localASN: 65001 }\n"),
    ];
    for (name, spec) in same {
        assert_eq!(hash(spec), plain, "{name}");
    }
    let other = [
        ("another number", "  bgp: { localASN: 65002 }\n  loadBalancers: [{ name: vip, kubeVip: {} }]\n"),
        ("another name", "  bgp: { localASN: 65001 }\n  loadBalancers: [{ name: vip2, kubeVip: {} }]\n"),
        ("another kind", "  bgp: { localASN: 65001 }\n  loadBalancers: [{ name: vip, none: {} }]\n"),
    ];
    for (name, spec) in other {
        assert_ne!(hash(spec), plain, "{name}");
    }
}

#[test]
fn json_is_read_as_well() {
    let loaded = read(EVERYTHING);
    let json = serde_json::to_string_pretty(&loaded.document).expect("a document is JSON");
    assert_eq!(read(&json).document, loaded.document);
}

#[test]
fn guarantee_10_what_a_policy_says_of_a_password_is_where_it_is() {
    let loaded = read(EVERYTHING);
    let shown = format!("{:?}", loaded.policy.bgp);
    assert!(shown.contains("Env(\"METAL_BGP_PASS\")"), "{shown}");
}

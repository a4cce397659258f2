//! Whatever the bytes are: an answer, soon, and never a panic.

use std::time::{Duration, Instant};

use cloud_provider_equinix_metal::policy::{Defaults, FaultCode, Faults, Policy, load};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

const EVERYTHING: &str = include_str!("valid/everything.yaml");

fn read(bytes: &[u8]) -> Result<Policy, Faults> {
    load(bytes, "p.yaml", &Defaults::default())
}

/// Every fault is one that a person can follow: in the text, and said in full.
fn check(bytes: &[u8]) {
    let Err(faults) = read(bytes) else {
        return;
    };
    let lines =
        u32::try_from(bytes.iter().filter(|byte| [b'\n', b'\r'].contains(byte)).count()).unwrap_or(u32::MAX) + 2;
    assert!(!faults.is_empty());
    for fault in &faults {
        let span = fault.span.expect("a fault of a text has a place");
        assert!(span.line >= 1 && span.column >= 1 && span.line <= lines, "{fault}");
        assert!(!fault.expected.is_empty() && !fault.found.is_empty(), "{fault}");
        assert!(!fault.to_string().contains('\n'), "{fault}");
    }
}

/// A token that somebody could put into a policy.
fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("~".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("-1".to_owned()),
        Just("1e999".to_owned()),
        Just("true".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("&a".to_owned()),
        Just("*a".to_owned()),
        Just("!!int".to_owned()),
        Just("- ".to_owned()),
        Just(": ".to_owned()),
        Just("\t".to_owned()),
        Just("|".to_owned()),
        Just("---\n".to_owned()),
        Just("...\n".to_owned()),
        Just("%YAML 9.9\n".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("\u{0}".to_owned()),
        Just("<<: *a".to_owned()),
        Just("? ".to_owned()),
        Just("#".to_owned()),
        Just("{{n}}".to_owned()),
        Just("{device.".to_owned()),
        Just("\r".to_owned()),
        Just("\u{2028}".to_owned()),
        "[a-zA-Z0-9*?/\\[\\]{}.:-]{0,12}",
        "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn arbitrary_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_text_has_an_answer(tokens in prop::collection::vec(token(), 0..40)) {
        check(tokens.concat().as_bytes());
    }

    #[test]
    fn a_policy_cut_anywhere_has_an_answer(at in 0..EVERYTHING.len()) {
        check(&EVERYTHING.as_bytes()[..at]);
    }

    #[test]
    fn a_mutated_policy_has_an_answer(
        places in prop::collection::vec((0..EVERYTHING.len(), 0..12_usize, token()), 1..4)
    ) {
        let mut bytes = EVERYTHING.as_bytes().to_vec();
        for (at, length, token) in places {
            let from = at.min(bytes.len());
            let to = (from + length).min(bytes.len());
            bytes.splice(from..to, token.into_bytes());
        }
        check(&bytes);
    }

    #[test]
    fn a_policy_with_lines_moved_has_an_answer(swaps in prop::collection::vec((0..66_usize, 0..66_usize), 1..4)) {
        let mut lines: Vec<&str> = EVERYTHING.lines().collect();
        for (a, b) in swaps {
            let last = lines.len() - 1;
            lines.swap(a.min(last), b.min(last));
        }
        check(lines.join("\n").as_bytes());
    }

    #[test]
    fn an_arbitrary_expression_has_an_answer(
        parts in prop::collection::vec(prop_oneof![
            Just("service"), Just(".metadata"), Just(".spec.ports"), Just(".all(p, "), Just(".map(p, "), Just("p.port"),
            Just(")"), Just("("), Just(" == "), Just(" + "), Just(" && "), Just("!"), Just("-"), Just("443"), Just("'x'"),
            Just("[0]"), Just("['k']"), Just("has("), Just("size("), Just(" ? "), Just(" : "), Just(" in "), Just("{"),
            Just("}"), Just("."), Just(".?"), Just("1u"), Just("2.5"), Just("null"), Just("b'x'"), Just(".matches('(')"),
        ], 0..14)
    ) {
        let expression = parts.concat().replace('\'', "''");
        let text = format!(
            "apiVersion: policy.metal.equinix.com/v1alpha1\nkind: CloudPolicy\nmetadata: {{ name: p }}\nspec:\n  services:\n    \
             rules:\n      - {{ name: e, match: {{ expression: '{expression}' }}, ignore: true }}\n"
        );
        check(text.as_bytes());
        if let Ok(policy) = read(text.as_bytes()) {
            let service = crate::service::service("shop", "web");
            let labels = Default::default();
            policy.decide(&cloud_provider_equinix_metal::policy::ServiceSubject {
                service: &service,
                namespace_labels: &labels,
            });
        }
    }
}

fn codes(bytes: &[u8]) -> Vec<FaultCode> {
    match read(bytes) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(|fault| fault.code).collect(),
    }
}

#[test]
fn what_is_too_large_is_refused_in_bounded_time() {
    let head = "apiVersion: policy.metal.equinix.com/v1alpha1\nkind: CloudPolicy\nmetadata: { name: p }\nspec:\n";
    let bomb: String = (0..40)
        .map(|n| match n {
            0 => "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(),
            n => format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(",")),
        })
        .collect();
    let many_keys: String = (0..200_000).map(|n| format!("  k{n}: 1\n")).collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("ten megabytes of comment", vec![b'#'; 10 << 20]),
        ("ten megabytes of brackets", vec![b'['; 10 << 20]),
        ("ten megabytes of policy", EVERYTHING.repeat((10 << 20) / EVERYTHING.len()).into_bytes()),
        ("four megabytes of brackets", vec![b'['; 4 << 20]),
        ("four megabytes of braces", "{a: ".repeat(1 << 20).into_bytes()),
        ("four megabytes of dashes", "- ".repeat(2 << 20).into_bytes()),
        ("four megabytes of text", vec![b'a'; 4 << 20]),
        ("an alias bomb", bomb.into_bytes()),
        ("two hundred thousand unknown keys", format!("{head}{many_keys}").into_bytes()),
        (
            "a hundred thousand unknown keys in a list",
            format!("{head}  addressPools:\n{}", "    - x: 1\n".repeat(20_000)).into_bytes(),
        ),
    ];
    for (name, bytes) in cases {
        let start = Instant::now();
        assert!(read(&bytes).is_err(), "{name}");
        let taken = start.elapsed();
        assert!(taken < Duration::from_secs(20), "{name} took {taken:?}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let marked = format!("\u{feff}{EVERYTHING}");
    let windows = EVERYTHING.replace('\n', "\r\n");
    assert_eq!(codes(marked.as_bytes()), []);
    assert_eq!(codes(windows.as_bytes()), []);
}

#[test]
fn guarantee_10_no_fault_repeats_a_secret() {
    let head = "apiVersion: policy.metal.equinix.com/v1alpha1\nkind: CloudPolicy\nmetadata: { name: p }\nspec:\n";
    for bgp in [
        "{ password: hunter2 }",
        "{ passwordFrom: hunter2 }",
        "{ passwordFrom: [hunter2] }",
        "{ passwordFrom: { value: hunter2 } }",
        "{ passwordFrom: { env: 'hunter2 !' } }",
        "{ passwordFrom: { file: hunter2 } }",
        "{ passwordFrom: { secretKeyRef: hunter2 } }",
        "{ md5: hunter2 }",
        "{ localASN: 65000, bgpPass: hunter2 }",
    ] {
        let Err(faults) = read(format!("{head}  bgp: {bgp}\n").as_bytes()) else {
            panic!("{bgp} is accepted");
        };
        let said = format!("{faults} {faults:?} {}", serde_json::to_string(&faults).expect("faults are JSON"));
        assert!(!said.contains("hunter2"), "{bgp}: {said}");
    }
}

//! Every kind that the format describes is either compiled or refused when the policy is loaded.

use cloud_provider_equinix_metal::policy::document::{ElasticIpType, LoadBalancerKind};
use cloud_provider_equinix_metal::policy::schema::json_schema;
use cloud_provider_equinix_metal::policy::{Defaults, FaultCode, load_document};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

fn refused(spec: Value) -> Option<Vec<FaultCode>> {
    let document = json!({
        "apiVersion": "policy.metal.equinix.com/v1alpha1",
        "kind": "CloudPolicy",
        "metadata": {"name": "p"},
        "spec": spec
    });
    match load_document(document.to_string().as_bytes(), "p", &Defaults::default()) {
        Ok(loaded) => {
            // What is accepted is there to serve: nothing was dropped on the way.
            assert_eq!(loaded.policy.backends().len(), loaded.document.spec.load_balancers.len());
            assert_eq!(loaded.policy.pools().len(), loaded.document.spec.address_pools.len());
            None
        }
        Err(faults) => Some(faults.iter().map(|fault| fault.code).collect()),
    }
}

#[test]
fn a_kind_of_load_balancer_works_or_is_refused() {
    let kinds = json_schema()["$defs"]["LoadBalancer"]["oneOf"].as_array().expect("kinds").clone();
    assert_eq!(kinds.len(), 4);
    for kind in kinds {
        let kind = kind["required"][0].as_str().expect("a key").to_owned();
        let chooses = match kind.as_str() {
            "kubeVip" => LoadBalancerKind::KubeVip(Default::default()).chooses_addresses(),
            "metalLB" => LoadBalancerKind::MetalLb(Default::default()).chooses_addresses(),
            "equinixLoadBalancer" => LoadBalancerKind::EquinixLoadBalancer(Default::default()).chooses_addresses(),
            _ => LoadBalancerKind::None(Default::default()).chooses_addresses(),
        };
        let mut default = json!({"loadBalancer": "lb"});
        if !chooses {
            default["addressPool"] = json!("pool");
        }
        let answer = refused(json!({
            "addressPools": [{"name": "pool", "elasticIP": {}}],
            "loadBalancers": [{"name": "lb", (kind.clone()): {}}],
            "services": {"default": default}
        }));
        assert!(matches!(answer.as_deref(), None | Some([FaultCode::NotSupported])), "{kind}: {answer:?}");
    }
}

#[test]
fn a_kind_of_address_works_or_is_refused() {
    for kind in [ElasticIpType::PublicIpv4, ElasticIpType::PublicIpv6, ElasticIpType::GlobalIpv4] {
        let answer = refused(json!({"addressPools": [{"name": "pool", "elasticIP": {"type": kind}}]}));
        assert!(matches!(answer.as_deref(), None | Some([FaultCode::NotSupported])), "{kind:?}: {answer:?}");
    }
}

#[test]
fn a_control_plane_endpoint_is_refused_in_both_kinds() {
    for endpoint in [json!({"elasticIP": {"tag": "t"}}), json!({"equinixLoadBalancer": {"id": "l"}})] {
        let answer = refused(json!({"controlPlaneEndpoint": endpoint}));
        assert_eq!(answer, Some(vec![FaultCode::NotSupported]));
    }
}

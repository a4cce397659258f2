//! The one policy that does exactly what the settings did.

use super::{BackendSetting, Settings};
use crate::policy::Document;
use crate::policy::document::{
    AddressPool, Assign, Bgp, BgpAnnotationNames, ControlPlaneEndpoint, ElasticIp, EndpointElasticIp, EndpointKind,
    EndpointLoadBalancer, EquinixLoadBalancer, HealthCheck, KubeVip, LoadBalancer, LoadBalancerKind, MetalLb,
    MetalLbConfig, NoneKind, OverrideNames, PasswordFrom, PoolKind, ServiceDefault, Verdict,
};
use crate::strategy::BgpAnnotations;

/// Name of the policy made from settings.
pub const SYNTHESISED: &str = "from-settings";
/// The environment variable that holds the BGP password. A password from the cloud-config file is found under the same
/// name, so that the policy never has to say where in that file it stands.
pub const BGP_PASSWORD_VARIABLE: &str = "METAL_BGP_PASS";

const BALANCER: &str = "default";
const POOL: &str = "elastic-ip";

impl Settings {
    /// The policy that does what these settings did: one backend for every Service, one pool of Elastic IPs.
    pub fn policy(&self) -> Document {
        let mut document = Document::new(SYNTHESISED);
        let spec = &mut document.spec;
        spec.services.overrides =
            OverrideNames { metro: self.annotation_eip_metro.clone(), facility: self.annotation_eip_facility.clone() };
        let allow_overrides = vec![self.annotation_eip_metro.clone(), self.annotation_eip_facility.clone()];
        if let Some(kind) = self.load_balancer.as_ref().map(kind_of) {
            let has_pool = !kind.chooses_addresses();
            if has_pool {
                let elastic =
                    ElasticIp { metro: self.metro.clone(), facility: self.pool_facility(), ..ElasticIp::default() };
                spec.address_pools = vec![AddressPool { name: POOL.into(), kind: PoolKind::ElasticIp(elastic) }];
            }
            spec.load_balancers = vec![LoadBalancer::new(BALANCER, kind)];
            let assign = Assign { load_balancer: BALANCER.into(), address_pool: has_pool.then(|| POOL.into()) };
            let allow_overrides = if has_pool { allow_overrides } else { Vec::new() };
            spec.services.default = Some(ServiceDefault { verdict: Verdict::Use { assign, allow_overrides } });
        }
        spec.bgp = Bgp {
            local_asn: self.local_asn,
            password_from: self.bgp_pass.as_ref().map(|_| PasswordFrom::Env(BGP_PASSWORD_VARIABLE.into())),
            node_selector: (&self.bgp_node_selector).into(),
            annotations: names_of(&self.annotations),
            ..Bgp::default()
        };
        spec.control_plane_endpoint = self.endpoint();
        document
    }

    /// A pool has one place; of the two settings the metro was asked first.
    fn pool_facility(&self) -> Option<String> {
        self.facility.clone().filter(|_| self.metro.is_none())
    }

    fn endpoint(&self) -> Option<ControlPlaneEndpoint> {
        let kind = match (&self.eip_tag, &self.load_balancer_id) {
            (Some(tag), _) => EndpointKind::ElasticIp(EndpointElasticIp { tag: tag.clone() }),
            (None, Some(id)) => EndpointKind::EquinixLoadBalancer(EndpointLoadBalancer { id: id.clone() }),
            (None, None) => return None,
        };
        let health_check = HealthCheck { use_host_ip: self.eip_health_check_use_host_ip, ..HealthCheck::default() };
        Some(ControlPlaneEndpoint { kind, api_server_port: self.api_server_port, health_check })
    }
}

fn kind_of(setting: &BackendSetting) -> LoadBalancerKind {
    match setting {
        BackendSetting::KubeVip => LoadBalancerKind::KubeVip(KubeVip {}),
        BackendSetting::Empty => LoadBalancerKind::None(NoneKind {}),
        BackendSetting::Emlb { metro } => {
            LoadBalancerKind::EquinixLoadBalancer(EquinixLoadBalancer { metro: Some(metro.clone()) })
        }
        BackendSetting::MetalLbConfigMap { namespace, name } => LoadBalancerKind::MetalLb(MetalLb {
            namespace: namespace.clone(),
            config: MetalLbConfig::ConfigMap,
            config_map_name: Some(name.clone()),
        }),
        BackendSetting::MetalLbCustomResources { namespace } => LoadBalancerKind::MetalLb(MetalLb {
            namespace: namespace.clone(),
            config: MetalLbConfig::CustomResources,
            config_map_name: None,
        }),
    }
}

fn names_of(annotations: &BgpAnnotations) -> BgpAnnotationNames {
    let names = annotations.clone();
    BgpAnnotationNames {
        local_asn: names.node_asn,
        peer_asn: names.peer_asn,
        peer_ip: names.peer_ip,
        src_ip: names.src_ip,
        bgp_pass: names.bgp_pass,
        network_ipv4_private: names.network_ipv4_private,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use crate::settings::load;

    fn policy(pairs: &[(&str, &str)]) -> String {
        let mut environment: std::collections::BTreeMap<String, String> =
            [("METAL_API_KEY", "k3y"), ("METAL_PROJECT_ID", "p")].map(|(k, v)| (k.into(), v.into())).into();
        environment.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        load(&environment, None).unwrap().policy().to_yaml()
    }

    #[test]
    fn kv_01_none_01_the_settings_of_the_original_become_one_policy_without_secrets() {
        let yaml = policy(&[
            ("METAL_LOAD_BALANCER", "kube-vip://"),
            ("METAL_METRO_NAME", "da"),
            ("METAL_FACILITY_NAME", "da11"),
            ("METAL_BGP_PASS", "s3cret"),
            ("METAL_LOCAL_ASN", "64512"),
            ("METAL_BGP_NODE_SELECTOR", "bgp=yes"),
        ]);
        for expected in
            ["kubeVip", "metro: da", "localASN: 64512", "env: METAL_BGP_PASS", "key: bgp", "loadBalancer: default"]
        {
            assert!(yaml.contains(expected), "{expected} in\n{yaml}");
        }
        assert!(!yaml.contains("s3cret") && !yaml.contains("k3y") && !yaml.contains("da11"), "{yaml}");
    }

    #[test]
    fn none_04_without_a_backend_no_service_is_served() {
        let yaml = policy(&[("METAL_METRO_NAME", "da")]);
        assert!(!yaml.contains("loadBalancers") && !yaml.contains("default:"), "{yaml}");
    }

    #[test]
    fn lb_08_the_metro_comes_before_the_facility() {
        let place = |pairs: &[(&str, &str)]| {
            let mut all = vec![("METAL_LOAD_BALANCER", "empty://")];
            all.extend(pairs);
            let yaml = policy(&all);
            let is_place = |line: &&str| line.contains("metro: ") || line.contains("facility: ");
            yaml.lines().map(str::trim).filter(is_place).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(place(&[("METAL_METRO_NAME", "da"), ("METAL_FACILITY_NAME", "sv15")]), ["metro: da"]);
        assert_eq!(place(&[("METAL_FACILITY_NAME", "sv15")]), ["facility: sv15"]);
        assert_eq!(place(&[]), Vec::<String>::new());
    }
}

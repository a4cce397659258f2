//! `--feature-gates`: known gates are accepted, none changes what this program does.

use super::OptionFault;

/// Gates of the Go cloud controller managers of Kubernetes 1.34 to 1.37, which manifests may set.
const KNOWN: &[&str] = &[
    "APIResponseCompression",
    "APIServerIdentity",
    "APIServerTracing",
    "APIServingWithRoutine",
    "AllAlpha",
    "AllBeta",
    "AllowParsingUserUIDFromCertAuth",
    "AllowUnsafeMalformedObjectDeletion",
    "AnonymousAuthConfigurableEndpoints",
    "AuthorizeWithSelectors",
    "BtreeWatchCache",
    "CBORServingAndStorage",
    "CloudControllerManagerWatchBasedRoutesReconciliation",
    "CloudControllerManagerWebhook",
    "ComponentFlagz",
    "ComponentStatusz",
    "ConcurrentWatchObjectDecode",
    "ConsistentListFromCache",
    "ConstrainedImpersonation",
    "ContextualLogging",
    "ControllerManagerReleaseLeaderElectionLockOnExit",
    "CoordinatedLeaderElection",
    "DeclarativeValidation",
    "DeclarativeValidationBeta",
    "DeclarativeValidationTakeover",
    "DetectCacheInconsistency",
    "KMSv1",
    "ListFromCacheSnapshot",
    "LoggingAlphaOptions",
    "LoggingBetaOptions",
    "ManifestBasedAdmissionControlConfig",
    "MutatingAdmissionPolicy",
    "NativeHistograms",
    "OpenAPIEnums",
    "OrderedNamespaceDeletion",
    "RemoteRequestHeaderUID",
    "ResilientWatchCacheInitialization",
    "RetryGenerateName",
    "ShardedListAndWatch",
    "SizeBasedListCostEstimate",
    "StorageVersionAPI",
    "StorageVersionHash",
    "StreamingCollectionEncodingToJSON",
    "StreamingCollectionEncodingToProtobuf",
    "StrictCostEnforcementForVAP",
    "StrictCostEnforcementForWebhooks",
    "StructuredAuthenticationConfiguration",
    "StructuredAuthenticationConfigurationEgressSelector",
    "StructuredAuthenticationConfigurationJWKSMetrics",
    "StructuredAuthorizationConfiguration",
    "TokenRequestServiceAccountUIDValidation",
    "UnauthenticatedHTTP2DOSMitigation",
    "UnknownVersionInteroperabilityProxy",
    "WatchCacheInitializationPostStartHook",
    "WatchFromStorageWithoutResourceVersion",
    "WatchList",
    "ZeroLimitedNominalConcurrencyShares",
];

/// Checks `NAME=BOOL` items; the faults name every unknown gate and every bad value.
pub(super) fn check(gates: &[String]) -> Vec<OptionFault> {
    gates.iter().filter(|gate| !gate.trim().is_empty()).filter_map(|gate| fault(gate)).collect()
}

fn fault(gate: &str) -> Option<OptionFault> {
    let fault = |message| Some(OptionFault::new("feature-gates", message));
    let Some((name, value)) = gate.split_once('=') else {
        return fault(format!("{gate:?} lacks its value: expected {gate}=true or {gate}=false"));
    };
    let (name, value) = (name.trim(), value.trim());
    if !KNOWN.contains(&name) {
        return fault(format!("there is no feature gate {name:?}"));
    }
    match value.parse::<super::syntax::Switch>() {
        Ok(_) => None,
        Err(error) => fault(format!("{name} cannot be {value:?}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    #[test]
    fn app_13_gates_are_known_or_refused() {
        let rows: [(&str, &[&str]); 5] = [
            ("", &[]),
            ("CloudControllerManagerWebhook=false,CloudControllerManagerWatchBasedRoutesReconciliation=true", &[]),
            ("AllAlpha=true, AllBeta=F", &[]),
            (
                "Bogus=true,AllAlpha",
                &[
                    "--feature-gates: there is no feature gate \"Bogus\"",
                    "--feature-gates: \"AllAlpha\" lacks its value: expected AllAlpha=true or AllAlpha=false",
                ],
            ),
            ("AllAlpha=yes", &["--feature-gates: AllAlpha cannot be \"yes\": expected true or false"]),
        ];
        for (flag, expected) in rows {
            let gates: Vec<_> = flag.split(',').map(str::to_string).collect();
            let faults: Vec<_> = super::check(&gates).iter().map(ToString::to_string).collect();
            assert_eq!(faults, expected, "{flag:?}");
        }
    }
}

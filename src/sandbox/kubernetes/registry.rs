//! The resources that are served: one table of built-in ones, and those that CustomResourceDefinitions add.

use std::sync::{Arc, PoisonError, RwLock};

use super::structural::Structural;

/// One served resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resource {
    /// API group; empty for the core group.
    pub(crate) group: String,
    /// Version of the group.
    pub(crate) version: String,
    /// Name in paths.
    pub(crate) plural: String,
    /// Name in discovery.
    pub(crate) singular: String,
    /// Kind of the objects.
    pub(crate) kind: String,
    /// Kind of the list.
    pub(crate) list_kind: String,
    /// Aliases that kubectl takes.
    pub(crate) short_names: Vec<String>,
    /// Groups of resources that kubectl takes, such as `all`.
    pub(crate) categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub(crate) scope: Scope,
    /// What may be done.
    pub(crate) verbs: Verbs,
    /// Parts with a path of their own.
    pub(crate) subresources: Vec<Subresource>,
    /// OpenAPI name of the type.
    pub(crate) schema: String,
    /// Rules beyond the generic ones.
    pub(crate) rules: Rules,
    /// The collection that holds the objects, shared by both groups of events.
    pub(crate) collection: Collection,
    /// What a CustomResourceDefinition says of the objects.
    pub(crate) custom: Option<Arc<CustomType>>,
}

/// What a CustomResourceDefinition says of its objects.
#[derive(Debug, PartialEq)]
pub(crate) struct CustomType {
    /// Their schema.
    pub(crate) schema: Structural,
    /// The columns of their table, without the name.
    pub(crate) columns: Vec<PrinterColumn>,
}

/// A column of a table of custom objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrinterColumn {
    /// The title.
    pub(crate) name: String,
    /// The declared type, such as `string` or `date`.
    pub(crate) kind: String,
    /// Where the value is: a dotted path such as `.spec.auto`.
    pub(crate) path: String,
    /// 0 is always shown.
    pub(crate) priority: i64,
}

/// Name of a stored collection: group and plural.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Collection {
    /// API group.
    pub(crate) group: String,
    /// Plural name.
    pub(crate) plural: String,
}

/// Whether objects live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One for the whole cluster.
    Cluster,
    /// One namespace each.
    Namespaced,
}

/// What may be done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbs {
    /// All of them.
    All,
    /// All but deletecollection.
    NoDeleteCollection,
    /// A question that is answered and not stored.
    CreateOnly,
}

/// A part of an object with a path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subresource {
    /// `status`.
    Status,
    /// `finalize` of a namespace.
    Finalize,
    /// `token` of a service account.
    Token,
}

/// Which resource-specific rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Only the generic ones.
    Generic,
    /// v1 Namespace.
    Namespace,
    /// v1 Node.
    Node,
    /// v1 Service.
    Service,
    /// v1 ConfigMap.
    ConfigMap,
    /// v1 Secret.
    Secret,
    /// v1 Event and events.k8s.io/v1 Event.
    Event,
    /// v1 Pod.
    Pod,
    /// coordination.k8s.io/v1 Lease.
    Lease,
    /// discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice,
    /// apiextensions.k8s.io/v1 CustomResourceDefinition.
    CustomResourceDefinition,
    /// An object whose kind a CustomResourceDefinition declares.
    CustomResource,
    /// A question about a token or a right.
    Review,
}

impl Resource {
    /// `services` or `leases.coordination.k8s.io`, as messages name it.
    pub(crate) fn qualified(&self) -> String {
        match self.group.is_empty() {
            true => self.plural.clone(),
            false => format!("{}.{}", self.plural, self.group),
        }
    }

    /// `v1` or `coordination.k8s.io/v1`.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Whether objects live in namespaces.
    pub(crate) fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// Whether `metadata.generation` counts changes of the spec.
    pub(crate) fn counts_generation(&self) -> bool {
        matches!(
            self.rules,
            Rules::CustomResource | Rules::CustomResourceDefinition | Rules::EndpointSlice | Rules::Pod
        )
    }

    /// Whether PUT of an absent object creates it.
    pub(crate) fn creates_on_update(&self) -> bool {
        match self.rules {
            Rules::Service | Rules::Event | Rules::Lease => true,
            Rules::Generic => self.plural == "endpoints",
            _ => false,
        }
    }

    /// Whether PUT without a resourceVersion overwrites.
    pub(crate) fn updates_unconditionally(&self) -> bool {
        !matches!(self.rules, Rules::Lease | Rules::CustomResource | Rules::CustomResourceDefinition)
    }
}

impl Subresource {
    /// Name in paths.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Finalize => "finalize",
            Self::Token => "token",
        }
    }

    /// The verbs that discovery lists.
    pub(crate) fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Status => &["get", "patch", "update"],
            Self::Finalize => &["update"],
            Self::Token => &["create"],
        }
    }
}

impl Verbs {
    /// The verbs that discovery lists.
    pub(crate) fn listed(self) -> &'static [&'static str] {
        match self {
            Self::All => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            Self::NoDeleteCollection => &["create", "delete", "get", "list", "patch", "update", "watch"],
            Self::CreateOnly => &["create"],
        }
    }

    /// Whether the verb is offered.
    pub(crate) fn offers(self, verb: &str) -> bool {
        self.listed().contains(&verb)
    }
}

/// `v1` or `group/version`.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    match group.is_empty() {
        true => version.to_owned(),
        false => format!("{group}/{version}"),
    }
}

/// The served resources.
#[derive(Debug)]
pub(crate) struct Registry {
    resources: RwLock<Vec<Arc<Resource>>>,
}

impl Registry {
    /// The built-in resources.
    pub(crate) fn built_in() -> Self {
        Self { resources: RwLock::new(built_in().into_iter().map(Arc::new).collect()) }
    }

    /// Everything served now, in discovery order.
    pub(crate) fn all(&self) -> Vec<Arc<Resource>> {
        self.resources.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The resource of a path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let resources = self.resources.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = |r: &&Arc<Resource>| r.plural == plural && r.group == group && r.version == version;
        resources.iter().find(wanted).cloned()
    }

    /// The resource of that plural name, in whatever group; the core group first.
    pub(crate) fn find_plural(&self, plural: &str) -> Option<Arc<Resource>> {
        let resources = self.resources.read().unwrap_or_else(PoisonError::into_inner);
        resources.iter().find(|resource| resource.plural == plural).cloned()
    }

    /// Serves these resources in place of all others of the same group and plural.
    pub(crate) fn serve(&self, group: &str, plural: &str, versions: Vec<Resource>) {
        let mut resources = self.resources.write().unwrap_or_else(PoisonError::into_inner);
        resources.retain(|resource| resource.group != group || resource.plural != plural);
        resources.extend(versions.into_iter().map(Arc::new));
    }
}

struct Row {
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    categories: &'static [&'static str],
    scope: Scope,
    verbs: Verbs,
    subresources: &'static [Subresource],
    rules: Rules,
}

const CORE: &str = "";

#[rustfmt::skip]
const ROWS: &[Row] = {
    use Scope::{Cluster, Namespaced};
    use Subresource::{Finalize, Status, Token};
    use Verbs::{All, CreateOnly, NoDeleteCollection};
    &[
        Row { group: CORE, plural: "configmaps", kind: "ConfigMap", short: &["cm"], categories: &[], scope: Namespaced, verbs: All, subresources: &[], rules: Rules::ConfigMap },
        Row { group: CORE, plural: "endpoints", kind: "Endpoints", short: &["ep"], categories: &[], scope: Namespaced, verbs: All, subresources: &[], rules: Rules::Generic },
        Row { group: CORE, plural: "events", kind: "Event", short: &["ev"], categories: &[], scope: Namespaced, verbs: All, subresources: &[], rules: Rules::Event },
        Row { group: CORE, plural: "namespaces", kind: "Namespace", short: &["ns"], categories: &[], scope: Cluster, verbs: NoDeleteCollection, subresources: &[Finalize, Status], rules: Rules::Namespace },
        Row { group: CORE, plural: "nodes", kind: "Node", short: &["no"], categories: &[], scope: Cluster, verbs: All, subresources: &[Status], rules: Rules::Node },
        Row { group: CORE, plural: "pods", kind: "Pod", short: &["po"], categories: &["all"], scope: Namespaced, verbs: All, subresources: &[Status], rules: Rules::Pod },
        Row { group: CORE, plural: "secrets", kind: "Secret", short: &[], categories: &[], scope: Namespaced, verbs: All, subresources: &[], rules: Rules::Secret },
        Row { group: CORE, plural: "serviceaccounts", kind: "ServiceAccount", short: &["sa"], categories: &[], scope: Namespaced, verbs: All, subresources: &[Token], rules: Rules::Generic },
        Row { group: CORE, plural: "services", kind: "Service", short: &["svc"], categories: &["all"], scope: Namespaced, verbs: All, subresources: &[Status], rules: Rules::Service },
        Row { group: "events.k8s.io", plural: "events", kind: "Event", short: &["ev"], categories: &[], scope: Namespaced, verbs: All, subresources: &[], rules: Rules::Event },
        Row { group: "authentication.k8s.io", plural: "selfsubjectreviews", kind: "SelfSubjectReview", short: &[], categories: &[], scope: Cluster, verbs: CreateOnly, subresources: &[], rules: Rules::Review },
        Row { group: "authentication.k8s.io", plural: "tokenreviews", kind: "TokenReview", short: &[], categories: &[], scope: Cluster, verbs: CreateOnly, subresources: &[], rules: Rules::Review },
        Row { group: "authorization.k8s.io", plural: "selfsubjectaccessreviews", kind: "SelfSubjectAccessReview", short: &[], categories: &[], scope: Cluster, verbs: CreateOnly, subresources: &[], rules: Rules::Review },
        Row { group: "authorization.k8s.io", plural: "subjectaccessreviews", kind: "SubjectAccessReview", short: &[], categories: &[], scope: Cluster, verbs: CreateOnly, subresources: &[], rules: Rules::Review },
        Row { group: "apiextensions.k8s.io", plural: "customresourcedefinitions", kind: "CustomResourceDefinition", short: &["crd", "crds"], categories: &["api-extensions"], scope: Cluster, verbs: All, subresources: &[Status], rules: Rules::CustomResourceDefinition },
        Row { group: "coordination.k8s.io", plural: "leases", kind: "Lease", short: &[], categories: &[], scope: Namespaced, verbs: All, subresources: &[], rules: Rules::Lease },
        Row { group: "discovery.k8s.io", plural: "endpointslices", kind: "EndpointSlice", short: &[], categories: &[], scope: Namespaced, verbs: All, subresources: &[], rules: Rules::EndpointSlice },
    ]
};

fn built_in() -> Vec<Resource> {
    ROWS.iter().map(resource_of).collect()
}

fn resource_of(row: &Row) -> Resource {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let stored_group = if row.group == "events.k8s.io" { CORE } else { row.group };
    Resource {
        group: row.group.to_owned(),
        version: "v1".to_owned(),
        plural: row.plural.to_owned(),
        singular: row.kind.to_lowercase(),
        kind: row.kind.to_owned(),
        list_kind: format!("{}List", row.kind),
        short_names: owned(row.short),
        categories: owned(row.categories),
        scope: row.scope,
        verbs: row.verbs,
        subresources: row.subresources.to_vec(),
        schema: schema_name(row.group, row.kind),
        rules: row.rules,
        collection: Collection { group: stored_group.to_owned(), plural: row.plural.to_owned() },
        custom: None,
    }
}

fn schema_name(group: &str, kind: &str) -> String {
    if group == "apiextensions.k8s.io" {
        return format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.{kind}");
    }
    let package = match group.split('.').next() {
        None | Some("") => "core",
        Some(package) => package,
    };
    format!("io.k8s.api.{package}.v1.{kind}")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::sandbox::kubernetes::schema::SCHEMA;

    #[test]
    fn every_row_has_its_schema() {
        let named: Vec<String> = built_in().into_iter().map(|resource| resource.schema).collect();
        let known: Vec<String> = named.iter().map(|name| SCHEMA.get(name).name.clone()).collect();
        assert_eq!(known, named);
    }
}

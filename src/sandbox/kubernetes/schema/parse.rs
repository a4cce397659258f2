//! Reads the checked-in type table.

use std::collections::{BTreeMap, HashMap};

use super::{CUSTOM_RESOURCE, Field, ListKind, Omit, PatchStrategy, Scalar, Schema, Shape, TypeDef};

/// Parses the table that `generate/main.go` prints.
pub(super) fn parse(text: &str) -> Schema {
    let mut types = HashMap::new();
    let mut current: Option<TypeDef> = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(field) = line.strip_prefix("  ") {
            let (name, field) = parse_field(field);
            let owner = current.as_mut().expect("a field line follows a type line");
            owner.fields.insert(name, field);
        } else if let Some(header) = line.strip_prefix("type ") {
            types.extend(current.take().map(|done| (done.name.clone(), done)));
            let (name, atomic) = header.strip_suffix(" atomic").map_or((header, false), |name| (name, true));
            current = Some(TypeDef { name: name.to_owned(), atomic, open: false, fields: BTreeMap::new() });
        }
    }
    types.extend(current.map(|done| (done.name.clone(), done)));
    let custom = custom_resource();
    types.insert(custom.name.clone(), custom);
    Schema { types }
}

fn custom_resource() -> TypeDef {
    let fields = [
        "apiVersion string omitempty",
        "kind string omitempty",
        "metadata io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta omitempty",
    ];
    let fields = fields.into_iter().map(parse_field).collect();
    TypeDef { name: CUSTOM_RESOURCE.to_owned(), atomic: false, open: true, fields }
}

fn parse_field(line: &str) -> (String, Field) {
    let mut words = line.split(' ');
    let name = words.next().expect("a field has a name").to_owned();
    let shape = words.next().expect("a field has a type");
    let (shape, pointer) = shape.strip_prefix('*').map_or((shape, false), |target| (target, true));
    let mut field = Field {
        shape: Shape::Any,
        pointer,
        omit: Omit::Never,
        atomic: false,
        patch: PatchStrategy::default(),
        merge_key: None,
        default: None,
        number: 0,
    };
    let mut list = ListKind::Atomic;
    for word in words {
        if let Some(number) = word.strip_prefix('#') {
            field.number = number.parse().expect("a field number is a number");
            continue;
        }
        match word.split_once('=') {
            None if word == "omitempty" => field.omit = Omit::Empty,
            None if word == "omitzero" => field.omit = Omit::Zero,
            None if word == "atomic" => field.atomic = true,
            Some(("list", "set")) => list = ListKind::Set,
            Some(("list", map)) => list = ListKind::Map(map_keys(map)),
            Some(("patch", strategy)) => field.patch = parse_strategy(strategy),
            Some(("key", key)) => field.merge_key = Some(key.to_owned()),
            Some(("default", json)) => field.default = serde_json::from_str(json).ok(),
            None | Some(_) => {}
        }
    }
    field.shape = parse_shape(shape, list);
    (name, field)
}

fn map_keys(text: &str) -> Vec<String> {
    let inner = text.trim_start_matches("map(").trim_end_matches(')');
    inner.split(',').map(str::to_owned).collect()
}

fn parse_strategy(text: &str) -> PatchStrategy {
    let has = |word| text.split(',').any(|part| part == word);
    PatchStrategy { merge: has("merge"), replace: has("replace"), retain_keys: has("retainKeys") }
}

fn parse_shape(text: &str, list: ListKind) -> Shape {
    if let Some(element) = text.strip_prefix("[]") {
        return Shape::List(Box::new(parse_shape(element, ListKind::Atomic)), list);
    }
    if let Some(element) = text.strip_prefix("map[]") {
        return Shape::Map(Box::new(parse_shape(element, ListKind::Atomic)));
    }
    let scalar = match text.trim_start_matches('*') {
        "any" => return Shape::Any,
        "string" => Scalar::String,
        "bool" => Scalar::Bool,
        "int32" => Scalar::Int32,
        "int64" | "int" => Scalar::Int64,
        "uint8" | "uint32" => Scalar::Unsigned,
        "float64" => Scalar::Float64,
        "bytes" => Scalar::Bytes,
        "Time" => Scalar::Time,
        "MicroTime" => Scalar::MicroTime,
        "Quantity" => Scalar::Quantity,
        "IntOrString" => Scalar::IntOrString,
        name => return Shape::Struct(name.to_owned()),
    };
    Shape::Scalar(scalar)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::super::SCHEMA;
    use super::*;

    #[test]
    fn every_reference_of_the_table_is_in_the_table() {
        fn names(shape: &Shape) -> Option<&str> {
            match shape {
                Shape::Struct(name) => Some(name),
                Shape::List(element, _) | Shape::Map(element) => names(element),
                Shape::Scalar(_) | Shape::Any => None,
            }
        }
        let fields = SCHEMA.types().flat_map(|def| def.fields.values());
        let dangling: Vec<&str> =
            fields.filter_map(|field| names(&field.shape)).filter(|name| !SCHEMA.types.contains_key(*name)).collect();
        assert_eq!(dangling, Vec::<&str>::new());
    }

    #[test]
    fn service_ports_are_keyed_by_port_and_protocol_and_patched_by_port() {
        let field = &SCHEMA.get("io.k8s.api.core.v1.ServiceSpec").fields["ports"];
        let element = Box::new(Shape::Struct("io.k8s.api.core.v1.ServicePort".to_owned()));
        let expected = Field {
            shape: Shape::List(element, ListKind::Map(vec!["port".to_owned(), "protocol".to_owned()])),
            pointer: false,
            omit: Omit::Empty,
            atomic: false,
            patch: PatchStrategy { merge: true, replace: false, retain_keys: false },
            merge_key: Some("port".to_owned()),
            default: None,
            number: 1,
        };
        assert_eq!(*field, expected);
    }
}

//! The types of expressions, and the shape of what they may refer to.

/// A type, as far as it is known before an expression runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only when the expression runs.
    Any,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Null,
    List(Box<Type>),
    /// A map with text as keys.
    Map(Box<Type>),
    Object(&'static Object),
}

/// An object with fields of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub name: &'static str,
    pub fields: &'static [(&'static str, Field)],
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Any,
    Int,
    String,
    StringList,
    StringMap,
    Object(&'static Object),
    ObjectList(&'static Object),
}

/// The variable `service`.
pub(super) static SERVICE: Object =
    Object { name: "service", fields: &[("metadata", Field::Object(&METADATA)), ("spec", Field::Object(&SPEC))] };

static METADATA: Object = Object {
    name: "service.metadata",
    fields: &[
        ("name", Field::String),
        ("namespace", Field::String),
        ("labels", Field::StringMap),
        ("annotations", Field::StringMap),
    ],
};

static SPEC: Object = Object {
    name: "service.spec",
    fields: &[
        ("type", Field::String),
        ("ports", Field::ObjectList(&PORT)),
        ("loadBalancerClass", Field::String),
        ("loadBalancerIP", Field::String),
        ("loadBalancerSourceRanges", Field::StringList),
        ("externalIPs", Field::StringList),
        ("ipFamilies", Field::StringList),
        ("externalTrafficPolicy", Field::String),
        ("healthCheckNodePort", Field::Int),
    ],
};

static PORT: Object = Object {
    name: "a port",
    fields: &[
        ("name", Field::String),
        ("protocol", Field::String),
        ("port", Field::Int),
        ("nodePort", Field::Int),
        ("targetPort", Field::Any),
        ("appProtocol", Field::String),
    ],
};

impl Type {
    pub(super) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    /// The type in words.
    pub(super) fn in_words(&self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Uint => "an unsigned number",
            Self::Double => "a fraction",
            Self::String => "text",
            Self::Bytes => "bytes",
            Self::Null => "null",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Object(object) => object.name,
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Whether values of both can be equal at all.
    pub(super) fn comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            // Anything may be compared with null.
            (Self::Null, _) | (_, Self::Null) => true,
            (Self::List(a), Self::List(b)) | (Self::Map(a), Self::Map(b)) => a.comparable(b),
            (Self::Map(_), Self::Object(_)) | (Self::Object(_), Self::Map(_)) => true,
            (a, b) => a == b || (a.is_number() && b.is_number()),
        }
    }

    /// Whether values of both have an order.
    pub(super) fn ordered(&self, other: &Self) -> bool {
        let orderable =
            |one: &Self| one.is_number() || matches!(one, Self::Any | Self::String | Self::Bytes | Self::Bool);
        orderable(self) && orderable(other) && self.comparable(other)
    }
}

impl From<Field> for Type {
    fn from(field: Field) -> Self {
        match field {
            Field::Any => Self::Any,
            Field::Int => Self::Int,
            Field::String => Self::String,
            Field::StringList => Self::list(Self::String),
            Field::StringMap => Self::Map(Box::new(Self::String)),
            Field::Object(object) => Self::Object(object),
            Field::ObjectList(object) => Self::list(Self::Object(object)),
        }
    }
}

//! `spec.providerID` of a Node.

use std::fmt;
use std::str::FromStr;

use super::DeviceId;

/// The scheme that this provider writes.
pub const PROVIDER_NAME: &str = "equinixmetal";
/// The scheme of the product's earlier name; read, never written.
pub const LEGACY_PROVIDER_NAME: &str = "packet";

/// A provider ID of a Metal device. Always shown as `equinixmetal://<device id>`, however it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProviderId(DeviceId);

/// Why a text is no provider ID of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderIdError {
    /// The Node has none yet.
    #[error("providerID cannot be empty")]
    Empty,
    /// Another cloud's Node, in a hybrid cluster.
    #[error("provider name from providerID should be equinixmetal: {0}")]
    OtherProvider(String),
    /// Neither a bare id nor `<scheme>://<id>`.
    #[error("unexpected providerID format: {0}, format should be: 'device-id' or 'equinixmetal://device-id'")]
    Format(String),
}

impl ProviderId {
    /// The provider ID of a device.
    pub fn of(device: DeviceId) -> Self {
        Self(device)
    }

    /// The device it names.
    pub fn device(&self) -> &DeviceId {
        &self.0
    }
}

impl FromStr for ProviderId {
    type Err = ProviderIdError;

    /// Reads `equinixmetal://<id>`, `packet://<id>` and a bare `<id>`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ProviderIdError::Empty);
        }
        let id = match text.split("://").collect::<Vec<_>>().as_slice() {
            [id] => *id,
            [PROVIDER_NAME | LEGACY_PROVIDER_NAME, id] => *id,
            [_, _] => return Err(ProviderIdError::OtherProvider(text.to_owned())),
            _ => return Err(ProviderIdError::Format(text.to_owned())),
        };
        // A slash would reach another path of the API.
        if id.is_empty() || id.contains(['/', '?', '#', '%', ' ']) {
            return Err(ProviderIdError::Format(text.to_owned()));
        }
        Ok(Self(DeviceId::new(id)))
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PROVIDER_NAME}://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn inst_01_02_the_three_forms_are_read_and_the_rest_is_refused() {
        let id = || Ok(ProviderId::of(DeviceId::new("d1")));
        let cases = [
            ("own scheme", "equinixmetal://d1", id()),
            ("legacy scheme", "packet://d1", id()),
            ("bare id", "d1", id()),
            ("empty", "", Err(ProviderIdError::Empty)),
            ("another cloud", "aws://d1", Err(ProviderIdError::OtherProvider("aws://d1".into()))),
            ("two separators", "packet://a://d1", Err(ProviderIdError::Format("packet://a://d1".into()))),
            ("nothing behind the scheme", "equinixmetal://", Err(ProviderIdError::Format("equinixmetal://".into()))),
            ("a path", "equinixmetal://../ips", Err(ProviderIdError::Format("equinixmetal://../ips".into()))),
        ];
        for (name, text, expected) in cases {
            assert_eq!(text.parse::<ProviderId>(), expected, "{name}");
        }
    }

    #[test]
    fn inst_08_a_legacy_id_is_written_in_the_new_form() {
        let id: ProviderId = "packet://d1".parse().expect("a legacy provider ID is read");
        assert_eq!(id.to_string(), "equinixmetal://d1");
    }
}

//! Times as the Kubernetes API writes them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The present, whole seconds, as `metav1.Time`.
pub(crate) fn now() -> String {
    whole_seconds(Timestamp::now())
}

/// `metav1.Time`: UTC, whole seconds.
pub(crate) fn whole_seconds(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `metav1.MicroTime`: UTC, microseconds.
pub(crate) fn microseconds(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

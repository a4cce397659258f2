//! How long an answer asks its reader to wait.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

const RATE_LIMIT_RESET: &str = "x-ratelimit-reset";

/// The wait that an answer names: `Retry-After` as seconds or as a date, or else `X-RateLimit-Reset` (Unix seconds).
///
/// Points in time are measured from the answer's own `Date`, so that a wrong local clock does no harm. `None` when
/// nothing readable is named or the time has passed.
pub(super) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let now = date(headers, DATE.as_str()).or_else(|| Timestamp::try_from(now).ok());
    let until = |then: Timestamp| Duration::try_from(then.duration_since(now?)).ok();
    let retry_after = || match text(headers, RETRY_AFTER.as_str())?.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => until(date(headers, RETRY_AFTER.as_str())?),
    };
    let reset = || until(Timestamp::from_second(text(headers, RATE_LIMIT_RESET)?.parse().ok()?).ok()?);
    retry_after().or_else(reset).filter(|wait| !wait.is_zero())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn date(headers: &HeaderMap, name: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text(headers, name)?).ok()?;
    Some(zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use pretty_assertions::assert_eq;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn every_form_of_a_wait_is_read() {
        let seconds = |n| Some(Duration::from_secs(n));
        type Headers = &'static [(&'static str, &'static str)];
        let cases: [(&str, Headers, Option<Duration>); 11] = [
            ("nothing", &[], None),
            ("seconds", &[("retry-after", "7")], seconds(7)),
            ("seconds with spaces", &[("retry-after", " 7 ")], seconds(7)),
            ("no time at all", &[("retry-after", "0")], None),
            ("a date, by the local clock", &[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], seconds(10)),
            (
                "a date, by the server's clock",
                &[("date", "Sun, 06 Nov 1994 08:49:17 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")],
                seconds(30),
            ),
            ("a date that has passed", &[("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT")], None),
            ("the reset time", &[("x-ratelimit-reset", "784111782")], seconds(5)),
            ("both: Retry-After counts", &[("retry-after", "3"), ("x-ratelimit-reset", "784111782")], seconds(3)),
            (
                "an unreadable one is passed over",
                &[("retry-after", "soon"), ("x-ratelimit-reset", "784111782")],
                seconds(5),
            ),
            ("a number out of range", &[("x-ratelimit-reset", "99999999999999999")], None),
        ];
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (name, headers, expected) in cases {
            let headers =
                headers.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect();
            assert_eq!(asked(&headers, now), expected, "{name}");
        }
    }
}

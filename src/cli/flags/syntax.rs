//! How Go programs read flags: booleans, durations, and `_` for `-` in names.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::ValueParser;
use clap::{Arg, Command};

/// A boolean flag: bare, or with one of Go's words for true and false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `1 t T TRUE true True`, or the bare flag.
    On,
    /// `0 f F FALSE false False`.
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
        }
    }
}

impl FromStr for Switch {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Self::On),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Self::Off),
            _ => Err(SyntaxError::NotBoolean),
        }
    }
}

/// A flag's value that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Not one of Go's words.
    #[error("expected true or false")]
    NotBoolean,
    /// Not a Go duration.
    #[error("expected a duration such as 10s, 1m30s or 500ms")]
    NotDuration,
    /// A bare number.
    #[error("the unit is missing: expected a duration such as 10s, 1m30s or 500ms")]
    UnitMissing,
    /// Below zero.
    #[error("a duration here cannot be negative")]
    NegativeDuration,
    /// More than Go can hold, 292 years.
    #[error("the duration is too long")]
    DurationTooLong,
}

/// Reads a duration as Go writes it: `300ms`, `1.5h`, `2h45m`, `0`.
///
/// # Errors
/// Says what is wrong with the text; negative durations are refused.
pub fn duration(text: &str) -> Result<Duration, SyntaxError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let nanos = if unsigned == "0" { 0 } else { nanoseconds(unsigned)? };
    if text.starts_with('-') && nanos > 0 {
        return Err(SyntaxError::NegativeDuration);
    }
    let nanos = i64::try_from(nanos).map_err(|_| SyntaxError::DurationTooLong)?;
    Ok(Duration::from_nanos(nanos.unsigned_abs()))
}

/// Makes every flag of a command behave as in Go programs: the last of several wins, a boolean needs no value, and any
/// other flag takes the next argument whatever it looks like.
pub fn go_flags(command: Command) -> Command {
    let switch = ValueParser::from(Switch::from_str).type_id();
    command.args_override_self(true).mut_args(|arg| {
        if arg.get_value_parser().type_id() == switch {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
        } else if arg.get_action().takes_values() && !arg.is_positional() && !arg.is_require_equals_set() {
            arg.allow_hyphen_values(true)
        } else {
            arg
        }
    })
}

/// Writes `-` for `_` in the names of flags; values, and all that follows `--`, stay as they are.
pub fn normalise(arguments: impl IntoIterator<Item = OsString>, command: &Command) -> Vec<OsString> {
    let mut rest = arguments.into_iter();
    let mut normal = Vec::new();
    let mut in_force = command;
    while let Some(argument) = rest.next() {
        let Some(text) = argument.to_str() else {
            normal.push(argument);
            continue;
        };
        if text == "--" {
            normal.push(argument);
            break;
        }
        if let Some(subcommand) = in_force.find_subcommand(text) {
            in_force = subcommand;
        }
        let takes_next = match text.strip_prefix("--") {
            Some(flag) => {
                let (name, value) = match flag.split_once('=') {
                    Some((name, value)) => (name.replace('_', "-"), Some(value)),
                    None => (flag.replace('_', "-"), None),
                };
                normal.push(value.map_or_else(|| format!("--{name}"), |value| format!("--{name}={value}")).into());
                value.is_none() && takes_separate_value(in_force, |arg| arg.get_long() == Some(name.as_str()))
            }
            None => {
                let short = text.strip_prefix('-').and_then(|short| short.parse::<char>().ok());
                let takes_next =
                    short.is_some_and(|s| takes_separate_value(in_force, |arg| arg.get_short() == Some(s)));
                normal.push(argument);
                takes_next
            }
        };
        if takes_next {
            normal.extend(rest.next());
        }
    }
    normal.extend(rest);
    normal
}

/// What to say of a bare boolean flag with its value as an argument of its own, which no flag parser of Go takes either.
pub fn detached_value(arguments: &[OsString], command: &Command) -> Option<String> {
    let switch = ValueParser::from(Switch::from_str).type_id();
    arguments.windows(2).find_map(|pair| {
        let (flag, value) = (pair[0].to_str()?.strip_prefix("--")?, pair[1].to_str()?);
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag))?;
        (arg.get_value_parser().type_id() == switch && value.parse::<Switch>().is_ok())
            .then(|| format!("unexpected argument '{value}': write --{flag}={value}"))
    })
}

fn takes_separate_value(command: &Command, is_it: impl Fn(&Arg) -> bool) -> bool {
    command
        .get_arguments()
        .find(|arg| is_it(arg))
        .is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}

fn nanoseconds(mut text: &str) -> Result<u128, SyntaxError> {
    let mut total: u128 = 0;
    if text.is_empty() {
        return Err(SyntaxError::NotDuration);
    }
    while !text.is_empty() {
        let whole = leading_digits(text);
        let after_whole = &text[whole.len()..];
        let fraction = after_whole.strip_prefix('.').map_or("", leading_digits);
        let after = after_whole.strip_prefix('.').map_or(after_whole, |rest| &rest[fraction.len()..]);
        if whole.is_empty() && fraction.is_empty() {
            return Err(SyntaxError::NotDuration);
        }
        let (unit, scale) = leading_unit(after)?;
        text = &after[unit.len()..];
        let whole: u128 =
            if whole.is_empty() { Ok(0) } else { whole.parse() }.map_err(|_| SyntaxError::DurationTooLong)?;
        let whole = whole.checked_mul(scale).ok_or(SyntaxError::DurationTooLong)?;
        total = total.checked_add(whole + fraction_of(fraction, scale)).ok_or(SyntaxError::DurationTooLong)?;
    }
    Ok(total)
}

fn leading_digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

fn leading_unit(text: &str) -> Result<(&'static str, u128), SyntaxError> {
    const UNITS: [(&str, u128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60 * 1_000_000_000),
        ("h", 3_600 * 1_000_000_000),
    ];
    if text.is_empty() {
        return Err(SyntaxError::UnitMissing);
    }
    UNITS.into_iter().find(|(unit, _)| text.starts_with(unit)).ok_or(SyntaxError::NotDuration)
}

/// What is below a nanosecond is dropped, as Go does; so are digits that no unit can make a nanosecond of.
fn fraction_of(digits: &str, scale: u128) -> u128 {
    let (value, places) = digits
        .bytes()
        .take(15)
        .fold((0, 1), |(value, places), digit| (value * 10 + u128::from(digit - b'0'), places * 10));
    value * scale / places
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::{Switch, SyntaxError, duration};

    #[test]
    fn app_01_durations_are_written_as_in_go() {
        let ns = Duration::from_nanos;
        let rows = [
            ("0", Ok(ns(0))),
            ("0s", Ok(ns(0))),
            ("-0s", Ok(ns(0))),
            ("5s", Ok(Duration::from_secs(5))),
            ("+5s", Ok(Duration::from_secs(5))),
            ("1m30s", Ok(Duration::from_secs(90))),
            ("12h0m0s", Ok(Duration::from_secs(43_200))),
            ("1.5h", Ok(Duration::from_secs(5_400))),
            (".5s", Ok(Duration::from_millis(500))),
            ("1.s", Ok(Duration::from_secs(1))),
            ("300ms", Ok(Duration::from_millis(300))),
            ("2us", Ok(ns(2_000))),
            ("2µs", Ok(ns(2_000))),
            ("2μs", Ok(ns(2_000))),
            ("7ns", Ok(ns(7))),
            ("1h2m3s4ms5us6ns", Ok(ns(3_723_004_005_006))),
            ("0.100000000000000000000h", Ok(Duration::from_secs(360))),
            ("-1s", Err(SyntaxError::NegativeDuration)),
            ("", Err(SyntaxError::NotDuration)),
            ("-", Err(SyntaxError::NotDuration)),
            ("s", Err(SyntaxError::NotDuration)),
            (".s", Err(SyntaxError::NotDuration)),
            ("5", Err(SyntaxError::UnitMissing)),
            ("1m5", Err(SyntaxError::UnitMissing)),
            ("5 s", Err(SyntaxError::NotDuration)),
            ("5d", Err(SyntaxError::NotDuration)),
            ("300y", Err(SyntaxError::NotDuration)),
            ("9999999h", Err(SyntaxError::DurationTooLong)),
            ("99999999999999999999999999999999999999999999s", Err(SyntaxError::DurationTooLong)),
        ];
        for (text, expected) in rows {
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn app_01_booleans_are_written_as_in_go() {
        for word in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(word.parse(), Ok(Switch::On), "{word}");
        }
        for word in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(word.parse(), Ok(Switch::Off), "{word}");
        }
        for word in ["", "yes", "tRUE", "on", " true"] {
            assert_eq!(word.parse::<Switch>(), Err(SyntaxError::NotBoolean), "{word:?}");
        }
    }
}

//! `resource.Quantity` in its canonical form.

/// The text is no quantity.
pub(super) const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Powers of 1024.
    Binary,
    /// Powers of 1000, with letters.
    Decimal,
    /// Powers of 1000, as exponents.
    Exponent,
}

/// The canonical form of a quantity: `1000m` is `1`, `1024Mi` is `1Gi`; nothing when the text is none.
///
/// Digits beyond nano, and numbers beyond 10^30, are left as they were written.
pub(super) fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    let number_end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    let (factor, format) = factor(suffix)?;
    let (mantissa, exponent) = decimal(number)?;
    let shown = match factor {
        Factor::Binary(power) => binary(mantissa, exponent, power),
        Factor::Ten(power) => ten(mantissa, exponent + power, format),
    };
    Some(shown.unwrap_or_else(|| text.to_owned()))
}

enum Factor {
    Binary(u32),
    Ten(i32),
}

fn factor(suffix: &str) -> Option<(Factor, Format)> {
    let power = |letters: &[&str]| letters.iter().position(|letter| *letter == suffix);
    if let Some(index) = power(&["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) {
        return Some((Factor::Binary(u32::try_from(index).ok()? + 1), Format::Binary));
    }
    if let Some(index) = power(&["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]) {
        return Some((Factor::Ten(i32::try_from(index).ok()? * 3 - 9), Format::Decimal));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Factor::Ten(exponent), Format::Exponent))
}

/// A decimal number as mantissa and power of ten.
fn decimal(number: &str) -> Option<(i128, i32)> {
    let digits = number.trim_start_matches(['+', '-']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty())
        || number.len() - digits.len() > 1
        || fraction.contains(['.', '+', '-'])
    {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let sign = if number.starts_with('-') { -1 } else { 1 };
    Some((sign * mantissa, -i32::try_from(fraction.len()).ok()?))
}

fn binary(mantissa: i128, exponent: i32, power: u32) -> Option<String> {
    let scaled = mantissa.checked_mul(1024_i128.checked_pow(power)?)?;
    let divisor = 10_i128.checked_pow(exponent.unsigned_abs())?;
    let mut value = scaled / divisor;
    if scaled % divisor != 0 && scaled > 0 {
        value += 1;
    }
    if value.abs() < 1024 {
        return ten(value, 0, Format::Decimal);
    }
    let mut power = 0;
    while value % 1024 == 0 && power < 6 {
        value /= 1024;
        power += 1;
    }
    Some(format!("{value}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]))
}

fn ten(mut mantissa: i128, mut exponent: i32, format: Format) -> Option<String> {
    if mantissa == 0 {
        return Some("0".to_owned());
    }
    while mantissa % 10 == 0 {
        mantissa /= 10;
        exponent += 1;
    }
    while exponent.rem_euclid(3) != 0 {
        mantissa = mantissa.checked_mul(10)?;
        exponent -= 1;
    }
    let suffix = match format {
        Format::Exponent if exponent == 0 => String::new(),
        Format::Exponent => format!("e{exponent}"),
        Format::Decimal | Format::Binary => {
            let index = usize::try_from(exponent / 3 + 3).ok()?;
            (*["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].get(index)?).to_owned()
        }
    };
    Some(format!("{mantissa}{suffix}"))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn quantities_have_one_form() {
        let rows: &[(&str, Option<&str>)] = &[
            ("1", Some("1")),
            ("1000m", Some("1")),
            ("1500m", Some("1500m")),
            ("0.5", Some("500m")),
            ("1024Mi", Some("1Gi")),
            ("1536Mi", Some("1536Mi")),
            ("512Ki", Some("512Ki")),
            ("1000Ki", Some("1000Ki")),
            ("1e3", Some("1e3")),
            ("1000", Some("1k")),
            ("110", Some("110")),
            ("32986188Ki", Some("32986188Ki")),
            ("-1", Some("-1")),
            ("0", Some("0")),
            ("foo", None),
            ("", None),
            ("1.2.3", None),
            ("1Xi", None),
        ];
        for (text, expected) in rows {
            assert_eq!(canonical(text).as_deref(), *expected, "{text}");
        }
    }
}

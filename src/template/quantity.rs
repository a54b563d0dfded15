//! Quantities: API servers write `1000m` as `1` and `1024Mi` as `1Gi`, so only the value counts.

use serde_json::Value;

const BINARY: &[&str] = &["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: &[(&str, i32)] = &[
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// A quantity in one form for each value; what is none stays as it is.
pub(super) fn plain(value: Value) -> Value {
    let text = match &value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return value,
    };
    match parse(&text) {
        Some((number, power)) => Value::String(format!("{number}e{power}")),
        None => value,
    }
}

/// A whole number and the power of ten that it is multiplied by.
fn parse(text: &str) -> Option<(i128, i32)> {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (number, suffix) = rest.split_at(rest.find(|c| !digits(c)).unwrap_or(rest.len()));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let written: i128 = format!("{whole}{fraction}").parse().ok()?;
    let shift = i32::try_from(fraction.len()).ok()?;
    let (factor, power) = scale(suffix)?;
    let mut number = written.checked_mul(factor)?.checked_mul(sign)?;
    let mut power = power - shift;
    while number != 0 && number % 10 == 0 {
        (number, power) = (number / 10, power + 1);
    }
    Some((number, if number == 0 { 0 } else { power }))
}

/// What a suffix multiplies by: a factor, and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    if let Some(at) = BINARY.iter().position(|one| *one == suffix) {
        let shift = 10 * (at + 1);
        return Some((1_i128 << shift, 0));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(one, _)| *one == suffix) {
        return Some((1, *power));
    }
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (power.abs() <= 30).then_some((1, power))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_value_has_one_form() {
        let same = [
            [json!("1000m"), json!("1"), json!(1)],
            [json!("0.5"), json!("500m"), json!(0.5)],
            [json!("1024Mi"), json!("1Gi"), json!(1_073_741_824)],
            [json!("1e3"), json!("1k"), json!("1000")],
            [json!("0"), json!("0m"), json!("0Gi")],
        ];
        for [one, other, third] in same {
            assert_eq!(plain(one.clone()), plain(other), "{one}");
            assert_eq!(plain(one.clone()), plain(third), "{one}");
        }
        assert_ne!(plain(json!("1G")), plain(json!("1Gi")));
        assert_ne!(plain(json!("-1")), plain(json!("1")));
    }

    #[test]
    fn what_is_no_quantity_stays_as_it_is() {
        for odd in [
            json!("much"),
            json!(""),
            json!("1.2.3"),
            json!("1Xi"),
            json!([1]),
        ] {
            assert_eq!(plain(odd.clone()), odd);
        }
    }
}

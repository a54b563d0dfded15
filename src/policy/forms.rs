//! Durations, percentages, sizes and numbers: from what people write to what it means, and back.

use std::fmt;

use weir_core::time::Span;

use crate::api::forms::{Duration, Percent, Size};

/// Something that people write, with a meaning that can be out of bounds.
pub(super) trait Form: fmt::Display {
    /// What it means to the judge.
    type Meaning: PartialOrd;

    /// What it should look like, for the one who wrote something else.
    const WANT: &'static str;

    /// What it means, if anything.
    fn meaning(&self) -> Option<Self::Meaning>;

    /// A meaning, as people would write it.
    fn show(meaning: &Self::Meaning) -> String;
}

impl Form for Duration {
    type Meaning = Span;

    const WANT: &'static str = "a duration such as `90s` (units ms, s, m, h)";

    fn meaning(&self) -> Option<Span> {
        let (number, unit) = number_and_unit(&self.0)?;
        match unit {
            "ms" => Some(Span::from_millis(number)),
            "s" => Some(Span::from_secs(number)),
            "m" => Some(Span::from_secs(60 * number)),
            "h" => Some(Span::from_secs(3600 * number)),
            _ => None,
        }
    }

    fn show(span: &Span) -> String {
        let millis = span.as_millis();
        match millis {
            0 => "0s".to_owned(),
            _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
            _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
            _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
            _ => format!("{millis}ms"),
        }
    }
}

impl Form for Percent {
    /// A fraction of one.
    type Meaning = f64;

    const WANT: &'static str = "a percentage such as `1%` or `0.25%`";

    fn meaning(&self) -> Option<f64> {
        let number = self.0.strip_suffix('%')?;
        // Rust would read a sign, an exponent and `inf` too.
        let plain = number.starts_with(|c: char| c.is_ascii_digit())
            && number.ends_with(|c: char| c.is_ascii_digit())
            && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let percent: f64 = number.parse().ok().filter(|_| plain)?;
        Some(percent / 100.0)
    }

    fn show(share: &f64) -> String {
        // Two decimals are all that a percentage can say.
        format!("{}%", (share * 10_000.0).round() / 100.0)
    }
}

impl Form for Size {
    /// Bytes.
    type Meaning = f64;

    const WANT: &'static str = "a size such as `512Mi` (units Ki, Mi, Gi)";

    fn meaning(&self) -> Option<f64> {
        let (number, unit) = number_and_unit(&self.0)?;
        let bytes: u64 = match unit {
            "Ki" => number << 10,
            "Mi" => number << 20,
            "Gi" => number << 30,
            _ => return None,
        };
        Some(bytes as f64)
    }

    fn show(bytes: &f64) -> String {
        format!("{}Mi", (bytes / f64::from(1 << 20)).round())
    }
}

impl Form for f64 {
    type Meaning = Self;

    const WANT: &'static str = "a number";

    fn meaning(&self) -> Option<Self> {
        self.is_finite().then_some(*self)
    }

    fn show(number: &Self) -> String {
        number.to_string()
    }
}

/// A whole number of at most six digits, and what follows it.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number = digits.parse().ok().filter(|_| digits.len() <= 6)?;
    Some((number, unit))
}

//! Durations, percentages and sizes as people write them.
//!
//! Kept as text, so that an object which a newer or looser schema let in is still decoded and ends
//! in a condition, never in a watch that cannot be read. Their meaning is given by `crate::policy`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time: a whole number and one unit of `ms`, `s`, `m` or `h`, such as `90s`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("pattern" = "^[1-9][0-9]{0,4}(ms|s|m|h)$", "maxLength" = 7))]
pub struct Duration(pub String);

/// A share between `0%` and `100%`, with at most two decimals, such as `1%` or `0.25%`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("pattern" = r"^(100|[0-9]{1,2}(\.[0-9]{1,2})?)%$", "maxLength" = 6))]
pub struct Percent(pub String);

/// A number of bytes: a whole number and one unit of `Ki`, `Mi` or `Gi`, such as `512Mi`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("pattern" = "^[1-9][0-9]{0,5}(Ki|Mi|Gi)$", "maxLength" = 8))]
pub struct Size(pub String);

/// Gives a form its plain conversions to and from text.
macro_rules! text {
    ($($form:ident),+) => {$(
        impl From<&str> for $form {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl std::fmt::Display for $form {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text!(Duration, Percent, Size);

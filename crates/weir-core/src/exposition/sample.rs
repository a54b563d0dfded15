//! One line of a wanted metric becomes a [`Sample`] that borrows from it. Nothing is copied unless a
//! label's value holds an escape.
//!
//! ```text
//!  name{label="value",…} value timestamp # exemplar
//! ```

use std::borrow::Cow;

use memchr::memchr2;

use super::Oddity;

/// What separates tokens.
const BLANKS: [char; 2] = [' ', '\t'];

/// One sample, borrowed from its line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// The metric's name as it stands on the line, `_sum`, `_count` or `_bucket` included.
    pub name: &'a str,
    /// Its labels.
    pub labels: Labels<'a>,
    /// Its value; may be NaN or infinite.
    pub value: f64,
    /// The timestamp as written, if there is one: milliseconds since the Unix epoch in the text
    /// format, seconds in `OpenMetrics`; only the response's content type tells which.
    pub timestamp: Option<f64>,
}

impl<'a> Sample<'a> {
    /// Reads a line without its line end, whose name takes the first `name_end` bytes and is ASCII.
    pub(super) fn read(line: &'a [u8], name_end: usize) -> Result<Self, Oddity> {
        let line = std::str::from_utf8(line).map_err(|_| Oddity::BadUtf8)?;
        let (name, rest) = line.split_at(name_end);
        let rest = rest.trim_start_matches(BLANKS);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => Labels::take(rest).ok_or(Oddity::BadLabels)?,
            None => (Labels(""), rest),
        };
        let (value, rest) = take_token(rest);
        let value = value.parse().map_err(|_| Oddity::BadValue)?;
        let timestamp = take_timestamp(rest).ok_or(Oddity::BadTimestamp)?;
        Ok(Self {
            name,
            labels,
            value,
            timestamp,
        })
    }
}

/// The token at the front of `text`, and what follows it.
fn take_token(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(BLANKS);
    text.split_at(text.find(BLANKS).unwrap_or(text.len()))
}

/// The timestamp, if any, with an exemplar left aside. `None` if `text` is anything else.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the line was understood"
)]
fn take_timestamp(text: &str) -> Option<Option<f64>> {
    let is_end = |text: &str| text.is_empty() || text.starts_with('#');
    let text = text.trim_start_matches(BLANKS);
    if is_end(text) {
        return Some(None);
    }
    let (timestamp, rest) = take_token(text);
    let timestamp = timestamp
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())?;
    is_end(rest.trim_start_matches(BLANKS)).then_some(Some(timestamp))
}

/// The labels of a sample, checked but not yet taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels<'a>(&'a str);

impl<'a> Labels<'a> {
    /// The labels in the order in which they are written.
    #[must_use]
    pub const fn iter(self) -> LabelIter<'a> {
        LabelIter(self.0)
    }

    /// The value of the first label of that name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.iter()
            .find_map(|(label, value)| (label == name).then_some(value))
    }

    /// Takes the labels and their closing brace off the front of `text`, which follows the opening one.
    fn take(text: &'a str) -> Option<(Self, &'a str)> {
        let mut rest = text.trim_start_matches(BLANKS);
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                let inside = text.len() - rest.len();
                return Some((Self(&text[..inside]), after));
            }
            rest = Label::take(rest)?.rest;
            // A label is followed by a comma, also the last one if it likes.
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start_matches(BLANKS),
                None if rest.starts_with('}') => {}
                None => return None,
            }
        }
    }
}

impl<'a> IntoIterator for Labels<'a> {
    type Item = (&'a str, Cow<'a, str>);
    type IntoIter = LabelIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Goes over a sample's labels: their names, and their values without escapes.
#[derive(Debug, Clone)]
pub struct LabelIter<'a>(&'a str);

impl<'a> Iterator for LabelIter<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches(BLANKS);
        let Label {
            name,
            escaped,
            rest,
        } = Label::take(text)?;
        self.0 = rest.strip_prefix(',').unwrap_or(rest);
        Some((name, unescape(escaped)))
    }
}

/// One label, and the text after it and after the blanks that follow it.
struct Label<'a> {
    name: &'a str,
    escaped: &'a str,
    rest: &'a str,
}

impl<'a> Label<'a> {
    /// Takes `name="value"` off the front of `text`.
    fn take(text: &'a str) -> Option<Self> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let end = text.bytes().position(|byte| !is_name(byte))?;
        let (name, rest) = text.split_at(end);
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let rest = rest.trim_start_matches(BLANKS).strip_prefix('=')?;
        let rest = rest.trim_start_matches(BLANKS).strip_prefix('"')?;
        let end = closing_quote(rest.as_bytes())?;
        let after = rest[end + 1..].trim_start_matches(BLANKS);
        Some(Self {
            name,
            escaped: &rest[..end],
            rest: after,
        })
    }
}

/// Where the value ends that `text` begins with. `None` if it does not, or holds an escape that the
/// format does not know.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', &text[from..])?;
        if text[at] == b'"' {
            return Some(at);
        }
        if !matches!(text.get(at + 1)?, b'"' | b'\\' | b'n') {
            return None;
        }
        from = at + 2;
    }
}

/// A checked value without its escapes.
fn unescape(escaped: &str) -> Cow<'_, str> {
    if !escaped.contains('\\') {
        return Cow::Borrowed(escaped);
    }
    let mut plain = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' if chars.as_str().starts_with('n') => {
                chars.next();
                '\n'
            }
            '\\' => chars.next().unwrap_or('\\'),
            other => other,
        });
    }
    Cow::Owned(plain)
}

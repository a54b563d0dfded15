//! A line → the same without what looks like a secret, or is the value of a telling name.
//!
//! ```text
//!  password = "correct horse"   a name, what leads to its value, and the value: to the mark that ends it,
//!  └─ name ─┘└┘└─── value ───┘  to the bracket that does, else to the next blank
//!  Cookie: a=b; c=d             of a header with parts, the rest of the line
//! ```
//!
//! In doubt more is taken out than need be: a value may hold anything but what ends it.

use super::{GONE, is_header, is_secretive};

/// How well-known tokens begin.
const PREFIXES: [&str; 8] = [
    "ghp_", "gho_", "ghs_", "glpat-", "xoxb-", "xoxp-", "AKIA", "H4sI",
];
/// Ways of authorization that are told before the secret.
const SCHEMES: [&str; 3] = ["bearer", "basic", "negotiate"];
const BLANKS: [char; 2] = [' ', '\t'];
const OPENING: [char; 3] = ['(', '[', '{'];

/// One line's words and what separates them, some of it replaced.
pub(super) fn words(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if is_separator(first) {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(rest.find(is_separator).unwrap_or(rest.len()));
        kept.push_str(if is_token(word) { GONE } else { word });
        rest = match secret(word, after) {
            Some(secret) => {
                kept.push_str(&after[..secret.start]);
                kept.push_str(GONE);
                &after[secret.end..]
            }
            None => after,
        };
    }
    kept
}

/// Where in what follows a word its secret stands, if it has one.
fn secret(word: &str, after: &str) -> Option<std::ops::Range<usize>> {
    if SCHEMES
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
    {
        let value = after.trim_start_matches(BLANKS);
        let start = after.len() - value.len();
        // What credentials are written with there (RFC 9110, 11.2).
        let is_end = |c: char| !c.is_ascii_alphanumeric() && !"-._~+/=".contains(c);
        let end = value.find(is_end).unwrap_or(value.len());
        return (start > 0 && end > 0).then_some(start..start + end);
    }
    let lead = lead(word, after)?;
    if !is_secretive(word) {
        return None;
    }
    let value = &after[lead.len..];
    let (opened, len) = match mark(value) {
        Some(mark) => quoted(value, mark),
        None if is_header(word) => (0, of_header(value)),
        None => (0, unquoted(value, lead.is_key)),
    };
    Some(lead.len + opened..lead.len + opened + len)
}

/// What stands between a name and its value.
struct Lead {
    len: usize,
    /// Whether the name stood in quotation marks, as keys do in JSON.
    is_key: bool,
}

/// What leads to a value, if anything does: a sign (`token = x`, `"token": x`, `headers["token"] = x`), a blank
/// after a flag (`--token x`, `"--token", "x"`), or a comma in a pair (`("token", "x")`, `name: "token", value: "x"`).
fn lead(word: &str, after: &str) -> Option<Lead> {
    let closed = after.trim_start_matches(['\\', '"', '\'', '`']);
    let is_key = closed.len() < after.len();
    let next = closed.trim_start_matches([']', ')']);
    let next = next.trim_start_matches(BLANKS);
    let value = if next.starts_with(['=', ':']) {
        next.trim_start_matches(['=', ':', '>'])
    } else if word.starts_with('-') && next.len() < after.len() {
        next.trim_start_matches(',')
    } else if is_key {
        let pair = next.strip_prefix(',')?.trim_start_matches(BLANKS);
        let value = named_value(pair);
        value.or_else(|| mark(pair).is_some().then_some(pair))?
    } else {
        return None;
    };
    let value = value.trim_start_matches(BLANKS);
    (!value.is_empty()).then_some(Lead {
        len: after.len() - value.len(),
        is_key,
    })
}

/// What follows `value:`, with or without quotation marks around it.
fn named_value(text: &str) -> Option<&str> {
    const MARKS: [char; 3] = ['\\', '"', '\''];
    let after = text.trim_start_matches(MARKS).strip_prefix("value")?;
    let after = after.trim_start_matches(MARKS).trim_start_matches(BLANKS);
    after.strip_prefix([':', '='])
}

/// The quotation mark that a text begins with, and the backslashes before it.
fn mark(text: &str) -> Option<&str> {
    let bare = text.trim_start_matches('\\');
    let len = text.len() - bare.len() + 1;
    bare.starts_with(['"', '\'', '`']).then(|| &text[..len])
}

/// How much is kept before a quoted value, and how long it is.
fn quoted(text: &str, mark: &str) -> (usize, usize) {
    let len = closing(&text[mark.len()..], mark);
    let after = text.get(mark.len() + len + mark.len()..);
    let after = after.unwrap_or_default();
    // A shell and YAML go on after the mark: "a"b, 'it''s'.
    if after.starts_with(|c: char| c.is_alphanumeric() || c == '\'' || c == '"') {
        return (0, text.len() - after.len() + to_blank(after));
    }
    (mark.len(), len)
}

/// Where that ends which a mark opened: at the same mark, unless it is escaped in turn; else with the text.
fn closing(text: &str, mark: &str) -> usize {
    // At each level of escaping backslashes double, and the mark gets one more: 0, 1, 3, 7.
    let level = mark.len();
    let mut escapes = 0;
    for (at, c) in text.char_indices() {
        if mark.ends_with(c) && c != '\\' {
            let with = escapes + 1;
            if with >= level && (with - level).is_multiple_of(2 * level) {
                return at + 1 - level;
            }
        }
        escapes = if c == '\\' { escapes + 1 } else { 0 };
    }
    text.len()
}

/// How long a value without quotation marks is.
fn unquoted(text: &str, is_key: bool) -> usize {
    let literal = text.find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']'));
    let literal = &text[..literal.unwrap_or(text.len())];
    // JSON has no other: the rest of an object on one line is not the value's.
    if is_key && (matches!(literal, "null" | "true" | "false") || literal.parse::<f64>().is_ok()) {
        return literal.len();
    }
    let from = enclosed(text);
    from + to_blank(&text[from..])
}

/// How much of a line is a header's: all of it, but for where a program shows it as a list or an option.
fn of_header(text: &str) -> usize {
    if text.starts_with(['[', '{']) || text.starts_with("Some(") {
        return enclosed(text);
    }
    text.len()
}

fn to_blank(text: &str) -> usize {
    text.find(char::is_whitespace).unwrap_or(text.len())
}

/// How long that is which stands in brackets at a text's begin, or behind a name: `["x"]`, `Some("x")`,
/// `Key { of: "x" }`. Nothing if there are none, and all of it where they do not end.
fn enclosed(text: &str) -> usize {
    let name = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = name.unwrap_or(text.len());
    let is_type = text.starts_with(char::is_uppercase);
    let mut at = match &text[name..] {
        after if after.starts_with(OPENING) => name,
        after if is_type && after.starts_with(" {") => name + 1,
        _ => return 0,
    };
    let mut depth = 0_usize;
    while let Some(c) = text[at..].chars().next() {
        let inner = &text[at..];
        if let Some(mark) = mark(inner) {
            let end = mark.len() + closing(&inner[mark.len()..], mark) + mark.len();
            at = text.len().min(at + end);
            continue;
        }
        // Backslashes without a mark behind them.
        let escapes = inner.len() - inner.trim_start_matches('\\').len();
        at += escapes.max(c.len_utf8());
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 1 => return at,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

const fn is_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t'
            | '\r'
            | '"'
            | '\''
            | '`'
            | '\\'
            | '='
            | ':'
            | ','
            | ';'
            | '('
            | ')'
            | '{'
            | '}'
            | '['
            | ']'
            | '<'
            | '>'
    )
}

/// A JSON Web Token, a bootstrap token, or one that begins as some do.
fn is_token(word: &str) -> bool {
    let is_web_token = word.starts_with("eyJ") && word.matches('.').count() == 2;
    let is_known = word.len() >= 16 && PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    let is_bootstrap = || {
        let plain = |part: &str| {
            part.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        let halves = word.split_once('.');
        halves.is_some_and(|(id, secret)| {
            id.len() == 6 && secret.len() == 16 && plain(id) && plain(secret)
        })
    };
    is_web_token || is_known || is_bootstrap()
}

#[cfg(test)]
mod tests;

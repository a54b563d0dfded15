//! The repository's files, and Rust text without what is not code.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A Rust file.
pub(crate) struct Source {
    /// Relative to the repository's root, with `/`.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// The same lines, with comments and the insides of literals blanked out.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: code_of(text),
        }
    }

    /// The code before the inline tests, which are the last thing in a file.
    pub(crate) fn product(&self) -> &str {
        match self.code.find("#[cfg(test)]\nmod tests {") {
            Some(start) => &self.code[..start],
            None => &self.code,
        }
    }

    /// Whether all of the file is tests.
    pub(crate) fn is_test(&self) -> bool {
        let in_tests = |part: &str| part == "tests" || part == "tests.rs";
        self.path.split('/').any(in_tests)
    }

    /// Whether the file lies below one of these, each a file or a directory.
    pub(crate) fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            self.path.strip_prefix(place).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || place.ends_with('/')
            })
        })
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| format!("{path}: {error}"))
}

/// All Rust files below these directories, in order.
pub(crate) fn rust_files(directories: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for directory in directories {
        collect(&root().join(directory), &mut paths);
    }
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let relative = path.strip_prefix(root()).expect("it lies below the root");
            let text = fs::read_to_string(path).expect("a source file is UTF-8");
            Source::new(&relative.to_string_lossy(), &text)
        })
        .collect()
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// The text with comments and the insides of string and character literals turned into spaces, so
/// that a word found in it is code. Lines and columns stay as they are.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = match literal_or_comment(rest) {
            Some(length) => (length, false),
            None => (first.len_utf8(), true),
        };
        let (piece, after) = rest.split_at(length);
        if keep {
            code.push_str(piece);
        } else {
            code.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        // A raw string's `r` must not be taken for the end of a word that began before it.
        rest = after;
        if keep && (first.is_alphanumeric() || first == '_') {
            let word = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            code.push_str(&rest[..word]);
            rest = &rest[word..];
        }
    }
    code
}

/// The length of the comment or literal that the text begins with, if it begins with one.
fn literal_or_comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    let unprefixed = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - unprefixed.len();
    if prefix <= 1
        && let Some(raw) = unprefixed.strip_prefix('r')
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = &raw[hashes + 1..];
            let end = body
                .find(&close)
                .map_or(body.len(), |end| end + close.len());
            return Some(prefix + 1 + hashes + 1 + end);
        }
    }
    if prefix <= 1 && unprefixed.starts_with('"') {
        return Some(prefix + quoted(unprefixed, '"'));
    }
    // A lifetime has no closing quote within two characters.
    let mut quote = text.chars();
    if quote.next() == Some('\'') {
        return match (quote.next(), quote.next()) {
            (Some('\\'), _) => Some(quoted(text, '\'')),
            (Some(inner), Some('\'')) => Some(2 + inner.len_utf8()),
            _ => None,
        };
    }
    None
}

/// The length of a quoted literal, which may hold escaped quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = r##"let a = "//not" + 'x' + '\'' + r#"raw " here"#; // gone
/* gone */ fn f<'a>(x: &'a str) { "a\"b"; b"c"; br"d"; attr"e"; }"##;
    let code = code_of(text);
    assert_eq!(code.lines().count(), 2);
    assert_eq!(code.chars().count(), text.chars().count());
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "let a = + + + ; fn f<'a>(x: &'a str) { ; ; ; attr ; }"
    );
}

#[test]
fn inline_tests_are_not_product() {
    let source = Source::new(
        "src/a.rs",
        "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    x();\n}\n",
    );
    assert_eq!(source.product().trim(), "fn a() {}");
    let elsewhere = Source::new("src/a.rs", "#[cfg(test)]\nmod tests;\n\nfn a() {}\n");
    assert!(elsewhere.product().contains("fn a()"));
    assert!(!source.is_test());
    assert!(Source::new("src/a/tests.rs", "").is_test());
    assert!(Source::new("src/a/tests/b.rs", "").is_test());
    assert!(source.is_in(&["src/a.rs"]) && source.is_in(&["src"]) && !source.is_in(&["src/a"]));
}

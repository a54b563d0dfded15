//! Files and functions that one can still read.

use crate::source::{Source, rust_files};

/// Lines of a file, without its tests.
const FILE: usize = 400;
/// Lines of inline tests; longer ones go to `tests.rs` beside the file.
const INLINE_TESTS: usize = 150;
/// Lines of a function, from its name to its closing brace.
const FUNCTION: usize = 70;
/// Characters of a line: for what the formatter leaves alone, such as comments and literals.
const WIDTH: usize = 120;

const EVERYTHING: &[&str] = &["src", "crates", "e2e/src", "e2e/tests", "tests"];

fn complaints(source: &Source) -> Vec<String> {
    let path = &source.path;
    let product = source.product().lines().count();
    let tests = source.code.lines().count() - product;
    let mut found = Vec::new();
    if product > FILE && !source.is_test() {
        found.push(format!(
            "{path} has {product} lines: split it, at most {FILE}"
        ));
    }
    if tests > INLINE_TESTS {
        found.push(format!(
            "{path} has {tests} lines of inline tests: move them to tests.rs"
        ));
    }
    // A module's own tests are described by the module above them.
    if !source.text.starts_with("//!") && !path.ends_with("/tests.rs") {
        found.push(format!("{path} does not open with what it is (`//!`)"));
    }
    for (name, lines) in functions(&source.code) {
        if lines > FUNCTION {
            found.push(format!(
                "{path}: `{name}` has {lines} lines, at most {FUNCTION}"
            ));
        }
    }
    // Tests hold samples of what others write, as wide as they come.
    for (number, line) in source.text.lines().take(product).enumerate() {
        if line.chars().count() > WIDTH && !source.is_test() {
            found.push(format!("{path}:{} is wider than {WIDTH}", number + 1));
        }
    }
    found
}

/// Each function's name and its lines.
fn functions(code: &str) -> Vec<(String, usize)> {
    code.match_indices("fn ")
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .filter_map(|(at, _)| {
            let rest = &code[at + 3..];
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let open = rest.find(['{', ';']).filter(|_| !name.is_empty())?;
            if rest[open..].starts_with(';') {
                return None;
            }
            Some((name, rest[..open + body(&rest[open..])].lines().count()))
        })
        .collect()
}

/// The length of the braced block that the text begins with.
fn body(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

#[test]
fn every_file_and_function_can_be_read_at_a_sitting() {
    let found: Vec<_> = rust_files(EVERYTHING).iter().flat_map(complaints).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_is_too_long_is_found() {
    let source = |text: String| Source::new("src/a.rs", &format!("//! A.\n{text}"));
    assert_eq!(complaints(&source("fn a() {}\n".to_owned())), [""; 0]);

    let long_file = complaints(&source("const A: u8 = 1;\n".repeat(FILE)));
    assert_eq!(long_file, ["src/a.rs has 401 lines: split it, at most 400"]);

    let tests = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}\n",
        "    use a;\n".repeat(INLINE_TESTS)
    );
    let long_tests = complaints(&source(tests));
    assert_eq!(
        long_tests,
        ["src/a.rs has 153 lines of inline tests: move them to tests.rs"]
    );

    let function = format!(
        "trait T {{ fn t(); }}\nfn f() {{\n{}}}\n",
        "    { a(); }\n".repeat(FUNCTION)
    );
    assert_eq!(
        complaints(&source(function)),
        ["src/a.rs: `f` has 72 lines, at most 70"]
    );

    let wide = complaints(&source(format!("// {}\n", "x".repeat(WIDTH))));
    assert_eq!(wide, ["src/a.rs:2 is wider than 120"]);

    let silent = complaints(&Source::new("src/a.rs", "fn a() {}\n"));
    assert_eq!(silent, ["src/a.rs does not open with what it is (`//!`)"]);
}

//! Sentences broken into lines.

use super::clean::one_line;

/// The narrowest terminal that lines are broken for.
const NARROWEST: usize = 60;
/// The widest: longer lines are hard to read.
const WIDEST: usize = 120;

/// The columns that are used of a terminal of so many.
pub(super) fn used(columns: usize) -> usize {
    columns.clamp(NARROWEST, WIDEST)
}

/// The lines of a text within so many columns, the first indented by `first`, the others by `rest`. A
/// word that is wider than a line stays whole.
pub(super) fn wrapped(text: &str, columns: usize, first: &str, rest: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in one_line(text).split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > columns {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    if !is_empty {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_only() {
        assert_eq!(
            wrapped("one two three immeasurable", 9, "- ", "  "),
            ["- one two", "  three", "  immeasurable"]
        );
        assert_eq!(wrapped("a\n\x1b[2Jb", 9, "", ""), ["a ^[[2Jb"]);
        assert_eq!(wrapped(" ", 9, "- ", "  "), [""; 0]);
    }
}

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

/// A text of which sentences are broken within so many columns, each where it was indented and two deeper. Rows
/// of tables (two blanks in a row) and headings (colours) stay whole.
#[must_use]
pub fn broken(text: &str, columns: usize) -> String {
    let columns = used(columns);
    let mut lines = Vec::new();
    for line in text.lines() {
        let sentence = line.trim_start();
        let is_prose = !sentence.contains("  ") && !sentence.contains('\x1b');
        if is_prose && line.chars().count() > columns {
            let indent = &line[..line.len() - sentence.len()];
            lines.extend(wrapped(sentence, columns, indent, &format!("{indent}  ")));
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n") + "\n"
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

    #[test]
    fn sentences_of_a_screen_are_broken_and_its_tables_are_not() {
        let long = "word ".repeat(20);
        let row = format!("  a  {long}");
        let head = format!("\x1b[1mHEAD\x1b[0m {long}");
        let screen = format!("{head}\n{row}\n    {}\n", long.trim_end());
        let shown = broken(&screen, 64);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[..2], [head, row]);
        assert_eq!(lines[2], format!("    {}", "word ".repeat(12).trim_end()));
        assert_eq!(lines[3], format!("      {}", "word ".repeat(8).trim_end()));
        assert!(shown.ends_with("word\n"), "{shown}");
    }
}

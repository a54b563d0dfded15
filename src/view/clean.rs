//! Text of others → text that does nothing to a terminal but stand there.
//!
//! Whoever may write an Event or an annotation decides what a status or a report shows. What would move the
//! cursor, colour, hide or reorder is shown as what it is, as kubectl does it.

/// What changes the direction in which letters are read.
const DIRECTIONS: [std::ops::RangeInclusive<char>; 2] =
    ['\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];

/// Text of one line, for a cell or a note: line breaks and tabs are spaces.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => line.push(' '),
            other => push(&mut line, other),
        }
    }
    line
}

/// A whole screen before it is written: of what a terminal obeys, only its line breaks and the colours that
/// screens are made of are left.
#[must_use]
pub fn screen(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(colour) = colour(rest) {
            safe.push_str(colour);
            rest = &rest[colour.len()..];
            continue;
        }
        match letter {
            '\n' => safe.push(letter),
            other => push(&mut safe, other),
        }
        rest = &rest[letter.len_utf8()..];
    }
    safe
}

/// The colour that a text begins with: bold, dimmed, one of the eight, or none again. What hides text is none.
fn colour(text: &str) -> Option<&str> {
    let codes = text.strip_prefix("\x1b[")?;
    let end = codes.find(|one: char| !one.is_ascii_digit() && one != ';')?;
    let is_known = |code: &str| matches!(code.parse(), Ok(0_u8..=2 | 30..=37));
    let is_colour = codes[end..].starts_with('m') && codes[..end].split(';').all(is_known);
    is_colour.then(|| &text[..=text.len() - codes.len() + end])
}

fn push(text: &mut String, letter: char) {
    let reorders = DIRECTIONS.iter().any(|range| range.contains(&letter));
    match letter {
        '\0'..='\x1f' => {
            text.push('^');
            text.push(char::from(letter as u8 + b'@'));
        }
        '\x7f' => text.push_str("^?"),
        _ if letter.is_control() || reorders => text.extend(letter.escape_unicode()),
        _ => text.push(letter),
    }
}

#[cfg(test)]
mod tests {
    use anstyle::{AnsiColor, Style};

    use super::*;
    use crate::view::style::{BAD, BUSY, FAINT, GOOD, HEAD, WARN};

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_what_it_is() {
        assert_eq!(
            one_line("a\x1b[2J\x1b]0;title\x07b\r\x08\x7f\u{9b}31m\u{202e}c"),
            "a^[[2J^[]0;title^Gb^M^H^?\\u{9b}31m\\u{202e}c"
        );
        assert_eq!(
            one_line("fine\n\nNothing is wrong.\tü√"),
            "fine  Nothing is wrong. ü√"
        );
    }

    #[test]
    fn a_screen_keeps_its_lines_and_its_colours_and_nothing_else() {
        for style in [GOOD, BUSY, WARN, BAD, HEAD, FAINT, Style::new()] {
            let text = format!("{style}word{style:#}\n");
            assert_eq!(screen(&text), text);
        }
        let blue = AnsiColor::Blue.on_default().bold();
        assert_eq!(
            screen(&format!("{blue}x{blue:#}")),
            format!("{blue}x{blue:#}")
        );
        for (bad, shown) in [
            ("\x1b[8mhidden", "^[[8mhidden"),
            ("\x1b[1;8mhidden", "^[[1;8mhidden"),
            ("\x1b[2Jx", "^[[2Jx"),
            ("\x1b[m", "^[[m"),
            ("\x1b[1", "^[[1"),
            ("\x1b", "^["),
            ("\x1bc", "^[c"),
            ("back\rforged", "back^Mforged"),
        ] {
            assert_eq!(screen(bad), shown);
        }
    }
}

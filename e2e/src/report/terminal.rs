//! What a terminal shows, as an SVG picture for the documents.

use std::fmt::Write;
use std::num::NonZeroU16;

use vt100::{Cell, Color, Parser, Screen};

use super::plot::escape;

/// The size of letters, and of the cell that one stands in, in pixels.
const LETTER: u32 = 14;
const CELL_WIDTH: f64 = 8.43;
const CELL_HEIGHT: f64 = 18.0;
/// Around the text.
const MARGIN: f64 = 14.0;

const GROUND: &str = "#16181d";
const PLAIN: &str = "#d7dae0";
/// The eight colours of a terminal, legible on that ground.
const COLOURS: [&str; 8] = [
    "#7d8590", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#f0f3f6",
];

/// What is on the screen of a terminal of this size once `output` was written to it, below the line in
/// which a person typed `command`.
#[must_use]
pub fn picture(command: &str, output: &[u8], rows: NonZeroU16, columns: NonZeroU16) -> String {
    let mut terminal = Parser::new(rows, columns, 0);
    terminal.process(output);
    let screen = terminal.screen();
    let typed = format!("$ {command}");
    let lines: Vec<String> = screen.rows(0, columns.get()).collect();
    let used = lines.iter().rposition(|line| !line.trim().is_empty());
    let height = used.map_or(0, |last| last + 1);
    let widest = lines
        .iter()
        .chain([&typed])
        .map(|line| line.trim_end().chars().count());
    let width = widest.max().unwrap_or_default();
    let mut svg = frame(command, width, height + 1);
    let text = span(&typed, PLAIN, true, false);
    svg.push_str(&line(0, &text));
    for row in 0..height {
        let text = styled(
            screen,
            u16::try_from(row).unwrap_or(u16::MAX),
            columns.get(),
        );
        svg.push_str(&line(row + 1, &text));
    }
    svg + "</svg>\n"
}

/// The beginning of a picture of so many columns and rows.
fn frame(label: &str, columns: usize, rows: usize) -> String {
    let width = (columns as f64).mul_add(CELL_WIDTH, 2.0 * MARGIN).ceil();
    let height = (rows as f64).mul_add(CELL_HEIGHT, 2.0 * MARGIN).ceil();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"What {} shows\" font-family=\"ui-monospace, 'DejaVu Sans Mono', \
         Menlo, Consolas, monospace\" font-size=\"{LETTER}\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{GROUND}\"/>\n",
        escape(label)
    )
}

fn line(row: usize, text: &str) -> String {
    let y = (row as f64 + 0.75).mul_add(CELL_HEIGHT, MARGIN);
    format!("<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">{text}</text>\n")
}

/// A row of the screen, cut where the style changes.
fn styled(screen: &Screen, row: u16, columns: u16) -> String {
    let mut spans = String::new();
    let mut text = String::new();
    let mut style = None;
    for cell in (0..columns).filter_map(|column| screen.cell(row, column)) {
        let next = Some((colour(cell), cell.bold(), cell.dim()));
        let is_blank = !cell.has_contents();
        if next != style && !is_blank {
            flush(&mut spans, &mut text, style);
            style = next;
        }
        text.push_str(if is_blank { " " } else { cell.contents() });
    }
    text.truncate(text.trim_end().len());
    flush(&mut spans, &mut text, style);
    spans
}

fn flush(spans: &mut String, text: &mut String, style: Option<(&str, bool, bool)>) {
    let (colour, bold, dim) = style.unwrap_or((PLAIN, false, false));
    if !text.is_empty() {
        spans.push_str(&span(text, colour, bold, dim));
    }
    text.clear();
}

/// As wide as its cells are, whichever font there is.
fn span(text: &str, colour: &str, bold: bool, dim: bool) -> String {
    let width = text.chars().count() as f64 * CELL_WIDTH;
    let mut span = format!("<tspan fill=\"{colour}\" textLength=\"{width:.1}\"");
    for (is_so, attribute) in [(bold, " font-weight=\"bold\""), (dim, " opacity=\"0.65\"")] {
        if is_so {
            span.push_str(attribute);
        }
    }
    write!(span, ">{}</tspan>", escape(text)).ok();
    span
}

fn colour(cell: &Cell) -> &'static str {
    match cell.fgcolor() {
        Color::Idx(index) => COLOURS[usize::from(index % 8)],
        Color::Default | Color::Rgb(..) => PLAIN,
    }
}

#[cfg(test)]
mod tests {
    use quick_xml::{Reader, events::Event};

    use super::*;

    fn pictured(output: &str) -> String {
        let size = |number| NonZeroU16::new(number).expect("a size");
        picture(
            "kubectl weir <status>",
            output.as_bytes(),
            size(6),
            size(40),
        )
    }

    /// All text of it, a line for each of its lines.
    fn lines(svg: &str) -> Vec<String> {
        let mut reader = Reader::from_str(svg);
        let mut lines: Vec<String> = vec![];
        loop {
            match reader.read_event().expect("well-formed") {
                Event::Start(tag) if tag.name().as_ref() == b"text" => lines.push(String::new()),
                Event::Text(text) => {
                    let text = text.decode().expect("UTF-8");
                    if let Some(line) = lines.last_mut() {
                        line.push_str(text.trim_end_matches('\n'));
                    }
                }
                Event::Eof => return lines,
                _ => {}
            }
        }
    }

    #[test]
    fn it_shows_the_last_screen_only() {
        let svg = pictured("\x1b[Hfirst\x1b[K\r\nold\x1b[J\x1b[Hsecond\x1b[K\r\n\x1b[J");
        assert_eq!(lines(&svg).last().unwrap(), "second");
        assert!(!svg.contains(">old<"), "{svg}");
    }

    #[test]
    fn styles_are_kept_and_what_is_plain_stays_so() {
        let svg = pictured("a \x1b[31;1mbad\x1b[0m end\x1b[2m faint\x1b[0m");
        assert!(svg.contains(&span("bad", COLOURS[1], true, false)), "{svg}");
        assert!(svg.contains(&span("a ", PLAIN, false, false)), "{svg}");
        assert!(svg.contains("opacity=\"0.65\"> faint<"), "{svg}");
    }
}
